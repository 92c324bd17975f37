"""Jobs that are launched before their images are there, by a thread of its own."""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
import weakref
from typing import Any, Deque, Iterable

# A lane that cannot be armed yet is tried again so much later.
AGAIN_S = 1e-3


class Arming:
    """Arms lanes that have nothing to do, while that is allowed; at first it is not.

    To launch a job takes CUDA 20 to 130 µs, in which the core could do nothing else. The lanes are
    known weakly: who keeps them decides how long they live.

    A lane has `arm`, which launches its next job if it may, and tells whether it need not be
    tried again, and `disarm`, which lets go what it has armed. Both are called by any thread.
    """

    def __init__(self):
        self.allowed = False
        self._lanes: weakref.WeakSet = weakref.WeakSet()
        self._free: queue.SimpleQueue = queue.SimpleQueue()     # to be armed; weak references
        self._thread = threading.Thread(target=_run, args=(self._free,), name='s3dnn-arm',
                                        daemon=True)
        # a process that ends must leave nothing behind that waits on the device
        weakref.finalize(self, _disarm, self._lanes)

    def add(self, lane):
        """Take note of a lane."""
        self._lanes.add(lane)

    def free(self, lane):
        """Have a lane armed that has nothing to do."""
        if self.allowed:
            self._free.put(weakref.ref(lane))

    def allow(self, allowed: bool):
        """Allow it and arm all lanes, or let go all that is armed; any thread."""
        self.allowed = allowed
        if not allowed:
            _disarm(self._lanes)
            return
        if not self._thread.is_alive():
            self._thread.start()
        for lane in list(self._lanes):
            self.free(lane)


def _disarm(lanes: Iterable[Any]):
    for lane in list(lanes):
        lane.disarm()


def _run(free):
    """Arm what is free, again and again."""
    waiting: Deque = collections.deque()
    while True:
        with contextlib.suppress(queue.Empty):
            waiting.append(free.get(timeout=AGAIN_S if waiting else None))
        for _ in range(len(waiting)):
            lane = waiting.popleft()()
            if lane is not None and not lane.arm():
                waiting.append(weakref.ref(lane))
            del lane
