"""Whole jobs by deadline, on a device that waits between segments by itself (DERIVED)."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from s3dnn_ros.scheduling.fewest_late import fewest_late
from s3dnn_ros.scheduling.lead import MARGIN_S, Lead
from s3dnn_ros.scheduling.options import (
    ROUNDING,
    check,
    check_common,
    is_number,
    share_of,
)
from s3dnn_ros.scheduling.ordered import OrderedQueue
from s3dnn_ros.scheduling.work import NOTHING, Dispatch, SegmentWork

# More than so many side by side bring no device anything.
MOST = 16
# What is open and uses so much of the device, as measured with others beside it, leaves too
# little for another. Chosen on the simulated device, not on a real one.
FULL = 0.7
# Whether all can be in time is asked of so many, the first by their deadlines.
FORESEEN = 32
# A look at how far jobs are comes no sooner.
LEAST_WAIT_S = 100e-6
NEVER = math.inf


class _Job:
    """A network that is to run whole.

    `left_s` says by the number of segments that have ended what is left at most; `reached` is that
    number, since `since_s` or longer.

    Attributes
    ----------
    hopeless_from_s : float
        When it is behind this, it cannot be in time any more.

    """

    def __init__(self, work: SegmentWork, share: Callable[[SegmentWork], float]):
        self.work = work
        self.priority = work.priority
        self.deadline_s = work.deadline_s
        self.share, self.utilization = _means(work, share)
        self.left_s = _left_s(work)
        self.reached = 0
        self.since_s = 0.0
        self.decision = 0       # the last that opened it
        self.followed_s = NEVER     # when the next was opened before its end
        self.started = self.is_open = False
        self._reckon()

    def go_on(self, is_open, now_s):
        """Open it, or hold it."""
        self.started, self.is_open, self.since_s = True, is_open, now_s
        self._reckon()

    def reach(self, segments, now_s):
        """Take note of how many segments have ended."""
        self.reached, self.since_s = segments, now_s
        self._reckon()

    def needs_s(self, now_s) -> float:
        """Return what is left of it takes of the device's time, which it shares."""
        left_s = self.left_s[self.reached]
        if self.is_open and left_s > 0.0:
            left_s = max(left_s - (now_s - self.since_s), self.left_s[self.reached + 1])
        return self.utilization * left_s

    def ends_s(self, now_s) -> float:
        """Return when it should end if it is open from now on, or is already."""
        return (self.since_s if self.is_open else now_s) + self.left_s[self.reached]

    @property
    def behind_s(self) -> float:
        """Return what is left at most behind the segment that runs."""
        return self.left_s[min(self.reached + 1, len(self.left_s) - 1)]

    def _reckon(self):
        left_s = self.left_s[self.reached]
        self.hopeless_from_s = self.deadline_s - left_s
        if self.is_open and left_s > 0.0:
            # of the segment that runs less is left with time, but it may take longer than expected
            self.hopeless_from_s = (self.deadline_s - self.left_s[self.reached + 1]
                                    if self.since_s + left_s <= self.deadline_s else -math.inf)


class _SideBySide:
    """The jobs that are to be open, in their order; `ending` takes no share any more."""

    def __init__(self, capacity, ending: Optional[_Job]):
        self.jobs = [] if ending is None else [ending]
        self._room = capacity + ROUNDING
        self._used = 0.0        # of the device

    def join(self, job) -> bool:
        """Let a job join if it fits, or much is left of the device; tell whether it has joined."""
        if job.share > self._room and self._used >= FULL:
            return False
        self.add(job)
        return True

    def add(self, job):
        """Let a job join, whether it fits or not."""
        self._room -= job.share
        self._used += job.utilization
        self.jobs.append(job)


