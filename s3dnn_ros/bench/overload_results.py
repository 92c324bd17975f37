"""Figures of `s3dnn bench overload`, and its results as tables in markdown."""

from __future__ import annotations

import bisect
import collections
import csv
import dataclasses
import math
import statistics
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.bench.markdown import head, spread, table
from s3dnn_ros.counters import Percentiles

# Of the file; another one is not read.
FORMAT = 1
# Recovered is who has so large a part of the rate before the disturbance, in such a window.
RECOVERED = 0.9
WINDOW_S = 0.5
# Windows after the disturbance start so far apart.
STEP_S = 0.02
# Recovery within this time is wanted.
WANTED_RECOVERY_S = 1.0
# Moments of an undisturbed run that are compared with the end of a disturbance: so far apart, and
# not before so much of the run.
MOMENTS_EVERY_S = 0.1
BEFORE_MOMENTS_S = 2.0
# Of the series that pictures show.
BIN_S = 0.25
NOTHING = '–'


@dataclasses.dataclass(frozen=True)
class Result:
    """One line of the monitor's results_file."""

    published_s: float
    camera: str
    latency_ms: float
    missed: bool
    batch: int = 1


@dataclasses.dataclass(frozen=True)
class Record:
    """What was published between two moments, and what the cameras offered.

    `rates_hz` maps each camera to its frames per second; `disturbance_s` is from when to when
    something disturbed, None without.
    """

    results: Sequence[Result]
    rates_hz: Mapping[str, float]
    begin_s: float
    end_s: float
    disturbance_s: Optional[Tuple[float, float]] = None

    def __post_init__(self):
        """Keep only what was published in this time, in order."""
        kept = (result for result in self.results
                if self.begin_s <= result.published_s < self.end_s)
        object.__setattr__(self, 'results', tuple(
            sorted(kept, key=lambda result: result.published_s)))


def read_record(path, *args) -> Record:
    """Return the record of a results file; the other arguments are those of Record."""
    with open(path, newline='', encoding='utf-8') as file:
        return Record([Result(float(row['published_s']), row['camera'], float(row['latency_ms']),
                              row['missed'] == '1', int(row['batch']))
                       for row in csv.DictReader(file)], *args)


def figures(record: Record) -> Dict:
    """Return what a run gave, ready for JSON.

    Rates are per second, and missed are a share of what was published. The disturbance counts
    like any other time, except in `phases`. Jain's index is None where nobody got anything.
    """
    results, span_s = record.results, record.end_s - record.begin_s
    missed = sum(result.missed for result in results)
    in_time = _in_time_of(record)
    latency_ms = Percentiles.of([result.latency_ms for result in results])
    return {
        'in_time_hz': (len(results) - missed) / span_s,
        'results_hz': len(results) / span_s,
        'missed_share': missed / max(1, len(results)),
        'cameras': {camera: {'rate_hz': rate_hz, 'in_time': in_time[camera],
                             'share': in_time[camera] / max(1, len(results) - missed)}
                    for camera, rate_hz in record.rates_hz.items()},
        'jain': jain_of_equals(in_time, record.rates_hz),
        'latency_ms': {'p50': latency_ms.p50, 'p99': latency_ms.p99},
        'batch': sum(result.batch for result in results) / max(1, len(results)),
        'phases': phases(record),
        'undisturbed': undisturbed(record),
        'series': series(record)}


def phases(record: Record) -> Optional[Dict]:
    """Return in time per second before, during and after the disturbance; None without one.

    `recovery_s` is None where the rate before never came back.
    """
    if record.disturbance_s is None:
        return None
    begin_s, end_s = record.disturbance_s
    times_s = _in_time_s(record)
    return {'before_hz': rate_hz(times_s, record.begin_s, begin_s),
            'during_hz': rate_hz(times_s, begin_s, end_s),
            'after_hz': rate_hz(times_s, end_s, record.end_s),
            'recovery_s': recovery_s(record),
            'begin_s': begin_s - record.begin_s, 'end_s': end_s - record.begin_s}


