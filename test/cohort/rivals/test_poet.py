"""POET: the cheapest pairs, and a controller that comes to its goal."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3dnn_ros.cohort import Member, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals import Poet
from s3dnn_ros.cohort.rivals.poet import WINDOW, CheapestPairs, Controller, all_pairs

ROWS = st.lists(st.tuples(st.integers(10, 100), st.integers(1, 100)), min_size=1, max_size=25)
LADDER = SpeedupPowerTable([1.0 + 0.5 * step for step in range(15)],
                           [(1.0 + 0.5 * step)**1.7 for step in range(15)])
ACCURACY = SpeedupAccuracyTable([1.0, 2.0], [1.0, 0.5])


def table_of(rows):
    return SpeedupPowerTable([speedup / 10 for speedup, _ in rows],
                             [float(power) for _, power in rows])


def cheapest(table, target):
    """Return the least energy of a job with which this speed-up is reached on average."""
    costs = []
    for slow, slow_power in zip(table.speedup, table.powerup):
        for fast, fast_power in zip(table.speedup, table.powerup):
            if slow <= target <= fast:
                share = ((1.0 / target - 1.0 / fast) / (1.0 / slow - 1.0 / fast)
                         if fast > slow else 1.0)
                costs.append(share * slow_power / slow + (1.0 - share) * fast_power / fast)
    return min(costs)


@given(ROWS, st.floats(0.0, 1.0))
def test_both_searches_find_the_cheapest_pair_with_that_speed_up(rows, share):
    table = table_of(rows)
    pairs = CheapestPairs(table)
    target = min(pairs.least + share * (pairs.most - pairs.least), pairs.most)
    found, tried = pairs.pair(target), all_pairs(table.speedup, table.powerup, target)
    least = cheapest(table, target)
    for pair in (found, tried):
        assert pair.cost == pytest.approx(least)
        assert 0.0 <= pair.share <= 1.0
        # jobs a second, on average, and what one costs
        job_s = (pair.share / table.speedup[pair.lower]
                 + (1.0 - pair.share) / table.speedup[pair.upper])
        assert 1.0 / job_s == pytest.approx(target)
        assert pair.cost == pytest.approx(
            pair.share * table.powerup[pair.lower] / table.speedup[pair.lower]
            + (1.0 - pair.share) * table.powerup[pair.upper] / table.speedup[pair.upper])


def run(rate, windows, chance, noise, first):
    """Return the mean time of a window's jobs, in deadlines, of every window.

    `rate` is that of the slowest configuration.
    """
    controller = Controller(CheapestPairs(LADDER), first, LADDER.speedup[first])
    means = []
    for _ in range(windows):
        took = []
        for _ in range(WINDOW):
            took.append(chance.uniform(1.0 - noise, 1.0 + noise)
                        / (rate * LADDER.speedup[controller.configuration]))
            controller.ended(took[-1])
        means.append(sum(took) / WINDOW)
    return means


@given(st.floats(0.15, 0.9), st.integers(0, 14), st.integers(0, 100))
def test_jobs_come_to_take_their_deadline(rate, first, seed):
    means = run(rate, 30, random.Random(seed), 0.03, first)
    # whole jobs run in one of a pair, so the last bit is missing
    assert sum(means[-10:]) / 10 == pytest.approx(1.0, abs=0.06)


def test_what_cannot_be_reached_ends_at_the_fastest_and_what_is_easy_at_the_slowest():
    for rate, last in ((0.05, 1.0 / (0.05 * 8.0)), (3.0, 1.0 / 3.0)):
        assert run(rate, 30, random.Random(0), 0.0, 7)[-1] == pytest.approx(last)


@given(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=6), st.integers(0, 14))
def test_speed_ups_are_those_of_the_published_equations(took, first):
    controller = Controller(CheapestPairs(LADDER), first, LADDER.speedup[first])
    base, variance, speedup = 0.2, 1.0, LADDER.speedup[first]
    for each in took:
        for _ in range(WINDOW):
            controller.ended(each)
        rate = 1.0 / each
        before = variance + 1e-5
        gain = before * speedup / (speedup**2 * before + 0.01)
        base += gain * (rate - speedup * base)
        variance = (1.0 - gain * speedup) * before
        speedup = min(max(speedup + (1.0 - rate) / base, 1.0), 8.0)
        assert controller._speedup == pytest.approx(speedup)


@given(st.floats(0.15, 0.9))
def test_the_share_of_a_window_runs_in_the_slower_of_a_pair_and_comes_first(rate):
    controller = Controller(CheapestPairs(LADDER), 7, LADDER.speedup[7])
    for _ in range(3 * WINDOW):
        controller.ended(1.0 / (rate * LADDER.speedup[controller.configuration]))
    pair, ran = controller._pair, []
    for _ in range(WINDOW):
        ran.append(controller.configuration)
        controller.ended(1.0)
    slower = round(WINDOW * pair.share)
    assert ran == [pair.lower] * slower + [pair.upper] * (WINDOW - slower)


@given(ROWS, st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60))
def test_whatever_jobs_take_the_configuration_is_one_of_the_tables(rows, tooks):
    table = table_of(rows)
    controller = Controller(CheapestPairs(table), 0, table.speedup[0])
    for took in tooks:
        controller.ended(took)
        assert 0 <= controller.configuration < len(rows)


def members(names, configuration=14):
    return [Member(name, 0.0, 0.04, LADDER, ACCURACY, configuration) for name in names]


def test_nothing_is_set_until_a_window_has_passed_and_the_last_to_end_has_its_way():
    poet = Poet(LADDER)
    assert poet.decide(members('ab')).configuration == 14
    for _ in range(WINDOW - 1):
        poet.ended('a', -0.9)
        assert poet.decide(members('ab')).configuration == 14
    poet.ended('a', -0.9)
    slowed = poet.decide(members('ab')).configuration
    assert slowed < 14
    poet.ended('b', -0.9)
    assert poet.decide(members('ab')).configuration == 14
    poet.ended('stranger', 1.0)
    decision = poet.decide(members('ab'))
    assert decision.configuration == 14 and decision.variants == {'a': 0, 'b': 0}


@given(ROWS)
def test_a_single_speed_up_needs_no_pair(rows):
    table = table_of(rows)
    pairs = CheapestPairs(table)
    assume(pairs.least < pairs.most)
    for target in (pairs.least, pairs.most):
        pair = pairs.pair(target)
        assert pair.lower == pair.upper and table.speedup[pair.lower] == target


@given(st.floats(0.0, 0.5), st.floats(-0.6, 0.3))
def test_a_margin_makes_jobs_count_as_longer(margin, late):
    free, plain = Poet(LADDER, margin), Poet(LADDER)
    longer = (1.0 + late) / (1.0 - margin) - 1.0
    for poet in (free, plain):
        poet.decide(members('a'))
    for _ in range(WINDOW):
        free.ended('a', late)
        plain.ended('a', longer)
    assert (free.decide(members('a')).configuration
            == plain.decide(members('a')).configuration)
