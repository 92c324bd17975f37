"""Sub-deadlines, LAG and the speed-up that makes up for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort.lag import (
    MOST_SPEEDUP,
    lag_s,
    needed_speedup,
    proportional_sub_deadlines,
)

CLOSE = 1e-9
times = st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=20)


@given(times, st.floats(0.0, 10.0))
def test_sub_deadlines_sum_up_to_the_deadline_and_are_proportional(times_s, deadline_s):
    found = proportional_sub_deadlines(times_s, deadline_s)
    assert math.isclose(sum(found), deadline_s, rel_tol=CLOSE)
    for time_s, sub_deadline_s in zip(times_s, found):
        assert math.isclose(sub_deadline_s * sum(times_s), deadline_s * time_s, rel_tol=CLOSE)


@pytest.mark.parametrize('times_s, deadline_s', [
    ([], 1.0), ([0.0], 1.0), ([1.0, -1.0], 1.0), ([math.nan], 1.0), ([math.inf], 1.0),
    ([1.0], -1.0), ([1.0], math.nan), ([1.0], math.inf)])
def test_what_cannot_be_shared_out_is_refused(times_s, deadline_s):
    with pytest.raises(ValueError, match='expected'):
        proportional_sub_deadlines(times_s, deadline_s)


def test_lag_is_positive_ahead_and_negative_behind():
    assert lag_s([0.01, 0.02, 0.03], []) == 0.0
    assert lag_s([0.01, 0.02, 0.03], [0.004]) == pytest.approx(0.006)
    assert lag_s([0.01, 0.02, 0.03], [0.004, 0.036]) == pytest.approx(-0.010)
    with pytest.raises(ValueError, match='2 layers have finished of 1'):
        lag_s([1.0], [1.0, 1.0])


@given(times, st.floats(0.01, 1.0), st.data())
def test_what_is_left_until_the_deadline_is_what_is_left_of_the_plan_and_the_lag(
        times_s, deadline_s, data):
    sub_deadlines_s = proportional_sub_deadlines(times_s, deadline_s)
    took_s = data.draw(st.lists(st.floats(0.0, 1.0), max_size=len(times_s)))
    left_s = sum(sub_deadlines_s[len(took_s):])
    assert left_s + lag_s(sub_deadlines_s, took_s) == pytest.approx(deadline_s - sum(took_s))


def test_who_is_behind_has_to_be_faster():
    assert needed_speedup(0.0, 0.02) == 1.0
    assert needed_speedup(-0.01, 0.02) == 2.0
    assert needed_speedup(0.02, 0.02) == 0.5
    assert needed_speedup(0.0, 0.0) == MOST_SPEEDUP


@given(st.floats(-10.0, 10.0), st.floats(0.0, 10.0))
def test_nothing_has_to_be_faster_than_possible(lag_s, horizon_s):
    assert 0.0 <= needed_speedup(lag_s, horizon_s) <= MOST_SPEEDUP
    if horizon_s + lag_s <= 0.0:
        assert needed_speedup(lag_s, horizon_s) == MOST_SPEEDUP
