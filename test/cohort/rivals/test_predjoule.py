"""PredJoule: small steps, what it learns, and whom it listens to."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import Member, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals import PredJoule
from s3dnn_ros.cohort.rivals.predjoule import STEP, UNCERTAIN

COUNT = 2000
SPEEDUPS = [1.0 + 9.0 * row / COUNT for row in range(COUNT)]
# the faster, the less energy a layer takes: little is uncertain
CERTAIN = SpeedupPowerTable(SPEEDUPS, [1.0 + 0.1 * speedup for speedup in SPEEDUPS])
UNSURE = SpeedupPowerTable(SPEEDUPS, [speedup**2 for speedup in SPEEDUPS])
ACCURACY = SpeedupAccuracyTable([1.0, 2.0], [1.0, 0.5])
LAYER_S = 0.01
START = 1000


def member(lag_s=0.0, segment=0, configuration=START, power=CERTAIN, instance='net'):
    return Member(instance, lag_s, 0.1, power, ACCURACY, configuration, LAYER_S, segment=segment)


def configuration(policy, *members):
    return policy.decide(list(members)).configuration


@pytest.mark.parametrize(('lag_s', 'power', 'way'), [
    (-0.002, CERTAIN, 1), (-0.002, UNSURE, 1), (0.002, CERTAIN, 1), (0.002, UNSURE, -1)])
def test_it_slows_down_only_ahead_and_where_much_is_uncertain(lag_s, power, way):
    uncertainty = PredJoule()._uncertain(power)
    assert (uncertainty > UNCERTAIN) == (power is UNSURE)
    step = configuration(PredJoule(), member(lag_s, power=power)) - START
    assert step * way > 0
    if way > 0:
        assert step == max(1, round(STEP / uncertainty * COUNT))


def test_a_configuration_that_was_seen_to_give_what_is_needed_is_used_again():
    policy = PredJoule()
    # its first layer runs 1.25 times as fast as its deadline
    tried = configuration(policy, member(segment=0, configuration=500))
    policy.decide([member(0.2 * LAYER_S, 1, tried)])
    # in the next job it needs just that: 1 / (1 - 0.2)
    assert configuration(policy, member(-0.2 * LAYER_S, 0, 1500)) == tried
    # and not if it needs much more, or is another layer, or another instance
    for other in (member(-0.5 * LAYER_S, 0, 1500), member(-0.2 * LAYER_S, 2, 1500),
                  member(-0.2 * LAYER_S, 0, 1500, instance='other')):
        assert configuration(policy, other) > 1500


def test_nothing_is_learned_from_layers_that_do_not_follow_each_other():
    policy = PredJoule()
    tried = configuration(policy, member(segment=0, configuration=500))
    # a layer was skipped, or the job ended and another began
    policy.decide([member(0.2 * LAYER_S, 2, tried)])
    assert configuration(policy, member(-0.2 * LAYER_S, 0, 1500)) > 1500


def test_only_the_last_member_is_listened_to_and_all_run_exact():
    calm = member(0.002, power=UNSURE, instance='a')
    late = member(-0.002, power=UNSURE, instance='b')
    decision = PredJoule().decide([calm, late])
    assert decision.configuration > START and decision.variants == {'a': 0, 'b': 0}
    assert configuration(PredJoule(), late, calm) < START


@given(st.lists(st.tuples(st.floats(-0.1, 0.1), st.integers(0, 3)), min_size=1, max_size=40),
       st.integers(1, 30))
def test_it_never_leaves_the_table(told, count):
    power = SpeedupPowerTable(SPEEDUPS[:count], [speedup**2 for speedup in SPEEDUPS[:count]])
    policy, now = PredJoule(), 0
    for lag_s, segment in told:
        now = configuration(policy, dataclasses.replace(member(lag_s, segment, now),
                                                        speedup_power=power))
        assert 0 <= now < count
