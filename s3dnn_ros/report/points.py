"""Energy against misses: what results have of both, whichever bench or experiment wrote them."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from s3dnn_ros.bench.confidence import Interval, interval
from s3dnn_ros.report.figure import Panel, colour, name, stacked, symbol, title

# In a cell of the lab: who decided, and what tells runs of the same from each other.
DECIDERS = ('contender', 'policy', 'strategy')
SEED = 'seed'
# Which energy results may have, in this order, and what its axis says.
ENERGY = {'above_idle_j': 'energy above idle, J', 'energy_j': 'energy, J',
          'frame_mj': 'energy per frame, mJ'}
# Pixels.
ENERGY_HEIGHT, RESPONSE_HEIGHT = 260, 200


@dataclasses.dataclass(frozen=True)
class Point:
    """Who decided, among others of a group, with a value for each run; empty where unknown.

    `energy_is` says which energy it is, with its unit.
    """

    group: str
    decider: str
    energy_is: str
    missed_percent: Sequence[float]
    energy: Sequence[float]
    mean_ms: Sequence[float]
    p99_ms: Sequence[float]


def points(results: Mapping) -> List[Point]:
    """Return the points of results that know misses; none for other results."""
    runs: Dict[Tuple[str, str], List[Mapping]] = collections.defaultdict(list)
    for group, decider, run in _runs(results):
        runs[group, decider].append(run)
    found = [Point(group, decider, ENERGY[key],
                   [100.0 * share for share in _known(run.get('missed_share') for run in each)],
                   _known(run.get(key) for run in each), _times_ms(each, 'mean'),
                   _times_ms(each, 'p99'))
             for (group, decider), each in runs.items() for key in [_energy_of(each)]]
    return [point for point in found if point.missed_percent]


def _runs(results) -> Iterator[Tuple[str, str, Mapping]]:
    """Give (group, decider, figures) of every run."""
    for row in results.get('cohorts', ()):
        for decider, runs in row['contenders'].items():
            for run in runs:
                for half in ('quiet', 'disturbed'):
                    yield f"{row['instances']} instances, {half}", decider, run[half]
    entries = [entry for entry in results.get('cells', ())
               if isinstance(entry['result'], Mapping)]
    cells = [entry['cell'] for entry in entries]
    key = next((key for key in DECIDERS if cells and all(key in cell for cell in cells)), None)
    if key is not None:
        differing = [name for name in cells[0] if name not in (key, SEED)
                     and len({str(cell.get(name)) for cell in cells}) > 1]
        for entry, cell in zip(entries, cells):
            yield _group(cell, differing), str(cell[key]), entry['result']


def _group(cell, differing) -> str:
    """Return in words what tells a cell from others, but for decider and seed."""
    return ', '.join(f'{name.replace("_", " ")} {_words(cell.get(name))}' for name in differing)


def _words(value) -> str:
    return ' + '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _energy_of(runs) -> str:
    """Return the key of the energy that runs have."""
    return next((key for key in ENERGY if any(run.get(key) is not None for run in runs)),
                'energy_j')


def _times_ms(runs, which) -> List[float]:
    """Return the mean or p99 of response times, which are in one mapping or each by itself."""
    return _known(run[f'{which}_ms'] if f'{which}_ms' in run
                  else (run.get('response_ms') or {}).get(which) for run in runs)


def _known(values: Iterable[Any]) -> List[float]:
    return [float(value) for value in values
            if isinstance(value, (int, float)) and math.isfinite(value)]


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
                  (ENERGY_HEIGHT, found[0].energy_is,
                   _traces(found, 'energy', found[0].energy_is + ': %{y:.1f}')),
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
                # whole where nothing was missed
                'type': 'scatter', 'mode': 'markers', 'cliponaxis': False,
                'name': name(point.decider),
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
