"""First come, first served, one at a time."""

from __future__ import annotations

import collections

from s3dnn_ros.scheduling.work import NOTHING, Dispatch


class Fifo:
    """Runs work in the order of its arrival, each alone."""

    whole_networks = True
    holds = False

    def __init__(self):
        self._queue = collections.deque()
        self._running = None

    def enqueue(self, work, now_s):
        """Add work at the end of the queue."""
        self._queue.append(work)

    def dequeue(self, now_s):
        """Return the oldest work, if nothing runs."""
        if self._running is not None or not self._queue:
            return NOTHING
        self._running = self._queue.popleft()
        return Dispatch((self._running,))

    def complete(self, work, now_s):
        """Make way for the next."""
        if work is self._running:
            self._running = None

    def withdraw(self, work):
        """Forget queued work; False if it is not in the queue."""
        for index, queued in enumerate(self._queue):
            if queued is work:
                del self._queue[index]
                return True
        return False

    def next_wake_s(self, now_s):
        """Return None: only arrivals and completions change a decision."""
        return None
