"""The files of a series: the weights of the layers that its networks share are there once.

They are ONNX files with their weights in files beside them, as every reader of ONNX knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, List, Sequence, Tuple

import onnx
from onnx import TensorProto, numpy_helper

from s3dnn_ros.base.cache import write_whole

# Smaller constants, such as shapes, stay where shape inference sees them.
LEAST_BYTES = 1024


@dataclass(frozen=True)
class Storage:
    """What the files of a series take, in bytes [RT-mDL, Eq. 4].

    `private` has the file of each network, exact first, and its own weights; `shared` is the
    file of the weights that all of them read.
    """

    shared: int
    private: Tuple[int, ...]

    @property
    def total(self) -> int:
        """Return Storage(W*) + Σ Storage(W_k)."""
        return self.shared + sum(self.private)


@dataclass(frozen=True)
class _Files:
    """The bytes of all files by name, and which belong to each network."""

    content: Dict[str, bytes]
    shared: str
    private: Tuple[Tuple[str, str], ...]

    @property
    def storage(self) -> Storage:
        return Storage(len(self.content.get(self.shared, b'')), tuple(
            sum(len(self.content.get(name, b'')) for name in names) for names in self.private))


def storage_of(models: Sequence[onnx.ModelProto], shared: FrozenSet[str], name: str
               ) -> Storage:
    """Return what these networks would take, written with `write`."""
    return _files(models, shared, name).storage


def write(models: Sequence[onnx.ModelProto], shared: FrozenSet[str], folder: Path, name: str
          ) -> Tuple[Path, ...]:
    """Write networks into a folder; return their paths. Raises OSError.

    `shared` names the weights that are the same in all of them. What was there under this
    `name` and belongs to none of them is removed.
    """
    files = _files(models, shared, name)
    for file, content in files.content.items():
        write_whole(folder / file, content)
    for old in folder.glob(f'{name}_*'):
        if old.name not in files.content and old.suffix in ('.onnx', '.bin'):
            old.unlink()
    return tuple(folder / graph for graph, _ in files.private)


def _files(models: Sequence[onnx.ModelProto], alike: FrozenSet[str], name: str) -> _Files:
    shared, private = f'{name}_shared.bin', [
        (f'{name}_{index}.onnx', f'{name}_{index}.bin') for index in range(len(models))]
    weights: Dict[str, List[bytes]] = {}
    ends: Dict[str, int] = {}
    places: Dict[str, Tuple[int, int]] = {}
    content: Dict[str, bytes] = {}
    for model, (graph, own) in zip(models, private):
        result = onnx.ModelProto()
        result.CopyFrom(model)
        for tensor in result.graph.initializer:
            raw = _raw(tensor)
            if len(raw) < LEAST_BYTES:
                continue
            file = shared if tensor.name in alike else own
            place = places.get(tensor.name) if file == shared else None
            if place is None:
                place = ends.get(file, 0), len(raw)
                ends[file] = sum(place)
                weights.setdefault(file, []).append(raw)
                if file == shared:
                    places[tensor.name] = place
            _refer(tensor, file, *place)
        content[graph] = result.SerializeToString(deterministic=True)
    content.update((file, b''.join(parts)) for file, parts in weights.items())
    return _Files(content, shared, tuple(private))


def _raw(tensor: TensorProto) -> bytes:
    if tensor.HasField('raw_data'):
        return tensor.raw_data
    return numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data


def _refer(tensor: TensorProto, file: str, offset: int, length: int) -> None:
    """Let a tensor's numbers lie in a file."""
    plain = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims,
                        data_location=TensorProto.EXTERNAL)
    for key, value in (('location', file), ('offset', offset), ('length', length)):
        plain.external_data.add(key=key, value=str(value))
    tensor.CopyFrom(plain)
