"""The results of `s3dnn lab replay` as tables in markdown."""

from __future__ import annotations

import statistics
from typing import Dict, List, Tuple

from s3dnn_ros.bench.markdown import head, table

# Of the file; another one is not read.
FORMAT = 1
# What is asked of a simulation: work within this share, misses within so many points.
WORK_WITHIN, MISSED_WITHIN = 0.10, 0.03
# Policies whose misses differ by less measure alike.
ALIKE = 0.01

Runs = Dict[str, List[Dict]]        # by policy


def tables(results) -> List[str]:
    """Return the results as lines of markdown."""
    rows: Dict[Tuple, Runs] = {}
    for each in results['cells']:
        cell, result = each['cell'], each['result']
        key = cell['part'], result['instances'], result['load']
        rows.setdefault(key, {}).setdefault(cell['policy'], []).append(result)
    lines = [head(results, f"simulated from {results['plan']['results']}")]
    for (part, instances, load), runs in rows.items():
        lines += ['', f'{instances} instances, {_title(part, load)}:', '', *table(
            ['', 'work share measured', 'simulated', 'difference', 'missed, %, measured',
             'simulated', 'points'], map(_row, runs.items()))]
    return [*lines, '', *_verdict(rows)]


def _title(part, load) -> str:
    return 'each asks again at once' if part == 'throughput' else f'load {load:.0%}'


def _row(item) -> List[str]:
    name, runs = item
    work, missed = _mean(runs, 'work_share'), _mean(runs, 'missed_share')
    return [name, *(f'{each:.2f}' for each in work), f'{_off(runs):+.0%}',
            *(f'{100 * each:.1f}' for each in missed), f'{100 * (missed[1] - missed[0]):+.1f}']


def _verdict(rows):
    """Tell how many of the rows are as near as they should be, and whether ranks hold."""
    every = [runs for row in rows.values() for runs in row.values()]
    near = sum(abs(_off(runs)) <= WORK_WITHIN for runs in every)
    yield f'Work within {WORK_WITHIN:.0%} in {near} of {len(every)} rows.'
    loaded = [(key, row) for key, row in rows.items() if key[0] == 'deadlines']
    every = [_mean(runs, 'missed_share') for _, row in loaded for runs in row.values()]
    near = sum(abs(after - before) <= MISSED_WITHIN for before, after in every)
    yield f'Misses within {100 * MISSED_WITHIN:g} points in {near} of {len(every)} rows.'
    pairs = [(one, other) for _, row in loaded
             for place, one in enumerate(row.values()) for other in list(row.values())[:place]]
    told = [(before, after) for before, after in map(_ahead, pairs) if abs(before) >= ALIKE]
    same = sum((before > 0.0) == (after > 0.0) for before, after in told)
    yield (f'Of two policies that differ by {100 * ALIKE:g} point or more, the same one misses '
           f'less in {same} of {len(told)} pairs.')


def _ahead(pair) -> Tuple[float, float]:
    """Return by how much one of two misses more than the other, measured and simulated."""
    (one, one_after), (other, other_after) = (_mean(runs, 'missed_share') for runs in pair)
    return one - other, one_after - other_after


def _off(runs) -> float:
    measured, simulated = _mean(runs, 'work_share')
    return simulated / measured - 1.0


def _mean(runs, figure) -> Tuple[float, float]:
    measured, simulated = (statistics.fmean(run[how][figure] for run in runs)
                           for how in ('measured', 'simulated'))
    return measured, simulated
