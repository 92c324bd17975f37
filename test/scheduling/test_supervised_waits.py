"""Supervised streaming, examples: reservations, and waits for successors."""

import dataclasses
import math

import pytest

from s3dnn_ros.scheduling.supervised import Supervised

WAIT_S = 50e-6


@pytest.fixture
def machine(kit):
    return kit.Machine(Supervised())


LOOK_AHEAD = dict(tb_ratio=0.7, slack_s=0.2, time_s=0.01, successors=(0.4,))


@pytest.fixture
def looking_ahead(machine, kit):
    """Return (machine, group, leader), the leader running and the group reserved."""
    group = [kit.work('a', 0.3, 0.05), kit.work('b', 0.3, 0.06)]
    leader = kit.work('leader', **LOOK_AHEAD)
    machine.arrive(*group, leader)
    assert machine.dequeue() == [leader]
    assert machine.rounds[-1].dispatch.reserved == tuple(group)
    return machine, group, leader


def test_a_group_lets_one_go_first_whose_successor_fills_it_up(looking_ahead):
    machine, group, leader = looking_ahead
    assert machine.dequeue() == []
    machine.finish()
    assert machine.dequeue() == [*group, leader.successor]


def test_without_look_ahead_the_group_goes_at_once(kit):
    machine = kit.Machine(Supervised(look_ahead=False))
    group = [kit.work('a', 0.3, 0.05), kit.work('b', 0.3, 0.06)]
    machine.arrive(*group, kit.work('leader', **LOOK_AHEAD))
    assert machine.dequeue() == group


@pytest.mark.parametrize('change', [
    dict(tb_ratio=0.4),                 # fits in by itself
    dict(successors=()),                # nothing to look ahead to
    dict(successors=(0.5,)),            # does not fit either
    dict(time_s=0.06),                  # longer than the group can wait
    dict(priority=-1),
], ids=str)
def test_a_group_does_not_wait_without_gain(change, machine, kit):
    group = [kit.work('a', 0.3, 0.05), kit.work('b', 0.3, 0.06)]
    machine.arrive(*group, kit.work('leader', **{**LOOK_AHEAD, **change}))
    assert machine.dequeue()[:2] == group
    assert machine.rounds[-1].dispatch.reserved == ()


def test_an_arrival_with_less_slack_ends_the_reservation(looking_ahead, kit):
    machine, group, leader = looking_ahead
    urgent = kit.work(tb_ratio=0.3, slack_s=0.01, time_s=0.02)
    machine.arrive(urgent)
    assert machine.dequeue() == [urgent]
    assert machine.rounds[-1].dispatch.reserved == ()
    assert machine.finish() is leader
    # everything was decided anew
    assert machine.dequeue() == group


def test_an_arrival_with_more_slack_does_not(looking_ahead, kit):
    machine, group, _ = looking_ahead
    machine.arrive(kit.work(tb_ratio=0.1, slack_s=0.3))
    assert machine.dequeue() == []
    assert machine.rounds[-1].dispatch.reserved == tuple(group)


def test_an_arrival_that_belongs_between_the_reserved_ends_the_reservation(looking_ahead, kit):
    machine, _, _ = looking_ahead
    machine.arrive(kit.work(tb_ratio=0.5, slack_s=0.055))
    machine.dequeue()
    assert machine.rounds[-1].dispatch.reserved == ()


def test_a_successor_has_its_room_before_others_with_less_slack(looking_ahead, kit):
    machine, group, leader = looking_ahead
    machine.arrive(kit.work(tb_ratio=0.4, slack_s=0.15))
    machine.dequeue()
    machine.finish()
    assert machine.dequeue() == [*group, leader.successor]


def test_a_successor_that_grew_too_large_does_not_join(looking_ahead):
    machine, group, leader = looking_ahead
    machine.scheduler.complete(leader, 0.01)
    machine.scheduler.enqueue(dataclasses.replace(leader.successor, tb_ratio=0.5), 0.01)
    assert machine.scheduler.dequeue(0.01).submit == tuple(group)


def test_only_one_of_two_alike_joins(looking_ahead, kit):
    machine, group, leader = looking_ahead
    machine.arrive(kit.work('leader', 0.4, 0.3, segment=1))
    machine.finish()
    assert machine.dequeue() == [*group, leader.successor]


def test_a_group_lets_one_leader_go_first_and_not_one_after_the_other(machine, kit):
    group = [kit.work('a', 0.2, 0.05), kit.work('b', 0.2, math.inf)]
    first, second = (kit.work(name, 0.9, 0.1, successors=(0.2,)) for name in ('c', 'd'))
    machine.arrive(*group, first, second)
    assert machine.dequeue() == [first]
    machine.finish()
    assert machine.dequeue() == [*group, first.successor]


