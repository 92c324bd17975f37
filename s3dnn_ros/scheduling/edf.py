"""Earliest deadline first, one at a time."""

from __future__ import annotations

from s3dnn_ros.scheduling.ordered import OrderedQueue
from s3dnn_ros.scheduling.work import NOTHING, Dispatch


class Edf:
    """Runs the work with the earliest deadline next, alone; of equal ones the oldest.

    Work of higher priority goes before all of lower. What runs is not interrupted.
    """

    whole_networks = False
    holds = False

    def __init__(self):
        self._queue = OrderedQueue()
        self._running = None

    def enqueue(self, work, now_s):
        """Add work in the place that its deadline gives it."""
        self._queue.put(self._queue.entry(work, work.deadline_s))

    def dequeue(self, now_s):
        """Return the most urgent work, if nothing runs."""
        if self._running is not None or not self._queue:
            return NOTHING
        self._running = self._queue.pop()
        return Dispatch((self._running,))

    def complete(self, work, now_s):
        """Make way for the next."""
        if work is self._running:
            self._running = None

    def withdraw(self, work):
        """Forget queued work; False if it is not in the queue."""
        return self._queue.remove(work) is not None

    def next_wake_s(self, now_s):
        """Return None: only arrivals and completions change a decision."""
        return None
