"""The offline limit: no plan of configurations by layer that is in time uses less."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import Member, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals import Oracle
from s3dnn_ros.cohort.rivals.oracle import Costs, cheapest, front

# few digits, so that there are ties
NUMBERS = st.integers(1, 40).map(lambda number: number / 4)
CHANGES = st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.75), (1.25, 2.0)])


@st.composite
def problems(draw):
    """Return costs of a few layers and configurations, a deadline, and what a change costs."""
    layers, configurations = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    time_s, energy_j = (np.array(draw(st.lists(
        st.lists(NUMBERS, min_size=configurations, max_size=configurations),
        min_size=layers, max_size=layers))) for _ in range(2))
    least_s, most_s = time_s.min(axis=1).sum(), time_s.max(axis=1).sum()
    deadline_s = least_s + draw(st.sampled_from([-0.1, 0.0, 0.1, 0.3, 0.6, 1.0, 2.0])) * (
        most_s - least_s + 0.25)
    return Costs(time_s, energy_j), deadline_s, draw(CHANGES)


def cost(costs, plan, changes):
    """Return time and energy of a plan, added up one by one."""
    time_s = energy_j = 0.0
    for layer, row in enumerate(plan):
        changed = layer > 0 and plan[layer - 1] != row
        time_s += costs.time_s[layer][row] + changed * changes[0]
        energy_j += costs.energy_j[layer][row] + changed * changes[1]
    return time_s, energy_j


@given(problems())
def test_the_plan_is_the_best_of_all_plans(problem):
    costs, deadline_s, changes = problem
    layers, configurations = costs.time_s.shape
    all_costs = [cost(costs, plan, changes)
                 for plan in itertools.product(range(configurations), repeat=layers)]
    in_time_j = [energy_j for time_s, energy_j in all_costs if time_s <= deadline_s]
    plan = cheapest(costs, deadline_s, *changes, tolerance=0.0)
    if not in_time_j:
        assert plan is None
        return
    time_s, energy_j = cost(costs, plan, changes)
    assert time_s <= deadline_s and energy_j == pytest.approx(min(in_time_j))


@given(problems())
def test_no_single_configuration_that_is_in_time_uses_less(problem):
    costs, deadline_s, changes = problem
    whole_s, whole_j = costs.time_s.sum(axis=0), costs.energy_j.sum(axis=0)
    plan = cheapest(costs, deadline_s, *changes)
    for time_s, energy_j in zip(whole_s, whole_j):
        if time_s <= deadline_s:
            assert cost(costs, plan, changes)[1] <= energy_j + 1e-9


def test_many_layers_take_no_time_and_beat_single_configurations():
    chance = np.random.default_rng(0)
    # more speed costs more energy, and not every layer gains as much by it
    speed = np.linspace(1.0, 8.0, 500)
    gains = chance.uniform(0.3, 1.0, (40, 1))
    time_s = chance.uniform(0.5, 2.0, (40, 1)) * speed**-gains
    costs = Costs(time_s, time_s * speed**1.5)
    deadline_s = 2.0 * time_s.min(axis=1).sum()
    found = cost(costs, cheapest(costs, deadline_s), (0.0, 0.0))
    single_j = costs.energy_j.sum(axis=0)[time_s.sum(axis=0) <= deadline_s].min()
    assert found[0] <= deadline_s and found[1] < 0.95 * single_j


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_a_front_has_what_nothing_beats_once_each(rows):
    time_s, energy_j = map(np.array, zip(*rows))
    found = front(time_s, energy_j)
    points = [rows[row] for row in found]
    assert points == sorted({(one_s, one_j) for one_s, one_j in rows if not any(
        (other_s <= one_s and other_j < one_j) or (other_s < one_s and other_j <= one_j)
        for other_s, other_j in rows)})


def test_each_instance_runs_its_next_layer_as_planned_and_the_fastest_configuration_counts():
    power, accuracy = SpeedupPowerTable([1.0, 2.0, 4.0], [1.0, 3.0, 9.0]), SpeedupAccuracyTable(
        [1.0, 2.0], [1.0, 0.9])

    def member(instance, segment):
        return Member(instance, -0.5, 1.0, power, accuracy, 0, segment=segment, model='net')
    oracle = Oracle({'a': (1, 0), 'b': (2, 0)}, {'a': (0, 1), 'b': (1, 0)})
    # however late they are
    for members, configuration, variants in (
            ([member('a', 0)], 1, {'a': 0}), ([member('a', 1)], 0, {'a': 1}),
            ([member('b', 0), member('a', 1)], 2, {'b': 1, 'a': 1})):
        decision = oracle.decide(members)
        assert decision.configuration == configuration and decision.variants == variants
        assert decision.speedups == {name: 1.0 + row for name, row in variants.items()}