class Gated:
    """Opens the job with the earliest deadline, and holds those that stand in its way.

    The segments of an open job follow each other without a decision. Jobs are open side by side
    while their shares fit into `capacity`, or while what is open leaves much of the device. Where
    not all can be in time, one after the other, the longest come last (`fewest_late`). A job that
    is held stops behind the segment that runs. What cannot be in time any more runs where nothing
    else wants the device, and nothing of lower priority is open while a job of higher priority is
    not, unless that one cannot be in time.

    Parameters
    ----------
    capacity : float
        Limit of the sum of shares; above 0.
    share : str
        What counts as a job's share of the device: 'tb_ratio' or 'utilization', the mean over its
        segments by time.
    lead_s : float
        So long before the first job should end, or longer where the host is slow (`Lead`), it
        takes no share any more: the next opens then, and the device does not stand still in
        between.

    Raises
    ------
    ValueError
        If an option is out of its range.

    """

    whole_networks = True
    holds = True

    def __init__(self, capacity=1.0, share='tb_ratio', lead_s=0.0):
        check_common('gated', capacity, share)
        check('gated', 'lead_s', lead_s, 'a number from 0', is_number(lead_s) and lead_s >= 0.0)
        self._capacity = capacity
        self._share = share_of(share)
        self._lead = Lead(lead_s)
        self._ending: Optional[_Job] = None     # nearly over, as the last decision saw it
        self._followed: List[_Job] = []         # by others, since it was carried out last
        self._may_hold = True
        self._order = OrderedQueue()        # of the jobs that may be in time
        self._hopeless = OrderedQueue()     # of the others
        self._jobs: Dict[int, _Job] = {}    # by id of the work
        self._open: List[_Job] = []
        self._decisions = 0
        self._wake_s = math.inf

    def enqueue(self, work, now_s):
        """Add a job in the place that its deadline gives it."""
        job = self._jobs[id(work)] = _Job(work, self._share)
        self._order.put(self._order.entry(job, work.deadline_s))

    def reached(self, work, segments, now_s):
        """Take note of how many segments of a submitted job have ended."""
        job = self._jobs.get(id(work))
        if job is not None and segments > job.reached:
            job.reach(segments, now_s)
            if now_s <= job.hopeless_from_s:
                self._move(job, self._hopeless, self._order)

    def allow_holding(self, allowed):
        """Allow it, or let all that has started go on."""
        self._may_hold = allowed

    def dequeue(self, now_s):
        """Return which jobs to submit, to hold and to let go on."""
        if len(self._open) == len(self._jobs):
            self._wake_s = math.inf
            return NOTHING
        opened = (self._choose if self._may_hold else self._without_holds)(now_s)
        if opened == self._open:
            return Dispatch(late=self._late())
        self._decisions += 1
        submit, resume = [], []
        for job in opened:
            job.decision = self._decisions
            if not job.is_open:
                (resume if job.started else submit).append(job)
                job.go_on(True, now_s)
        ending = self._ending
        if ending and ending.followed_s == NEVER and any(
                job is not ending for job in (*submit, *resume)):
            ending.followed_s = now_s
            self._followed.append(ending)
        hold = [job for job in self._open if job.decision != self._decisions]
        for job in hold:
            job.go_on(False, now_s)
        self._open = opened
        return Dispatch(_works(submit), hold=_works(hold), resume=_works(resume),
                        late=self._late())

    def carried_out(self, took_s):
        """Take note of how long it took to carry the last decision out."""
        while self._followed:
            self._followed.pop().followed_s += took_s

    def complete(self, work, now_s):
        """Forget a job that has ended."""
        job = self._jobs.get(id(work))
        if job is not None and job.followed_s != NEVER:
            self._lead.learn(now_s - job.followed_s)
        elif self._open == [job] and len(self._jobs) > 1:
            # the device stands still
            self._lead.learn(-MARGIN_S)
        self._forget(work)

    def withdraw(self, work):
        """Forget a queued job; False if it was submitted already."""
        job = self._jobs.get(id(work))
        if job is None or job.started:
            return False
        self._forget(work)
        return True

    def next_wake_s(self, now_s):
        """Return when the first job is nearly over, or an open one late; None: never."""
        return None if self._wake_s == math.inf else max(self._wake_s, now_s)

    def _choose(self, now_s) -> List[_Job]:
        """Return the jobs that are to be open."""
        if len(self._jobs) <= MOST and self._shares() <= self._capacity + ROUNDING:
            # nothing is in the way of anything, in whatever order
            self._ending, self._wake_s = None, math.inf
            return list(self._jobs.values())
        turn = self._in_turn(now_s)
        self._ending, wake_s = self._nearly_over(turn, now_s)
        side = _SideBySide(self._capacity, self._ending)
        for job in turn[:MOST]:
            if job is not self._ending and not side.join(job):
                break
        else:
            self._add_fitting(side, itertools.islice(self._hopeless, MOST))
        if len(side.jobs) < len(self._jobs):
            # who takes longer than expected makes way
            wake_s = min(wake_s, min((job.deadline_s for job in side.jobs
                                      if job.deadline_s > now_s), default=math.inf))
        self._wake_s = max(wake_s, now_s + LEAST_WAIT_S)
        return side.jobs

    def _shares(self) -> float:
        return sum([job.share for job in self._jobs.values()])

    def _nearly_over(self, turn, now_s) -> Tuple[Optional[_Job], float]:
        """Return the first job if it is nearly over, or when it should be, if others wait."""
        lead_s = self._lead.seconds
        if len(turn) < 2 or not lead_s:
            return None, math.inf
        first = turn[0]
        from_s = first.ends_s(now_s) - lead_s
        if from_s > now_s:
            return None, from_s
        behind_s = first.behind_s
        if behind_s <= lead_s:
            return first, math.inf
        return None, now_s + behind_s - lead_s      # it takes longer than expected

    def _in_turn(self, now_s) -> List[_Job]:
        """Return those that may be in time, by priority, then by deadline.

        Where not all can be, those that are to be late are the last of their priority.
        """
        turn: List[_Job] = []
        hopeless: List[_Job] = []
        ends_s, all_in_time = now_s, True
        for _, deadline_s, _, job in self._order:
            if now_s > job.hopeless_from_s:
                hopeless.append(job)
                continue
            if len(turn) == FORESEEN:
                break
            turn.append(job)
            ends_s += job.needs_s(now_s)
            all_in_time = all_in_time and ends_s <= deadline_s
        for job in hopeless:
            self._move(job, self._order, self._hopeless)
        return turn if all_in_time else _with_late_last(turn, now_s)

    def _without_holds(self, now_s) -> List[_Job]:
        """Return all jobs that have started, and others that fit beside them."""
        self._ending = None
        side = _SideBySide(self._capacity, None)
        for job in self._jobs.values():
            if job.started:
                side.add(job)
        self._add_fitting(side, itertools.chain(self._order, self._hopeless))
        self._wake_s = math.inf
        return side.jobs

    @staticmethod
    def _add_fitting(side, entries):
        """Let join what fits, and is not there."""
        for *_, job in entries:
            if job not in side.jobs:
                side.join(job)

    def _late(self) -> Tuple[SegmentWork, ...]:
        return tuple(job.work for *_, job in self._hopeless if not job.started)

    @staticmethod
    def _move(job, source, target):
        if source.remove(job) is not None:
            target.put(target.entry(job, job.deadline_s))

    def _forget(self, work):
        job = self._jobs.pop(id(work), None)
        if job is not None and self._order.remove(job) is None:
            self._hopeless.remove(job)
        if job is not None and job.is_open:
            self._open.remove(job)


