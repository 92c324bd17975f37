"""Energy against misses: what results have of both, whichever bench or experiment wrote them."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.bench.confidence import Interval, interval
from s3dnn_ros.report.figure import Panel, colour, name, stacked, symbol, title

# In a cell of the lab: who decided, and what tells runs of the same from each other.
DECIDERS = ('contender', 'policy', 'strategy')
SEED = 'seed'
# What a figure may be called, in this order; a number, or a mapping with `mean`, `p50` and `p99`.
MISSED = ('missed_share', 'miss_share', 'missed')
ENERGY = ('above_idle_j', 'energy_j', 'energy_mj')
RESPONSE = ('response_ms', 'latency_ms')
# Pixels.
ENERGY_HEIGHT, RESPONSE_HEIGHT = 260, 200


@dataclasses.dataclass(frozen=True)
class Point:
    """Who decided, among others of a group, with a value for each run; empty where unknown.

    `energy_is` says which energy it is.
    """

    group: str
    decider: str
    energy_is: str
    missed_percent: Sequence[float]
    energy_j: Sequence[float]
    mean_ms: Sequence[float]
    p99_ms: Sequence[float]


def points(results: Mapping) -> List[Point]:
    """Return the points of results that know misses; none for other results."""
    runs: Dict[Tuple[str, str], List[Mapping]] = collections.defaultdict(list)
    for group, decider, run in _runs(results):
        runs[group, decider].append(run)
    found = [Point(group, decider, _energy_is(each), _values(each, MISSED, 1e2), _energy_j(each),
                   _values(each, RESPONSE, 1.0, 'mean'), _values(each, RESPONSE, 1.0, 'p99'))
             for (group, decider), each in runs.items()]
    return [point for point in found if point.missed_percent]


def _runs(results) -> Iterator[Tuple[str, str, Mapping]]:
    """Give (group, decider, figures) of every run."""
    for row in results.get('cohorts', ()):
        for decider, runs in row['contenders'].items():
            for run in runs:
                for half in ('quiet', 'disturbed'):
                    yield f"{row['instances']} instances, {half}", decider, run[half]
    for entry in results.get('cells', ()):
        cell = entry['cell']
        key = next((key for key in DECIDERS if key in cell), None)
        if key is not None and isinstance(entry['result'], Mapping):
            yield _group(cell, key), str(cell[key]), entry['result']


def _group(cell, key) -> str:
    """Return what all of a cell is but for decider and seed, as words."""
    return ', '.join(f'{name.replace("_", " ")} {value}' for name, value in cell.items()
                     if name not in (key, SEED) and isinstance(value, (str, int, float)))


def _values(runs, keys, factor, part='') -> List[float]:
    found = [_number(run, keys, part) for run in runs]
    return [factor * value for value in found if value is not None]


def _energy_is(runs) -> str:
    return 'energy above idle' if _key(runs[0], ENERGY) == 'above_idle_j' else 'energy'


def _energy_j(runs) -> List[float]:
    factor = 1e-3 if _key(runs[0], ENERGY) == 'energy_mj' else 1.0
    return _values(runs, ENERGY, factor)


def _number(run, keys, part) -> Optional[float]:
    value: Any = run.get(_key(run, keys))
    if isinstance(value, Mapping):
        value = value.get(part)
    known = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if known else None


def _key(run, keys) -> Optional[str]:
    return next((key for key in keys if run.get(key) is not None), None)


def groups(found: Sequence[Point]) -> Dict[str, List[Point]]:
    """Return the points by group, in their order."""
    by_group: Dict[str, List[Point]] = {}
    for point in found:
        by_group.setdefault(point.group, []).append(point)
    return by_group


def figure(found: Sequence[Point]) -> Dict:
    """Return energy and response time over misses, a point for each decider with 95 % bars."""
    means = _traces(found, 'mean_ms', 'mean %{y:.1f} ms', small=True)
    panels = [Panel(height, {'title': title(words), 'rangemode': 'tozero'}, traces)
              for height, words, traces in (
                  (ENERGY_HEIGHT, f'{found[0].energy_is}, J',
                   _traces(found, 'energy_j', 'energy %{y:.1f} J')),
                  (RESPONSE_HEIGHT, 'p99 (small: mean), ms' if means else 'p99, ms',
                   _traces(found, 'p99_ms', 'p99 %{y:.1f} ms') + means))
              if traces]
    seen = set()
    for trace in (trace for panel in panels for trace in panel.traces):
        trace['showlegend'] = trace['legendgroup'] not in seen
        seen.add(trace['legendgroup'])
    return stacked(panels, 'missed deadlines, %', {'rangemode': 'tozero'}) if panels else {}


def _traces(found, field, told, small=False) -> List[Dict]:
    """Return a trace for each point that has values of a field."""
    traces = []
    for index, point in enumerate(found):
        values = getattr(point, field)
        if values:
            missed, value = interval(point.missed_percent), interval(values)
            traces.append({
                'type': 'scatter', 'mode': 'markers', 'name': name(point.decider),
                'legendgroup': f'decider {index}',
                'x': [round(missed.mean, 4)], 'y': [round(value.mean, 4)],
                'error_x': _bars(missed), 'error_y': _bars(value),
                'hovertemplate': f'missed %{{x:.2f}} %<br>{told}<br>runs: {len(values)}'
                                 '<extra>%{fullData.name}</extra>',
                'marker': {'color': colour(index), 'symbol': symbol(index),
                           'size': 6 if small else 11}})
    return traces


def _bars(found: Interval) -> Dict:
    """Return bars of confidence, not below zero: nothing here can be."""
    if math.isnan(found.margin):
        return {'visible': False}
    return {'type': 'data', 'symmetric': False, 'array': [round(found.margin, 4)],
            'arrayminus': [round(min(found.margin, max(0.0, found.mean)), 4)],
            'thickness': 1.2, 'width': 4}
