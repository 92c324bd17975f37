"""Clockwork's rules: one network at a time, recent maxima, latest starts, refusals."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.rivals import make_known
from s3dnn_ros.scheduling.rivals.clockwork import WINDOW, Clockwork


class Observed(Clockwork):
    """Clockwork, beside a reckoning of its predictions that keeps all runs."""

    def __init__(self):
        super().__init__()
        self.runs = collections.defaultdict(list)       # multiples, by instance
        self.began_s, self.expected_end_s = {}, {}
        self.refused = set()
        self.decisions = []     # (when, queued before, dispatch, predictions)
        self.queued = []

    def predicted_s(self, work):
        return work.remaining_s * max(self.runs[work.instance][-WINDOW:] or [1.0])

    def enqueue(self, work, now_s):
        super().enqueue(work, now_s)
        self.queued.append(work)

    def dequeue(self, now_s):
        queued = list(self.queued)
        predicted_s = {id(work): self.predicted_s(work) for work in queued}
        dispatch = super().dequeue(now_s)
        self.decisions.append((now_s, queued, dispatch, predicted_s, set(self.refused)))
        for work in dispatch.submit:
            self.began_s[id(work)] = now_s
            self.expected_end_s[id(work)] = now_s + predicted_s[id(work)]
            self._drop(work)
        self.refused |= set(map(id, dispatch.refuse))
        return dispatch

    def complete(self, work, now_s):
        super().complete(work, now_s)
        took_s = now_s - self.began_s[id(work)]
        if took_s > 0.0:
            self.runs[work.instance].append(took_s / work.remaining_s)

    def withdraw(self, work):
        self._drop(work)
        return super().withdraw(work)

    def _drop(self, work):
        self.queued = [other for other in self.queued if other is not work]


def observed(data, kit):
    """Return Clockwork after a story, and the device that it ran on."""
    scheduler = Observed()
    machine = kit.tell(data.draw(kit.stories()), scheduler)
    return scheduler, machine


@given(data=st.data())
def test_one_network_runs_at_a_time(data, kit):
    _, machine = observed(data, kit)
    for turn in machine.rounds:
        assert len(turn.running) + len(turn.dispatch.submit) <= 1


@given(data=st.data())
def test_what_must_start_first_goes_first_unless_it_was_refused(data, kit):
    scheduler, _ = observed(data, kit)
    for _, queued, dispatch, predicted_s, refused in scheduler.decisions:
        if not dispatch.submit:
            continue
        refused = refused | set(map(id, dispatch.refuse))
        accepted = [work for work in queued if id(work) not in refused]
        (chosen,) = dispatch.submit
        if accepted:
            assert chosen is min(
                accepted, key=lambda work: work.deadline_s - predicted_s[id(work)])
        else:
            # told in a decision before: whoever may drop it has done so
            assert id(chosen) in refused - set(map(id, dispatch.refuse))


@given(data=st.data())
def test_refused_is_what_would_be_late_if_it_ran_next(data, kit):
    scheduler, machine = observed(data, kit)
    for turn, (now_s, queued, dispatch, predicted_s, refused) in zip(
            machine.rounds, scheduler.decisions):
        free_s = max([now_s, *(scheduler.expected_end_s[id(work)] for work in turn.running)])
        for work in queued:
            if id(work) not in refused:
                late = work.deadline_s - predicted_s[id(work)] < free_s
                assert (id(work) in set(map(id, dispatch.refuse))) == late


@given(data=st.data())
def test_nothing_that_was_not_refused_starts_too_late(data, kit):
    scheduler, _ = observed(data, kit)
    for now_s, _, dispatch, predicted_s, refused in scheduler.decisions:
        for work in dispatch.submit:
            if id(work) not in refused:
                assert now_s <= work.deadline_s - predicted_s[id(work)]


def run(scheduler, work, now_s, took_s):
    """Run work alone; return when it ended."""
    scheduler.enqueue(work, now_s)
    assert scheduler.dequeue(now_s).submit == (work,)
    scheduler.complete(work, now_s + took_s)
    return now_s + took_s


@pytest.mark.parametrize('quick_runs, refuses', [(WINDOW - 1, True), (WINDOW, False)])
def test_a_slow_run_counts_until_there_were_so_many_others(kit, quick_runs, refuses):
    scheduler, now_s = Clockwork(), 0.0
    for took_s in (0.05, *[0.01] * quick_runs):
        now_s = run(scheduler, kit.work(now_s=now_s), now_s, took_s)
    work = kit.work(slack_s=0.02, now_s=now_s)
    scheduler.enqueue(work, now_s)
    assert (scheduler.dequeue(now_s).refuse == (work,)) == refuses


def test_it_refuses_at_arrival_what_the_running_network_makes_late(kit):
    scheduler = Clockwork()
    first, late = kit.work(time_s=0.03), kit.work(time_s=0.01, slack_s=0.015)
    scheduler.enqueue(first, 0.0)
    scheduler.dequeue(0.0)
    scheduler.enqueue(late, 0.01)
    assert scheduler.dequeue(0.01).refuse == (late,)
    # told once
    assert scheduler.dequeue(0.011).empty
    assert scheduler.withdraw(late)


def test_refused_work_that_nobody_drops_runs_when_nothing_else_wants_to(kit):
    machine = kit.Machine(make_known('clockwork'))
    late, other = kit.work(slack_s=-0.5), kit.work(slack_s=0.5)
    machine.arrive(late, other)
    assert machine.drain() == [other, late]


def test_what_was_dropped_as_it_was_to_start_teaches_nothing(kit):
    scheduler = Clockwork()
    run(scheduler, kit.work(), 0.0, 0.05)
    for _ in range(WINDOW):
        run(scheduler, kit.work(now_s=1.0), 1.0, 0.0)
    work = kit.work(slack_s=0.02, now_s=1.0)
    scheduler.enqueue(work, 1.0)
    assert scheduler.dequeue(1.0).refuse == (work,)


LEAD_S = 0.002


def test_with_a_lead_the_next_is_sent_shortly_before_the_predicted_end(kit):
    scheduler = Clockwork(LEAD_S)
    first, second, third = (kit.work(name, time_s=0.01) for name in 'abc')
    scheduler.enqueue(first, 0.0)
    assert scheduler.dequeue(0.0).submit == (first,)
    assert scheduler.next_wake_s(0.0) is None
    for work in (second, third):
        scheduler.enqueue(work, 0.001)
    assert scheduler.dequeue(0.001).empty
    assert scheduler.next_wake_s(0.001) == pytest.approx(0.008)
    assert scheduler.dequeue(0.008).submit == (second,)
    # two are on the device
    assert scheduler.dequeue(0.009).empty and scheduler.next_wake_s(0.009) is None
    # later than predicted; the second runs from here on
    scheduler.complete(first, 0.012)
    assert scheduler.dequeue(0.012).empty
    assert scheduler.next_wake_s(0.012) == pytest.approx(0.020)
    scheduler.complete(second, 0.022)
    again = kit.work('b', slack_s=-0.001, time_s=0.01, now_s=0.022)
    scheduler.enqueue(again, 0.022)
    assert scheduler.dequeue(0.022).refuse == (again,)


@given(data=st.data())
def test_with_a_lead_the_device_has_at_most_one_network_in_waiting(data, kit):
    machine = kit.tell(data.draw(kit.stories()), Clockwork(LEAD_S))
    for turn in machine.rounds:
        assert len(turn.running) + len(turn.dispatch.submit) <= 2
        assert len(turn.dispatch.submit) <= 1


def test_what_was_sent_ahead_and_dropped_teaches_nothing(kit):
    scheduler = Clockwork(LEAD_S)
    first, dropped = kit.work('a', time_s=0.01), kit.work('b', time_s=0.01)
    scheduler.enqueue(first, 0.0)
    scheduler.dequeue(0.0)
    scheduler.enqueue(dropped, 0.0)
    assert scheduler.dequeue(0.009).submit == (dropped,)
    scheduler.complete(dropped, 0.009)
    scheduler.complete(first, 0.01)
    for name in 'ab':
        on_time = kit.work(name, slack_s=1e-6, time_s=0.01, now_s=0.02)
        scheduler.enqueue(on_time, 0.02)
        assert not scheduler.dequeue(0.02).refuse
        scheduler.withdraw(on_time)
        scheduler.complete(on_time, 0.02)


@pytest.mark.parametrize('lead_s', [-1.0, float('nan'), float('inf'), 'soon', None])
def test_a_lead_is_a_finite_number_from_zero(lead_s):
    with pytest.raises(ValueError, match=r'clockwork.*lead_s'):
        Clockwork(lead_s)