def recovery_s(record: Record) -> Optional[float]:
    """Return how long after the disturbance results come in time as often as before.

    It ends where the first window starts that has 90 % of the median of the windows before the
    disturbance. None if there is no such window, or nothing was in time before.
    """
    begin_s, end_s = record.disturbance_s
    times_s = _in_time_s(record)
    windows = int((begin_s - record.begin_s) / WINDOW_S + 1e-9)
    rates_hz = [rate_hz(times_s, begin_s - (index + 1) * WINDOW_S, begin_s - index * WINDOW_S)
                for index in range(windows)]
    least_hz = RECOVERED * statistics.median(rates_hz) if rates_hz else 0.0
    if not least_hz:
        return None
    steps = int((record.end_s - end_s - WINDOW_S) / STEP_S + 1e-9)
    for step in range(steps + 1):
        start_s = end_s + step * STEP_S
        if rate_hz(times_s, start_s, start_s + WINDOW_S) >= least_hz - 1e-9:
            return step * STEP_S
    return None


def undisturbed(record: Record) -> Optional[Dict]:
    """Return what `recovery_s` finds from moments where nothing was disturbed.

    The rate fluctuates by itself, so a window with 90 % of the usual rate may come late without
    any disturbance. `slow_share` is the share of moments from which it takes longer than
    `WANTED_RECOVERY_S`. None for a run with a disturbance or too short for a moment.
    """
    span_s = record.end_s - record.begin_s
    last_s = span_s - WANTED_RECOVERY_S - WINDOW_S
    count = math.floor((last_s - BEFORE_MOMENTS_S) / MOMENTS_EVERY_S + 1e-9) + 1
    if record.disturbance_s is not None or count < 1:
        return None
    moments_s = [record.begin_s + BEFORE_MOMENTS_S + index * MOMENTS_EVERY_S
                 for index in range(count)]
    waits_s = [recovery_s(dataclasses.replace(record, disturbance_s=(moment_s, moment_s)))
               for moment_s in moments_s]
    slow = sum(wait_s is None or wait_s > WANTED_RECOVERY_S for wait_s in waits_s)
    return {'moments': count, 'slow_share': slow / count}


def rate_hz(times_s: Sequence[float], begin_s: float, end_s: float) -> float:
    """Return how many of these times, in order, there are per second from begin to end."""
    count = bisect.bisect_left(times_s, end_s) - bisect.bisect_left(times_s, begin_s)
    return count / (end_s - begin_s)


def jain(counts: Sequence[float]) -> Optional[float]:
    """Return Jain's index of fairness: 1 where all have as much, 1 / n where one has all.

    (Σx)² / (n Σx²); Jain, Chiu and Hawe, DEC-TR-301, 1984. None where nobody has anything.
    """
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else None


def jain_of_equals(in_time: Mapping[str, int], rates_hz: Mapping[str, float]) -> Optional[float]:
    """Return the lowest index of those of the cameras of each rate."""
    groups = collections.defaultdict(list)
    for camera, rate_hz_ in rates_hz.items():
        groups[rate_hz_].append(in_time[camera])
    return min(filter(None, map(jain, groups.values())), default=None)


def series(record: Record) -> List[float]:
    """Return in time per second in each bin of BIN_S."""
    times_s = _in_time_s(record)
    bins = math.floor((record.end_s - record.begin_s) / BIN_S + 1e-9)
    return [rate_hz(times_s, record.begin_s + index * BIN_S, record.begin_s + (index + 1) * BIN_S)
            for index in range(bins)]


def drops(summary: Mapping) -> Dict[str, int]:
    """Return how many frames were dropped for each reason, by the monitor's summary."""
    reasons: collections.Counter = collections.Counter()
    for camera in summary['cameras'].values():
        reasons.update(camera['dropped_by'])
    return dict(reasons.most_common())


def tables(results) -> List[str]:
    """Return the results as lines of markdown."""
    plan = results['plan']
    lines = [head(results, results['device']),
             f"{results['model']}, deadline {results['deadline_ms']:g} ms, "
             f"{len(plan['rates_hz'])} cameras {plan['width']}×{plan['height']}, shutters "
             f"{plan['instants']}, batches of up to {plan['max_batch']}.", '']
    lines += _limits(results['limits'])
    rows = [row for row in results['overloads'] if row['runs']]
    lines += ['', *_rates(rows)]
    if any(row['disturb'] != 'none' for row in rows):
        lines += ['', 'There a disturbance counts like any other time. Here it is told apart; '
                  'recovery is from its end until a window of 0.5 s has 90 % of what was usual '
                  'before.', '', *_phases(rows), *_undisturbed(rows)]
    return [*lines, '', *_shares(rows)]


def name_of(row) -> str:
    """Return what tells a row from the others."""
    words = [row['mode'], {'none': 'no profile', 'auto': 'with profile'}[row['profile']],
             row['late_policy'], *(['no gates'] if row.get('gates') == 'off' else [])]
    if row['load'] is not None:
        words.append(f"{row['load']:.0%}")
    return ', '.join(words) + ('' if row['disturb'] == 'none' else f", {row['disturb']}")


