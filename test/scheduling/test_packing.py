"""RT-mDL's rules of packing: two streams, and beside the more important work what fits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import Dispatch, make_scheduler
from s3dnn_ros.scheduling.packing import HIGH, LOW, Packing

THRESHOLDS = st.sampled_from([0.0, 0.7, 1.0, 1.5, 2.5])
PRIORITIES = (0, 1, 2, 3)


class Streams:
    """What is in each stream, as a scheduler's dispatches and completions have it."""

    def __init__(self):
        self.works = [None, None]

    def before(self, turn):
        """Return what HS and LS ran when a round began."""
        running = set(map(id, turn.running))
        self.works = [work if id(work) in running else None for work in self.works]
        return list(self.works)

    def take(self, turn):
        """Put into the streams what a round submitted."""
        for work, level in zip(turn.dispatch.submit, turn.dispatch.levels):
            assert self.works[level] is None, 'two works in one stream'
            self.works[level] = work


def in_order(queued):
    """Return queued work by priority, then deadline; sorted keeps the order of arrival."""
    return sorted(queued, key=lambda work: (-work.priority, work.deadline_s))


def rounds_of(data, kit, threshold=None, share='utilization'):
    """Return (round, HS and LS before it, HS and LS behind it) of a story, and its threshold."""
    threshold = data.draw(THRESHOLDS) if threshold is None else threshold
    machine = kit.tell(data.draw(kit.stories(priorities=PRIORITIES)), Packing(threshold, share))
    streams, rounds = Streams(), []
    for turn in machine.rounds:
        before = streams.before(turn)
        streams.take(turn)
        rounds.append((turn, before, list(streams.works)))
    assert not machine.queued
    return rounds, threshold


def packs(high, low, threshold):
    return high.utilization + low.utilization < threshold and low.priority < high.priority


@given(data=st.data())
def test_each_stream_runs_one_at_a_time_and_every_work_has_a_stream(data, kit):
    rounds, _ = rounds_of(data, kit)
    for turn, before, after in rounds:
        assert len(turn.dispatch.levels) == len(turn.dispatch.submit) <= before.count(None)
        assert set(kit.ids(filter(None, after))) == set(
            kit.ids([*turn.running, *turn.dispatch.submit]))


@given(data=st.data())
def test_the_first_goes_to_hs_only_if_it_is_more_important_than_ls(data, kit):
    rounds, _ = rounds_of(data, kit)
    for turn, (high, low), (high_after, _) in rounds:
        if high is not None:
            assert high_after is high
            continue
        first = next(iter(in_order(turn.queued)), None)
        goes = first is not None and (low is None or first.priority > low.priority)
        assert high_after is (first if goes else None)


@given(data=st.data())
def test_the_first_that_may_be_packed_goes_to_ls(data, kit):
    rounds, threshold = rounds_of(data, kit)
    for turn, (_, low), (high, low_after) in rounds:
        if low is not None:
            assert low_after is low
            continue
        others = [work for work in in_order(turn.queued) if work is not high]
        expected = high and next(
            (work for work in others if packs(high, work, threshold)), None)
        assert low_after is expected


@given(data=st.data())
def test_nothing_begins_in_ls_against_the_condition(data, kit):
    rounds, threshold = rounds_of(data, kit)
    for turn, _, (high, low) in rounds:
        if LOW in turn.dispatch.levels:
            assert packs(high, low, threshold)


@given(data=st.data())
def test_what_hs_runs_is_always_more_important_than_ls(data, kit):
    """So that a device that tells levels apart always prefers the right one."""
    rounds, _ = rounds_of(data, kit)
    for _, _, (high, low) in rounds:
        assert high is None or low is None or high.priority > low.priority


@given(data=st.data())
def test_no_stream_is_left_empty_where_a_rule_lets_something_in(data, kit):
    rounds, threshold = rounds_of(data, kit)
    for turn, _, (high, low) in rounds:
        if high is None:
            assert not turn.left or (low and all(
                work.priority <= low.priority for work in turn.left))
        elif low is None:
            assert not any(packs(high, work, threshold) for work in turn.left)


@given(data=st.data())
def test_the_most_important_waits_for_no_more_than_what_runs(data, kit):
    """Who starves has others above it: once HS and LS end, the first goes, whatever came."""
    rounds, _ = rounds_of(data, kit)
    for turn, (high, low), (high_after, _) in rounds:
        if turn.queued and high is None and low is None:
            assert high_after is in_order(turn.queued)[0]


@given(data=st.data())
def test_with_a_threshold_of_zero_everything_runs_alone_in_hs(data, kit):
    rounds, _ = rounds_of(data, kit, threshold=0.0)
    for turn, _, (_, low) in rounds:
        assert low is None and len(turn.running) + len(turn.dispatch.submit) <= 1


