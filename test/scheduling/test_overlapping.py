"""Overlapping: beyond the capacity only where slack allows it, and levels of urgency."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.overlap import RESERVE
from s3dnn_ros.scheduling.overlapping import Overlapping

ROUNDING = 1e-9
DELAYS_S = st.sampled_from([0.0, 3e-5, 1e-4])    # of successors
AMPLE_S = (0.02, 0.03, 0.05, math.inf)
ORDERS = st.sampled_from(['slack', 'deadline'])


def tb_ratio(works):
    return sum(work.tb_ratio for work in works)


def in_order(works, order='slack'):
    """Sort by priority, and by slack or deadline; those in the list's order that are equal."""
    return sorted(works, key=lambda work: (
        -work.priority, work.slack_s(0.0) if order == 'slack' else work.deadline_s))


def load_s(works, of='time_s'):
    """Return how long works keep the whole device busy, one after another."""
    return sum(getattr(work, of) * min(1.0, work.utilization) for work in works)


def utilization(works):
    return sum(work.utilization for work in works)


def in_time_or_lost(work, others_s, now_s):
    """Tell whether others may take so much time of the whole device first."""
    slack_s, spare_s = work.slack_s(now_s), work.time_s * max(0.0, 1.0 - work.utilization)
    return slack_s < 0.0 or others_s - spare_s <= (1.0 - RESERVE) * slack_s + ROUNDING


OPTIONS = {'max_passes': st.sampled_from([1, 3, 64]), 'order': ORDERS,
           'levels': st.just(1)}


@pytest.mark.parametrize('share', [tb_ratio, utilization])
@given(data=st.data(), delay_s=DELAYS_S, capacity=st.sampled_from([0.5, 1.0, 2.0]),
       options=st.fixed_dictionaries(OPTIONS))
def test_all_that_runs_stays_in_time_whatever_order_the_device_takes(
        share, data, delay_s, capacity, options, kit):
    scheduler = Overlapping(capacity, share.__name__, **options)
    story = data.draw(kit.stories(priorities=(0, 0, 1), slacks_s=(-0.01, 0.0, *AMPLE_S)))
    for turn in kit.tell(story, scheduler, delay_s).rounds:
        running = list(turn.running)
        for joining in turn.dispatch.submit:
            if running and share([*running, joining]) > capacity + ROUNDING:
                for work in running:
                    others_s = load_s([*running, joining]) - load_s([work])
                    assert in_time_or_lost(work, others_s, turn.now_s)
            running.append(joining)


@given(data=st.data(), delay_s=DELAYS_S)
def test_what_would_go_without_still_goes_while_the_device_is_idle(
        data, delay_s, kit):
    story = data.draw(kit.stories(slacks_s=AMPLE_S))
    machine = kit.tell(story, Overlapping(order='slack'), delay_s)
    for turn in machine.rounds:
        if turn.queued and not turn.running and not turn.coming:
            assert turn.dispatch.submit
            assert in_order(turn.queued)[0] is turn.dispatch.submit[0]


@given(data=st.data(), delay_s=DELAYS_S)
def test_nothing_goes_while_higher_priority_stays_queued(data, delay_s, kit):
    machine = kit.tell(data.draw(kit.stories(priorities=(0, 1, 2))), Overlapping(),
                       delay_s)
    for turn in machine.rounds:
        lowest = min((work.priority for work in turn.dispatch.submit), default=math.inf)
        assert all(work.priority <= lowest for work in turn.left)


# examples

@pytest.mark.parametrize('slack_s, together', [(0.5, 3), (0.15, 2), (0.05, 1), (-1.0, 3)])
def test_as_many_join_as_the_tightest_bears(slack_s, together, kit):
    machine = kit.Machine(Overlapping(order='slack'))
    machine.arrive(kit.work(tb_ratio=1.0, slack_s=slack_s, time_s=0.01),
                   *(kit.work(tb_ratio=2.0, slack_s=10.0, time_s=0.01) for _ in range(2)))
    assert len(machine.dequeue()) == together


