"""Results of the policies become tables."""

from s3dnn_ros.bench.s3dnn_results import tables


def test_the_tables(synthetic_results):
    lines = tables(synthetic_results)
    assert '| streams | 1.01 (1.00–1.02), ×1.00, 100/s | 1.01 (1.00–1.02), ×1.00, 100/s |' in lines
    assert '| no policy, batches of 4 | – | 2.00, 200/s |' in lines
    assert '|  | 50% | 90% | 130% |' in lines
    assert '| supervised, fused |' + 3 * ' 26.0 (25.0–27.0), ×13.0 |' in lines
    assert '| ideal without fusion (computed) | 2.0 | 2.0 | 2.0 |' in lines
    assert '| process per instance | – | – | – |' in lines
    assert lines[-1].strip() == 'process per instance is left out where it says –: it died'
    for table in '\n'.join(lines).split('\n\n'):
        widths = {line.count('|') for line in table.splitlines() if line.startswith('|')}
        assert len(widths) <= 1


def test_where_the_ideal_misses_nothing_there_is_no_multiple(synthetic_results):
    for row in synthetic_results['deadlines']:
        row['ideal_missed_share'] = 0.0
    assert '| supervised, fused |' + 3 * ' 26.0 (25.0–27.0) |' in tables(synthetic_results)


def test_the_tables_of_decisions_and_batches(synthetic_results):
    took = [{'p50': p50, 'p95': 4.0, 'p99': 5.0, 'mean': 3.0} for p50 in (2.0, 3.0)]
    synthetic_results['decisions'] = [
        {'policy': policy, 'queued': queued, 'us': took}
        for policy in ('edf', 'supervised') for queued in (16, 64)]
    synthetic_results['batches'] = [
        {'policy': 'streams', 'streams': streams, 'batch': batch, 'ms': [9.0, 8.0, 10.0]}
        for streams in (1, 4) for batch in (2, 4) if streams * batch < 16]
    lines = tables(synthetic_results)
    cells = ' 2.5 (2.0–3.0), 5.0 (5.0–5.0) |'
    assert '|  | 16 | 64 |' in lines and f'| supervised |{2 * cells}' in lines
    assert '|  | 1 × 2 | 1 × 4 | 4 × 2 |' in lines
    assert '| streams |' + 3 * ' 9.0 (8.0–10.0) |' in lines


def test_the_table_of_requests_that_come_alone_shows_what_there_is_of_each(synthetic_results):
    rows = [{'model': model, 'device_ms': 0.5,
             'begin_us': {'armed': [{'p50': 40.0}, {'p50': 44.0}]},
             'response_ms': {'gated': [{'p50': 0.75}, {'p50': 0.85}]}} for model in 'ab']
    rows[1]['response_ms'] = {}
    synthetic_results['alone'] = rows
    lines = tables(synthetic_results)
    assert '|  | a | b |' in lines and '| device | 0.500 | 0.500 |' in lines
    assert '| begin, armed | 42.0 (40.0–44.0) | 42.0 (40.0–44.0) |' in lines
    assert '| gated | 0.800 (0.750–0.850) | – |' in lines


def test_the_table_of_boundaries_shows_what_a_job_takes_beyond_its_segments(synthetic_results):
    rows = [{'model': model, 'segments': 4, 'device_ms': 1.0,
             'job_ms': {'exact': [1.02, 1.04], 'in variants': [1.12]}} for model in 'ab']
    del rows[1]['job_ms']['in variants']
    synthetic_results['boundaries'] = rows
    lines = tables(synthetic_results)
    assert '|  | a, 4 segments | b, 4 segments |' in lines
    assert '| exact | 7.5 (5.0–10.0) | 7.5 (5.0–10.0) |' in lines
    assert '| in variants | 30.0 (30.0–30.0) | – |' in lines


def test_the_table_of_idle_power_compares_with_lanes_that_are_not_armed(synthetic_results):
    synthetic_results['idle'] = [{'lanes': 'launched', 'power_w': [100.0, 99.0, 101.0]},
                                 {'lanes': 'armed', 'power_w': [102.0]}]
    lines = tables(synthetic_results)
    assert '| lanes launched | 100.00 (99.00–101.00), ×1.000 |' in lines
    assert '| lanes armed | 102.00 (102.00–102.00), ×1.020 |' in lines


def test_a_bench_that_was_cut_off_has_tables_of_what_there_is(synthetic_results):
    del synthetic_results['deadlines'], synthetic_results['timeline']
    assert any('| streams |' in line for line in tables(synthetic_results))
    del synthetic_results['throughput']
    assert len(tables(synthetic_results)) == 1
