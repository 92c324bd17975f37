"""Orders and priorities say the same; the best strategies are feasible and lose least."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.strategy.rivals import RIVALS, greedy_by_laxity, load
from s3dnn_ros.strategy.strategy import Measurement, Strategy, best_first, is_feasible


@given(st.permutations(range(6)))
def test_an_order_and_priorities_say_the_same(order):
    strategy = Strategy.in_order([0] * 6, order)
    assert strategy.order == tuple(order)
    assert sorted(strategy.priorities) == [1, 2, 3, 4, 5, 6]
    assert strategy.priorities[order[0]] == 6


def measurement(*missed):
    return Measurement(missed, (None,) * len(missed))


def test_the_best_are_feasible_and_lose_least(make_workload):
    workload = make_workload(tasks=2, tolerated=0.1)
    measured = {Strategy((0, 0), (1, 2)): measurement(0.3, 0.0),
                Strategy((1, 1), (1, 2)): measurement(0.0, 0.1),
                Strategy((0, 1), (1, 2)): measurement(0.1, 0.1),
                Strategy((2, 0), (1, 2)): measurement(0.0, 0.2)}
    assert [strategy.variants for strategy in best_first(workload, measured)] == [
        (0, 1), (1, 1), (2, 0), (0, 0)]
    assert [is_feasible(workload, strategy, missed) for strategy, missed in measured.items()] == [
        False, True, True, False]


def test_without_storage_nothing_is_feasible(make_workload):
    workload = make_workload(tasks=2, storage_limit_mb=150.0)
    assert not is_feasible(workload, Strategy((0, 0), (1, 2)), measurement(0.0, 0.0))
    assert is_feasible(workload, Strategy((1, 1), (1, 2)), measurement(0.0, 0.0))


@pytest.mark.parametrize('make', RIVALS.values(), ids=list(RIVALS))
@given(demanded=st.floats(0.1, 4.0))
def test_rivals_are_strategies_of_the_workload(make_workload, make, demanded):
    workload = make_workload(load=demanded)
    strategy = make(workload)
    assert sorted(strategy.priorities) == [1, 2, 3]
    assert all(index in range(3) for index in strategy.variants)


@given(demanded=st.floats(0.1, 2.0), storage_limit_mb=st.floats(147.0, 300.0))
def test_the_greedy_one_stops_when_the_device_carries_it(make_workload, demanded,
                                                         storage_limit_mb):
    workload = make_workload(load=demanded, storage_limit_mb=storage_limit_mb)
    strategy = greedy_by_laxity(workload)
    assert load(workload, strategy.variants) <= 1.0 and workload.fits(strategy.variants)
    if demanded <= 1.0 and storage_limit_mb == 300.0:
        assert strategy.variants == (0, 0, 0)
