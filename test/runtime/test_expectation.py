"""Expected times: a profile's, or learned."""

import dataclasses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.runtime.expectation import Expectation

times = st.floats(1e-4, 10.0)


def test_nothing_is_expected_before_the_first_run():
    expect = Expectation(2)
    assert expect.run_s(1) == 0.0
    work = expect.work('net', 0, 1, 5.0, 0)
    assert (work.time_s, work.remaining_s, work.tb_ratio) == (0.0, 0.0, 1.0)


@given(st.lists(times, min_size=1, max_size=20))
def test_what_is_learned_lies_between_what_was_seen_and_follows_the_newest(seen):
    expect = Expectation(1)
    before_s = seen[0]
    for took_s in seen:
        expect.observe(0, 1, took_s)
        assert min(seen) * (1 - 1e-9) <= expect.run_s(1) <= max(seen) * (1 + 1e-9)
        assert abs(expect.run_s(1) - took_s) <= abs(before_s - took_s) + 1e-12
        before_s = expect.run_s(1)


@given(st.lists(times, min_size=1, max_size=5))
def test_a_run_takes_as_long_as_its_segments_and_what_remains_shrinks_by_each(segments):
    expect = Expectation(len(segments))
    for segment, took_s in enumerate(segments):
        expect.observe(segment, 2, took_s)
    assert expect.run_s(2) == pytest.approx(sum(segments))
    for segment, took_s in enumerate(segments):
        work = expect.work('net', segment, 2, 9.0, 4)
        assert (work.instance, work.segment, work.deadline_s, work.priority) == (
            'net', segment, 9.0, 4)
        assert work.time_s == pytest.approx(took_s)
        assert work.remaining_s == pytest.approx(sum(segments[segment:]))


@pytest.mark.parametrize('segment, successor', [(0, 1), (1, 2), (2, None)])
def test_work_knows_the_one_behind_it(make_profile, segment, successor):
    for expect in (Expectation(3), Expectation(3, make_profile(0.3, 0.0, 3))):
        work = expect.work('net', segment, 1, 9.0, 0)
        if successor is None:
            assert work.successor is None
        else:
            assert work.successor.segment == successor
            assert work.successor.remaining_s == pytest.approx(work.remaining_s - work.time_s)


def test_another_batchs_time_is_the_guess_for_one_that_has_not_run():
    expect = Expectation(1)
    expect.observe(0, 1, 0.1)
    expect.observe(0, 8, 0.4)
    assert [expect.run_s(batch) for batch in (1, 2, 7, 8, 64)] == [0.1, 0.1, 0.4, 0.4, 0.4]


def test_in_the_middle_of_its_first_run_the_other_segments_are_still_guessed():
    expect = Expectation(2)
    for segment, took_s in enumerate((0.1, 0.2)):
        expect.observe(segment, 1, took_s)
    expect.observe(0, 4, 0.3)
    assert expect.run_s(4) == pytest.approx(0.5)


def test_a_profile_counts_and_the_least_that_runs_took_on_top(make_profile):
    expect = Expectation(2, make_profile(0.1, 0.05, segments=2, tb_ratio=0.25))
    assert expect.run_s(2) == pytest.approx(0.2)
    for took_s in OVERHEAD_RUNS * (77.0, 0.13, 0.5):    # the others waited for something else
        expect.observe(0, 2, took_s)
    assert expect.run_s(2) == pytest.approx(0.26)
    work = expect.work('net', 0, 2, 9.0, 0)
    assert (work.time_s, work.remaining_s) == pytest.approx((0.13, 0.26))
    assert work.tb_ratio == work.successor.tb_ratio == 0.25
    assert work.successor.remaining_s == pytest.approx(0.13)


def test_a_run_faster_than_its_profile_makes_no_time(make_profile):
    expect = Expectation(1, make_profile(0.1, 0.0))
    expect.observe(0, 1, 0.01)
    assert expect.run_s(1) == pytest.approx(0.1)


def test_overhead_that_grew_is_learned_again(make_profile):
    expect = Expectation(1, make_profile(0.1, 0.0))
    for took_s in [0.1] + OVERHEAD_RUNS * [0.15]:
        expect.observe(0, 1, took_s)
    assert expect.run_s(1) == pytest.approx(0.15)


def test_a_profile_tells_the_utilization_which_is_all_of_the_device_without_one(make_profile):
    profile = make_profile(0.1, 0.05, segments=2, tb_ratio=0.25)
    rows = tuple(dataclasses.replace(row, utilization=0.5 + 0.25 * row.segment)
                 for row in profile.rows)
    known = Expectation(2, dataclasses.replace(profile, rows=rows)).work('net', 0, 2, 9.0, 0)
    assert (known.utilization, known.successor.utilization) == (0.5, 0.75)
    assert (known.tb_ratio, known.successor.tb_ratio) == (0.25, 0.25)
    assert Expectation(2).work('net', 0, 2, 9.0, 0).utilization == 1.0
