"""Decisions are those of the equations, searched through in the plainest way."""

import dataclasses
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import MODES, Coordinator, Member, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.coordinator import propose, suffices
from s3dnn_ros.cohort.lag import MOST_SPEEDUP

CASES = 10_000
CLOSE = 1e-9
seeds = st.integers(0, 10**6)


def brute_force(members, mode, threshold):
    """Evaluate equations 3 to 9 by looking at every row of every table."""
    members = sorted(members, key=lambda member: member.instance)

    def needed(member):
        horizon_s = member.deadline_s if member.horizon_s is None else member.horizon_s
        left_s = horizon_s + member.lag_s
        return min(horizon_s / left_s, MOST_SPEEDUP) if left_s > 0.0 else MOST_SPEEDUP

    def best(speedup, cost, wish):
        enough = [row for row in range(len(speedup)) if speedup[row] >= wish]
        if not enough:
            return min(range(len(speedup)), key=lambda row: (-speedup[row], cost[row]))
        return min(enough, key=lambda row: (cost[row], -speedup[row]))

    def power_of(member, row):
        return member.speedup_power.powerup[row]

    wishes = []
    for member in members:
        table = member.speedup_power
        target = table.speedup[member.configuration] * needed(member)
        wishes.append(best(table.speedup, table.powerup, target))

    def approximation(member, row):
        table = member.speedup_power
        gained = table.speedup[row] / table.speedup[member.configuration]
        return needed(member) / gained

    def suffices(row):
        return all(approximation(member, row) <= max(member.speedup_accuracy.speedup)
                   for member in members)

    keys = [(power_of(member, row), row) for member, row in zip(members, wishes)]

    def in_order(indices, value):
        """Sort by a value, and by power where values are as good as alike."""
        left, ordered = list(indices), []
        while left:
            least = min(value(index) for index in left)
            close = [index for index in left if value(index) <= least + CLOSE]
            ordered.append(min(close, key=lambda index: keys[index]))
            left.remove(ordered[-1])
        return ordered

    def ranking(mode):
        everyone = range(len(members))
        if mode == 'min_energy':
            return in_order(everyone, lambda index: 0.0)
        if mode == 'max_accuracy':
            sums = [sum(max(0.0, approximation(other, row) - 1.0) for other in members)
                    for row in wishes]
            return in_order(everyone, sums.__getitem__)
        imbalances = [needed(member) for member in members]
        behind = statistics.fmean(imbalances) - 1.0
        limit = statistics.pstdev(imbalances) if threshold is None else threshold
        first_s = max(member.lag_s for member in members)
        distances_s = [first_s - member.lag_s for member in members]
        width_s = max(distances_s) / 3
        groups = {0: [], 1: [], 2: []}
        for index, distance_s in enumerate(distances_s):
            number = 0
            while number < 2 and width_s > 0.0 and distance_s / width_s >= number + 1:
                number += 1
            groups[number].append(index)
        wanted = 2 if behind > limit else 1 if behind > 0.0 else 0
        ordered = []
        for number in {0: (0, 1, 2), 1: (1, 2, 0), 2: (2, 1, 0)}[wanted]:
            mean_s = statistics.fmean([distances_s[index] for index in groups[number]] or [0.0])
            ordered += in_order(groups[number], [abs(distance_s - mean_s)
                                                 for distance_s in distances_s].__getitem__)
        return ordered

    enough = [index for index in ranking(mode) if suffices(wishes[index])]
    configuration = wishes[(enough or ranking('max_accuracy'))[0]]
    variants = {}
    for member in members:
        table, wish = member.speedup_accuracy, approximation(member, configuration)
        cost = [-score for score in table.score]
        if abs(wish - 1.0) > CLOSE:
            variants[member.instance] = best(table.speedup, cost, max(wish, 0.0)
                                             if wish > 1.0 else 0.0)
    return configuration, variants


