"""A builder of work, and a device in virtual time that runs what a scheduler submits."""

import dataclasses
import math
import types

import pytest
from hypothesis import strategies as st

from s3dnn_ros.scheduling import Dispatch, SegmentWork


def make_work(instance='net', tb_ratio=1.0, slack_s=1.0, time_s=0.01, *, segment=0, priority=0,
              utilization=None, successors=(), now_s=0.0):
    """Return work of a job that runs `time_s` for each segment, with this slack at now_s.

    `successors` are the thread-block ratios of the segments behind it.
    """
    remaining_s = time_s * (1 + len(successors))
    deadline_s = now_s + slack_s + remaining_s
    work = None
    for index, ratio in reversed(list(enumerate([tb_ratio, *successors]))):
        work = SegmentWork(instance, segment + index, ratio, deadline_s,
                           remaining_s - index * time_s, time_s, priority, utilization, work)
    return work


def ids(works):
    return [id(work) for work in works]


@dataclasses.dataclass
class Round:
    """One dequeue: what it said, and what the world was like just before."""

    now_s: float
    dispatch: Dispatch
    queued: list
    running: list
    reserved: tuple
    coming: list        # (since when, successor that has not arrived)

    @property
    def left(self):
        """Return what it left in the queue, in order of arrival; of that some is reserved."""
        taken = ids(self.dispatch.submit)
        return [work for work in self.queued if id(work) not in taken]


class Machine:
    """Runs each work for its time_s; delay_s later its successor arrives. Wakes when asked to."""

    def __init__(self, scheduler, delay_s=0.0):
        self.scheduler = scheduler
        self.delay_s = delay_s
        self.coming = []
        self.now_s = 0.0
        self.queued, self.running, self.started, self.rounds = [], [], [], []
        self.ends_s = {}

    def arrive(self, *works):
        for work in works:
            self.scheduler.enqueue(work, self.now_s)
            self.queued.append(work)

    def dequeue(self):
        for since_s, work in list(self.coming):
            if self.now_s >= since_s + self.delay_s:
                self.coming.remove((since_s, work))
                self.arrive(work)
        before = self.rounds[-1].dispatch.reserved if self.rounds else ()
        queued, running = list(self.queued), list(self.running)
        dispatch = self.scheduler.dequeue(self.now_s)
        for work in dispatch.submit:
            self.queued = [other for other in self.queued if other is not work]
            self.running.append(work)
            self.started.append(work)
            self.ends_s[id(work)] = self.now_s + work.time_s
        self.rounds.append(Round(self.now_s, dispatch, queued, running, before,
                                 list(self.coming)))
        return list(dispatch.submit)

    def finish(self, work=None):
        """Complete running work, the next to end unless told otherwise; return it."""
        work = work or min(self.running, key=lambda running: self.ends_s[id(running)])
        self.now_s = max(self.now_s, self.ends_s[id(work)])
        self.running = [other for other in self.running if other is not work]
        self.scheduler.complete(work, self.now_s)
        if work.successor is not None:
            self.coming.append((self.now_s, work.successor))
        return work

    def withdraw(self, work):
        found = self.scheduler.withdraw(work)
        if found:
            self.queued = [other for other in self.queued if other is not work]
        return found

    def step(self):
        """Go on to the next event, and dequeue; False if there is none."""
        wake_s = self.scheduler.next_wake_s(self.now_s)
        assert wake_s is None or wake_s >= self.now_s
        end_s = min((self.ends_s[id(work)] for work in self.running), default=math.inf)
        others_s = [since_s + self.delay_s for since_s, _ in self.coming]
        next_s = min([*others_s, math.inf if wake_s is None else wake_s])
        if min(end_s, next_s) == math.inf:
            return False
        if end_s <= next_s:
            self.finish()
        else:
            self.now_s = max(self.now_s, next_s)
        self.dequeue()
        return True

    def drain(self, limit=10_000):
        """Run until nothing happens any more; return all work in the order it started."""
        self.dequeue()
        while self.step():
            assert len(self.rounds) < limit, 'no end in sight'
        return self.started


def _stories(*, priorities=(0,), slacks_s=(0.0, 0.005, 0.02, 0.03, 0.05, math.inf)):
    """Return a strategy for what may happen to a scheduler, step by step."""
    works = st.fixed_dictionaries(dict(
        instance=st.sampled_from('abcdefgh'),
        tb_ratio=st.sampled_from([0.1, 0.3, 0.4, 0.5, 0.55, 0.6, 0.8, 1.0, 1.2]),
        slack_s=st.sampled_from(slacks_s),
        time_s=st.sampled_from([0.001, 0.003, 0.008]),
        priority=st.sampled_from(priorities),
        successors=st.sampled_from([(), (0.2,), (0.4,), (0.3, 0.7), (0.8, 0.1)])))
    choices = st.integers(0, 30)
    steps = st.one_of(
        st.tuples(st.just('arrive'), st.lists(works, min_size=2, max_size=5)),
        st.tuples(st.just('finish'), choices),
        st.tuples(st.just('wait'), st.sampled_from([2e-5, 5e-5, 1e-3, 1e-2])),
        st.tuples(st.just('withdraw'), choices))
    return st.lists(steps, min_size=1, max_size=12)


def _tell(story, scheduler, delay_s=0.0):
    """Let a story happen to a scheduler; dequeue after every step, as the runtime does."""
    machine = Machine(scheduler, delay_s)
    for what, detail in story:
        if what == 'arrive':
            machine.arrive(*(make_work(now_s=machine.now_s, **values) for values in detail))
        elif what == 'finish' and machine.running:
            machine.finish(machine.running[detail % len(machine.running)])
        elif what == 'wait':
            machine.now_s += detail
        elif what == 'withdraw' and machine.queued:
            assert machine.withdraw(machine.queued[detail % len(machine.queued)])
        machine.dequeue()
    machine.drain()
    return machine


@pytest.fixture(scope='session')
def kit():
    """Return builders and the virtual device; a fixture, as tests import no tests."""
    return types.SimpleNamespace(Machine=Machine, work=make_work, ids=ids,
                                 stories=_stories, tell=_tell)
