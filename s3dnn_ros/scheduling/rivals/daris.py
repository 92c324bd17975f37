"""DARIS (Babaei and Chantem, DAC 2025): stages of eight levels on oversubscribed streams."""

from __future__ import annotations

import itertools
import math
from typing import Dict, NamedTuple, Tuple

from s3dnn_ros.scheduling.options import check, is_count
from s3dnn_ros.scheduling.ordered import OrderedQueue
from s3dnn_ros.scheduling.rivals.recent_maximum import RecentMaximum
from s3dnn_ros.scheduling.rivals.refused import Refused
from s3dnn_ros.scheduling.work import Dispatch, SegmentWork

# Runs of a stage that are remembered (INFERRED: the paper's number was not found).
WINDOW = 5
# The device's levels of urgency (INFERRED).
HIGH, LOW = 0, 1


class _Job:
    """A job from its arrival on; `due_s` has the virtual deadline of each stage."""

    def __init__(self, due_s: Dict[int, float], utilization: float, low: bool):
        self.due_s = due_s
        self.utilization = utilization
        self.low = low
        self.behind = False     # its last stage ended after its virtual deadline


class _Arrival(NamedTuple):
    """The last job of an instance; `period_s` is 0 for its first."""

    deadline_s: float
    arrived_s: float
    period_s: float


class _Running(NamedTuple):
    work: SegmentWork
    began_s: float


