"""Whole jobs by deadline, on a device that waits between segments by itself (DERIVED)."""

from __future__ import annotations

import itertools
import math
from typing import Callable, Dict, List, Sequence, Tuple

from s3dnn_ros.scheduling.options import (
    ROUNDING,
    check,
    check_common,
    is_count,
    is_number,
    share_of,
)
from s3dnn_ros.scheduling.ordered import OrderedQueue
from s3dnn_ros.scheduling.work import Dispatch, SegmentWork

# Of what is left of a job, this part is kept as slack before others beyond the capacity are held.
RESERVE = 0.1
# Work beside a job adds at most this part to its time where the device prefers the job: 0.18 was
# measured of a detector that never ends, on 8 multiprocessors of an H200.
INTERFERENCE = 0.25
# More than so many side by side bring no device anything.
MOST = 16
# A look at how far jobs are comes no sooner.
LEAST_WAIT_S = 100e-6


class _Job:
    """A network that is to run whole.

    `left_s` says by the number of segments that have ended what is left at most; `reached` is that
    number, since `since_s` or longer. What decisions ask for is a moment, reckoned when the job
    goes on or stops, not when it is asked for.

    Attributes
    ----------
    hopeless_from_s : float
        When it is behind this, it cannot be in time any more.
    spare_until_s : float
        So long it has the slack that is kept, as if the segment that runs had just begun.
    preferred_until_s : float
        So long it has the slack for others beside it, too, if the device prefers it.
    level : int
        Of urgency on the device, from its start on.

    """

    def __init__(self, work: SegmentWork, share: Callable[[SegmentWork], float]):
        segments = _segments(work)
        self.work = work
        self.priority = work.priority
        self.deadline_s = work.deadline_s
        self.share = _mean(share, segments)
        self.longest_s = max(segment.time_s for segment in segments)
        self.left_s = [*(segment.remaining_s for segment in segments), 0.0]
        self.reached = 0
        self.since_s = 0.0
        self.decision = 0       # the last that opened it
        self.level = 0
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

    def _reckon(self):
        left_s, deadline_s = self.left_s[self.reached], self.deadline_s
        self.hopeless_from_s = deadline_s - left_s
        self.spare_until_s = deadline_s - left_s * (1.0 + RESERVE)
        self.preferred_until_s = self.spare_until_s - left_s * INTERFERENCE
        if self.is_open and left_s > 0.0:
            # of the segment that runs less is left with time, but it may take longer than expected
            self.hopeless_from_s = (deadline_s - self.left_s[self.reached + 1]
                                    if self.since_s + left_s <= deadline_s else -math.inf)


class _SideBySide:
    """The jobs that are to be open, and who else may join them."""

    def __init__(self, capacity, levels):
        self.jobs: List[_Job] = []
        self._room = capacity + ROUNDING
        self._last = levels - 1
        self._level = 0             # of the last that joined
        # by level: the least of those that the device does not prefer to it, and of the others
        self._spare_until_s = [math.inf] * levels
        self._preferred_until_s = [math.inf] * levels
        self._preferred_spare_until_s = [math.inf] * levels

    def fits(self, job) -> bool:
        """Tell whether nobody needs slack for a job."""
        return not self.jobs or job.share <= self._room

    def join(self, job, now_s) -> float:
        """Let a job join, if all that is open has the slack; return until when it has.

        Nothing joins for which it has none any more. Beside the job, the others may make no
        progress until it is held and its segment has ended. Whom the device prefers goes on.
        """
        level = self._level_of(job)
        until_s = math.inf
        if self.jobs and job.share > self._room:
            until_s = self._spare_until_s[level] - job.longest_s
            preferred_s = max(self._preferred_until_s[level],
                              self._preferred_spare_until_s[level] - job.longest_s)
            if preferred_s < until_s:
                until_s = preferred_s
            if until_s <= now_s:
                return until_s
        self._add(job, level)
        return until_s

    def add(self, job):
        """Let a job join, whatever the others have."""
        self._add(job, self._level_of(job))

    def _level_of(self, job):
        """Return the level that a job has, or that of its start now."""
        if job.started:
            return job.level
        place = len(self.jobs)
        level = place if place < self._last else self._last
        return level if level > self._level else self._level

    def _add(self, job, level):
        self.jobs.append(job)
        self._room -= job.share
        self._level = job.level = level
        spare_s, preferred_s = job.spare_until_s, job.preferred_until_s
        for other in range(level + 1):
            if spare_s < self._spare_until_s[other]:
                self._spare_until_s[other] = spare_s
        for other in range(level + 1, self._last + 1):
            if preferred_s < self._preferred_until_s[other]:
                self._preferred_until_s[other] = preferred_s
            if spare_s < self._preferred_spare_until_s[other]:
                self._preferred_spare_until_s[other] = spare_s


