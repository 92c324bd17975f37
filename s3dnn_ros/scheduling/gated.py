"""Whole jobs by deadline, on a device that waits between segments by itself (DERIVED)."""

from __future__ import annotations

import dataclasses
import math
from typing import Callable, Dict, List, Sequence, Tuple

from s3dnn_ros.scheduling.options import ROUNDING, check, check_common, is_number, share_of
from s3dnn_ros.scheduling.ordered import Entry, OrderedQueue
from s3dnn_ros.scheduling.work import Dispatch, SegmentWork

# Of what is left of a job, this part is kept as slack before others beyond the capacity are held.
RESERVE = 0.1
# More than so many side by side bring no device anything.
MOST = 16
# A look at how far jobs are comes no sooner.
LEAST_WAIT_S = 100e-6


@dataclasses.dataclass(eq=False)
class _Job:
    """A network that is to run whole.

    `left_s` says by the number of segments that have ended what is left at most; `reached` is that
    number, since `since_s` or longer.
    """

    entry: Entry
    share: float
    left_s: Sequence[float]
    longest_s: float            # segment
    reached: int = 0
    since_s: float = 0.0
    started: bool = False
    is_open: bool = False

    @property
    def work(self) -> SegmentWork:
        return self.entry.work

    def slack_s(self, now_s) -> float:
        """Return its slack as if the segment that runs had just begun."""
        return self.work.deadline_s - now_s - self.left_s[self.reached]

    def is_hopeless(self, now_s) -> bool:
        left_s = self.left_s[self.reached]
        if self.is_open and self.reached + 1 < len(self.left_s):
            left_s = max(self.left_s[self.reached + 1], left_s - (now_s - self.since_s))
        return now_s + left_s > self.work.deadline_s

    def guard_s(self) -> float:
        """Return how much slack it keeps."""
        return RESERVE * self.left_s[self.reached]

    def set(self, is_open, now_s):
        self.started, self.is_open, self.since_s = True, is_open, now_s


class Gated:
    """Opens the job with the earliest deadline, and holds those that stand in its way.

    The segments of an open job follow each other without a decision. Jobs are open side by side
    while their shares fit into `capacity`; beyond it, others are open as long as all that comes
    before them has slack, even if it made no progress beside them. A job that is held stops behind
    the segment that runs. What cannot be in time any more goes last, and nothing of lower priority
    is open while a job of higher priority is not, unless that one cannot be in time.

    Parameters
    ----------
    capacity : float
        Limit of the sum of shares that needs no slack; above 0.
    share : str
        What counts as a job's share of the device: 'tb_ratio' or 'utilization', the mean over its
        segments by time.
    ahead : int
        So many jobs more are submitted and held, and start at once when their turn comes.

    Raises
    ------
    ValueError
        If an option is out of its range.

    """

    whole_networks = True
    holds = True

    def __init__(self, capacity=1.0, share='tb_ratio', ahead=1):
        check_common('gated', capacity, share, 'deadline', 1)
        check('gated', 'ahead', ahead, 'a whole number from 0',
              is_number(ahead) and ahead >= 0 and ahead % 1 == 0)
        self._capacity = capacity
        self._share = share_of(share)
        self._ahead = ahead
        self._order = OrderedQueue()        # of all jobs, also of those that have started
        self._jobs: Dict[int, _Job] = {}    # by id of the work
        self._wake_s = math.inf

    def enqueue(self, work, now_s):
        """Add a job in the place that its deadline gives it."""
        entry = self._order.entry(work, work.deadline_s)
        self._order.put(entry)
        segments = _segments(work)
        self._jobs[id(work)] = _Job(
            entry, _mean(self._share, segments),
            [*(segment.remaining_s for segment in segments), 0.0],
            max(segment.time_s for segment in segments))

    def reached(self, work, segments, now_s):
        """Take note of how many segments of a submitted job have ended."""
        job = self._jobs.get(id(work))
        if job is not None and segments > job.reached:
            job.reached, job.since_s = segments, now_s

    def dequeue(self, now_s):
        """Return which jobs to submit, to hold and to let go on."""
        opened, standing = self._choose(now_s)
        kept = set(map(id, opened))
        hold = [job for job in self._jobs.values() if job.is_open and id(job) not in kept]
        hold += standing
        submit = [job for job in (*opened, *standing) if not job.started]
        resume = [job for job in opened if job.started and not job.is_open]
        for job in hold:
            job.set(False, now_s)
        for job in opened:
            if not job.is_open:
                job.set(True, now_s)
        return Dispatch(_works(submit), hold=_works(hold), resume=_works(resume))

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
        opened: List[_Job] = []
        standing: List[_Job] = []
        hopeless: List[_Job] = []
        room, blocked_rank = self._capacity, math.inf
        least_slack_s = math.inf        # above what is kept, of all that is open
        self._wake_s = math.inf
        for entry in self._order:
            if entry.rank > blocked_rank or len(opened) >= MOST:
                break
            job = self._jobs[id(entry.work)]
            if job.is_hopeless(now_s):
                hopeless.append(job)
                continue
            fits = not opened or job.share <= room + ROUNDING
            if fits or least_slack_s > job.longest_s:
                if not fits:
                    self._look_at(now_s + least_slack_s - job.longest_s, now_s)
                opened.append(job)
                room -= job.share
                least_slack_s = min(least_slack_s, job.slack_s(now_s) - job.guard_s())
                continue
            blocked_rank = entry.rank
            if len(standing) == self._ahead:
                break
            if not job.started:
                standing.append(job)
        for job in hopeless:
            if not opened or (blocked_rank == math.inf and job.share <= room + ROUNDING):
                opened.append(job)
                room -= job.share
        if len(opened) < len(self._jobs):
            # who takes longer than expected makes way
            for job in opened:
                if job.work.deadline_s > now_s:
                    self._look_at(job.work.deadline_s, now_s)
        return opened, standing

    def _look_at(self, time_s, now_s):
        self._wake_s = min(self._wake_s, max(time_s, now_s + LEAST_WAIT_S))

    def _forget(self, work):
        if self._jobs.pop(id(work), None) is not None:
            self._order.remove(work)


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
