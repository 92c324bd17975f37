"""Results of `s3dnn bench packing` as tables in markdown."""

from __future__ import annotations

import statistics
from typing import Dict, Iterator, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    lines = [head(results, results['device']), '', *table(
        ['', 'CPU before, ms', 'device alone, ms', 'CPU behind, ms', 'utilization'],
        [[name, *(f'{one[key]:.2f}' for key in ('before_ms', 'device_ms', 'behind_ms',
                                                'utilization'))]
         for name, one in results['models'].items()])]
    for row in results['packing']:
        lines += ['', *_load(row)]
    return lines


def _load(row) -> Iterator[str]:
    """Give the lines of one load: misses, and how tasks respond, the most important first."""
    yield (f"At a load of {row['load']:.0%} (device {row['device_load']:.0%}, CPU "
           f"{row['cpu_load']:.0%}); of each task, the response time in ms, p50 / p99 of what was "
           'answered, and what was missed:')
    yield ''
    tasks = sorted(row['tasks'], key=lambda task: -task['priority'])
    yield from table(['', 'missed, %', 'side by side, %', *(
        f"{task['name']}, every {task['period_ms']:.1f} ms" for task in tasks)], [
        [name, spread((1e2 * run['missed_share'] for run in runs), 1),
         spread((1e2 * run['beside_share'] for run in runs), 0),
         *(_task([run['tasks'][task['name']] for run in runs]) for task in tasks)]
        for name, runs in row['contenders'].items()])


def _task(runs) -> str:
    def response(rank):
        # where none was answered, there is none
        known = [run['response_ms'][rank] for run in runs if run['response_ms']]
        return f'{statistics.median(known):.1f}' if known else '–'

    return (f"{response('p50')} / {response('p99')}, "
            f"{spread((1e2 * run['missed_share'] for run in runs), 1)} %")
