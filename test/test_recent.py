"""Times of the last runs: a stall among them changes little, and is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.recent import KEPT, TYPICAL, RecentTimes

TIMES = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=3 * KEPT)


def filled(times_s):
    times = RecentTimes()
    for time_s in times_s:
        times.add(time_s)
    return times


def test_before_the_first_run_nothing_is_known():
    assert len(RecentTimes()) == 0
    assert (RecentTimes().low_s, RecentTimes().typical_s) == (0.0, 0.0)


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


@given(st.floats(0.01, 1.0), st.floats(4.0, 100.0))
def test_slow_runs_are_forgotten(time_s, slow_s):
    times = filled([slow_s] * KEPT + [time_s] * KEPT)
    assert times.low_s == times.typical_s == time_s
