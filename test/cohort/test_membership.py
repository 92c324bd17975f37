"""Who is in the cohort, whatever is heard, and whenever."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.limits import LONGEST_NAME
from s3dnn_ros.cohort.membership import MOST_MEMBERS, Membership, MemberState

LEASE_S = 1.0
STATE = MemberState('board', 'process', 'net', 'model', 0, 2, 0.001, 0.04, 0.02, 3, 0)


def state(**changes):
    return dataclasses.replace(STATE, **changes)


@pytest.fixture
def membership():
    return Membership('board', LEASE_S)


def test_the_newest_state_of_each_counts_and_who_spoke_last_is_last(membership):
    states = [state(instance='b'), state(instance='a'), state(instance='b', sequence=1, lag_s=0.0)]
    assert all(membership.hear(one, 0.0) for one in states)
    assert membership.members(0.0) == (states[1], states[2])
    assert not membership.ignored


def test_who_leaves_is_gone_at_once_and_may_come_back(membership):
    membership.hear(state(), 0.0)
    membership.hear(state(sequence=1, leaves=True), 0.1)
    assert membership.members(0.1) == ()
    membership.hear(state(sequence=2), 0.2)
    assert len(membership.members(0.2)) == 1


def test_who_is_silent_is_gone_after_the_lease(membership):
    membership.hear(state(), 5.0)
    membership.hear(state(instance='other'), 5.5)
    assert len(membership.members(5.0 + LEASE_S)) == 2
    assert [one.instance for one in membership.members(5.1 + LEASE_S)] == ['other']


def test_a_clock_that_jumps_back_begins_the_lease_again(membership):
    membership.hear(state(), 1000.0)
    assert len(membership.members(10.0)) == 1
    assert len(membership.members(10.0 + LEASE_S)) == 1
    assert membership.members(10.1 + LEASE_S) == ()


def test_a_clock_that_jumps_ahead_forgets_until_the_next_word(membership):
    membership.hear(state(), 0.0)
    assert membership.members(1e6) == ()
    membership.hear(state(sequence=1), 1e6)
    assert len(membership.members(1e6)) == 1


def test_a_restart_begins_to_count_anew(membership):
    membership.hear(state(sequence=900), 0.0)
    restarted = state(process='another', sequence=0)
    assert membership.hear(restarted, 0.1)
    assert membership.members(0.1) == (restarted,)
    # and it is the last one that spoke, however long its predecessor is known
    membership.hear(state(instance='other'), 0.2)
    membership.hear(dataclasses.replace(restarted, sequence=1), 0.3)
    assert [one.instance for one in membership.members(0.3)] == ['other', restarted.instance]


@pytest.mark.parametrize('changes, reason', [
    ({'board': 'another'}, 'board'), ({'lag_s': math.nan}, 'number'),
    ({'lag_s': -math.inf}, 'number'), ({'deadline_s': 0.0}, 'number'),
    ({'deadline_s': math.nan}, 'number'), ({'horizon_s': -0.1}, 'number'),
    ({'lag_s': 0.041}, 'lag'), ({'lag_s': -41.0}, 'lag')])
def test_what_cannot_be_is_ignored_and_counted(membership, changes, reason):
    assert not membership.hear(state(**changes), 0.0)
    assert membership.members(0.0) == () and membership.ignored == {reason: 1}
    # and does not make a later word look old
    assert membership.hear(state(), 0.0)


@given(st.permutations(range(6)))
def test_words_that_overtake_each_other_leave_the_newest(order):
    membership = Membership('board', LEASE_S)
    for sequence in order:
        membership.hear(state(sequence=sequence, segment=sequence), 0.0)
    assert [one.segment for one in membership.members(0.0)] == [5]
    newest = [sequence for index, sequence in enumerate(order) if sequence > max(
        order[:index], default=-1)]
    assert membership.ignored['old'] == 6 - len(newest)


def test_the_last_word_of_the_old_process_does_not_end_the_new_one(membership):
    membership.hear(state(), 0.0)
    restarted = state(process='another')
    membership.hear(restarted, 0.1)
    membership.hear(state(sequence=1, leaves=True), 0.2)
    assert membership.members(0.2) == (restarted,)


def test_a_word_that_was_overtaken_by_the_last_one_brings_nobody_back(membership):
    membership.hear(state(sequence=5, leaves=True), 0.0)
    assert not membership.hear(state(sequence=4), 0.1)
    assert membership.members(0.1) == ()


@pytest.mark.parametrize('lease_s', [0.0, -1.0, math.nan, math.inf])
def test_a_lease_has_an_end(lease_s):
    with pytest.raises(ValueError, match='lease_s'):
        Membership('board', lease_s)


def crowd(membership, count, now_s):
    return [membership.hear(state(process=f'p{number}', instance=f'i{number}'), now_s)
            for number in range(count)]


def test_no_more_members_are_heard_than_every_decision_can_look_at(membership, said):
    assert crowd(membership, 5 * MOST_MEMBERS, 0.0) == (
        [True] * MOST_MEMBERS + [False] * 4 * MOST_MEMBERS)
    assert membership.ignored == {'crowd': 4 * MOST_MEMBERS}
    assert len(membership.members(0.0)) == MOST_MEMBERS
    (sentence,) = said
    assert f'p{MOST_MEMBERS}' in sentence and 'cohort/states' in sentence
    # members speak on, and our own instances are always heard
    assert membership.hear(state(process='p0', instance='i0', sequence=1), 0.1)
    assert membership.hear(state(process='me', instance='mine'), 0.1, is_ours=True)
    assert 'mine' in [one.instance for one in membership.members(0.1)]


def test_there_is_room_again_when_members_are_silent(membership):
    crowd(membership, MOST_MEMBERS, 0.0)
    assert membership.hear(state(instance='late'), 0.1 + LEASE_S)
    assert [one.instance for one in membership.members(0.1 + LEASE_S)] == ['late']


@pytest.mark.parametrize('field', ['process', 'instance', 'model'])
def test_names_without_end_are_not_kept(membership, field):
    assert not membership.hear(state(**{field: 'x' * (LONGEST_NAME + 1)}), 0.0)
    assert membership.ignored == {'name': 1}
