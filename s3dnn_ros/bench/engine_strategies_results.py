"""Results of `s3dnn bench strategies --engine` as tables in markdown."""

from __future__ import annotations

import statistics
from typing import Dict, Iterator, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1
EXACT = 'exact, rate-monotonic'
# The workload whose variants are not trained.
MADE = 'untrained variants'


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    lines = [head(results, results['device']), '']
    for source, models in results['models'].items():
        lines += [f'{source}; losses are ' + (
            'given, not measured: no variant was trained.' if source == MADE
            else 'those of this workload.'), '', *table(
            ['', 'device alone, ms', 'CPU before + behind, ms', 'utilization', 'loss, %'],
            [[f'{name}, variant {index}', f"{one['device_ms']:.2f}",
              f"{one['before_ms']:.2f} + {one['behind_ms']:.2f}", f"{one['utilization']:.2f}",
              f"{1e2 * one['loss']:.2f}"]
             for name, variants in models.items() for index, one in enumerate(variants)]), '']
    for row in results['strategies_on_engine']:
        lines += [*_load(row), '']
    return lines


def _load(row) -> Iterator[str]:
    last, count = row['searches'][-1], sum(each['measured'] for each in row['searches'])
    yield (f"{row['workload']}: exact networks ask for {row['load']:g} times the device, and for "
           f"{row['cpu_load']:.2f} of the CPU. {count} strategies were tried in virtual time, at "
           f"last with {last['headroom']:g} times the frames. The planned one was "
           + ('' if row['confirmed'] else 'not ') + 'confirmed here. Missed in %, of all and by '
           'task:')
    yield ''
    yield from table(
        ['', 'missed, %', 'less than exact, %', 'mean loss, %', 'asked of the device', *(
            f"{task['name']}, every {task['period_ms']:.1f} ms" for task in row['tasks'])],
        [[name, _missed(one['runs'], lambda run: run['missed']), _less(row, one),
          f"{1e2 * one['mean_loss']:.2f}", f"{one['load']:.2f}",
          *(f'variant {variant}: ' + _missed(one['runs'], lambda run, at=at: run['tasks'][at])
            for at, variant in enumerate(one['variants']))]
         for name, one in row['contenders'].items()])


def _missed(runs, of) -> str:
    return spread([1e2 * of(run) for run in runs], 1) if runs else '–'


def _less(row, one) -> str:
    """Return by how much less is missed than with exact networks, comparing medians."""
    def median(runs):
        return statistics.median(run['missed'] for run in runs)

    exact = row['contenders'][EXACT]['runs']
    if not exact or not one['runs'] or not median(exact):
        return '–'
    return f"{1e2 * (1.0 - median(one['runs']) / median(exact)):.0f}"
