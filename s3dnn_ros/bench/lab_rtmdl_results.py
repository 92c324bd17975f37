"""Results of `s3dnn lab rtmdl` as tables in markdown, beside what the paper says."""

from __future__ import annotations

import statistics
from typing import Dict, List

from s3dnn_ros.bench.confidence import told
from s3dnn_ros.bench.lab_rows import Rows, simulated
from s3dnn_ros.bench.markdown import table

# Of the file; another one is not read.
FORMAT = 1
_FOUND = 'searched'


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    rows = Rows(results)
    lines = [simulated(results), '']
    for workload, speed in rows.pairs('workload', 'speed'):
        found = [row['result'] for row in rows.where(workload=workload, speed=speed).cells]
        first = found[0]
        by_label = {label: [each['strategies'][label] for each in found]
                    for label in first['strategies']}
        lines += [f"{workload}, {speed:g} times the frames: exact networks ask for "
                  f"{first['load']:.2f} of the device. Frames missed, %; the last columns are the "
                  'mean loss of accuracy, the storage, how many found strategies keep all '
                  'constraints, and how much less the found strategy misses than this one, of '
                  'its misses:', '',
                  *table(['strategy', 'all', *first['tasks'], 'loss, %', 'storage, MB',
                          'feasible', 'found misses less, %'],
                         (_line(label, runs, by_label[_FOUND])
                          for label, runs in by_label.items())), '']
    return [*lines, 'RT-mDL says: misses −40.12 % for −1.7 % of accuracy; beside which strategy '
                    'is not known.']


def _line(label, runs, found) -> List[str]:
    loss = statistics.fmean(run['mean_loss'] for run in runs)
    found_loss = statistics.fmean(run['mean_loss'] for run in found)
    less = [100 * (1.0 - ours['missed'] / run['missed']) for run, ours in zip(runs, found)
            if run['missed']]
    beside = f'{told(less)}, for {100 * (found_loss - loss):+.1f} points of loss' if less else '–'
    storage = statistics.fmean(run['storage_mb'] for run in runs)
    return [label, _percents([run['missed'] for run in runs]),
            *(_percents([run['missed_by_task'][task] for run in runs])
              for task in range(len(runs[0]['missed_by_task']))),
            _percents([run['mean_loss'] for run in runs], 2),
            f'{storage:.0f}' + ('' if all(run['fits'] for run in runs) else ', too much'),
            f"{sum(run['feasible'] for run in runs)} of {len(runs)}",
            '' if runs is found else beside]


def _percents(shares, digits=1) -> str:
    return told([100 * share for share in shares], digits)
