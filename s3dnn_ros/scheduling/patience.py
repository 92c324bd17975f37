"""How long work lets others go past (DERIVED)."""

from __future__ import annotations

import math
from typing import Dict, Iterable

from s3dnn_ros.scheduling.ordered import Entry, OrderedQueue


class Patience:
    """Lets queued work go next within its priority once it was left behind too often.

    So even endless slack ends.

    Parameters
    ----------
    queue : OrderedQueue
    most : int
        Dispatches that may leave a work behind.

    """

    def __init__(self, queue: OrderedQueue, most: int):
        self._queue = queue
        self._most = most
        self._passes: Dict[int, int] = {}       # by arrival

    def __len__(self) -> int:
        """Return how many were left behind at least once, and wait still."""
        return len(self._passes)

    def passed(self, entries: Iterable[Entry]) -> bool:
        """Count one more dispatch that left these behind; tell whether one of them goes next."""
        goes_next = False
        for entry in entries:
            passes = self._passes[entry.arrival] = self._passes.get(entry.arrival, 0) + 1
            if passes == self._most:
                self._queue.remove(entry.work)
                self._queue.put(entry._replace(due_s=-math.inf))
                goes_next = True
        return goes_next

    def forget(self, entry: Entry):
        """Take note that a work has started, or was withdrawn."""
        self._passes.pop(entry.arrival, None)


def latest_start_s(entry: Entry) -> float:
    """Return the end of a work's slack; long ago for work that goes next in any case."""
    return min(entry.due_s, entry.work.slack_s(0.0))
