"""The results of `s3dnn bench neuos` as tables in markdown."""

from __future__ import annotations

from typing import List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1
# A run's window has two halves.
HALVES = ('quiet', 'disturbed')


def tables(results) -> List[str]:
    """Return the results as lines of markdown."""
    lines = [head(results, results['device']), '',
             'Memory, and its share (NeuOS, Table 3); the median time to submit a segment:', '',
             *table(['', 'exact', 'coarser', 'tables', 'in the same variant, µs',
                     'in another, µs'], _memory(results['models']))]
    for row in results['cohorts']:
        for half in HALVES:
            lines += ['', f"Instances: {row['instances']}, {half}:", '', *table(
                ['', 'missed, %', 'p99, ms', 'J above idle', 'fidelity', 'exact, %'],
                [[name, *_figures([run[half] for run in runs])]
                 for name, runs in row['contenders'].items()])]
    return lines


def _memory(models):
    parts = {name: (memory['exact_mb'], memory['coarser_mb'], memory['tables_kb'] / 1e3)
             for name, memory in ((name, model['memory']) for name, model in models.items())}
    total_mb = sum(map(sum, parts.values()))
    for name, megabytes in parts.items():
        submission = models[name]['submission_us']
        yield [name, *(f'{mb:.3g} MB ({100 * mb / total_mb:.2g} %)' for mb in megabytes),
               *(f'{submission[how]["p50"]:.0f}' for how in ('exact', 'switched'))]


def _figures(halves):
    def of(values, factor, digits):
        # of nothing answered there is neither; where nobody tells energy, it is not known
        known = [factor * value for value in values if value is not None]
        return spread(known, digits) if known else '–'

    yield of([half['missed_share'] for half in halves], 1e2, 1)
    yield of([half['response_ms'].get('p99') for half in halves], 1.0, 1)
    yield of([half['above_idle_j'] for half in halves], 1.0, 0)
    yield of([half['fidelity'] for half in halves], 1.0, 2)
    yield of([half['exact_share'] for half in halves], 1e2, 0)
