"""Figures of made records: what is in time, whose it is, and when it comes again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overloads import RATES_HZ, overload_results, results_of, steady

from s3dnn_ros.bench.overload_results import (
    STEP_S,
    Record,
    drops,
    figures,
    jain,
    jain_of_equals,
    name_of,
    read_record,
    recovery_s,
    shares,
    tables,
    undisturbed,
)

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=16)
TIMES_S = st.lists(st.floats(-1.0, 11.0), max_size=60)


def record(*groups, begin_s=0.0, end_s=10.0, disturbance_s=None):
    return Record([item for group in groups for item in group], RATES_HZ, begin_s, end_s,
                  disturbance_s)


def test_what_is_published_late_is_not_in_time():
    found = figures(record(steady('camera_0', 3.0, 0.0, 10.0, latency_ms=40.0, batch=2),
                           steady('camera_1', 1.0, 0.0, 10.0, latency_ms=90.0, missed=True)))
    assert found['in_time_hz'] == pytest.approx(3.0)
    assert found['results_hz'] == pytest.approx(4.0)
    assert found['missed_share'] == pytest.approx(0.25)
    assert found['latency_ms'] == {'p50': pytest.approx(40.0), 'p99': pytest.approx(90.0)}
    assert found['cameras']['camera_0'] == {'rate_hz': 10.0, 'in_time': 30, 'share': 1.0}
    assert found['cameras']['camera_1'] == {'rate_hz': 10.0, 'in_time': 0, 'share': 0.0}
    assert found['jain'] == pytest.approx(0.5)
    assert found['batch'] == pytest.approx(1.75)
    assert found['phases'] is None


def test_only_the_time_between_the_two_moments_counts():
    found = figures(record(results_of('camera_0', [0.9, 1.0, 2.9, 3.0]), begin_s=1.0, end_s=3.0))
    assert found['in_time_hz'] == 1.0


def test_where_nothing_came_there_is_no_index_and_no_recovery():
    found = figures(record(disturbance_s=(4.0, 6.0)))
    assert found['in_time_hz'] == found['missed_share'] == found['batch'] == 0.0
    assert found['jain'] is None and found['phases']['recovery_s'] is None
    json.dumps(found, allow_nan=False)


@given(TIMES_S, TIMES_S)
def test_rates_phases_and_series_count_the_same_results(first, second):
    made = record(results_of('camera_0', first), results_of('camera_1', second),
                  disturbance_s=(4.0, 6.0))
    found = figures(made)
    in_time = 10.0 * found['in_time_hz']
    assert in_time == pytest.approx(sum(0.0 <= time_s < 10.0 for time_s in [*first, *second]))
    assert in_time == pytest.approx(sum(entry['in_time'] for entry in found['cameras'].values()))
    assert in_time == pytest.approx(0.25 * sum(found['series']))
    phases = found['phases']
    assert in_time == pytest.approx(4.0 * phases['before_hz'] + 2.0 * phases['during_hz']
                                    + 4.0 * phases['after_hz'])
    assert (found['jain'] is None) == (not in_time)


@given(COUNTS)
def test_jains_index_lies_between_one_nth_and_one(counts):
    index = jain(counts)
    if not any(counts):
        assert index is None
        return
    assert 1.0 / len(counts) - 1e-9 <= index <= 1.0 + 1e-9
    assert index == pytest.approx(jain([2 * count for count in counts]))
    assert index == pytest.approx(jain(counts[::-1]))


@given(st.integers(1, 1000), st.integers(1, 16))
def test_equal_shares_are_fair(count, cameras):
    assert jain([count] * cameras) == pytest.approx(1.0)
    assert jain([count] + [0] * (cameras - 1)) == pytest.approx(1.0 / cameras)


def test_cameras_of_different_rates_are_not_compared():
    rates_hz = {'slow_0': 15.0, 'slow_1': 15.0, 'fast_0': 30.0, 'fast_1': 30.0}
    in_time = {'slow_0': 10, 'slow_1': 10, 'fast_0': 20, 'fast_1': 20}
    assert jain_of_equals(in_time, rates_hz) == pytest.approx(1.0)
    # the lowest index of the two rates counts
    assert jain_of_equals({**in_time, 'fast_1': 0}, rates_hz) == pytest.approx(0.5)


@pytest.mark.parametrize('back_s', [0.0, 0.3, 1.0, 2.0])
def test_recovery_ends_where_results_come_as_often_as_before(back_s):
    made = record(steady('camera_0', 40.0, 0.0, 4.0),
                  steady('camera_0', 40.0, 6.0 + back_s, 10.0), disturbance_s=(4.0, 6.0))
    found = recovery_s(made)
    # a window may hold up to a tenth less than before
    assert max(0.0, back_s - 0.05 - STEP_S) <= found <= back_s + STEP_S


def test_results_that_come_late_do_not_count_as_recovered():
    made = record(steady('camera_0', 40.0, 0.0, 4.0),
                  steady('camera_0', 40.0, 6.0, 8.0, missed=True),
                  steady('camera_0', 40.0, 8.0, 10.0), disturbance_s=(4.0, 6.0))
    assert recovery_s(made) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize('rate_hz', [0.0, 10.0, 15.0])
def test_what_stays_slower_has_not_recovered(rate_hz):
    made = record(steady('camera_0', 20.0, 0.0, 4.0), steady('camera_0', rate_hz, 6.0, 10.0),
                  disturbance_s=(4.0, 6.0))
    assert recovery_s(made) is None


def test_one_stalled_window_before_does_not_lower_what_is_expected():
    made = record(steady('camera_0', 20.0, 0.0, 3.0), steady('camera_0', 20.0, 3.5, 4.0),
                  steady('camera_0', 16.0, 6.0, 10.0), disturbance_s=(4.0, 6.0))
    assert recovery_s(made) is None


def test_a_steady_run_recovers_at_once_from_any_moment():
    assert undisturbed(record(steady('camera_0', 20.0, 0.0, 10.0))) == {
        'moments': 66, 'slow_share': 0.0}


def test_a_pause_that_nobody_caused_counts_as_a_slow_recovery():
    found = undisturbed(record(steady('camera_0', 20.0, 0.0, 5.0),
                               steady('camera_0', 20.0, 7.0, 10.0)))
    # from moments between 4.6 s, where a window still has 90 %, and 6 s
    assert 11 / 66 <= found['slow_share'] <= 15 / 66


def test_a_disturbed_run_and_a_short_one_have_no_undisturbed_moments():
    results = steady('camera_0', 20.0, 0.0, 10.0)
    assert undisturbed(record(results, disturbance_s=(4.0, 6.0))) is None
    assert undisturbed(record(results, end_s=3.4)) is None


def test_a_results_file_is_read(tmp_path):
    path = tmp_path / 'results.csv'
    path.write_text('published_s,camera,instance,latency_ms,missed,batch\n'
                    '2.5,camera_1,network,120.25,1,2\n'
                    '1.5,camera_0,network,40.5,0,1\n')
    made = read_record(path, RATES_HZ, 1.0, 3.0)
    first, second = made.results
    assert (first.published_s, first.camera, first.latency_ms, first.missed, first.batch) == (
        1.5, 'camera_0', 40.5, False, 1)
    assert second.missed and second.batch == 2


def test_drops_are_those_of_all_cameras_the_most_frequent_first():
    cameras = {'a': {'dropped_by': {'late': 1, 'replaced': 4}}, 'b': {'dropped_by': {'late': 2}}}
    assert list(drops({'cameras': cameras}).items()) == [('replaced', 4), ('late', 3)]


def test_results_become_tables():
    results = overload_results()
    text = '\n'.join(tables(results))
    assert 'none, commit abc, today' in text
    assert '20.0 (20.0–20.0) frames/s alone' in text and 'it is 16.0 (16.0–16.0)' in text
    assert ('| separate, no profile, drop | 20.0 (20.0–20.0) | 9.0 (8.0–10.0) | 45 (40–50) % '
            '| 56 (50–62) % |') in text
    assert '| composed, no profile, drop, stop | 9.0 (8.0–10.0) | 0.0 (0.0–0.0) |' in text
    assert 'replay 25 |' in text and '| 50, 50 | replaced 3 |' in text
    assert 'from 0% of 104 moments of the undisturbed runs, it takes longer than 1 s' in text


def test_rows_without_runs_are_left_out():
    results = overload_results()
    results['overloads'][1]['runs'] = []
    assert 'separate, no profile, drop, stop' not in '\n'.join(tables(results))
    results['overloads'] = [row for row in results['overloads'] if row['disturb'] == 'stop']
    assert 'undisturbed' not in '\n'.join(tables(results))
    results = overload_results()
    results['overloads'] = results['overloads'][:1]
    assert 'recovery' not in '\n'.join(tables(results))


def test_a_row_is_named_by_all_that_tells_it_from_others():
    names = [name_of(row) for row in overload_results((0.5, 3.0))['overloads']]
    assert len(set(names)) == len(names) == 8
    assert names[1] == 'separate, no profile, drop, 50%, stop'


def test_shares_are_of_the_limit_in_the_same_run():
    row = overload_results()['overloads'][0]
    row['runs'][0]['limit_hz'] = {'alone': 10.0, 'beside': 8.0}
    assert shares(row, 'alone') == pytest.approx([0.8, 0.5])
    assert shares(row, 'beside') == pytest.approx([1.0, 0.625])