def test_a_group_lets_leaders_go_first_no_more_often_than_allowed(kit):
    machine = kit.Machine(Supervised(max_passes=1))
    group = [kit.work('a', 0.2, 1.0), kit.work('b', 0.2, math.inf)]
    leaders = [kit.work(name, 0.9, math.inf, successors=(0.2,)) for name in ('c', 'd')]
    machine.arrive(*group, *leaders)
    assert machine.dequeue() == leaders[:1]
    between = kit.work('e', 0.2, 2.0)
    machine.arrive(between)
    machine.scheduler.complete(leaders[0], 0.01)
    assert machine.scheduler.dequeue(0.02).submit == (*group, between)


def test_a_leader_that_takes_too_long_ends_the_reservation(looking_ahead, kit):
    machine, group, _ = looking_ahead
    machine.now_s = machine.scheduler.next_wake_s(0.0)
    assert machine.now_s == pytest.approx(0.05)
    # the leader still runs, and leaves room for one of them
    assert machine.dequeue() == group[:1]
    assert machine.rounds[-1].dispatch.reserved == ()


def test_reserved_work_can_be_withdrawn_and_the_rest_is_decided_anew(looking_ahead):
    machine, (gone, stays), leader = looking_ahead
    assert machine.withdraw(gone)
    assert not machine.withdraw(gone)
    assert machine.dequeue() == [stays]
    assert machine.drain() == [leader, stays, leader.successor]


def test_a_reserved_group_waits_a_little_for_the_successor(looking_ahead):
    machine, group, leader = looking_ahead
    machine.scheduler.complete(leader, 0.01)
    assert machine.scheduler.dequeue(0.01).reserved == tuple(group)
    assert machine.scheduler.next_wake_s(0.01) == 0.01 + WAIT_S
    assert machine.scheduler.dequeue(0.01 + WAIT_S).submit == tuple(group)


def test_a_reserved_group_waits_for_no_successor_that_came_and_went(looking_ahead):
    machine, group, leader = looking_ahead
    machine.finish()
    machine.arrive(leader.successor)
    machine.coming.clear()
    assert machine.withdraw(leader.successor)
    assert machine.dequeue() == group


@pytest.fixture
def completed(machine, kit):
    """Return (machine, successor) right after a completion, before the successor arrives."""
    finished = kit.work('chain', 0.9, 0.01, successors=(0.6,))
    machine.arrive(finished)
    machine.dequeue()
    machine.scheduler.complete(finished, machine.now_s)
    return machine, finished.successor


def test_room_is_kept_for_a_successor_with_less_slack(completed, kit):
    machine, successor = completed
    fits, takes_its_room = kit.work(tb_ratio=0.3), kit.work(tb_ratio=0.5)
    machine.arrive(fits, takes_its_room)
    assert machine.dequeue() == [fits]
    machine.arrive(successor)
    assert machine.dequeue() == [successor]


def test_a_successor_that_does_not_come_is_not_waited_for_any_longer(completed, kit):
    machine, _ = completed
    other = kit.work(tb_ratio=1.0)
    machine.arrive(other)
    assert machine.dequeue() == []
    machine.now_s = machine.scheduler.next_wake_s(machine.now_s)
    assert machine.now_s == WAIT_S
    assert machine.dequeue() == [other]


def test_a_successor_with_more_slack_is_not_waited_for(completed, kit):
    machine, _ = completed
    urgent = kit.work(tb_ratio=1.0, slack_s=0.001)
    machine.arrive(urgent)
    assert machine.dequeue() == [urgent]


def test_nobody_waits_for_a_successor_if_told_so(kit):
    scheduler = Supervised(successor_wait_s=0.0)
    finished, other = kit.work('chain', successors=(0.6,), slack_s=0.1), kit.work()
    scheduler.enqueue(finished, 0.0)
    scheduler.dequeue(0.0)
    scheduler.enqueue(other, 0.0)
    scheduler.complete(finished, 0.0)
    assert scheduler.dequeue(0.0).submit == (other,)


def test_nobody_is_woken_for_an_empty_queue(completed):
    machine, _ = completed
    assert machine.scheduler.next_wake_s(machine.now_s) is None


def test_a_wake_that_was_missed_is_due_at_once(completed, kit):
    machine, _ = completed
    machine.arrive(kit.work())
    machine.dequeue()
    assert machine.scheduler.next_wake_s(1.0) == 1.0