@pytest.mark.parametrize('mode', MODES)
def test_a_brute_force_search_decides_the_same(mode, build):
    chance = random.Random(mode)
    for case in range(CASES // len(MODES) + 1):
        members = build(chance, chance.randint(1, 5), chance.randint(1, 12),
                        chance.randint(1, 4))
        threshold = chance.choice([None, 0.0, 0.2, 1.0])
        decision = Coordinator(mode, threshold).decide(members)
        configuration, variants = brute_force(members, mode, threshold)
        assert decision.configuration == configuration, case
        for instance, variant in variants.items():
            table = next(member.speedup_accuracy for member in members
                         if member.instance == instance)
            assert table.score[decision.variants[instance]] == table.score[variant], case


@given(seed=seeds, mode=st.sampled_from(sorted(MODES)))
def test_everyone_decides_the_same_in_whatever_order_members_are_known(seed, mode, build):
    chance = random.Random(seed)
    members = build(chance, chance.randint(1, 6))
    decision = Coordinator(mode).decide(members)
    chance.shuffle(members)
    assert Coordinator(mode).decide(members) == decision


@given(seed=seeds, mode=st.sampled_from(sorted(MODES)))
def test_who_chose_the_configuration_need_not_approximate_if_it_suffices(seed, mode, build):
    chance = random.Random(seed)
    member, = build(chance, 1)
    decision = Coordinator(mode).decide([member])
    table = member.speedup_power
    target = table.speedup[member.configuration] * member.needed_speedup
    if target <= max(table.speedup):
        assert decision.speedups[member.instance] <= 1.0
        assert decision.variants[member.instance] == member.speedup_accuracy.exact
    else:
        assert table.speedup[decision.configuration] == max(table.speedup)


@given(seed=seeds)
def test_modes_are_what_their_names_say(seed, build):
    chance = random.Random(seed)
    members = build(chance, chance.randint(2, 5))

    def approximation(mode):
        return sum(max(0.0, needed - 1.0)
                   for needed in Coordinator(mode).decide(members).speedups.values())

    assert approximation('max_accuracy') <= approximation('balanced') + CLOSE
    assert approximation('max_accuracy') <= approximation('min_energy') + CLOSE


def test_a_cohort_on_time_stays_as_it_is():
    power = SpeedupPowerTable([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    accuracy = SpeedupAccuracyTable([1.0, 2.0], [1.0, 0.5])
    members = [Member(name, 0.0, 0.04, power, accuracy, 1) for name in 'abc']
    for mode in MODES:
        decision = Coordinator(mode).decide(members)
        assert decision.configuration == 1
        assert set(decision.variants.values()) == {0}
        assert set(decision.speedups.values()) == {1.0}


def test_a_smaller_threshold_is_a_faster_configuration():
    power = SpeedupPowerTable([1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0])
    accuracy = SpeedupAccuracyTable([1.0, 2.0], [1.0, 0.5])
    lags_s = {'behind': -0.06, 'middle': -0.03, 'on_time': 0.0}
    members = [Member(name, lag_s, 0.08, power, accuracy, 1) for name, lag_s in lags_s.items()]
    slow, fast = (Coordinator('balanced', threshold).decide(members).configuration
                  for threshold in (10.0, 0.0))
    assert (slow, fast) == (2, 3)


def test_the_mode_changes_at_run_time(chance, build):
    members = build(chance, 5)
    coordinator = Coordinator('min_energy')
    for mode in MODES:
        coordinator.mode = mode
        assert coordinator.decide(members) == Coordinator(mode).decide(members)


def test_what_cannot_be_decided_is_refused(chance, build):
    with pytest.raises(ValueError, match='balanced'):
        Coordinator('fast')
    for threshold in (-0.1, math.nan):
        with pytest.raises(ValueError, match='threshold'):
            Coordinator('balanced', threshold)
    with pytest.raises(ValueError, match='no members'):
        Coordinator().decide([])


def test_the_horizon_is_the_deadline_unless_it_is_said(chance, build):
    member, = build(chance, 1)
    member = dataclasses.replace(member, lag_s=-0.5 * member.deadline_s, horizon_s=None)
    assert member.needed_speedup == pytest.approx(2.0)
    shorter = dataclasses.replace(member, horizon_s=0.75 * member.deadline_s)
    assert shorter.needed_speedup == pytest.approx(3.0)


@pytest.mark.parametrize('mode', MODES)
def test_no_configuration_leaves_more_to_variants_than_they_can_give(mode):
    power = SpeedupPowerTable([1.0, 2.0, 4.0], [1.0, 2.0, 4.0])
    # one that is on time would do with the middle, one that is behind needs twice as much
    lags_s = {'on_time': 0.0, 'behind': -0.02}
    for gain, least in ((1.0, 2), (2.0, 1)):
        accuracy = SpeedupAccuracyTable([1.0, gain], [1.0, 0.5])
        members = [Member(name, lag_s, 0.04, power, accuracy, 1)
                   for name, lag_s in lags_s.items()]
        assert Coordinator(mode).decide(members).configuration >= least
    assert Coordinator('min_energy').decide(members).configuration == 1


@given(seed=seeds, mode=st.sampled_from(sorted(MODES)))
def test_everyone_is_in_time_if_any_proposal_suffices(seed, mode, build):
    chance = random.Random(seed)
    members = build(chance, chance.randint(1, 5))
    proposals = propose(members)
    decision = Coordinator(mode).decide(members)
    if any(suffices(proposal.configuration, proposals) for proposal in proposals):
        for member in members:
            variant = decision.variants[member.instance]
            assert (member.speedup_accuracy.speedup[variant]
                    >= decision.speedups[member.instance] * (1.0 - CLOSE))


@pytest.mark.parametrize('mode', MODES)
def test_who_is_beyond_help_has_the_device_at_its_fastest(mode):
    power = SpeedupPowerTable([1.0, 2.0, 4.0], [1.0, 2.0, 4.0])
    accuracy = SpeedupAccuracyTable([1.0, 1.2], [1.0, 0.5])
    members = [Member(name, lag_s, 0.04, power, accuracy, 2)
               for name, lag_s in (('ahead', 0.02), ('behind', -0.03))]
    assert Coordinator(mode).decide(members).configuration == 2