def _with_late_last(turn: Sequence[_Job], now_s) -> List[_Job]:
    """Return jobs, those that are to be late the last of their priority."""
    ordered, begins_s = [], now_s
    for _, group in itertools.groupby(turn, key=operator.attrgetter('priority')):
        jobs = list(group)
        needs_s = [job.needs_s(now_s) for job in jobs]
        late = set(fewest_late([(need_s, job.deadline_s)
                                for need_s, job in zip(needs_s, jobs)], begins_s))
        ordered += [job for place, job in enumerate(jobs) if place not in late]
        ordered += [jobs[place] for place in sorted(late)]
        begins_s += sum(needs_s)
    return ordered


def _works(jobs) -> Tuple[SegmentWork, ...]:
    return tuple(job.work for job in jobs)


def _left_s(work: SegmentWork) -> List[float]:
    """Return what is left before each segment, and behind the last."""
    left_s = []
    segment: Optional[SegmentWork] = work
    while segment is not None:
        left_s.append(segment.remaining_s)
        segment = segment.successor
    return [*left_s, 0.0]


def _means(work: SegmentWork, share: Callable[[SegmentWork], float]) -> Tuple[float, float]:
    """Return the mean share and the mean utilization of a network's segments, by their times."""
    time_s = shared_s = used_s = 0.0
    segment: Optional[SegmentWork] = work
    while segment is not None:
        time_s += segment.time_s
        shared_s += share(segment) * segment.time_s
        used_s += segment.utilization * segment.time_s
        segment = segment.successor
    if not time_s:
        return share(work), work.utilization
    return shared_s / time_s, used_s / time_s