def column(row, *keys) -> List[float]:
    """Return a figure of every run of a row that has it."""
    found = []
    for run in row['runs']:
        for key in keys:
            run = run and run[key]
        if run is not None:
            found.append(run)
    return found


def shares(row, kind) -> List[float]:
    """Return what every run of a row has in time, over the limit `alone` or `beside` cameras."""
    return [run['in_time_hz'] / run['limit_hz'][kind] for run in row['runs']]


def _limits(limits):
    alone = spread([limit['alone']['frames_hz'] for limit in limits], 1)
    yield (f'The limit is the same network back to back, in a process of its own: {alone} '
           'frames/s alone, while nothing else runs.')
    for index in range(min((len(limit['beside']) for limit in limits), default=0)):
        entries = [limit['beside'][index] for limit in limits]
        yield (f"Beside the cameras it is {spread([entry['frames_hz'] for entry in entries], 1)}: "
               f"{spread([entry['offered_hz'] for entry in entries], 1)} frames/s come, the "
               'governor takes them in, and nobody takes batches.')


def _rates(rows):
    return table(
        ['', 'offered, frames/s', 'in time, /s', 'of the limit alone', 'beside the cameras',
         'results/s', 'missed', "Jain's index", 'p50, ms', 'p99, ms', 'CPU, % of a core'],
        [[name_of(row), _spread(column(row, 'offered_hz'), 1),
          _spread(column(row, 'in_time_hz'), 1), _percent(shares(row, 'alone')),
          _percent(shares(row, 'beside')), _spread(column(row, 'results_hz'), 1),
          _percent(column(row, 'missed_share'), 1), _spread(column(row, 'jain'), 3),
          _spread(column(row, 'latency_ms', 'p50')), _spread(column(row, 'latency_ms', 'p99')),
          ', '.join(f"{name} {statistics.median(column(row, 'processes', name, 'cpu_share')):.0%}"
                    .replace('%', '') for name in row['runs'][0]['processes'])]
         for row in rows])


def _phases(rows):
    return table(
        ['in time, /s', 'before', 'during', 'after', 'recovery, s', 'not recovered'],
        [[name_of(row), *(_spread(column(row, 'phases', key), 1)
                          for key in ('before_hz', 'during_hz', 'after_hz')),
          _spread(column(row, 'phases', 'recovery_s'), 2),
          f"{len(row['runs']) - len(column(row, 'phases', 'recovery_s'))} of {len(row['runs'])}"]
         for row in rows if row['disturb'] != 'none'])


def _undisturbed(rows):
    """Yield how often recovery would take long if there had been no disturbance."""
    # files of earlier versions do not tell it
    found = [run['undisturbed'] for row in rows for run in row['runs'] if run.get('undisturbed')]
    moments = sum(entry['moments'] for entry in found)
    if moments:
        share = sum(entry['moments'] * entry['slow_share'] for entry in found) / moments
        yield ''
        yield ('Rates fluctuate without a disturbance, too: '
               f'from {share:.0%} of {moments} moments of the undisturbed runs, it takes longer '
               f'than {WANTED_RECOVERY_S:g} s until such a window.')


def _shares(rows):
    return table(
        ['', 'share of each camera in what is in time, %', 'dropped frames'],
        [[name_of(row),
          ', '.join(f"{1e2 * statistics.median(column(row, 'cameras', camera, 'share')):.0f}"
                    for camera in row['runs'][0]['cameras']),
          ', '.join(f'{reason} {statistics.median(counts):.0f}'
                    for reason, counts in _drops(row).items()) or NOTHING]
         for row in rows])


def _drops(row):
    reasons = dict.fromkeys(reason for run in row['runs'] for reason in run['dropped_by'])
    return {reason: [run['dropped_by'].get(reason, 0) for run in row['runs']]
            for reason in reasons}


def _spread(values, digits=0):
    return spread(values, digits) if values else NOTHING


def _percent(values, digits=0):
    return f'{spread([1e2 * value for value in values], digits)} %' if values else NOTHING


def _in_time_s(record):
    return [result.published_s for result in record.results if not result.missed]


def _in_time_of(record):
    counts = collections.Counter(
        result.camera for result in record.results if not result.missed)
    return {camera: counts[camera] for camera in record.rates_hz}
