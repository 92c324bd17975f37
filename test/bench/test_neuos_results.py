"""Results of cohorts become tables, also where something is not known."""

from s3dnn_ros.bench.neuos_results import tables


def results(models=(), cohorts=()):
    return {'environment': {'commit': 'abc', 'date': 'today'}, 'device': 'none',
            'models': dict(models), 'cohorts': list(cohorts)}


def test_what_nobody_knows_is_a_dash():
    half = {'missed_share': 0.25, 'response_ms': {}, 'above_idle_j': None, 'fidelity': None,
            'exact_share': 0.0}
    other = {**half, 'response_ms': {'p99': 2.0}, 'above_idle_j': 3.4, 'fidelity': 0.5}
    lines = tables(results(cohorts=[
        {'instances': 2, 'contenders': {'Max-N': [{'quiet': half, 'disturbed': half},
                                                  {'quiet': half, 'disturbed': other}]}}]))
    assert lines[0].startswith('none, commit abc, today')
    assert 'Instances: 2, disturbed:' in lines
    assert '| Max-N | 25.0 (25.0–25.0) | – | – | – | 0 (0–0) |' in lines
    assert ('| Max-N | 25.0 (25.0–25.0) | 2.0 (2.0–2.0) | 3 (3–3) | 0.50 (0.50–0.50) | 0 (0–0) |'
            in lines)


def test_memory_is_told_raw_and_as_a_share_of_the_whole_cohort():
    model = {'memory': {'exact_mb': 15.2, 'coarser_mb': 4.79, 'tables_kb': 10.0},
             'submission_us': {'exact': {'p50': 20.2}, 'switched': {'p50': 21.7}}}
    lines = tables(results({'tiny': model, 'other': model}))
    assert '| tiny | 15.2 MB (38 %) | 4.79 MB (12 %) | 0.01 MB (0.025 %) | 20 | 22 |' in lines
