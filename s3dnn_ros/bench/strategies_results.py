"""Results of `s3dnn bench strategies` as tables in markdown."""

from __future__ import annotations

from typing import Dict, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 2


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    lines = [head(results, 'Simulated device'), '']
    parts = results['searches']
    if parts['exhaustive']:
        lines += [*table(
            ['workload', 'strategies (feasible)', 'least loss, %', 'budget', 'loss above it, %',
             'measured until within 2 %', 'within 2 %', 'at random', 'proxy off, points',
             'mean off, points'], map(_exhaustive, parts['exhaustive'])), '']
    if parts['large']:
        lines += [*table(
            ['workload', 'load of exact ones', 'feasible at random', 'feasible after, s',
             'measured', 'all, s', 'measured', 'proxy off, points', 'mean off, points'],
            map(_large, parts['large'])), '']
        lines += [*table(
            ['mean loss, %; what keeps it from being feasible', *parts['large'][0]['rivals']],
            ([row['name'], *map(_outcome, row['rivals'].values())] for row in parts['large'])),
            '']
    for row in parts['rivals']:
        lines += [f"{row['name']}; exact models ask for {row['load']:.2f} of the device", '',
                  *table(['strategy', 'missed, %', 'beyond what is tolerated, %', 'mean loss, %',
                          'storage, MB'],
                         (_rival(name, found) for name, found in row['rivals'].items())), '']
    return lines


def _exhaustive(row):
    runs, least = row['runs'], row['least_loss']
    losses = [run['loss'] for run in runs if run['loss'] is not None]
    near = [run['near_after'] for run in runs if run['near_after'] is not None]
    at_random = [run['random']['near_after'] for run in runs
                 if run['random']['near_after'] is not None]
    return [row['name'], f"{row['strategies']} ({row['feasible']})", f'{1e2 * least:.2f}',
            str(row['budget']),
            spread([1e2 * (loss / least - 1.0) for loss in losses], 1) if losses else '-',
            spread(near) if near else '-', f'{len(near)} of {len(runs)}',
            f'{len(at_random)} of {len(runs)}',
            *(spread([1e2 * run[name] for run in runs], 1)
              for name in ('proxy_error', 'constant_error'))]


def _large(row):
    first, drawn = row['first'], row['random']
    return [row['name'], f"{row['load']:.2f}", f"{drawn['feasible']} of {drawn['measured']}",
            *([f"{first['seconds']:.1f}", str(first['measured'])] if first else ['-', '-']),
            f"{row['took_s']:.1f}", str(row['measured']), f"{1e2 * row['proxy_error']:.1f}",
            f"{1e2 * row['constant_error']:.1f}"]


def _outcome(found):
    """Return the loss of a strategy, and which constraints it breaks by how much."""
    broken = [] if found['fits'] else ['storage']
    if found['excess']:
        broken.append(f"{1e2 * found['excess']:.1f} points missed")
    return '; '.join([f"{1e2 * found['mean_loss']:.2f}", *broken])


def _rival(name, found):
    return [name, f"{1e2 * found['missed']:.1f}", f"{1e2 * found['excess']:.1f}",
            f"{1e2 * found['mean_loss']:.2f}",
            f"{found['storage_mb']:.0f}" + ('' if found['fits'] else ', too much')]