class Daris:
    """Runs a stage on each stream, the most urgent of eight levels first.

    The paper's abstract and published summaries of it were found, not its text: rules 1 to 3 and
    the three signs of rule 4 are described there, the other details are INFERRED.

    1. A stage takes the longest of its last runs. A stage is a segment here.
    2. A stage's virtual deadline gives it the share of its job's deadline that its time has in
       the job's.
    3. Jobs of high priority are always admitted. A job of low priority is admitted at its arrival
       if its utilization fits into what tasks of high priority and the admitted jobs of low
       priority leave of the streams; otherwise it is refused. A job's utilization is its time over
       its period. The paper's tasks tell their periods; here a period is the time since the last
       arrival, and before there is one, the deadline (DERIVED). A job that was withdrawn and comes
       again, in another batch, keeps its period.
    4. A stage's level follows from its job's priority, then from whether it is the job's last one,
       then from whether the stage before it ended after its virtual deadline. Among equals the
       earliest virtual deadline goes first.

    All streams share the whole device, as in the paper's policy STR: its partitions by MPS, and
    the migration between them, need a device that can be partitioned. The device prefers stages of
    high priority.

    Parameters
    ----------
    streams : int
        At least 1. The default missed least on the simulated device, of 2, 3, 4 and 8.
    high : int
        The lowest priority that counts as high.

    Raises
    ------
    ValueError
        If there is no stream.

    """

    whole_networks = False
    holds = False

    def __init__(self, streams=2, high=1):
        check('daris', 'streams', streams, 'a whole number from 1', is_count(streams))
        self._streams = streams
        self._high = high
        self._queue = OrderedQueue()
        self._refused = Refused()
        self._times = RecentMaximum(WINDOW)
        self._running: Dict[int, _Running] = {}             # by id of the work
        self._jobs: Dict[Tuple[str, float], _Job] = {}      # by instance and deadline
        self._between: Dict[Tuple[str, float], None] = {}   # those of which a stage has ended
        self._high_tasks: Dict[str, float] = {}     # utilization by instance
        self._arrivals: Dict[str, _Arrival] = {}    # by instance

    def enqueue(self, work, now_s):
        """Add a stage in the place that its level and virtual deadline give it."""
        key = _key(work)
        self._between.pop(key, None)
        job = self._jobs.get(key) if work.segment else None
        if job is None:
            job = self._job(work, now_s, self._arrive(work, now_s))
            if work.segment == 0 and job.low and not self._fits(job):
                self._refused.add(work)
                return
            self._jobs[key] = job
            if not job.low:
                self._high_tasks[work.instance] = job.utilization
        entry = self._queue.entry(work, job.due_s.get(work.segment, work.deadline_s))
        self._queue.put(entry._replace(rank=_level(work, job)))

    def dequeue(self, now_s):
        """Return a stage for each stream that is free, and whom to refuse."""
        # whoever has not come back was given up between two stages
        while self._between:
            self._jobs.pop(self._between.popitem()[0], None)
        refuse = self._refused.tell()
        submit = [self._queue.pop() for _ in range(min(self._free, len(self._queue)))]
        if not submit and self._refused and self._free and not refuse:
            work = self._refused.pop()
            job = self._jobs[_key(work)] = self._job(work, now_s)
            job.utilization = 0.0       # it makes way for others
            submit.append(work)
        for work in submit:
            self._running[id(work)] = _Running(work, now_s)
        return Dispatch(tuple(submit), (), tuple(
            LOW if self._is_low(work) else HIGH for work in submit), refuse=refuse)

    def complete(self, work, now_s):
        """Free a stream; remember how long the stage took, and whether it was behind."""
        running = self._running.pop(id(work), None)
        if running is None:
            return
        self._times.ran(_kind(work), now_s - running.began_s, work.time_s)
        key = _key(work)
        job = self._jobs.get(key)
        if job is None:
            return
        if work.successor is None:
            del self._jobs[key]
            return
        job.behind = now_s > job.due_s.get(work.segment, math.inf)
        self._between[key] = None

    def withdraw(self, work):
        """Forget a queued stage, and its job; False if it was submitted already."""
        if self._queue.remove(work) is not None:
            self._jobs.pop(_key(work), None)
            return True
        return self._refused.remove(work)

    def next_wake_s(self, now_s):
        """Return now if a stream is free for refused work that nobody has dropped; None: never."""
        return now_s if self._refused and self._free and not self._queue else None

    @property
    def _free(self) -> int:
        return self._streams - len(self._running)

    def _is_low(self, work) -> bool:
        return work.priority < self._high

    def _arrive(self, work, now_s) -> float:
        """Take note of an instance's job; return its period, 0 if it is the first."""
        last = self._arrivals.get(work.instance)
        if last is None or last.deadline_s != work.deadline_s:
            last = self._arrivals[work.instance] = _Arrival(
                work.deadline_s, now_s, now_s - last.arrived_s if last else 0.0)
        return last.period_s

    def _job(self, work, now_s, period_s=0.0) -> _Job:
        """Return a job with the virtual deadlines of this stage and of those behind it."""
        stages = list(_chain(work))
        ends_s = list(itertools.accumulate(
            self._times.predicted_s(_kind(stage), stage.time_s) for stage in stages))
        total_s, allowed_s = ends_s[-1], work.deadline_s - now_s
        if not total_s or not 0.0 < allowed_s < math.inf:
            # nothing is known, or nothing can be shared out
            utilization = math.inf if allowed_s <= 0.0 else 0.0
            due_s = {stage.segment: work.deadline_s for stage in stages}
        else:
            utilization = total_s / (period_s or allowed_s)
            due_s = {stage.segment: now_s + allowed_s * end_s / total_s
                     for stage, end_s in zip(stages, ends_s)}
        return _Job(due_s, utilization, self._is_low(work))

    def _fits(self, job) -> bool:
        """Tell whether what is in use of the streams leaves room for a job of low priority."""
        used = sum(self._high_tasks.values()) + sum(
            other.utilization for other in self._jobs.values() if other.low)
        return used + job.utilization <= self._streams


def _chain(work):
    while work is not None:
        yield work
        work = work.successor


def _key(work) -> Tuple[str, float]:
    return work.instance, work.deadline_s


def _kind(work) -> Tuple[str, int]:
    return work.instance, work.segment


def _level(work, job) -> int:
    """Return the level of a stage, from 0, the most urgent, to 7."""
    return 4 * job.low + 2 * (work.successor is not None) + (not job.behind)
