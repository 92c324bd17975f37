"""Results of `s3dnn bench strategies` as tables in markdown."""

from __future__ import annotations

from typing import Dict, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1


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
            ['workload', 'load of exact ones', 'feasible after, s', 'all, s', 'measured',
             'confirmed', 'mean loss, %', 'proxy off, points', 'mean off, points'],
            map(_large, parts['large'])), '']
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
    feasible = '-' if row['feasible_s'] is None else f"{row['feasible_s']:.1f}"
    return [row['name'], f"{row['load']:.2f}", feasible, f"{row['took_s']:.1f}",
            str(row['measured']), 'yes' if row['confirmed'] else 'no',
            f"{1e2 * row['mean_loss']:.2f}", f"{1e2 * row['proxy_error']:.1f}",
            f"{1e2 * row['constant_error']:.1f}"]


def _rival(name, found):
    return [name, f"{1e2 * found['missed']:.1f}", f"{1e2 * found['excess']:.1f}",
            f"{1e2 * found['mean_loss']:.2f}",
            f"{found['storage_mb']:.0f}" + ('' if found['fits'] else ', too much')]
