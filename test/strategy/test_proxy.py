"""The proxy: it learns what it is shown, and its error is that on strategies it was not shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.strategy.evolution import random_strategy
from s3dnn_ros.strategy.proxy import Proxy, features, proxy_error
from s3dnn_ros.strategy.strategy import Measurement, Strategy


@given(order=st.permutations(range(3)))
def test_features_see_the_load_of_more_important_tasks(make_workload, order):
    workload = make_workload(load=0.9)
    [rows] = features(workload, [Strategy.in_order((0, 1, 2), order)])
    expected = [0.3 * 0.7 ** task for task in range(3)]
    assert list(rows[:, 0]) == list(rows[:, 1]) == [0, 1, 2]
    assert list(rows[list(order), 2]) == [3, 2, 1]
    for rank, task in enumerate(order):
        first = order[:rank + 1]
        assert rows[task, 3] == pytest.approx(sum(expected[other] for other in first))
        assert list(rows[task, -6:-3]) == pytest.approx(expected)
        assert list(rows[task, -3:]) == pytest.approx(
            [expected[other] * (other in first) for other in range(3)])


def some(workload, count):
    chance = np.random.default_rng(0)
    return list(dict.fromkeys(random_strategy(workload, chance) for _ in range(count)))


def test_it_predicts_what_it_learned_better_than_the_mean(make_workload, ruled):
    pytest.importorskip('sklearn')
    workload = make_workload(tasks=4, variants=4, load=1.8)
    strategies = some(workload, 300)
    measured = dict(zip(strategies, ruled(workload)(strategies)))
    error = proxy_error(workload, measured, 0)
    assert error.proxy < 0.5 * error.constant
    assert error.predicted.shape == error.measured.shape == (len(strategies), 4)
    proxy = Proxy(workload, 0)
    proxy.fit(measured)
    missed = np.array([each.missed for each in measured.values()])
    assert np.abs(proxy.predict(strategies) - missed).mean() < error.proxy


def test_held_out_strategies_are_not_learned(make_workload):
    pytest.importorskip('sklearn')
    workload = make_workload()
    strategies, chance = some(workload, 200), np.random.default_rng(1)
    # chance alone: nobody can predict it
    measured = {strategy: Measurement(tuple(chance.random(3)), (None,) * 3)
                for strategy in strategies}
    error = proxy_error(workload, measured, 0)
    assert error.proxy > 0.9 * error.constant
    assert error.constant == pytest.approx(0.25, abs=0.03)


def test_one_task_has_predictions_in_a_column(make_workload, ruled):
    pytest.importorskip('sklearn')
    workload = make_workload(tasks=1, variants=6, load=1.5)
    strategies = [Strategy((index,), (1,)) for index in range(6)]
    measured = dict(zip(strategies, ruled(workload)(strategies)))
    proxy = Proxy(workload, 0)
    proxy.fit(measured)
    assert proxy.predict(strategies).shape == (6, 1)
    assert proxy_error(workload, measured, 0).predicted.shape == (6, 1)
