"""Cuts and measures a network on the engine that will run it."""

from __future__ import annotations

import csv
import statistics
from typing import Callable, Iterator, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.errors import PlatformError, ProfileError
from s3dnn_ros.models.graph import image_network
from s3dnn_ros.models.segment_plan import SegmentPlan, plan_segments
from s3dnn_ros.profiling.batch_timer import (
    WARM_UP_RUNS,
    BatchTimer,
    BatchTimes,
    Step,
    disturbed,
)
from s3dnn_ros.profiling.table import (
    ConfigurationRow,
    ProfileRow,
    ProfileTable,
    check_names,
)

# So many runs side by side show what one takes from the others.
SHARED_LANES = 4
# Of the network, before the board's power is read again.
RUNS_PER_READING = 5
# Runs of every unit while the cuts are chosen.
PLAN_RUNS = 20


def make_plan(engine, spec, *, target_ms, max_alive=1, batch=1) -> SegmentPlan:
    """Return the plan that cuts a model into segments of about `target_ms` on this engine."""
    model = image_network(spec)
    outputs = [value.name for value in model.graph.output]

    def seconds(units):
        network = engine.load(spec.name, units, outputs, spec, max_batch=batch, keep=False)
        network.measure(batch, WARM_UP_RUNS)
        return [statistics.median(column) for column in zip(*network.measure(batch, PLAN_RUNS))]

    return plan_segments(model, spec.name, sha256_of(spec.onnx), seconds, target_ms / 1e3,
                         max_alive, engine.name, engine.device)


def profile(engine, spec, plan: SegmentPlan, network, *, batches: Sequence[int],
            repeats: Optional[int] = None,
            progress: Optional[Callable[[Step], None]] = None) -> ProfileTable:
    """Return the profile of a network that is cut as planned; nothing else may run.

    Rows of a batch that something else disturbed every time are marked as noisy.

    Parameters
    ----------
    engine, spec, plan
    network : Network
        What `planned(spec, plan).load(engine)` returned.
    batches, repeats, progress
        As for `BatchTimer`.

    """
    measured = BatchTimer(network, batches, repeats=repeats, parallel=engine.parallel,
                          progress=progress).measure()
    noisy = disturbed(measured)
    rows = tuple(row for times in measured for row in _rows(network, times, times.batch in noisy))
    return ProfileTable(
        model=spec.name, model_sha256=plan.sha256, engine=engine.name, device=engine.device,
        configuration='default', versions=engine.versions, rows=rows, cuts=plan.cuts)


def measure_configurations(network, platform, clock, *, seconds: float,
                           progress: Optional[Callable[[int], None]] = None
                           ) -> Tuple[ConfigurationRow, ...]:
    """Return what every configuration of a platform makes of a network; nothing else may run.

    The platform is restored at the end.

    Parameters
    ----------
    network : Network
    platform : Platform
    clock : Clock
    seconds : float
        How long it runs in each. Meters average: what they tell in the first half is not used.
    progress : callable
        Called with the index of every configuration before it is measured.

    Raises
    ------
    PlatformError
        A configuration cannot be set, or nobody can tell the power.

    """
    rows = []
    try:
        for index, configuration in enumerate(platform.configurations):
            if progress:
                progress(index)
            platform.apply(index)
            network.measure(1, WARM_UP_RUNS)
            times_s, powers_mw = [], []
            begin_s = clock.now_s()
            while not powers_mw or clock.now_s() < begin_s + seconds:
                times_s += network.measure(1, RUNS_PER_READING)
                if clock.now_s() >= begin_s + seconds / 2:
                    powers_mw.append(platform.power_mw())
            if None in powers_mw:
                raise PlatformError(platform.board, 'nobody can tell its power, so configurations '
                                    'cannot be compared; import them from a CSV file')
            rows.append(ConfigurationRow(
                configuration.name, statistics.fmean(powers_mw),
                tuple(float(1e3 * time_s) for time_s in np.percentile(times_s, 99, axis=0))))
    finally:
        platform.restore()
    return tuple(rows)


def read_configurations(path) -> Tuple[ConfigurationRow, ...]:
    """Return configurations that were measured elsewhere, from a CSV file.

    Its columns are `configuration` (a name), `power_mw`, and `time_ms_0` … for each segment; a
    row for each configuration, in the platform's order. Raises ProfileError.
    """
    try:
        # spreadsheets put a mark of the encoding in front
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = _configuration_rows(path, csv.DictReader(file, strict=True))
        check_names(rows)
    except OSError as error:
        raise ProfileError(path, f'cannot be read ({error.strerror}); name a CSV file') from error
    except (TypeError, ValueError, csv.Error) as error:
        raise ProfileError(path, f'is no table of configurations ({error}); export it '
                                 'again') from error
    if not rows:
        raise ProfileError(path, 'holds no configuration; export it again')
    return rows


def check_segments(path, rows: Sequence[ConfigurationRow], segments: int) -> None:
    """Refuse what `read_configurations` found of other cuts; raises ProfileError."""
    found = len(rows[0].times_ms)
    if found != segments:
        raise ProfileError(path, f'has times of {found} segments, and the network is cut into '
                                 f'{segments} here; measure it in the same cuts')


def _configuration_rows(path, reader):
    columns = reader.fieldnames or ()
    count = sum(name.startswith('time_ms_') for name in columns)
    times = [f'time_ms_{segment}' for segment in range(max(count, 1))]
    missing = {'configuration', 'power_mw', *times} - set(columns)
    if missing:
        raise ProfileError(path, f'lacks the columns {", ".join(sorted(missing))}; a network is '
                                 'cut as its profile says')
    rows = []
    for row in reader:
        if reader.restkey in row:
            raise ValueError(f'line {reader.line_num} has more values than there are columns')
        rows.append(ConfigurationRow(row['configuration'], float(row['power_mw']),
                                     tuple(float(row[name]) for name in times)))
    return tuple(rows)


def _rows(network, times: BatchTimes, noisy: bool) -> Iterator[ProfileRow]:
    times_ms, batch = 1e3 * times.times_s, times.batch
    medians_ms = np.median(times_ms, axis=0)
    utilization = 1.0
    if times.shared_s is not None:
        utilization = min(1.0, 1e3 * times.shared_s / float(medians_ms.sum()))
    ratios = network.tb_ratios(batch) or [utilization] * len(medians_ms)
    for segment, column in enumerate(times_ms.T):
        yield ProfileRow(
            segment, batch, float(medians_ms[segment]), float(np.percentile(column, 99)),
            float(column.max()), float(ratios[segment]), utilization, network.memory_mb(batch),
            noisy)
