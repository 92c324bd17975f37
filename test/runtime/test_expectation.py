"""Expected times: a profile's, or learned."""

import dataclasses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.runtime.expectation import RISE, Expectation

times = st.floats(1e-4, 10.0)
MANY = 1000     # observations after which nothing changes any more


def test_nothing_is_expected_before_the_first_run():
    expect = Expectation(2)
    assert expect.run_s(1) == 0.0
    work = expect.work('net', 1, 5.0, 0)
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
    work = expect.work('net', 2, 9.0, 4)
    for segment, took_s in enumerate(segments):
        assert (work.instance, work.segment, work.deadline_s, work.priority) == (
            'net', segment, 9.0, 4)
        assert work.time_s == pytest.approx(took_s)
        assert work.remaining_s == pytest.approx(sum(segments[segment:]))
        work = work.successor
    assert work is None


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


def test_a_profile_counts_and_what_runs_took_on_top(make_profile):
    expect = Expectation(2, make_profile(0.1, 0.05, segments=2, tb_ratio=0.25))
    assert expect.run_s(2) == pytest.approx(0.2)
    for _ in range(MANY):
        expect.observe(0, 2, 0.13)
    assert expect.run_s(2) == pytest.approx(0.23)
    work = expect.work('net', 2, 9.0, 0)
    assert (work.time_s, work.remaining_s) == pytest.approx((0.13, 0.23))
    assert work.tb_ratio == work.successor.tb_ratio == 0.25
    assert work.successor.remaining_s == pytest.approx(0.1)


@given(seen=st.lists(times, max_size=20), stalled_s=st.floats(0.1, 100.0))
def test_a_stalled_run_adds_little(seen, stalled_s, make_profile):
    profile = make_profile(0.1, 0.0)
    expect = Expectation(1, profile)
    for took_s in seen:
        expect.observe(0, 1, took_s)
    before_s = expect.run_s(1)
    expect.observe(0, 1, stalled_s)
    assert expect.run_s(1) <= before_s + 0.1 * RISE + 1e-12


def test_what_is_given_up_for_an_overhead_that_nothing_confirms_is_tried_again(make_profile):
    expect = Expectation(1, make_profile(0.1, 0.0))
    for _ in range(MANY):
        expect.observe(0, 1, 0.5)
    assert expect.least_s(1) == pytest.approx(0.5)
    for _ in range(MANY):
        expect.lower_overheads()
    assert expect.least_s(1) == pytest.approx(0.1)


def test_a_run_faster_than_its_profile_makes_no_time(make_profile):
    expect = Expectation(1, make_profile(0.1, 0.0))
    expect.observe(0, 1, 0.01)
    assert expect.run_s(1) == pytest.approx(0.1)


def test_overhead_that_shrank_is_learned_sooner_than_one_that_grew(make_profile):
    grown, shrunk = (Expectation(1, make_profile(0.1, 0.0)) for _ in range(2))
    for _ in range(MANY):
        shrunk.observe(0, 1, 0.15)
    for _ in range(20):
        grown.observe(0, 1, 0.15)
        shrunk.observe(0, 1, 0.1)
    assert shrunk.run_s(1) - 0.1 < 0.15 - grown.run_s(1)


def test_a_profile_tells_the_utilization_which_is_all_of_the_device_without_one(make_profile):
    profile = make_profile(0.1, 0.05, segments=2, tb_ratio=0.25)
    rows = tuple(dataclasses.replace(row, utilization=0.5 + 0.25 * row.segment)
                 for row in profile.rows)
    known = Expectation(2, dataclasses.replace(profile, rows=rows)).work('net', 2, 9.0, 0)
    assert (known.utilization, known.successor.utilization) == (0.5, 0.75)
    assert (known.tb_ratio, known.successor.tb_ratio) == (0.25, 0.25)
    assert Expectation(2).work('net', 2, 9.0, 0).utilization == 1.0


def test_a_slower_device_stretches_what_was_profiled_and_not_what_comes_on_top(make_profile):
    scale = [1.0]
    expect = Expectation(2, make_profile(0.0, 0.8, segments=2), lambda: scale[0])
    expect.observe(0, 1, 0.5)
    overhead_s = expect.run_s(1) - 0.8
    assert overhead_s > 0.0
    scale[0] = 3.0
    assert expect.scale() == 3.0
    assert expect.run_s(1) == pytest.approx(2.4 + overhead_s)
    # it may be configured as it was
    assert expect.least_s(1) == pytest.approx(0.8 + overhead_s)
    assert expect.segment_s(0, 1) == pytest.approx(1.2 + overhead_s)
    assert expect.work('net', 1, 9.0, 0, 1) == expect.work('net', 1, 9.0, 0).successor
    work = expect.work('net', 1, 9.0, 0)
    assert (work.remaining_s, work.successor.time_s) == pytest.approx((2.4 + overhead_s, 1.2))
    # what takes as long as it should there teaches nothing
    expect.observe(1, 1, 1.2)
    assert expect.run_s(1) == pytest.approx(2.4 + overhead_s)


def test_at_least_it_takes_what_the_fastest_choices_do(make_profile):
    expect = Expectation(2, make_profile(0.0, 0.8, segments=2), lambda: 4.0,
                         lambda: (0.5, 0.25))
    assert expect.least_s(1) == pytest.approx(0.4 * 0.5 + 0.4 * 0.25)
    assert expect.least_left_s(1, 2) == pytest.approx(0.8 * 0.25)
    # without a profile nobody knows how much faster it could be
    unknown = Expectation(2, None, lambda: 4.0, lambda: (0.5, 0.25))
    unknown.observe(1, 1, 0.3)
    assert unknown.least_s(1) == 0.0 and unknown.scale() == 1.0
