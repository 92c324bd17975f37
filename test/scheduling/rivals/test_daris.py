"""DARIS' rules: streams, recent maxima, virtual deadlines, admission and eight levels."""

import collections
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.rivals import make_known
from s3dnn_ros.scheduling.rivals.daris import HIGH, LOW, WINDOW, Daris

STREAMS = 2
PRIORITIES = (0, 0, 1, 2)


def chain(work):
    return [] if work is None else [work, *chain(work.successor)]


class Observed(Daris):
    """DARIS, beside a plain reckoning of what its rules ask for, which keeps all that happened."""

    def __init__(self, streams=STREAMS):
        super().__init__(streams)
        self.multiples = collections.defaultdict(list)      # by instance and segment
        self.arrived_s, self.high, self.active = {}, {}, {}
        self.due_s, self.behind, self.began_s = {}, {}, {}
        self.keys = {}              # (level, virtual deadline, arrival) of accepted stages
        self.expected, self.refused = set(), set()
        self.numbers = itertools.count()
        self.rounds = []            # (accepted keys before, dispatch)

    def enqueue(self, work, now_s):
        job, high = (work.instance, work.deadline_s), work.priority >= 1
        if work.segment == 0:
            times_s = [stage.time_s * max(self.multiples[stage.instance, stage.segment][-WINDOW:]
                                          or [1.0]) for stage in chain(work)]
            allowed_s = work.deadline_s - now_s
            period_s = now_s - self.arrived_s.get(work.instance, now_s) or allowed_s
            utilization = sum(times_s) / period_s if allowed_s < float('inf') else 0.0
            self.arrived_s[work.instance] = now_s
            for stage, end_s in zip(chain(work), itertools.accumulate(times_s)):
                self.due_s[job, stage.segment] = now_s + allowed_s * (end_s / sum(times_s))
            self.behind[job] = False
            used = sum(self.high.values()) + sum(self.active.values())
            if not high and used + utilization > STREAMS:
                self.expected.add(id(work))
            elif high:
                self.high[work.instance] = utilization
            else:
                self.active[job] = utilization
        if id(work) not in self.expected:
            level = 4 * (not high) + 2 * (work.successor is not None) + (not self.behind[job])
            self.keys[id(work)] = (level, self.due_s[job, work.segment], next(self.numbers))
        super().enqueue(work, now_s)

    def dequeue(self, now_s):
        keys = dict(self.keys)
        dispatch = super().dequeue(now_s)
        self.rounds.append((keys, dispatch))
        self.refused |= set(map(id, dispatch.refuse))
        for work in dispatch.submit:
            self.began_s[id(work)] = now_s
            if self.keys.pop(id(work), None) is None:
                # refused, and still here: it makes way for others
                self.active[work.instance, work.deadline_s] = 0.0
        return dispatch

    def complete(self, work, now_s):
        super().complete(work, now_s)
        took_s, job = now_s - self.began_s[id(work)], (work.instance, work.deadline_s)
        if took_s > 0.0:
            self.multiples[work.instance, work.segment].append(took_s / work.time_s)
        self.behind[job] = now_s > self.due_s[job, work.segment]
        if work.successor is None:
            self.active.pop(job, None)

    def withdraw(self, work):
        if self.keys.pop(id(work), None):
            self.active.pop((work.instance, work.deadline_s), None)
        return super().withdraw(work)


def observed(data, kit):
    """Return DARIS after a story, and the device that it ran on.

    No two jobs of one instance have the same deadline.
    """
    scheduler = Observed()
    story, numbers = data.draw(kit.stories(priorities=PRIORITIES)), itertools.count()
    for what, detail in story:
        for values in detail if what == 'arrive' else ():
            values['slack_s'] += 1e-6 * next(numbers)
    return scheduler, kit.tell(story, scheduler)


@given(data=st.data())
def test_every_stream_runs_one_stage_and_none_stands_still_while_stages_wait(data, kit):
    scheduler, machine = observed(data, kit)
    for turn, (accepted, dispatch) in zip(machine.rounds, scheduler.rounds):
        count = len(turn.running) + len(dispatch.submit)
        assert count <= STREAMS
        assert count == STREAMS or set(accepted) <= set(kit.ids(dispatch.submit))


@given(data=st.data())
def test_the_most_urgent_level_goes_first_and_in_it_the_earliest_virtual_deadline(data, kit):
    scheduler, _ = observed(data, kit)
    for accepted, dispatch in scheduler.rounds:
        chosen = [id(work) for work in dispatch.submit if id(work) in accepted]
        assert chosen == sorted(accepted, key=accepted.__getitem__)[:len(chosen)]


@given(data=st.data())
def test_refused_are_jobs_of_low_priority_that_do_not_fit_and_no_others(data, kit):
    scheduler, _ = observed(data, kit)
    assert scheduler.refused == scheduler.expected


@given(data=st.data())
def test_the_device_prefers_stages_of_high_priority(data, kit):
    scheduler, _ = observed(data, kit)
    for _, dispatch in scheduler.rounds:
        assert dispatch.levels == tuple(
            HIGH if work.priority >= 1 else LOW for work in dispatch.submit)


def first_of(kit, *works, streams=1):
    """Return which work starts first on an idle device."""
    machine = kit.Machine(Daris(streams))
    machine.arrive(*works)
    return machine.dequeue()[0]


