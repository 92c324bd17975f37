"""How long one network takes on one device: by segment, by batch, as it was measured.

Schedulers and front ends look times up here on every decision, so that answers
are kept. Times are milliseconds in the file and in a row, seconds in what is
looked up.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from s3dnn_ros.base.cache import cache_dir, write_whole
from s3dnn_ros.base.content import Fields, is_number, read_json
from s3dnn_ros.cohort import SpeedupPowerTable
from s3dnn_ros.errors import ProfileError, shown
from s3dnn_ros.profiling.document import LARGEST, LEAST, read_head, refuse_others

FORMAT = 1
STATISTICS = ('median', 'p99', 'worst')
_TEXTS = ('model', 'model_sha256', 'engine', 'device', 'configuration')


@dataclasses.dataclass(frozen=True)
class ProfileRow:
    """One segment at one batch.

    `tb_ratio` is the thread blocks of a kernel over those that the device holds
    at that kernel's occupancy, weighted by time over the segment's kernels; 1.0
    where the device has no thread blocks, and the `utilization` where the engine
    does not tell them. `utilization` is the share of the device
    that a run takes from others: its time while many run side by side, for each of
    them, over its time alone; 1.0 where nothing runs side by side. `noisy` marks times
    that other programs disturbed whenever they were measured.
    """

    segment: int
    batch: int
    median_ms: float
    p99_ms: float
    worst_ms: float
    tb_ratio: float
    utilization: float = 1.0
    memory_mb: float = 0.0
    noisy: bool = False


_NUMBERS = tuple(field.name for field in dataclasses.fields(ProfileRow)[2:]
                 if field.name != 'noisy')


@dataclasses.dataclass(frozen=True)
class ConfigurationRow:
    """What one configuration of the board makes of the network, alone and at batch 1.

    `times_ms` are the 99th percentiles of its segments, `power_mw` is what the board draws
    meanwhile.
    """

    name: str
    power_mw: float
    times_ms: Tuple[float, ...]

    def __post_init__(self):
        """Refuse what no measurement gives; raises ValueError."""
        if not isinstance(self.name, str):
            raise ValueError(f'{shown(self.name)} stands where the name of a configuration should')
        for value in (self.power_mw, *self.times_ms):
            if not is_number(value, LEAST, LARGEST):
                raise ValueError(f'configuration {shown(self.name)}: {shown(value)} is not a '
                                 f'number above 0, from {LEAST:g} to {LARGEST:g}')


@dataclasses.dataclass(frozen=True)
class CpuTimes:
    """What one image takes on the CPU before the network and behind it: medians.

    `image` is its size, such as '1280x720'. `compressed_ms` and `raw_ms` are the work before the
    network, from the bytes of a message to pixels where the device can fetch them; `behind_ms` is
    that from the network's outputs to boxes.
    """

    image: str
    compressed_ms: float
    raw_ms: float
    behind_ms: float


def check_names(rows: Iterable[ConfigurationRow]) -> None:
    """Refuse two configurations of one name; raises ValueError."""
    names = set()
    for row in rows:
        if row.name in names:
            raise ValueError(f'configuration {shown(row.name)} is there twice')
        names.add(row.name)


@dataclasses.dataclass(frozen=True)
class ProfileTable:
    """What was measured of one model, on one engine, device and configuration.

    `configuration` is 'default' or what the device was set to ('8 SMs'); `cuts`
    holds, from front to back, the names of the tensors between two segments;
    `configurations` holds those of the board, in its order, and `cpu` the work on
    the CPU, if they were measured.

    Raises
    ------
    ValueError
        The rows are no whole grid of segments and batches, or hold numbers that
        no measurement gives; or two configurations have one name.

    """

    model: str
    model_sha256: str
    engine: str
    device: str
    configuration: str
    versions: Mapping[str, str] = dataclasses.field(hash=False)
    rows: Tuple[ProfileRow, ...]
    cuts: Tuple[Tuple[str, ...], ...] = ()
    configurations: Tuple[ConfigurationRow, ...] = ()
    cpu: Optional[CpuTimes] = None
    _grid: Dict[Tuple[int, int], ProfileRow] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False)
    _answers: Dict[Any, Any] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self):
        for row in self.rows:
            _check_row(row)
            if (row.segment, row.batch) in self._grid:
                raise ValueError(f'segment {row.segment} at batch {row.batch} is there twice')
            self._grid[row.segment, row.batch] = row
        if not self._grid:
            raise ValueError('it holds no measurement')
        for segment in range(self.segments):
            for batch in self.batches:
                if (segment, batch) not in self._grid:
                    raise ValueError(f'segment {segment} was not measured at batch {batch}')
        for batch in self.batches:
            # a clock may see nothing of a segment that only renames, but of a network it does
            if 1e3 * sum(self.segment_times_s(batch)) < LEAST:
                raise ValueError(f'the network takes no time at batch {batch}')
        check_names(self.configurations)
        for row in self.configurations:
            if len(row.times_ms) != self.segments:
                raise ValueError(f'configuration {shown(row.name)} has times of '
                                 f'{len(row.times_ms)} segments; there are {self.segments}')

    @functools.cached_property
    def batches(self) -> Tuple[int, ...]:
        """Return the measured batches, smallest first."""
        return tuple(sorted({batch for _, batch in self._grid}))

    @property
    def noisy_batches(self) -> Tuple[int, ...]:
        """Return the batches whose times other programs disturbed."""
        return tuple(sorted({row.batch for row in self.rows if row.noisy}))

    @functools.cached_property
    def segments(self) -> int:
        """Return the number of segments."""
        return 1 + max(segment for segment, _ in self._grid)

    def row(self, segment, batch) -> ProfileRow:
        """Return a segment's numbers at any batch.

        Measured batches give what was measured; between two of them it is
        linear, beyond the largest proportional to the images, and below the
        smallest that of the smallest. Raises KeyError for a segment that is not.
        """
        key = segment, batch
        found = self._grid.get(key) or self._answers.get(key)
        if found is None:
            found = self._answers[key] = self._estimate(segment, batch)
        return found

    def segment_times_s(self, batch, statistic='median') -> Tuple[float, ...]:
        """Return every segment's time; `statistic` is one of STATISTICS, else ValueError."""
        if statistic not in STATISTICS:
            raise ValueError(f"statistic '{statistic}' is unknown; known are "
                             + ', '.join(STATISTICS))
        return tuple(getattr(self.row(segment, batch), statistic + '_ms') / 1e3
                     for segment in range(self.segments))

    def time_s(self, batch, statistic='p99') -> float:
        """Return the time of the whole network: W(model, batch) of S3DNN.

        The sum over its segments; for 'p99' and 'worst' that is no less than the
        statistic of whole runs, as segments are seldom all slow in one run.
        """
        found = self._answers.get((batch, statistic))
        if found is None:
            found = sum(self.segment_times_s(batch, statistic))
            self._answers[batch, statistic] = found
        return found

    def remaining_s(self, segment, batch) -> float:
        """Return the median time from the start of a segment to the network's end."""
        found = self._answers.get(('remaining', batch))
        if found is None:
            times_s = self.segment_times_s(batch)
            found = tuple(sum(times_s[first:]) for first in range(len(times_s)))
            self._answers['remaining', batch] = found
        return found[segment]

    def whole(self) -> ProfileTable:
        """Return the same for the network in one segment.

        What is rare in each segment, is rarer in all of them at once: a statistic of the sum lies
        above the sum of the medians by the root of the squares (DERIVED: as if segments were slow
        independently of each other).
        """
        return dataclasses.replace(
            self, rows=tuple(_sum(self, batch) for batch in self.batches), cuts=(),
            configurations=tuple(dataclasses.replace(row, times_ms=(sum(row.times_ms),))
                                 for row in self.configurations))

    def utilization(self, segment, batch) -> float:
        """Return what share of the device a run of a segment takes from others."""
        return self.row(segment, batch).utilization

    def tb_ratio(self, segment, batch) -> float:
        """Return a segment's thread blocks over those that the device holds."""
        return self.row(segment, batch).tb_ratio

    def power_tables(self) -> Tuple[SpeedupPowerTable, ...]:
        """Return NeuOS's Table 1a of every segment; none without configurations."""
        if not self.configurations:
            return ()
        least_mw = min(row.power_mw for row in self.configurations)
        powerup = [row.power_mw / least_mw for row in self.configurations]
        tables = []
        for column in zip(*(row.times_ms for row in self.configurations)):
            slowest_ms = max(column)
            tables.append(SpeedupPowerTable([slowest_ms / time_ms for time_ms in column], powerup))
        return tuple(tables)

    def check(self, model_sha256, engine=None, device=None):
        """Refuse to speak for another model, engine or device; None is not compared.

        Raises
        ------
        ProfileError
            Names what was measured and what is here.

        """
        refuse_others(f"profile of '{self.model}'", _advice(self.model), (
            ('a model with the SHA-256 ', self.model_sha256, model_sha256),
            ('', self.engine, engine), ('', self.device, device)))

    def save(self, path):
        """Write the table as JSON, whole or not at all; raises ProfileError."""
        fields = {name: getattr(self, name) for name in _TEXTS}
        rows = [dataclasses.asdict(row) for row in self.rows]
        content = {'format': FORMAT, **fields, 'versions': dict(self.versions),
                   'cuts': self.cuts, 'rows': rows,
                   'configurations': [[row.name, row.power_mw, *row.times_ms]
                                      for row in self.configurations]}
        if self.cpu is not None:
            content['cpu'] = dataclasses.asdict(self.cpu)
        try:
            write_whole(Path(path), (json.dumps(content, indent=1) + '\n').encode())
        except OSError as error:
            raise ProfileError(path, f'cannot be written ({error.strerror}); free space there '
                                     'or set $S3DNN_CACHE') from error

    def _estimate(self, segment, batch):
        known = self.batches
        if segment not in range(self.segments):
            raise KeyError(f'there is no segment {segment}')
        if batch < known[0]:
            return self._grid[segment, known[0]]
        if batch > known[-1]:
            largest = self._grid[segment, known[-1]]
            return _mix(batch, largest, largest, batch / known[-1], 0.0)
        low = max(item for item in known if item < batch)
        high = min(item for item in known if item > batch)
        share = (batch - low) / (high - low)
        return _mix(batch, self._grid[segment, low], self._grid[segment, high], 1 - share, share)


