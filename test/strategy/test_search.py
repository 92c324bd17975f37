"""The search: within the budget, repeatable, and as good as trying everything."""

import itertools

import pytest

from s3dnn_ros.strategy import libraries
from s3dnn_ros.strategy.search import EACH, FIRST, MOST_CONFIRMED, confirmed, search
from s3dnn_ros.strategy.strategy import Strategy, best_first, is_feasible

pytest.importorskip('pymoo')
pytest.importorskip('sklearn')


@pytest.fixture
def overloaded(make_workload):
    """Return a workload that needs smaller variants, and has no storage for all exact ones."""
    return make_workload(tasks=4, variants=4, load=1.6, storage_limit_mb=380.0)


def all_of(workload):
    return [Strategy.in_order(variants, order)
            for variants in itertools.product(*(range(len(task.model.variants))
                                                for task in workload.tasks))
            if workload.fits(variants)
            for order in itertools.permutations(range(len(workload.tasks)))]


@pytest.mark.parametrize('seed', range(2))
def test_it_finds_the_best_of_all_with_a_thirtieth_of_the_measurements(overloaded, ruled, seed):
    measure, everything = ruled(overloaded), all_of(overloaded)
    best = best_first(overloaded, dict(zip(everything, measure(everything))))[0]
    found = search(overloaded, measure, len(everything) // 30, seed, {})
    assert len(found) <= len(everything) // 30
    first = best_first(overloaded, found)[0]
    assert is_feasible(overloaded, first, found[first])
    assert overloaded.loss(first.variants) == overloaded.loss(best.variants) > 0.0
    assert all(overloaded.fits(strategy.variants) for strategy in found)


def test_it_measures_first_at_random_and_then_in_rounds(overloaded, ruled):
    calls, known = [], []
    measure = ruled(overloaded, calls)
    found = search(overloaded, measure, FIRST + 2 * EACH + 1, 0, {},
                   lambda measured: known.append(len(measured)))
    assert calls == [FIRST, EACH, EACH, 1]
    assert known == list(itertools.accumulate(calls)) and known[-1] == len(found)


def test_one_that_goes_on_finds_what_one_without_a_break_finds(overloaded, ruled):
    measure = ruled(overloaded)
    part = search(overloaded, measure, FIRST + EACH, 5, {})
    calls = []
    whole = search(overloaded, ruled(overloaded, calls), FIRST + 3 * EACH, 5, part)
    assert sum(calls) == 2 * EACH and len(part) == FIRST + EACH
    assert list(whole.items()) == list(search(overloaded, measure, FIRST + 3 * EACH, 5,
                                              {}).items())
    other = search(overloaded, measure, FIRST + 3 * EACH, 6, {})
    assert set(other) != set(whole)


def test_a_budget_below_the_first_round_is_kept(overloaded, ruled):
    assert len(search(overloaded, ruled(overloaded), 7, 0, {})) == 7


def test_it_ends_when_nothing_is_left_to_measure(make_workload, ruled):
    workload = make_workload(tasks=2, variants=2)
    assert set(search(workload, ruled(workload), 1000, 0, {})) == set(all_of(workload))


def test_what_is_best_is_measured_again(overloaded, ruled):
    measure = ruled(overloaded)
    measured = search(overloaded, measure, FIRST + EACH, 0, {})
    strategy, measurement = confirmed(overloaded, measured, measure)
    assert strategy == best_first(overloaded, measured)[0] and measurement == measured[strategy]


def test_what_is_not_feasible_the_second_time_is_passed_over(overloaded, ruled):
    measure = ruled(overloaded)
    measured = search(overloaded, measure, FIRST + EACH, 0, {})
    lucky = best_first(overloaded, measured)[0]
    worse = measure([Strategy((0,) * 4, (1, 2, 3, 4))])[0]

    def again(strategies):
        return [worse if strategy == lucky else measured[strategy] for strategy in strategies]

    strategy, measurement = confirmed(overloaded, measured, again)
    assert strategy == best_first(overloaded, measured)[1]
    assert is_feasible(overloaded, strategy, measurement)


def test_where_nothing_is_feasible_the_nearest_is_returned(make_workload, ruled):
    workload = make_workload(load=9.0)
    calls = []
    measure = ruled(workload, calls)
    measured = search(workload, measure, FIRST, 0, {})
    del calls[:]
    strategy, measurement = confirmed(workload, measured, measure)
    assert strategy == best_first(workload, measured)[0] and calls == [1]
    assert workload.excess(measurement.missed) > 0.0 and len(calls) < MOST_CONFIRMED


def test_a_library_that_is_not_here_is_told_with_how_to_get_it():
    with pytest.raises(libraries.StrategyError, match='pip install "pymoo'):
        libraries.library('pymoo.of_nobody')
