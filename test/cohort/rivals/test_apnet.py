"""ApNet: plans that are in time where any is, and give away no more than they must."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import Member, ModelTables, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals import ApNet
from s3dnn_ros.cohort.rivals.apnet import plan

POWER = SpeedupPowerTable([1.0, 2.0], [1.0, 3.0])
COARSER = st.lists(st.tuples(st.floats(1.0, 4.0), st.floats(0.1, 0.99)), max_size=3)
LAYERS = st.lists(st.tuples(st.floats(0.001, 0.01), COARSER), min_size=1, max_size=4)


def tables_of(layers):
    """Return the tables of layers as (seconds, [(speed-up, score) of a coarser variant])."""
    times_s = tuple(time_s for time_s, _ in layers)
    accuracy = tuple(SpeedupAccuracyTable(*zip((1.0, 1.0), *coarser)) for _, coarser in layers)
    total_s = sum(times_s)
    return ModelTables(times_s, (POWER,) * len(layers), accuracy, (2.0 * total_s, total_s))


def takes_s(tables, variants, scale=1.0):
    return math.fsum(scale * time_s / table.speedup[variant] for time_s, table, variant in zip(
        tables.times_s, tables.accuracy, variants))


@given(LAYERS, st.floats(0.2, 1.2), st.sampled_from([0, 1]))
def test_a_plan_is_in_time_if_any_is_and_exact_if_that_is(layers, share, configuration):
    tables = tables_of(layers)
    scale = tables.scale(configuration)
    deadline_s = share * tables.network_s[configuration]
    variants = plan(tables, deadline_s, configuration)
    exact = tuple(table.exact for table in tables.accuracy)
    quickest_s = min(takes_s(tables, each, scale) for each in itertools.product(
        *(range(len(table.speedup)) for table in tables.accuracy)))
    planned_s = takes_s(tables, variants, scale)
    if takes_s(tables, exact, scale) <= deadline_s:
        assert variants == exact
    elif quickest_s <= deadline_s * (1.0 - 1e-9):
        assert planned_s <= deadline_s
    elif quickest_s > deadline_s:
        assert planned_s <= quickest_s * (1.0 + 1e-9)


def test_the_layer_goes_first_that_saves_most_for_its_score():
    tables = tables_of([(0.01, [(2.0, 0.9)]), (0.01, [(2.0, 0.99)]), (0.001, [(2.0, 0.999)])])
    assert plan(tables, 0.0165, 1) == (0, 1, 0)
    assert plan(tables, 0.0158, 1) == (0, 1, 1)
    assert plan(tables, 0.0140, 1) == (1, 1, 1)


def test_every_instance_runs_by_its_own_plan_in_one_configuration():
    tables = {'one': tables_of([(0.01, [(2.0, 0.9)]), (0.01, [(2.0, 0.99)])]),
              'other': tables_of([(0.01, [(2.0, 0.9)])])}
    policy = ApNet(tables, 1)

    def member(instance, model, segment, deadline_s):
        table = tables[model]
        return Member(instance, -0.5, deadline_s, POWER, table.accuracy[segment], 0,
                      segment=segment, model=model)
    for segment, variant in ((0, 0), (1, 1)):
        decision = policy.decide([member('a', 'one', segment, 0.016),
                                  member('b', 'other', 0, 0.02)])
        assert decision.configuration == 1
        assert decision.variants == {'a': variant, 'b': 0}
        assert decision.speedups == {'a': 1.0 + variant, 'b': 1.0}
    # with another deadline the same network has another plan
    decision = policy.decide([member('a', 'one', 0, 0.011)])
    assert decision.variants == {'a': 1}
