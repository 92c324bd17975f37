"""Clockwork (Gujarati et al., OSDI 2020): one network at a time, and nothing that will be late."""

from __future__ import annotations

from typing import Dict, Optional

from s3dnn_ros.scheduling.rivals.recent_maximum import RecentMaximum
from s3dnn_ros.scheduling.rivals.refused import Refused
from s3dnn_ros.scheduling.work import Dispatch, SegmentWork

# In the published source the estimate is the 99th percentile of the last 10 runs.
WINDOW = 10


class Clockwork:
    """Runs the network that must start first, alone, and refuses those that would be late.

    The rules are those of Clockwork's published source (its scheduler `infer5`).

    1. The device runs one network at a time, and is not asked for the next before its end.
    2. A network takes the longest of its last 10 runs.
    3. The latest start, deadline minus this time, orders the requests of all networks.
    4. A request that would be late even if it ran next is refused. The source looks at a request
       when its network comes next; here all are looked at with every decision, so that some are
       refused at their arrival (DERIVED).

    Batches are the core's, by S3DNN's Algorithm 1: as many requests as keep the earliest deadline.
    Clockwork's own rule takes as many, too (DERIVED). Priorities count for nothing. The source
    keeps 5 ms of every deadline free and sends work up to 10 ms ahead, because of its network;
    neither is done here. Weights are always loaded.
    """

    whole_networks = True
    holds = False

    def __init__(self):
        self._queue: Dict[int, SegmentWork] = {}    # by id, oldest first
        self._refused = Refused()
        self._times = RecentMaximum(WINDOW)
        self._running: Optional[SegmentWork] = None
        self._began_s = 0.0

    def enqueue(self, work, now_s):
        """Add a network."""
        self._queue[id(work)] = work

    def dequeue(self, now_s):
        """Return what must start first, if nothing runs, and whom to refuse."""
        self._refuse_late(now_s)
        refuse = self._refused.tell()
        if self._running is not None:
            return Dispatch(refuse=refuse)
        if self._queue:
            work = min(self._queue.values(), key=self._latest_start_s)
            del self._queue[id(work)]
        elif self._refused and not refuse:
            work = self._refused.pop()
        else:
            return Dispatch(refuse=refuse)
        self._running, self._began_s = work, now_s
        return Dispatch((work,), refuse=refuse)

    def complete(self, work, now_s):
        """Make way for the next, and remember how long it took."""
        if work is self._running:
            self._times.ran(work.instance, now_s - self._began_s, work.remaining_s)
            self._running = None

    def withdraw(self, work):
        """Forget queued work; False if it was submitted already."""
        return self._queue.pop(id(work), None) is not None or self._refused.remove(work)

    def next_wake_s(self, now_s):
        """Return now if only refused work is left, and nobody has dropped it; None: never."""
        return now_s if self._refused and self._running is None else None

    def _refuse_late(self, now_s):
        free_s = now_s
        if self._running is not None:
            free_s = max(now_s, self._began_s + self._predicted_s(self._running))
        for work in list(self._queue.values()):
            if self._latest_start_s(work) < free_s:
                del self._queue[id(work)]
                self._refused.add(work)

    def _latest_start_s(self, work) -> float:
        return work.deadline_s - self._predicted_s(work)

    def _predicted_s(self, work) -> float:
        return self._times.predicted_s(work.instance, work.remaining_s)