def profile_path(model, engine) -> Path:
    """Return where the profile of a model on an engine is kept."""
    return cache_dir() / 'profiles' / f'{model}.{engine}.json'


def load_table(path) -> ProfileTable:
    """Read a table that `save` wrote.

    Raises
    ------
    ProfileError
        The file is missing, cut short, or holds what no measurement gives.

    """
    path = Path(path)
    # as `profile_path` builds the name
    return read_json(path, 'a profile', _table, ProfileError,
                     _advice(path.name.rsplit('.', 2)[0]))


def _table(content) -> ProfileTable:
    fields = Fields(content)
    head = read_head(fields, FORMAT, _TEXTS)
    rows = tuple(ProfileRow(
        **{name: row.value(name) for name in ('segment', 'batch', *_NUMBERS[:-1])},
        memory_mb=row.value('memory_mb', 0.0), noisy=bool(row.value('noisy', False)))
        for row in fields.parts('rows'))
    configurations = tuple(ConfigurationRow(name, power_mw, tuple(times_ms)) for name, power_mw,
                           *times_ms in fields.value('configurations', ()))
    # tables of earlier versions have none
    cpu = _cpu(fields.part('cpu')) if fields.has('cpu') else None
    return ProfileTable(**head, rows=rows, configurations=configurations, cpu=cpu)


