"""What every policy promises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.scheduling.rivals import KNOWN, make_known


@pytest.mark.parametrize('name', KNOWN)
@settings(max_examples=40)
@given(data=st.data())
def test_nothing_is_lost_or_runs_twice(name, data, kit):
    machine = kit.Machine(make_known(name))
    arrived = [kit.work(slack_s=slack_s, tb_ratio=ratio) for slack_s, ratio in data.draw(
        st.lists(st.tuples(st.floats(-1.0, 1.0), st.sampled_from([0.2, 0.5, 1.5])), max_size=20))]
    machine.arrive(*arrived)
    assert sorted(kit.ids(machine.drain())) == sorted(kit.ids(arrived))


@pytest.mark.parametrize('name', KNOWN)
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_happens_the_device_gets_through_with_its_work(name, data, kit):
    machine = kit.tell(data.draw(kit.stories(priorities=(0, 0, 1))), make_known(name))
    assert not machine.queued
    assert machine.scheduler.next_wake_s(machine.now_s) is None
    assert len(set(kit.ids(machine.started))) == len(machine.started)
    for turn in machine.rounds:
        assert set(kit.ids(turn.dispatch.submit)) <= set(kit.ids(turn.queued))
        assert set(kit.ids(turn.dispatch.reserved)) <= set(kit.ids(turn.left))


@pytest.mark.parametrize('name', KNOWN)
def test_queued_work_can_be_withdrawn_once_and_submitted_work_never(name, kit):
    machine = kit.Machine(make_known(name))
    first, second = kit.work(slack_s=0.1), kit.work(slack_s=0.2)
    machine.arrive(first)
    machine.dequeue()
    machine.arrive(second)
    assert not machine.withdraw(first)
    assert machine.withdraw(second)
    assert not machine.withdraw(second)
    assert machine.drain() == [first]


@pytest.mark.parametrize('name', KNOWN)
def test_equals_go_in_the_order_of_their_arrival(name, kit):
    machine, arrived = kit.Machine(make_known(name)), [kit.work() for _ in range(5)]
    machine.arrive(*arrived)
    assert kit.ids(machine.drain()) == kit.ids(arrived)


@pytest.mark.parametrize('name', KNOWN)
def test_completing_work_that_does_not_run_changes_nothing(name, kit):
    scheduler, work = make_known(name), kit.work()
    scheduler.complete(kit.work(successors=(0.1,)), 0.0)
    scheduler.enqueue(work, 0.0)
    assert scheduler.dequeue(0.0).submit == (work,)