class Gated:
    """Opens the job with the earliest deadline, and holds those that stand in its way.

    The segments of an open job follow each other without a decision. Jobs are open side by side
    while their shares fit into `capacity`; beyond it, others are open as long as all that comes
    before them has slack, as little as they go on beside them. As far as the device tells levels
    of urgency apart, it prefers the first; the level of a job is that of its start. A job that is
    held stops behind the segment that runs. What cannot be in time any more goes last, and nothing
    of lower priority is open while a job of higher priority is not, unless that one cannot be in
    time.

    Parameters
    ----------
    capacity : float
        Limit of the sum of shares that needs no slack; above 0.
    share : str
        What counts as a job's share of the device: 'tb_ratio' or 'utilization', the mean over its
        segments by time.
    ahead : int
        So many jobs more are submitted and held, and start at once when their turn comes.
    levels : int
        Of urgency that the device tells apart.

    Raises
    ------
    ValueError
        If an option is out of its range.

    """

    whole_networks = True
    holds = True

    def __init__(self, capacity=1.0, share='tb_ratio', ahead=1, levels=1):
        check_common('gated', capacity, share)
        check('gated', 'levels', levels, 'a whole number from 1', is_count(levels))
        check('gated', 'ahead', ahead, 'a whole number from 0',
              is_number(ahead) and ahead >= 0 and ahead % 1 == 0)
        self._capacity = capacity
        self._share = share_of(share)
        self._ahead = ahead
        self._levels = levels
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
        """Allow it, or let all that has started go on, and submit nothing ahead of its turn."""
        self._may_hold = allowed

    def dequeue(self, now_s):
        """Return which jobs to submit, to hold and to let go on."""
        opened, standing = (self._choose if self._may_hold else self._without_holds)(now_s)
        if opened == self._open and not standing:
            return _AS_IT_IS
        self._decisions += 1
        submit, resume = [], []
        for job in opened:
            job.decision = self._decisions
            if not job.is_open:
                (resume if job.started else submit).append(job)
                job.go_on(True, now_s)
        hold = [job for job in self._open if job.decision != self._decisions] + standing
        submit += standing
        for job in hold:
            job.go_on(False, now_s)
        self._open = opened
        return Dispatch(_works(submit), levels=tuple(job.level for job in submit),
                        hold=_works(hold), resume=_works(resume))

    def complete(self, work, now_s):
        """Forget a job that has ended."""
        self._forget(work)

    def withdraw(self, work):
        """Forget a queued job; False if it was submitted already."""
        job = self._jobs.get(id(work))
        if job is None or job.started:
            return False
        self._forget(work)
        return True

    def next_wake_s(self, now_s):
        """Return when the slack of an open job may be used up, or it is late; None: never."""
        return None if self._wake_s == math.inf else max(self._wake_s, now_s)

    def _choose(self, now_s) -> Tuple[List[_Job], List[_Job]]:
        """Return the jobs that are to be open, and those to be submitted and held."""
        side = _SideBySide(self._capacity, self._levels)
        standing: List[_Job] = []
        hopeless: List[_Job] = []
        blocked_rank = wake_s = math.inf
        for rank, _, _, job in self._order:
            if now_s > job.hopeless_from_s:
                hopeless.append(job)
                continue
            if rank > blocked_rank or len(side.jobs) >= MOST:
                break
            until_s = side.join(job, now_s)
            if until_s > now_s:
                wake_s = until_s if until_s < wake_s else wake_s
                continue
            blocked_rank = rank
            if len(standing) == self._ahead:
                break
            if not job.started:
                standing.append(job)
        for job in hopeless:
            self._move(job, self._order, self._hopeless)
        if not side.jobs or blocked_rank == math.inf:
            self._add_fitting(side, itertools.islice(self._hopeless, MOST))
        if len(side.jobs) < len(self._jobs):
            # who takes longer than expected makes way
            wake_s = min(wake_s, min((job.deadline_s for job in side.jobs
                                      if job.deadline_s > now_s), default=math.inf))
        self._wake_s = max(wake_s, now_s + LEAST_WAIT_S)
        return side.jobs, standing

    def _without_holds(self, now_s) -> Tuple[List[_Job], List[_Job]]:
        """Return all jobs that have started, and others that fit beside them; none stands."""
        side = _SideBySide(self._capacity, self._levels)
        for job in self._jobs.values():
            if job.started:
                side.add(job)
        self._add_fitting(side, itertools.chain(self._order, self._hopeless))
        self._wake_s = math.inf
        return side.jobs, []

    @staticmethod
    def _add_fitting(side, entries):
        """Add what fits without anybody's slack, and is not there."""
        for *_, job in entries:
            if side.fits(job) and job not in side.jobs:
                side.add(job)

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


_AS_IT_IS = Dispatch()


def _works(jobs) -> Tuple[SegmentWork, ...]:
    return tuple(job.work for job in jobs)


def _segments(work) -> List[SegmentWork]:
    """Return a work and all behind it."""
    found = []
    while work is not None:
        found.append(work)
        work = work.successor
    return found


def _mean(share: Callable[[SegmentWork], float], segments: Sequence[SegmentWork]) -> float:
    """Return the mean share of segments, by their times."""
    total_s = sum(segment.time_s for segment in segments)
    weighted_s = sum(share(segment) * segment.time_s for segment in segments)
    return weighted_s / total_s if total_s else share(segments[0])