def _cpu(fields) -> CpuTimes:
    return CpuTimes(fields.text('image'), *(fields.number(name, 0.0, LARGEST) for name in (
        'compressed_ms', 'raw_ms', 'behind_ms')))


def _check_row(row):
    where = f'segment {shown(row.segment)} at batch {shown(row.batch)}'
    for name, low in (('segment', 0), ('batch', 1)):
        value = getattr(row, name)
        if type(value) is not int or value < low:
            raise ValueError(f'{where}: {name} must be a whole number from {low} on')
    for name in _NUMBERS:
        value = getattr(row, name)
        if not is_number(value, 0.0, LARGEST):
            raise ValueError(f'{where}: {name} is {shown(value)}, not a number from 0 to '
                             f'{LARGEST:g}')


def _sum(table, batch) -> ProfileRow:
    rows = [table.row(segment, batch) for segment in range(table.segments)]
    median_ms = sum(row.median_ms for row in rows)

    def above(statistic):
        return median_ms + math.hypot(*(getattr(row, statistic) - row.median_ms for row in rows))

    def mean(name):
        return sum(getattr(row, name) * row.median_ms for row in rows) / median_ms

    return ProfileRow(0, batch, median_ms, above('p99_ms'), above('worst_ms'), mean('tb_ratio'),
                      mean('utilization'), max(row.memory_mb for row in rows),
                      any(row.noisy for row in rows))


def _mix(batch, first, second, weight, other):
    return dataclasses.replace(first, batch=batch, noisy=first.noisy or second.noisy, **{
        name: weight * getattr(first, name) + other * getattr(second, name)
        for name in _NUMBERS})


def _advice(model):
    return f'run `s3dnn profile {model}`'
