"""What CUDA does when nobody supervises it: everything at once."""

from __future__ import annotations

from typing import Dict

from s3dnn_ros.scheduling.work import NOTHING, Dispatch, SegmentWork


class Streams:
    """Submits all that is ready, each on a stream of its own, in order of arrival.

    The rival that S3DNN compares supervised streaming with: the hardware shares
    itself out, blind to deadlines.
    """

    whole_networks = True
    holds = False

    def __init__(self):
        self._queue: Dict[int, SegmentWork] = {}    # by id, oldest first

    def enqueue(self, work, now_s):
        """Add work at the end of the queue."""
        self._queue[id(work)] = work

    def dequeue(self, now_s):
        """Return all that is queued."""
        if not self._queue:
            return NOTHING
        ready = tuple(self._queue.values())
        self._queue.clear()
        return Dispatch(ready)

    def complete(self, work, now_s):
        """Do nothing: what runs holds nobody back."""

    def withdraw(self, work):
        """Forget queued work; False if it is not in the queue."""
        return self._queue.pop(id(work), None) is not None

    def next_wake_s(self, now_s):
        """Return None: only arrivals change a decision."""
        return None
