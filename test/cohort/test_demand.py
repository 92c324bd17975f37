"""What others need of the device is known by how often their jobs came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort.demand import MOST_SHARE, Demand

DEADLINE_S = 0.05


def asked(interval_s, run_s=0.01, count=20, name='other', deadline_s=DEADLINE_S):
    demand = Demand()
    for turn in range(count):
        demand.started(name, run_s, deadline_s, interval_s * turn)
    return demand, interval_s * (count - 1)


def test_a_share_is_time_over_interval_of_all_others():
    demand, now_s = asked(0.1)
    assert demand.of_others('net', now_s) == pytest.approx(0.1)
    demand.started('third', 0.02, DEADLINE_S, now_s - 0.2)
    demand.started('third', 0.02, DEADLINE_S, now_s)
    assert demand.of_others('net', now_s) == pytest.approx(0.2)
    assert demand.of_others('other', now_s) == pytest.approx(0.1)


def test_once_is_no_habit():
    demand, now_s = asked(0.1, count=1)
    assert demand.of_others('net', now_s) == 0.0


def test_who_asks_again_at_once_needs_one_run_in_a_deadline():
    demand, now_s = asked(0.011)
    assert demand.of_others('net', now_s) == pytest.approx(0.01 / DEADLINE_S)


def test_who_is_silent_is_forgotten():
    demand, now_s = asked(0.1)
    assert demand.of_others('net', now_s + 1.0) == pytest.approx(0.01)
    assert demand.of_others('net', now_s + 1e6) == 0.0
    # what it asked for before is no habit any more
    demand.started('other', 0.01, DEADLINE_S, now_s + 1e6)
    assert demand.of_others('net', now_s + 1e6) == 0.0


def test_a_new_rate_is_learned():
    demand, now_s = asked(0.1)
    for turn in range(1, 80):
        demand.started('other', 0.01, DEADLINE_S, now_s + 0.2 * turn)
    assert demand.of_others('net', now_s + 0.2 * 79) == pytest.approx(0.05, rel=0.01)


@given(st.lists(st.tuples(st.sampled_from('abc'), st.floats(1e-4, 10.0), st.floats(1e-4, 10.0),
                          st.floats(0.0, 100.0)), max_size=30), st.floats(0.0, 100.0))
def test_whatever_the_clock_does_a_share_is_a_share(arrivals, now_s):
    demand = Demand()
    for arrival in arrivals:
        demand.started(*arrival)
    assert 0.0 <= demand.of_others('a', now_s) <= MOST_SHARE
