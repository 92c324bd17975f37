"""Times of the last runs: a stall among them changes little, and is forgotten."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.recent import (
    FORGOTTEN_RUNS,
    KEPT,
    SLOWNESS_RUNS,
    TYPICAL,
    RecentTimes,
    RunTimes,
)

TIMES = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=3 * KEPT)


def filled(times_s):
    times = RecentTimes()
    for time_s in times_s:
        times.add(time_s)
    return times


def test_before_the_first_run_nothing_is_known():
    assert len(RecentTimes()) == 0
    times = RecentTimes()
    assert (times.low_s, times.typical_s, times.average_s) == (0.0, 0.0, 0.0)


@given(TIMES)
def test_typical_and_shortest_are_among_the_last_runs(times_s):
    times = filled(times_s)
    kept = times_s[-KEPT:]
    assert len(times) == len(kept)
    assert min(kept) == times.low_s <= times.typical_s <= max(kept)
    assert sum(time_s <= times.typical_s for time_s in kept) >= TYPICAL * (len(kept) - 1)


@given(st.floats(0.01, 1.0), st.floats(4.0, 100.0))
def test_a_single_stall_is_not_believed(time_s, stall_s):
    times = filled([time_s] * KEPT + [stall_s])
    assert times.typical_s == time_s
    assert times.average_s == pytest.approx(time_s)


@given(TIMES)
def test_the_average_leaves_out_the_longest(times_s):
    kept = sorted(times_s[-KEPT:])
    assert filled(times_s).average_s == pytest.approx(np.mean(kept[:-1] or [0.0]))


@given(st.floats(0.01, 1.0), st.floats(4.0, 100.0))
def test_slow_runs_are_forgotten(time_s, slow_s):
    times = filled([slow_s] * KEPT + [time_s] * KEPT)
    assert times.low_s == times.typical_s == time_s


def test_a_size_that_did_not_run_since_the_device_was_slow_is_not_slow_any_more():
    times = RunTimes()
    for size in (1, 2) * 10:
        times.add(size, 0.05 * size)
    for _ in range(20):
        times.add(1, 0.15)      # three times as slow
    assert times.typical_s(1) == pytest.approx(0.15)
    assert times.typical_s(2) == pytest.approx(0.3)
    for _ in range(SLOWNESS_RUNS):
        times.add(2, 0.1)       # and quick again, as only the other size shows
    assert times.typical_s(1) == pytest.approx(0.05)
    assert times.low_s(1) <= times.typical_s(1) <= times.slow_s(1)


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0.01, 1.0)), min_size=1, max_size=80))
def test_times_are_never_below_the_shortest_run(runs):
    times = RunTimes()
    for size, time_s in runs:
        times.add(size, time_s)
    for size in {size for size, _ in runs}:
        shortest_s = min(time_s for other, time_s in runs[-64 * 3:] if other == size)
        assert shortest_s * (1.0 - 1e-9) <= times.low_s(size) <= times.slow_s(size)


def test_a_size_that_runs_no_more_is_forgotten():
    times = RunTimes()
    assert times.nearest(1) is None and times.low_s(1) == 0.0
    times.add(4, 0.2)
    for _ in range(FORGOTTEN_RUNS):
        times.add(1, 0.1)
    assert times.nearest(3) == 4
    times.add(1, 0.1)
    assert times.runs(4) == 0 and times.nearest(3) == 1
