"""When the segments that run should end: when to look, and when to choose what comes behind."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple

from s3dnn_ros.runtime.job import Job
from s3dnn_ros.scheduling import SegmentWork
from s3dnn_ros.scheduling.lead import Lead

# Nothing is looked for before this part of its expected time has passed.
EARLIEST_END = 0.9


class _End(NamedTuple):
    """When a segment is nearly over, by its expected time."""

    near_s: float
    number: int
    job: Job
    work: SegmentWork


class SegmentEnds:
    """Expects the ends of what runs.

    Parameters
    ----------
    lead_s : float
        The engine's: how long before an end a fast host best chooses what comes behind it.
    whole_networks : bool
        Whether the scheduler gives out whole networks: nothing is chosen before their ends.
    holds : bool
        Whether it holds them, too: then flights tell how far they are.
    polled : callable
        Tells whether somebody looks for ends, and wants to know from when on.

    """

    def __init__(self, lead_s: float, whole_networks: bool, holds: bool,
                 polled: Callable[[], bool] = lambda: True):
        self._lead = Lead(lead_s)
        self._leads = lead_s > 0.0 and not whole_networks
        self._holds = holds
        self._polled = polled
        self._ends: List[_End] = []         # a heap
        self._numbers = itertools.count()
        self._handed_over: List[Job] = []   # what comes behind them was chosen in this step

    @property
    def near_s(self) -> Optional[float]:
        """Return when the next segment is nearly over; None while none will be."""
        return self._ends[0].near_s if self._ends else None

    def expect(self, job: Job, work: SegmentWork, started_s: float):
        """Expect the end of a segment that the device has begun."""
        job.expected, job.expected_from_s, job.look_s = work, started_s, math.inf
        self.reckon(job)

    def reckon(self, job: Job):
        """Reckon again: a variant was chosen, or the device configured, since it began."""
        if not (self._leads or self._polled()):
            return
        work, expect = job.expected, job.queue.expect
        if self._holds:
            time_s = expect.least_left_s(job.flight.progress() or 0, job.batch)
        else:
            time_s = expect.segment_s(work.segment, job.batch) * job.time_factor(work.segment)
        job.look_s = min(job.look_s, job.expected_from_s + EARLIEST_END * time_s)
        if self._leads:
            near_s = job.expected_from_s + time_s - self._lead.seconds
            heapq.heappush(self._ends, _End(near_s, next(self._numbers), job, work))

    def nearly_over(self, now_s: float, running) -> Iterable[Tuple[Job, SegmentWork]]:
        """Give the segments behind which something is to be chosen now.

        Only the most urgent is given: the others fill the gap behind it already, and how long
        they take beside it nobody knows.
        """
        while self._ends and self._ends[0].near_s <= now_s:
            job, work = heapq.heappop(self._ends)[2:]
            if id(work) not in running or job.nearly_over is work:
                continue
            first = all(job.level <= other.level for other in running.values())
            if first and (work.successor is not None or len(running) == 1):
                yield job, work

    def hand_over(self, job: Job, work: SegmentWork, now_s: float):
        """Note that in this step is chosen what comes behind a segment."""
        job.nearly_over = work
        job.handed_over_s = now_s
        self._handed_over.append(job)

    def settle(self, step_s: float):
        """Count what was handed over in the last step from that step's end on."""
        while self._handed_over:
            self._handed_over.pop().handed_over_s += step_s

    def heard(self, job: Job, now_s: float):
        """Learn from an end how long before it the next segment must be handed over."""
        self._lead.learn(now_s - job.handed_over_s)