@given(data=st.data())
def test_of_equal_priorities_none_is_packed_whatever_the_threshold(data, kit):
    machine = kit.tell(data.draw(kit.stories()), Packing(threshold=100.0))
    for turn in machine.rounds:
        assert LOW not in turn.dispatch.levels


def one(kit, priority, utilization=0.4, **values):
    return kit.work(tb_ratio=utilization, priority=priority, **values)


def test_the_condition_is_strict_in_both_parts(kit):
    """As the seed writes it: a sum of θ is too much, and so is an equal priority."""
    for other, packed in ((one(kit, 1, 0.5), False), (one(kit, 2, 0.25), False),
                          (one(kit, 1, 0.25), True)):
        machine = kit.Machine(Packing())
        machine.arrive(one(kit, 2, 0.5, slack_s=0.0), other)
        machine.dequeue()
        assert (other in machine.running) == packed


def test_one_that_does_not_fit_is_looked_past(kit):
    machine = kit.Machine(Packing())
    high, large, small = one(kit, 3, 0.6), one(kit, 2, 0.6), one(kit, 1, 0.3)
    machine.arrive(small, large, high)
    assert machine.dequeue() == [high, small]
    assert machine.rounds[-1].dispatch == Dispatch((high, small), (), (HIGH, LOW))


def test_hs_stays_empty_while_ls_runs_what_is_as_important(kit):
    machine = kit.Machine(Packing())
    high, low, equal = one(kit, 2), one(kit, 1), one(kit, 1)
    machine.arrive(high, low)
    machine.dequeue()
    machine.finish(high)
    machine.arrive(equal)
    assert machine.dequeue() == []
    urgent = one(kit, 2)
    machine.arrive(urgent)
    assert machine.dequeue() == [urgent]


def test_higher_priority_goes_next_at_the_end_of_a_segment(kit):
    """And what it interrupts may go on beside it, in LS."""
    machine = kit.Machine(Packing())
    long, urgent = one(kit, 1, successors=(0.4, 0.4)), one(kit, 2)
    machine.arrive(long)
    machine.dequeue()
    machine.arrive(urgent)
    assert machine.dequeue() == []
    machine.finish()
    assert machine.dequeue() == [urgent, long.successor]


def test_a_job_in_hs_keeps_hs_beside_what_is_packed(kit):
    machine = kit.Machine(Packing())
    high, low = one(kit, 2, successors=(0.4,)), one(kit, 1, time_s=0.1)
    machine.arrive(high, low)
    machine.dequeue()
    machine.finish(high)
    assert machine.dequeue() == [high.successor]
    assert machine.rounds[-1].dispatch.levels == (HIGH,)


def test_packed_work_can_be_withdrawn_before_it_starts_only(kit):
    machine = kit.Machine(Packing())
    high, low, waiting = one(kit, 2), one(kit, 1), one(kit, 0)
    machine.arrive(high, low, waiting)
    machine.dequeue()
    assert not machine.withdraw(high) and not machine.withdraw(low)
    assert machine.withdraw(waiting)
    assert machine.drain() == [high, low]


def test_a_threshold_that_is_set_holds_for_the_next_decision(kit):
    scheduler = Packing(threshold=0.0)
    machine = kit.Machine(scheduler)
    high, low = one(kit, 2), one(kit, 1)
    machine.arrive(high, low)
    assert machine.dequeue() == [high]
    scheduler.threshold = 1.0
    assert machine.dequeue() == [low]


def test_shares_may_be_thread_blocks(kit):
    def make(priority):
        return kit.work(tb_ratio=0.4, utilization=0.9, priority=priority)

    for share, submitted in (('utilization', 1), ('tb_ratio', 2)):
        machine = kit.Machine(make_scheduler('packing', share=share))
        machine.arrive(make(1), make(0))
        assert len(machine.dequeue()) == submitted


@pytest.mark.parametrize('option, value', [
    ('threshold', -0.1), ('threshold', math.nan), ('threshold', math.inf), ('threshold', '1'),
    ('threshold', True), ('share', 'half')])
def test_options_out_of_their_range_are_refused(option, value):
    with pytest.raises(ValueError, match=f"'packing': {option} is {value!r}"):
        Packing(**{option: value})


@pytest.mark.parametrize('value', [-1.0, math.nan, None])
def test_a_threshold_out_of_its_range_is_refused_and_the_old_one_stays(value):
    scheduler = Packing(0.5)
    with pytest.raises(ValueError, match='threshold'):
        scheduler.threshold = value
    assert scheduler.threshold == 0.5
