"""What each variant of a network's segments gains and loses, as measured on one device."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import Fields, is_number, read_json
from s3dnn_ros.cohort import SCORES, SpeedupAccuracyTable
from s3dnn_ros.errors import ProfileError, shown
from s3dnn_ros.models.fidelity import points
from s3dnn_ros.models.variants import EXACT, variants_dir
from s3dnn_ros.profiling.document import LARGEST, LEAST, read_head, refuse_others

FORMAT = 3
# What gains less than this is not worth any fidelity, and may not gain at all.
WORTH_SPEEDUP = 1.02
MOST_IMAGES = 65536
_TEXTS = ('model', 'model_sha256', 'engine', 'device', 'images', 'calibration',
          'calibration_sha256')


@dataclasses.dataclass(frozen=True)
class VariantRow:
    """One variant of a segment; of all segments at once where `segment` is None.

    `layers` are those of low rank, `macs` multiply-adds for one image. `speedup` is the exact
    time over this one's. `fidelity` and `answers` are the whole network's, where only this
    segment is not exact (see `models.fidelity`).
    """

    segment: Optional[int]
    ratio: float
    layers: int
    macs: int
    size_mb: float
    time_ms: float
    speedup: float
    fidelity: float
    answers: float

    @property
    def is_worth_it(self) -> bool:
        """Tell whether it is the exact one, or faster by more than a measurement errs."""
        return self.ratio == EXACT or self.speedup >= WORTH_SPEEDUP

    def score(self, kind: str = 'fidelity') -> float:
        """Return measured fidelity, or NeuOS's points as a share of 1."""
        return points(self.layers) if kind == 'points' else self.fidelity


_NUMBERS = tuple(field.name for field in dataclasses.fields(VariantRow)[1:])
# What one divides by is never 0, and a share of 1 is not more.
_BOUNDS = {'ratio': (LEAST, 1.0), 'speedup': (LEAST, LARGEST), 'fidelity': (0.0, 1.0),
           'answers': (0.0, 1.0)}


@dataclasses.dataclass(frozen=True)
class VariantTable:
    """What was measured of one model in these cuts, on one engine and device.

    `batch` is the number of images at once for the times; `images` says on what fidelity was
    measured, `calibration` on what the variants were fitted (see `models.calibration`), and
    `configurations` in which of the board's the times were taken: in none, as the board was.

    Raises
    ------
    ValueError
        A segment lacks its exact variant, which comes first, or a row holds what no
        measurement gives.

    """

    model: str
    model_sha256: str
    engine: str
    device: str
    images: str
    calibration: str
    calibration_sha256: str
    batch: int
    versions: Mapping[str, str] = dataclasses.field(hash=False)
    cuts: Tuple[Tuple[str, ...], ...]
    rows: Tuple[VariantRow, ...]
    configurations: Tuple[str, ...] = ()

    def __post_init__(self):
        for row in self.rows:
            _check_row(row)
        for segment in [None, *range(len(self.cuts) + 1)]:
            ratios = [row.ratio for row in self.of(segment)]
            if ratios[:1] != [EXACT] or ratios != sorted(set(ratios), reverse=True):
                raise ValueError(f'segment {segment} has the ratios {shown(ratios)}; expected '
                                 '1.0 and then smaller ones')

    def of(self, segment: Optional[int]) -> Tuple[VariantRow, ...]:
        """Return the variants of a segment, or with None of the whole network; exact first."""
        return tuple(self._by_segment.get(segment, ()))

    @functools.cached_property
    def _by_segment(self) -> Dict[Optional[int], List[VariantRow]]:
        found = collections.defaultdict(list)
        for row in self.rows:
            found[row.segment].append(row)
        return found

    def offered(self, segment: Optional[int]) -> Tuple[VariantRow, ...]:
        """Return the variants to choose from at run time: the exact one, and faster ones."""
        return tuple(row for row in self.of(segment) if row.is_worth_it)

    def accuracy_table(self, segment: int, score: str = 'fidelity') -> SpeedupAccuracyTable:
        """Return NeuOS's Table 1b of a segment; its rows are those of `offered`.

        `score` is one of SCORES, else ValueError.
        """
        if score not in SCORES:
            raise ValueError(f"score '{score}' is unknown; known are {', '.join(SCORES)}")
        rows = self.offered(segment)
        return SpeedupAccuracyTable([row.speedup for row in rows],
                                    [row.score(score) for row in rows])

    def check(self, model_sha256, cuts=None, engine=None, device=None) -> None:
        """Refuse to speak for another model, cuts, engine or device; None is not compared.

        Raises
        ------
        ProfileError
            Names what was measured and what is here.

        """
        refuse_others(f"table of variants of '{self.model}'", _advice(self.model), (
            ('a model with the SHA-256 ', self.model_sha256, model_sha256),
            ('segments cut at ', self.cuts, cuts), ('', self.engine, engine),
            ('', self.device, device)))

    def save(self, path) -> None:
        """Write the table as JSON, whole or not at all; raises ProfileError."""
        content = {'format': FORMAT, **{name: getattr(self, name) for name in _TEXTS},
                   'batch': self.batch, 'versions': dict(self.versions), 'cuts': self.cuts,
                   'configurations': self.configurations,
                   'rows': [dataclasses.asdict(row) for row in self.rows]}
        try:
            write_whole(Path(path), (json.dumps(content, indent=1) + '\n').encode())
        except OSError as error:
            raise ProfileError(path, f'cannot be written ({error.strerror}); free space there, '
                                     'set $S3DNN_CACHE or name another with --out') from error


def variant_table_path(model: str, engine: str) -> Path:
    """Return where the variants' table of a model on an engine is kept: beside them."""
    folder = variants_dir(model, engine)
    return folder.with_name(folder.name + '.json')


def load_variant_table(path) -> VariantTable:
    """Read a table that `save` wrote.

    Raises
    ------
    ProfileError
        The file is missing, cut short, or holds what no measurement gives.

    """
    path = Path(path)
    # as `variant_table_path` builds the name
    return read_json(path, 'a table of variants', _table, ProfileError,
                     _advice(path.name.rsplit('.', 2)[0]))


def _table(content: Any) -> VariantTable:
    fields = Fields(content)
    head = read_head(fields, FORMAT, _TEXTS)
    rows = tuple(VariantRow(**{name: row.value(name) for name in ('segment', *_NUMBERS)})
                 for row in fields.parts('rows'))
    return VariantTable(**head, batch=fields.whole('batch', 1, MOST_IMAGES), rows=rows,
                        configurations=fields.texts('configurations'))


def _check_row(row: VariantRow) -> None:
    where = f'segment {shown(row.segment)} at {shown(row.ratio)}'
    if row.segment is not None and type(row.segment) is not int:
        raise ValueError(f'{where}: segment is no whole number')
    for name in _NUMBERS:
        value, (least, largest) = getattr(row, name), _BOUNDS.get(name, (0.0, LARGEST))
        if not is_number(value, least, largest):
            raise ValueError(f'{where}: {name} is {shown(value)}, not a number from {least:g} to '
                             f'{largest:g}')


def _advice(model: str) -> str:
    return f'run `s3dnn models lowrank {model}`'
