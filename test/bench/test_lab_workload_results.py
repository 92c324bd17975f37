"""Tables of workloads: the answers follow from the runs, whatever these are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.lab_workload_results import (
    BROKEN,
    KEPT,
    UNSURE,
    combinations,
    shown,
    tables,
)


def run(missed, power_w=5.0, name='front'):
    return {'missed_share': missed, 'finished_hz': 30.0, 'p50_ms': 5.0, 'p99_ms': 9.0,
            'batch': 1.0, 'busy_share': missed, 'power_w': power_w, 'frame_mj': 100.0,
            'settled_c': 40.0, 'throttled_share': 0.0, 'exact_share': 1.0, 'score': 1.0,
            'missed': {'dropped: late': missed} if missed else {},
            'instances': {name: {'missed_share': missed, 'p99_ms': 9.0}}}


def results(runs, axes=(), board='tx2', complete=True):
    """Return results: `runs` has (choices, figures) of each run."""
    scenario = {'board': board, 'seconds': 5.0, 'instances': [
        {'name': 'front', 'tolerated_miss_rate': 0.01}]}
    return {'lab': 'workload', 'plan': {'name': 'work', 'axes': axes, 'scenario': scenario},
            'environment': {'commit': 'abc', 'date': 'today'}, 'complete': complete,
            'total': len(runs), 'cells': [
                {'cell': {'scenario': scenario, 'choices': [list(each) for each in choices],
                          'seed': seed}, 'result': figures}
                for seed, (choices, figures) in enumerate(runs)]}


CAMERAS = (('cameras', [1, 2, 4]), ('mode', ['none', 'min_energy']))


def swept(missed, power_w):
    """Return results of CAMERAS: functions give figures of cameras and mode."""
    return results([((('cameras', count), ('mode', mode)),
                     run(missed(count, mode), power_w(count, mode)))
                    for count in CAMERAS[0][1] for mode in CAMERAS[1][1] for _ in range(2)],
                   CAMERAS)


def test_how_many_cameras_are_carried_and_with_least_energy():
    told = '\n'.join(tables(swept(
        lambda count, mode: 0.5 if count * (2 if mode == 'min_energy' else 1) > 2 else 0.0,
        lambda count, mode: count + (4.0 if mode == 'none' else 1.0))))
    assert ('- cameras: 2 keeps all tolerated misses with mode none, and takes 6.00 ± 0.00 W, '
            '100 ± 0 mJ an image; at 4, front at best misses 50.00 ± 0.00 % and tolerates 1 '
            '%.') in told
    assert '- 3 of 6 combinations keep all tolerated misses.' in told
    assert '| none | 2 of 3 | 2 | 5.00 ± 0.00 | 100 ± 0 |' in told
    assert '| min_energy | 1 of 3 | 1 | 2.00 ± 0.00 | 100 ± 0 |' in told


def test_nothing_that_is_carried():
    told = '\n'.join(tables(swept(lambda count, mode: 0.1 * count, lambda *_: 5.0)))
    assert 'cameras: no value surely keeps all tolerated misses; at 1, front at best' in told
    assert 'The nearest is cameras 1, mode none, where front misses 10.00 ± 0.00 %' in told


def test_the_hardest_that_was_tried():
    assert 'no harder one was tried' in '\n'.join(tables(swept(lambda *_: 0.0, lambda *_: 5.0)))


def test_harder_deadlines_are_shorter():
    axes = (('deadline_factor', [0.5, 2.0, 1.0]),)
    told = '\n'.join(tables(results([((('deadline_factor', factor),), run(
        0.0 if factor > 0.7 else 0.3)) for factor in axes[0][1]], axes)))
    assert '- deadline_factor: 1 keeps all tolerated misses' in told


def test_the_least_energy_without_a_load_to_sweep():
    axes = (('mode', ['none', 'balanced']),)
    told = '\n'.join(tables(results([((('mode', mode),), run(0.0, power_w))
                                     for mode, power_w in (('none', 8.0), ('balanced', 4.0))],
                                    axes)))
    assert 'the one with least energy is mode balanced: 4.00 W, 100 mJ an image.' in told


@pytest.mark.parametrize(('value', 'expected'), [
    (2, '2'), (0.5, '0.5'), (True, 'on'), ('/home/me/net.onnx', 'net.onnx'), (['edf', []], 'edf'),
    (['packing', [['share', 'tb_ratio'], ['threshold', 0.5]]],
     'packing (share tb_ratio, threshold 0.5)')])
def test_values_are_shown_short(value, expected):
    assert shown(value) == expected


@pytest.mark.parametrize(('missed', 'verdict'), [
    ([0.0, 0.0], KEPT), ([0.01], KEPT), ([0.5, 0.5], BROKEN), ([0.0, 0.015], UNSURE)])
def test_a_rate_within_the_interval_is_unsure(missed, verdict):
    found, = combinations(results([((), run(each)) for each in missed]))
    assert found.keeps == verdict


def test_a_swept_tolerance_counts():
    axes = (('tolerated_miss_rate', [0.01, 0.5]),)
    found = combinations(results([((('tolerated_miss_rate', rate),), run(0.2))
                                  for rate in axes[0][1]], axes))
    assert [each.keeps for each in found] == [BROKEN, KEPT]


def test_results_of_a_stop_say_how_many_are_done():
    assert 'Only 1 of 1 simulations are done.' in tables(results([((), run(0.0))],
                                                                 complete=False))[0]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from(['none', 'min_energy']),
                          st.floats(0.0, 1.0), st.none() | st.floats(0.1, 60.0)),
                min_size=1, max_size=20))
def test_whatever_is_done_by_a_stop_gives_tables(rows):
    lines = tables(results([((('cameras', count), ('mode', mode)), run(missed, power_w))
                            for count, mode, missed, power_w in rows], CAMERAS, complete=False))
    for line in lines:
        assert 'nan' not in line and 'inf' not in line and 'None' not in line
