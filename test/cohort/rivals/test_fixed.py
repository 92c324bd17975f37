"""Power modes: which configuration they are, and that it never changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import SpeedupPowerTable
from s3dnn_ros.cohort.rivals import ApNet, Fixed, Oracle, Poet, PredJoule, Uncoordinated
from s3dnn_ros.cohort.rivals.fixed import fastest, fastest_within

ROWS = st.lists(st.tuples(st.floats(1.0, 10.0), st.floats(1.0, 20.0)), min_size=1, max_size=20)


def test_it_is_always_the_same_and_exact(build, chance):
    members = build(chance, 4)
    decision = Fixed(1).decide(members)
    assert decision.configuration == 1
    assert decision.variants == {member.instance: member.speedup_accuracy.exact
                                 for member in members}


@given(ROWS)
def test_max_n_is_the_fastest_of_least_power(rows):
    table = SpeedupPowerTable(*zip(*rows))
    assert rows[fastest(table)] == max(rows, key=lambda row: (row[0], -row[1]))


@given(ROWS, st.floats(0.01, 1.0))
def test_a_cap_is_kept_where_it_can_be_and_costs_no_more_speed_than_it_must(rows, share):
    table = SpeedupPowerTable(*zip(*rows))
    speedup, power = rows[fastest_within(table, share)]
    allowed = [row for row in rows if row[1] <= share * max(table.powerup)]
    if allowed:
        assert (speedup, power) in allowed and speedup == max(allowed)[0]
    else:
        assert power == min(table.powerup)


@pytest.mark.parametrize('policy', [
    Fixed(0), Uncoordinated(), Poet(SpeedupPowerTable([1.0], [1.0])), PredJoule(), ApNet({}, 0),
    Oracle({}, {})])
def test_nobody_decides_for_nobody(policy):
    with pytest.raises(ValueError, match='no members'):
        policy.decide([])
