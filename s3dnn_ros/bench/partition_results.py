"""The results of `s3dnn bench partition` as tables in markdown."""

from __future__ import annotations

import statistics
from typing import Dict, List, Mapping

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1
# Splits that are chosen by times, and by which.
CHOSEN = {'greedy': 'by the table', 'optimal': 'by the table',
          'learned': 'by the table and what units took in runs before'}


def error_of(split: Mapping) -> float:
    """Return by what share of the measured time the foretold one is off."""
    measured_ms = statistics.median(split['measured_ms'])
    return abs(split['predicted_ms'] - measured_ms) / measured_ms


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    rows = results['partitions']
    devices = ' + '.join(unit['device'] for unit in results['units'].values())
    lines = [head(results, devices), '', results['model']]
    for times in dict.fromkeys(CHOSEN.values()):
        errors = [error_of(row['splits'][name]) for row in rows for name in CHOSEN
                  if CHOSEN[name] == times]
        if errors:
            lines[-1] += (f'; foretold {times}, makespans are off by '
                          f'{statistics.median(errors):.1%} in the median, by {max(errors):.1%} '
                          'at most')
    lines += [lines.pop() + ':', '']
    return lines + list(table(
        ['batch', 'split', 'images', 'ms', 'foretold ms', 'times as fast as alone',
         'as equal'],
        [_cells(row, name) for row in rows for name in row['splits']]))


def _cells(row, name) -> List[str]:
    splits, split = row['splits'], row['splits'][name]
    faster = [[other_ms / own_ms for other_ms, own_ms in zip(
        splits[other]['measured_ms'], split['measured_ms'])] for other in ('alone', 'equal')]
    return [str(row['batch']), name,
            ' + '.join(str(count) for count in split['assignment'].values()),
            spread(split['measured_ms'], 2), f"{split['predicted_ms']:.2f}",
            *(spread(times, 2) for times in faster)]
