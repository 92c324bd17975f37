"""A network ready to load, with image input and cuts, kept from one start to the next.

Reading, checking and cutting an ONNX file takes several times as long as loading the result, and
needs the package onnx, whose import alone takes a tenth of a second.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import zlib
from pathlib import Path
from typing import Any, List, Optional, Tuple

from s3dnn_ros.models.cache import cache_dir, plan_path, sha256_of, write_whole

# What makes a prepared network out of a file: a change in here makes all of them anew.
_CODE = ('models/batch.py', 'models/flow.py', 'models/graph.py', 'models/segment_plan.py',
         'models/segmentation.py', 'models/shapes.py', 'runtime/pieces.py',
         'runtime/prepared.py')


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A network in segments; `models` holds each, as a graph or as the bytes of an ONNX file.

    `outputs` are the network's, `cuts` the tensors alive at each cut, and `note` tells the user
    where the cuts come from. `segments` is empty where the models are bytes.
    """

    outputs: Tuple[str, ...]
    cuts: Tuple[Tuple[str, ...], ...]
    models: Tuple[Any, ...]
    note: str
    segments: Tuple[Any, ...] = ()


def cut_anew(spec, table, reason: str) -> Prepared:
    """Return a network as `pieces.cut` cuts it.

    `table` is its profile or None, and `reason` says why. Raises ModelError or ProfileError.
    """
    from s3dnn_ros.models.graph import load_graph, with_image_input
    from s3dnn_ros.runtime.pieces import cut
    model = with_image_input(load_graph(spec), spec)
    cuts, segments, note = cut(spec, model, table, reason)
    return Prepared(tuple(value.name for value in model.graph.output), tuple(map(tuple, cuts)),
                    tuple(segment.model for segment in segments), note, tuple(segments))


def cut_again(spec, cuts) -> List[Any]:
    """Return the graphs of a network's segments; its file is read again. Raises ModelError."""
    from s3dnn_ros.models.graph import load_graph, with_image_input
    from s3dnn_ros.models.segment_plan import cut_at
    model = with_image_input(load_graph(spec), spec)
    return [segment.model for segment in cut_at(model, cuts, spec.onnx,
                                                'clean the node up and configure it again')]


def prepare(spec, table, reason: str) -> Prepared:
    """Return what `cut_anew` does, as bytes, and from the cache if nothing has changed."""
    key = _key(spec, table, reason)
    path = cache_dir() / 'prepared' / f'{spec.name}.onnx_segments'
    kept = _read(path, key) if key else None
    if kept is not None:
        return kept
    made = cut_anew(spec, table, reason)
    made = dataclasses.replace(made, segments=(), models=tuple(
        model.SerializeToString() for model in made.models))
    if key and not _has_more_files(spec.onnx):
        _write(path, key, made)
    return made


def _key(spec, table, reason) -> str:
    """Return a hash of all that the prepared network depends on, '' if some of it is missing."""
    package = Path(__file__).parents[1]
    plan = plan_path(spec.name)
    try:
        parts = [sha256_of(spec.onnx), *(sha256_of(package / name) for name in _CODE),
                 sha256_of(plan) if table is None and plan.exists() else '',
                 repr(dataclasses.astuple(spec)), repr(table and (table.cuts, table.segments)),
                 reason]
    except OSError:
        return ''
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _has_more_files(onnx_file) -> bool:
    """Tell whether weights lie in files of their own, whose changes the key does not see."""
    import onnx
    from onnx.external_data_helper import uses_external_data
    graph = onnx.load(str(onnx_file), load_external_data=False).graph
    return any(map(uses_external_data, graph.initializer))


def _read(path: Path, key: str) -> Optional[Prepared]:
    """Return what was written under this key; None if that is not there, or damaged."""
    try:
        head, _, body = path.read_bytes().partition(b'\n')
        values = json.loads(head)
        if values['key'] != key or values['crc32'] != zlib.crc32(body):
            return None
        ends = list(itertools.accumulate(values['sizes'], initial=0))
        return Prepared(tuple(values['outputs']), tuple(map(tuple, values['cuts'])),
                        tuple(body[start:end] for start, end in zip(ends, ends[1:])),
                        values['note'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, key: str, prepared: Prepared) -> None:
    body = b''.join(prepared.models)
    head = json.dumps({
        'key': key, 'crc32': zlib.crc32(body),
        'sizes': [len(model) for model in prepared.models], 'outputs': prepared.outputs,
        'cuts': prepared.cuts, 'note': prepared.note})
    try:
        write_whole(path, head.encode() + b'\n' + body)
    except OSError:
        # the next start takes a little longer
        return
