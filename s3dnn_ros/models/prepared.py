"""A network ready to load, with image input and cuts, kept from one start to the next.

Reading, checking and cutting an ONNX file takes several times as long as loading the result, and
needs the package onnx, whose import alone takes a tenth of a second.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
import zlib
from pathlib import Path
from typing import Optional

from s3dnn_ros.base.cache import cache_dir, plan_path, sha256_of, write_whole
from s3dnn_ros.base.content import Fields, json_of
from s3dnn_ros.errors import DocumentError
from s3dnn_ros.models.cut_network import CutNetwork, cut_as_known
from s3dnn_ros.models.metadata import Metadata
from s3dnn_ros.models.sizes import SIZE_LIMIT

_LOG = logging.getLogger(__name__)

# What makes a prepared network out of a file: a change in here makes all of them anew.
_CODE = ('batch.py', 'cut_network.py', 'decode_classification.py', 'decode_detr.py',
         'decode_nanodet.py', 'decode_ssd.py', 'decode_yolo.py', 'decoders.py', 'flow.py',
         'graph.py', 'grids.py', 'metadata.py', 'prepared.py', 'segment_plan.py',
         'segmentation.py', 'shapes.py', 'soundness.py', 'yolo_tasks.py')


def prepare(spec, table, reason: str) -> CutNetwork:
    """Return what `cut_as_known` does, as bytes, and from the cache if nothing has changed."""
    key = _key(spec, table, reason)
    path = cache_dir() / 'prepared' / f'{spec.name}.onnx_segments'
    kept = _read(path, key, spec) if key else None
    if kept is not None:
        return kept
    made = cut_as_known(spec, table, reason)
    made = dataclasses.replace(made, segments=(), models=tuple(
        model.SerializeToString() for model in made.models))
    if key and not _has_more_files(spec.onnx):
        _write(path, key, made)
    return made


def _key(spec, table, reason) -> str:
    """Return a hash of all that the prepared network depends on, '' if some of it is missing."""
    room = Path(__file__).parent
    plan = plan_path(spec.name)
    try:
        parts = [sha256_of(spec.onnx), *(sha256_of(room / name) for name in _CODE),
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


def _read(path: Path, key: str, spec) -> Optional[CutNetwork]:
    """Return what was written under this key; None if that is not there, or damaged."""
    try:
        head, _, body = path.read_bytes().partition(b'\n')
        fields = Fields(json_of(head))
        return _network(fields, body, spec) if fields.text('key') == key else None
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning(f'{path}: cannot be read ({error.strerror}); the network is prepared again')
    except DocumentError as error:
        _LOG.warning(f'{path}: {error}; it is made again')
    return None


def _network(fields: Fields, body: bytes, spec) -> CutNetwork:
    """Return what was written; raises DocumentError if it is damaged."""
    sizes = fields.wholes('sizes', 1, len(body))
    if fields.value('crc32') != zlib.crc32(body) or sum(sizes) != len(body):
        raise DocumentError('is not whole')
    cuts = fields.lists_of_texts('cuts')
    if len(sizes) != len(cuts) + 1:
        raise DocumentError(f'has {len(sizes)} segments and {len(cuts)} cuts')
    ends = list(itertools.accumulate(sizes, initial=0))
    return CutNetwork(spec, fields.texts('outputs'), cuts,
                      tuple(body[start:end] for start, end in zip(ends, ends[1:])),
                      _metadata(Fields(fields.mapping('metadata'), 'metadata')),
                      note=fields.text('note'))


def _metadata(fields: Fields) -> Metadata:
    is_final = fields.value('is_final')
    return Metadata(fields.text('task'), fields.texts('names'),
                    fields.whole('keypoints', 0, SIZE_LIMIT),
                    fields.whole('keypoint_values', 0, SIZE_LIMIT),
                    is_final if is_final is None else fields.truth('is_final'))


def _write(path: Path, key: str, prepared: CutNetwork) -> None:
    body = b''.join(prepared.models)
    head = json.dumps({
        'key': key, 'crc32': zlib.crc32(body),
        'sizes': [len(model) for model in prepared.models], 'outputs': prepared.outputs,
        'cuts': prepared.cuts, 'note': prepared.note,
        'metadata': dataclasses.asdict(prepared.metadata)})
    try:
        write_whole(path, head.encode() + b'\n' + body)
    except OSError:
        # the next start takes a little longer
        return
