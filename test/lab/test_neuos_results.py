"""Results of cohorts become tables, also where something is not known."""

from s3dnn_ros.lab.neuos_results import tables


def test_what_nobody_knows_is_a_dash():
    half = {'missed_share': 0.25, 'response_ms': {}, 'above_idle_j': None, 'fidelity': None,
            'exact_share': 0.0}
    other = {**half, 'response_ms': {'p99': 2.0}, 'above_idle_j': 3.4, 'fidelity': 0.5}
    lines = tables({
        'environment': {'commit': 'abc', 'date': 'today'}, 'device': 'none', 'cohorts': [
            {'instances': 2, 'contenders': {'Max-N': [{'quiet': half, 'disturbed': half},
                                                      {'quiet': half, 'disturbed': other}]}}]})
    assert lines[0].startswith('none, commit abc, today')
    assert '| Max-N | 25.0 (25.0–25.0) | – | – | – | 0 (0–0) |' in lines
    assert ('| Max-N | 25.0 (25.0–25.0) | 2.0 (2.0–2.0) | 3 (3–3) | 0.50 (0.50–0.50) | 0 (0–0) |'
            in lines)
