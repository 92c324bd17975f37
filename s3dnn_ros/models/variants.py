"""The variants of a network's segments: the exact one first, then coarser ones; kept on disk.

A variant belongs to a segment, a ratio of its work and a calibration. It is made once and
then read from the cache, where it lies beside a key: what it was made from, and the hash of its
file. The executor only reads, so that what runs is what was measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import onnx
from google.protobuf.message import DecodeError

from s3dnn_ros.base.cache import cache_dir, locked, write_whole
from s3dnn_ros.base.content import Fields, json_of, read_bytes, shortened
from s3dnn_ros.errors import DocumentError, ModelError, ParameterError
from s3dnn_ros.models.calibration import WEIGHTS_ALONE, Calibration
from s3dnn_ros.models.lowrank import Layer, LowRank, check_ratio, low_ranks
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.models.segmentation import Segment
from s3dnn_ros.models.soundness import expect_sound

_LOG = logging.getLogger(__name__)

RATIOS = (1.0, 0.9, 0.8, 0.7, 0.5)
# Grows whenever other files are written for the same networks, so that caches are renewed.
REVISION = 3
EXACT = 1.0
# No layer has a higher rank, or takes more multiply-adds.
_MOST_RANKS, _MOST_MACS = 2**31, 2**63


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


def variants_dir(model: str, engine: str) -> Path:
    """Return where the variants of a model that were made for an engine are kept."""
    return cache_dir() / 'variants' / f'{model}.{engine}'


def make_variants(
    folder: Path,
    segments: Sequence[Segment],
    ratios: Sequence[float] = RATIOS,
    calibration: Calibration = WEIGHTS_ALONE,
) -> Tuple[Variants, ...]:
    """Return the variants of each segment of a model, from its folder where that has them.

    A file there counts only if it was made from the same segment, that is from the same
    weights, cuts and preprocessing, with the same calibration and for the same ratio. Raises
    ParameterError for ratios that cannot be used, ModelError if the folder cannot be written.
    """
    ratios = checked_ratios(ratios)
    try:
        with locked(folder):
            return tuple(
                _made(folder, segment, ratios[1:], calibration) for segment in segments)
    except OSError as error:
        raise ModelError(
            folder, f'cannot be written ({error.strerror}); free space there or set $S3DNN_CACHE'
        ) from error


def stored_variants(
    folder: Path, segments: Sequence[Segment], ratios: Sequence[float], calibration_sha256: str
) -> Tuple[Variants, ...]:
    """Return the variants of each segment as they were made, and make none.

    Raises ModelError, naming the file, if one is not there, not whole, or made from something
    else.
    """
    result = []
    for segment in segments:
        digest = _digest(segment)
        found = {}
        for ratio in checked_ratios(ratios)[1:]:
            path = _path(folder, segment, ratio)
            stored = _read(path, _key(digest, ratio, calibration_sha256))
            if stored is None:
                raise ModelError(path, 'is missing, or not the variant that was measured; run '
                                 # as `variants_dir` builds the name
                                 f'`s3dnn models lowrank {folder.name.rpartition(".")[0]}`')
            found[ratio] = stored
        result.append(_variants(segment, found))
    return tuple(result)


def checked_ratios(ratios: Sequence[float]) -> Tuple[float, ...]:
    """Return 1.0, the exact network, and the ratios below; raises ParameterError for others."""
    for ratio in ratios:
        check_ratio(ratio)
        if ratio > EXACT:
            raise ParameterError('ratios', ratio, 'expected shares of the work, above 0 and at '
                                 'most 1')
    return tuple(sorted({EXACT, *map(float, ratios)}, reverse=True))


def _made(
    folder: Path, segment: Segment, ratios: Sequence[float], calibration: Calibration
) -> Variants:
    digest = _digest(segment)
    keys = {ratio: _key(digest, ratio, calibration.sha256) for ratio in ratios}
    stored = {ratio: _read(_path(folder, segment, ratio), keys[ratio]) for ratio in ratios}
    missing = [ratio for ratio, found in stored.items() if found is None]
    for ratio, made in zip(missing, low_ranks(segment.model, missing, calibration.moments)):
        stored[ratio] = made
        _write(_path(folder, segment, ratio), keys[ratio], made)
    return _variants(segment, stored)


def _variants(segment: Segment, found: Mapping[float, LowRank]) -> Variants:
    """Return the exact variant and those found, less those that equal the one before."""
    variants = [Variant(EXACT, segment.model, (), multiply_adds(segment.model))]
    for ratio, made in found.items():
        if made.layers != variants[-1].layers:
            variants.append(Variant(ratio, made.model, made.layers, multiply_adds(made.model)))
    return Variants(segment, tuple(variants))


def _digest(segment: Segment) -> str:
    return hashlib.sha256(segment.model.SerializeToString(deterministic=True)).hexdigest()


def _path(folder: Path, segment: Segment, ratio: float) -> Path:
    return folder / f'{segment.index:03d}_{ratio:g}.onnx'


def _write(path: Path, key: Mapping[str, Any], made: LowRank) -> None:
    content = made.model.SerializeToString(deterministic=True)
    write_whole(path, content)
    # The key goes last: a file without its key is only made again.
    layers = [dataclasses.asdict(layer) for layer in made.layers]
    stored = {**key, 'sha256': hashlib.sha256(content).hexdigest(), 'layers': layers}
    write_whole(path.with_suffix('.json'), (json.dumps(stored, indent=1) + '\n').encode())


def _read(path: Path, key: Mapping[str, Any]) -> Optional[LowRank]:
    """Return what is stored, None if it cannot be read, is not whole or has another key."""
    described = path.with_suffix('.json')
    try:
        fields = Fields(json_of(read_bytes(described)))
        content = path.read_bytes()
        if any(fields.value(name) != value for name, value in key.items()):
            return None
        if fields.text('sha256') != hashlib.sha256(content).hexdigest():
            raise DocumentError(f'is of another file than {path.name}')
        model = onnx.load_from_string(content)
        expect_sound(model, path, 'it is not used')
        return LowRank(model, tuple(map(_layer, fields.parts('layers'))))
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning(f'{path}: cannot be read ({error.strerror})')
    except DecodeError as error:
        _LOG.warning(f'{path}: is no whole network ({shortened(error)})')
    except ModelError as error:
        _LOG.warning(str(error))
    except DocumentError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            _LOG.warning(f'{described}: {error}')
    return None


def _layer(fields: Fields) -> Layer:
    """Return a layer; raises DocumentError."""
    return Layer(
        fields.text('name'), fields.text('kind'), fields.wholes('ranks', 1, _MOST_RANKS),
        fields.whole('macs_before', 0, _MOST_MACS), fields.whole('macs_after', 0, _MOST_MACS),
        fields.number('error', 0.0, 1e18))


def _key(segment_sha256: str, ratio: float, calibration_sha256: str) -> Dict[str, Any]:
    return {'revision': REVISION, 'segment_sha256': segment_sha256, 'ratio': ratio,
            'calibration_sha256': calibration_sha256}