def test_a_stages_virtual_deadline_is_its_share_of_the_jobs_deadline(kit):
    # two stages of 10 ms, 100 ms for both: 50 ms for the first
    job = kit.work('a', time_s=0.01, slack_s=0.08, successors=(1.0,))
    # four stages: a quarter of the deadline for the first
    for deadline_s, is_first in ((0.19, True), (0.21, False)):
        other = kit.work('b', time_s=0.01, slack_s=deadline_s - 0.04, successors=(1.0,) * 3)
        assert (first_of(kit, job, other) is other) == is_first
        assert (first_of(kit, other, job) is other) == is_first
    # a recent maximum of one stage takes from the others
    scheduler = Daris(1)
    slow = kit.work('c', time_s=0.01, slack_s=0.08, successors=(1.0,))
    scheduler.enqueue(slow, 0.0)
    scheduler.dequeue(0.0)
    scheduler.complete(slow, 0.03)
    scheduler.enqueue(slow.successor, 0.03)
    scheduler.dequeue(0.03)
    scheduler.complete(slow.successor, 0.04)
    # the first stage now has three quarters: 75 ms of 100, and the other job's first 60
    again = kit.work('c', time_s=0.01, slack_s=0.08, successors=(1.0,), now_s=1.0)
    other = kit.work('d', time_s=0.01, slack_s=0.1, successors=(1.0,), now_s=1.0)
    scheduler.enqueue(again, 1.0)
    scheduler.enqueue(other, 1.0)
    assert scheduler.dequeue(1.0).submit == (other,)


def test_high_priority_goes_before_low_and_a_last_stage_before_others(kit):
    low_last = kit.work('a', slack_s=0.0)
    high = kit.work('b', slack_s=0.5, successors=(1.0,), priority=1)
    high_last = kit.work('c', slack_s=0.9, priority=1)
    machine = kit.Machine(Daris(1))
    machine.arrive(low_last, high, high_last)
    machine.drain()
    assert kit.ids(machine.started) == kit.ids([high_last, high, high.successor, low_last])


def test_a_stage_whose_predecessor_ended_too_late_goes_before_its_equals(kit):
    scheduler = Daris(1)
    late = kit.work('a', time_s=0.01, slack_s=0.47, successors=(1.0, 1.0))
    scheduler.enqueue(late, 0.0)
    scheduler.dequeue(0.0)
    other = kit.work('b', time_s=0.01, slack_s=0.05, successors=(1.0, 1.0), now_s=0.2)
    scheduler.enqueue(other, 0.2)       # earlier by its virtual deadline
    scheduler.complete(late, 0.2)       # its own was at a third of 0.5 s
    scheduler.enqueue(late.successor, 0.2)
    assert scheduler.dequeue(0.2).submit == (late.successor,)


@pytest.mark.parametrize('quick_runs, refuses', [(WINDOW - 1, True), (WINDOW, False)])
def test_a_slow_run_keeps_its_task_out_until_there_were_so_many_others(kit, quick_runs, refuses):
    scheduler, now_s = Daris(1), 0.0
    for took_s in (0.05, *[0.01] * quick_runs):
        work = kit.work(slack_s=1.0, now_s=now_s)
        scheduler.enqueue(work, now_s)
        scheduler.dequeue(now_s)
        scheduler.complete(work, now_s + took_s)
        now_s += 1.0
    # the last job came a second ago: what is missing of a stream others take
    scheduler.enqueue(kit.work('high', time_s=0.097, slack_s=0.003, priority=1, now_s=now_s),
                      now_s)
    work = kit.work(slack_s=1.0, now_s=now_s)
    scheduler.enqueue(work, now_s)
    assert (work in scheduler.dequeue(now_s).refuse) == refuses


def test_a_job_that_was_given_up_between_two_stages_leaves_its_place(kit):
    scheduler = Daris(1)
    given_up = kit.work('a', time_s=0.4, slack_s=0.2, successors=(1.0,))
    scheduler.enqueue(given_up, 0.0)
    scheduler.dequeue(0.0)
    scheduler.complete(given_up, 0.9)
    scheduler.dequeue(0.9)
    work = kit.work('b', time_s=0.5, slack_s=0.3, now_s=1.0)
    scheduler.enqueue(work, 1.0)
    assert scheduler.dequeue(1.0).submit == (work,)


def test_a_job_that_comes_again_in_another_batch_is_no_new_arrival(kit):
    scheduler = Daris(1)
    for now_s in (0.0, 1.0):
        work = kit.work('a', time_s=0.5, slack_s=0.4, now_s=now_s)
        scheduler.enqueue(work, now_s)
        assert scheduler.dequeue(now_s).submit == (work,)
        scheduler.complete(work, now_s + 0.5)
    scheduler.enqueue(kit.work('high', slack_s=0.99, priority=1, now_s=2.0), 2.0)
    first = kit.work('a', time_s=0.5, slack_s=0.4, now_s=2.0)
    scheduler.enqueue(first, 2.0)
    assert scheduler.withdraw(first)
    # a millisecond later, with another request behind it: half of a stream, not 600 of them
    again = kit.work('a', time_s=0.6, slack_s=first.deadline_s - 2.001 - 0.6, now_s=2.001)
    assert again.deadline_s == first.deadline_s
    scheduler.enqueue(again, 2.001)
    assert not scheduler.dequeue(2.001).refuse


def test_refused_work_that_nobody_drops_runs_when_nothing_else_wants_to(kit):
    machine = kit.Machine(make_known('daris', streams=1))
    late, other = kit.work('a', slack_s=-0.5, successors=(1.0,)), kit.work('b', slack_s=0.5)
    machine.arrive(late, other)
    machine.drain()
    assert kit.ids(machine.started) == kit.ids([other, late, late.successor])


@pytest.mark.parametrize('streams', [0, -1, 1.5, True, 'two'])
def test_streams_are_a_whole_number_from_one(streams):
    with pytest.raises(ValueError, match=r'daris.*streams'):
        Daris(streams)
