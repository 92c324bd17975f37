"""The variants of a network's segments: the exact one first, then coarser ones; kept on disk.

A variant belongs to a segment and a ratio of multiply-adds. It is made once and then read from
the cache, where it lies beside a key: what it was made from, and the hash of its file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import onnx

from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models.cache import cache_dir, locked, write_whole
from s3dnn_ros.models.lowrank import Layer, LowRank, check_ratio, low_ranks
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.models.segmentation import Segment

RATIOS = (1.0, 0.9, 0.8, 0.7, 0.5)
# Grows whenever other files are written for the same networks, so that caches are renewed.
REVISION = 1
EXACT = 1.0


@dataclasses.dataclass(frozen=True)
class Variant:
    """A segment with some layers of low rank; `ratio` 1.0 is the exact one.

    `macs` are its multiply-adds for one image.
    """

    ratio: float
    model: onnx.ModelProto
    layers: Tuple[Layer, ...]
    macs: int

    @property
    def size_mb(self) -> float:
        """Return the size of its file."""
        return self.model.ByteSize() / 1e6


@dataclasses.dataclass(frozen=True)
class Variants:
    """The variants of one segment, each coarser than the one before it, the first exact."""

    segment: Segment
    variants: Tuple[Variant, ...]

    def at(self, ratio: float) -> Variant:
        """Return the variant for a ratio."""
        return self.variants[self.index(ratio)]

    def index(self, ratio: float) -> int:
        """Return which variant a ratio has: one that equals the one before it was left out."""
        return sum(variant.ratio >= ratio for variant in self.variants) - 1


def make_variants(
    name: str, segments: Sequence[Segment], ratios: Sequence[float] = RATIOS
) -> Tuple[Variants, ...]:
    """Return the variants of each segment of the model `name`, from the cache where it has them.

    A file in the cache counts only if it was made from the same segment, that is from the same
    weights, cuts and preprocessing, and for the same ratio. Raises ParameterError for ratios
    that cannot be used, ModelError if the cache cannot be written.
    """
    ratios = checked_ratios(ratios)
    folder = cache_dir() / 'variants' / name
    try:
        with locked(folder):
            return tuple(_variants(folder, segment, ratios) for segment in segments)
    except OSError as error:
        raise ModelError(
            folder, f'cannot be written ({error.strerror}); free space there or set $S3DNN_CACHE'
        ) from error


def checked_ratios(ratios: Sequence[float]) -> Tuple[float, ...]:
    """Return 1.0, the exact network, and the ratios below; raises ParameterError for others."""
    for ratio in ratios:
        check_ratio(ratio)
        if ratio > EXACT:
            raise ParameterError('ratios', ratio, 'expected shares of the multiply-adds, above 0 '
                                 'and at most 1')
    return tuple(sorted({EXACT, *map(float, ratios)}, reverse=True))


def _variants(folder: Path, segment: Segment, ratios: Tuple[float, ...]) -> Variants:
    content = segment.model.SerializeToString(deterministic=True)
    digest = hashlib.sha256(content).hexdigest()
    stored = {ratio: _read(_path(folder, segment, ratio), digest, ratio) for ratio in ratios[1:]}
    missing = [ratio for ratio, found in stored.items() if found is None]
    for ratio, made in zip(missing, low_ranks(segment.model, missing)):
        stored[ratio] = made
        _write(_path(folder, segment, ratio), digest, ratio, made)
    variants = [Variant(EXACT, segment.model, (), multiply_adds(segment.model))]
    for ratio in ratios[1:]:
        if stored[ratio].layers != variants[-1].layers:
            model = stored[ratio].model
            variants.append(Variant(ratio, model, stored[ratio].layers, multiply_adds(model)))
    return Variants(segment, tuple(variants))


def _path(folder: Path, segment: Segment, ratio: float) -> Path:
    return folder / f'{segment.index:03d}_{ratio:g}.onnx'


def _write(path: Path, digest: str, ratio: float, made: LowRank) -> None:
    content = made.model.SerializeToString(deterministic=True)
    write_whole(path, content)
    # The key goes last: a file without its key is only made again.
    layers = [dataclasses.asdict(layer) for layer in made.layers]
    key = {**_key(digest, ratio), 'sha256': hashlib.sha256(content).hexdigest(),
           'layers': layers}
    write_whole(path.with_suffix('.json'), (json.dumps(key, indent=1) + '\n').encode())


def _read(path: Path, digest: str, ratio: float) -> Optional[LowRank]:
    """Return what is stored, None if it is not there, not whole or made from something else."""
    try:
        key = json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))
        content = path.read_bytes()
        if key['sha256'] != hashlib.sha256(content).hexdigest() or any(
                key[name] != value for name, value in _key(digest, ratio).items()):
            return None
        layers: List[Layer] = [Layer(**{**layer, 'ranks': tuple(layer['ranks'])})
                               for layer in key['layers']]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return LowRank(onnx.load_from_string(content), tuple(layers))


def _key(digest: str, ratio: float) -> Dict[str, Any]:
    return {'revision': REVISION, 'segment_sha256': digest, 'ratio': ratio}