def test_work_counts_for_no_more_than_its_part_of_the_device(kit):
    machine = kit.Machine(Overlapping(order='slack'))
    # each leaves 5 ms of its 10 to others and takes 5 of theirs: the fourth would be too much
    machine.arrive(*(
        dataclasses.replace(kit.work(tb_ratio=1.0, slack_s=0.06, time_s=0.01), utilization=0.5)
        for _ in range(4)))
    assert len(machine.dequeue()) == 3


# levels

def levels_of(machine):
    """Return the levels of all that runs, in order of slack, after one more dequeue."""
    machine.dequeue()
    levels = {id(work): level for turn in machine.rounds
              for work, level in zip(turn.dispatch.submit, turn.dispatch.levels)}
    turn = machine.rounds[-1]
    running = [*turn.running, *turn.dispatch.submit]
    return [levels[id(work)] for work in in_order(running)]


def test_without_levels_the_device_is_told_none(kit):
    machine = kit.Machine(Overlapping())
    machine.arrive(kit.work(tb_ratio=0.1))
    machine.dequeue()
    assert machine.rounds[-1].dispatch.levels == ()


def test_what_comes_before_all_that_runs_starts_at_once_where_the_device_prefers_it(kit):
    machine = kit.Machine(Overlapping(order='slack', levels=6))
    for slack_s in (0.03, 0.02, 0.01):
        machine.arrive(kit.work(tb_ratio=1.0, slack_s=slack_s, time_s=0.01))
        levels = levels_of(machine)
        assert levels == sorted(levels)
    assert len(levels) == 3
    # it would hold the others up for longer than they can bear, though the device prefers them
    machine.arrive(kit.work(tb_ratio=1.0, slack_s=0.4, time_s=0.01))
    assert machine.dequeue() == []


@given(data=st.data(), count=st.sampled_from([2, 3, 6]))
def test_levels_are_those_of_the_device_and_a_group_has_them_in_its_order(data, count, kit):
    story = data.draw(kit.stories(slacks_s=AMPLE_S))
    for turn in kit.tell(story, Overlapping(levels=count)).rounds:
        levels = turn.dispatch.levels
        assert len(levels) == len(turn.dispatch.submit)
        assert all(0 <= level < count for level in levels)


@given(slacks_s=st.lists(st.integers(1, 50), min_size=1, max_size=5, unique=True))
def test_one_after_the_other_they_keep_apart_as_long_as_there_is_room(slacks_s, kit):
    machine = kit.Machine(Overlapping(order='slack', levels=64))
    for slack_s in slacks_s:
        machine.arrive(kit.work(tb_ratio=0.1, slack_s=float(slack_s)))
        levels = levels_of(machine)
    assert levels == sorted(set(levels))


# options

@pytest.mark.parametrize('option, value', [
    ('capacity', 0.0), ('capacity', math.nan), ('capacity', True), ('share', 'memory'),
    ('order', 'arrival'), ('levels', 0), ('levels', 1.5), ('max_passes', 0)])
def test_an_option_out_of_range_is_refused_in_a_sentence(option, value):
    with pytest.raises(ValueError, match=f"scheduler 'overlapping': {option} is .*; expected "):
        Overlapping(**{option: value})


@given(data=st.data(), order=ORDERS, levels=st.sampled_from([1, 3]))
def test_all_runs_in_the_end_and_nothing_is_remembered(data, order, levels, kit):
    machine = kit.tell(data.draw(kit.stories()), Overlapping(order=order, levels=levels))
    assert not machine.queued and not machine.running
    memory = [value for value in vars(machine.scheduler).values() if hasattr(value, '__len__')]
    assert memory and not any(memory)


@given(data=st.data(), order=ORDERS)
def test_what_starts_on_an_idle_device_is_the_first_in_the_order(data, order, kit):
    machine = kit.Machine(Overlapping(order=order, max_passes=10**9))
    works = [kit.work(tb_ratio=1.0, slack_s=slack_s, time_s=time_s)
             for slack_s, time_s in data.draw(st.lists(st.tuples(
                 st.floats(0.0, 1.0), st.floats(0.001, 0.1)), min_size=1, max_size=8))]
    machine.arrive(*works)
    assert machine.dequeue()[0] is in_order(works, order)[0]
