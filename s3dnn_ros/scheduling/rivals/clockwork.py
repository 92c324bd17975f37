"""Clockwork (Gujarati et al., OSDI 2020): one network at a time, and nothing that will be late."""

from __future__ import annotations

import math
from typing import Dict

from s3dnn_ros.scheduling.options import check, is_number
from s3dnn_ros.scheduling.rivals.recent_maximum import RecentMaximum
from s3dnn_ros.scheduling.rivals.refused import Refused
from s3dnn_ros.scheduling.work import Dispatch, SegmentWork

# In the published source the estimate is the 99th percentile of the last 10 runs.
WINDOW = 10
# What runs, and what waits on the device for its end.
MOST_ON_DEVICE = 2


class Clockwork:
    """Runs the network that must start first, alone, and refuses those that would be late.

    The rules are those of Clockwork's published source (its scheduler `infer5`).

    1. The device runs one network at a time. The next is sent shortly before its predicted end,
       so that the device does not wait for the host.
    2. A network takes the longest of its last 10 runs.
    3. The latest start, deadline minus this time, orders the requests of all networks.
    4. A request that would be late even if it ran next is refused. The source looks at a request
       when its network comes next; here all are looked at with every decision, so that some are
       refused at their arrival (DERIVED).

    Batches are the core's, by S3DNN's Algorithm 1: as many requests as keep the earliest deadline.
    Of a batch that would be late the most urgent request is refused, and the others make a new
    one. Clockwork's own rule gives up urgent requests for larger batches, too (DERIVED).
    Priorities count for nothing. The source keeps 5 ms of every deadline free, because of its
    network; that is not done here. Weights are always loaded.

    Parameters
    ----------
    lead_s : float
        How long before the predicted end of what runs the next network is sent; 0: only when it
        has ended. The source sends work up to 10 ms ahead, to a device that runs it in order.
        Here what is sent too early runs beside what is there.

    Raises
    ------
    ValueError
        If the lead is negative, or no finite number.

    """

    whole_networks = True
    holds = False

    def __init__(self, lead_s=0.0):
        check('clockwork', 'lead_s', lead_s, 'a finite number from 0',
              is_number(lead_s) and 0.0 <= lead_s < math.inf)
        self._lead_s = lead_s
        self._queue: Dict[int, SegmentWork] = {}    # by id, oldest first
        self._refused = Refused()
        self._times = RecentMaximum(WINDOW)
        self._on_device: Dict[int, SegmentWork] = {}    # by id; the first one runs
        self._began_s = 0.0

    def enqueue(self, work, now_s):
        """Add a network."""
        self._queue[id(work)] = work

    def dequeue(self, now_s):
        """Return what must start first, once it is time to send it, and whom to refuse."""
        self._refuse_late(now_s)
        refuse = self._refused.tell()
        if self._queue and self._send_s() <= now_s:
            work = min(self._queue.values(), key=self._latest_start_s)
            del self._queue[id(work)]
        elif self._refused and not refuse and not self._on_device:
            work = self._refused.pop()
        else:
            return Dispatch(refuse=refuse)
        if not self._on_device:
            self._began_s = now_s
        self._on_device[id(work)] = work
        return Dispatch((work,), refuse=refuse)

    def complete(self, work, now_s):
        """Make way for the next, and remember how long it took."""
        is_first = id(work) == next(iter(self._on_device), None)
        if self._on_device.pop(id(work), None) is not None and is_first:
            self._times.ran(work.instance, now_s - self._began_s, work.remaining_s)
            self._began_s = now_s

    def withdraw(self, work):
        """Forget queued work; False if it was submitted already."""
        return self._queue.pop(id(work), None) is not None or self._refused.remove(work)

    def next_wake_s(self, now_s):
        """Return when to send what waits; None: never.

        That is now if only refused work is left, and nobody has dropped it.
        """
        if self._queue and self._send_s() < math.inf:
            return max(now_s, self._send_s())
        return now_s if self._refused and not self._on_device else None

    def _send_s(self) -> float:
        """Return from when on the next network may be sent; inf: when another one has ended."""
        if not self._on_device:
            return -math.inf
        if not self._lead_s or len(self._on_device) == MOST_ON_DEVICE:
            return math.inf
        return self._free_s() - self._lead_s

    def _free_s(self) -> float:
        """Return when all on the device should have ended."""
        return self._began_s + sum(map(self._predicted_s, self._on_device.values()))

    def _refuse_late(self, now_s):
        free_s = max(now_s, self._free_s())
        for work in list(self._queue.values()):
            if self._latest_start_s(work) < free_s:
                del self._queue[id(work)]
                self._refused.add(work)

    def _latest_start_s(self, work) -> float:
        return work.deadline_s - self._predicted_s(work)

    def _predicted_s(self, work) -> float:
        return self._times.predicted_s(work.instance, work.remaining_s)
