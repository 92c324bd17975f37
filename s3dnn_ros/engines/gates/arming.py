"""Jobs that are launched before their images are there, by a thread of its own."""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
import weakref
from typing import Any, Deque, Iterator, List

# A lane that cannot be armed yet is tried again so much later.
AGAIN_S = 1e-3
# What nobody has used for so long, or up to twice as long, is let go: while it waits, whoever
# frees memory of the device in this process waits, too.
UNUSED_S = 1.0


class Arming:
    """Arms lanes that have nothing to do, while that is allowed; at first it is not.

    While CUDA launches a job, the core could do nothing else. The lanes are known weakly: who
    keeps them decides how long they live.

    A lane has four methods, which any thread calls: `arm` launches its next job if it may, and
    tells whether it need not be tried again; `disarm` lets go what is armed; `disarm_unused` does
    so if it was armed when it was called last; `run_on` lets go what has begun.

    Parameters
    ----------
    clock : Clock

    Attributes
    ----------
    allowed : bool
        Whether lanes may be armed.
    may_wait : bool
        Whether jobs that have begun may wait: until somebody has forbidden it.

    """

    def __init__(self, clock):
        self.allowed = False
        self.may_wait = True
        self._lanes: List[weakref.ref] = []
        # weak references to those that are to be armed; None: it is over
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=_run, args=(self._free, self._lanes, clock),
                                        name='s3dnn-arm', daemon=True)
        # a process that ends must leave nothing behind that waits on the device
        self._end = weakref.finalize(self, _end, self._free, self._lanes)

    def add(self, lane):
        """Take note of a lane."""
        self._lanes.append(weakref.ref(lane, self._lanes.remove))

    def free(self, lane):
        """Have a lane armed that has nothing to do."""
        if self.allowed:
            self._free.put(weakref.ref(lane))

    def allow(self, allowed: bool):
        """Allow it and arm all lanes, or let go all that waits; any thread, until `close`."""
        self.allowed = self.may_wait = allowed
        if not allowed:
            _disarm(self._lanes)
            for lane in _alive(self._lanes):
                lane.run_on()
            return
        if not self._thread.is_alive():
            self._thread.start()
        for lane in _alive(self._lanes):
            self.free(lane)

    def close(self):
        """Let go all that is armed, and end the thread."""
        self.allowed = False
        self._end()
        if self._thread.is_alive():
            self._thread.join()


def _end(free, lanes):
    free.put(None)
    _disarm(lanes)


def _alive(lanes) -> Iterator[Any]:
    """Give the lanes that are still there."""
    return filter(None, [reference() for reference in list(lanes)])


def _disarm(lanes):
    for lane in _alive(lanes):
        lane.disarm()


def _run(free, lanes, clock):
    """Arm what is free, and let go what is not used, again and again."""
    waiting: Deque = collections.deque()
    sweep_s = clock.now_s() + UNUSED_S
    while True:
        with contextlib.suppress(queue.Empty):
            reference = free.get(timeout=AGAIN_S if waiting else UNUSED_S)
            if reference is None:
                return
            waiting.append(reference)
        for _ in range(len(waiting)):
            lane = waiting.popleft()()
            if lane is not None and not lane.arm():
                waiting.append(weakref.ref(lane))
            del lane
        if clock.now_s() >= sweep_s:
            sweep_s = clock.now_s() + UNUSED_S
            for lane in _alive(lanes):
                lane.disarm_unused()
                del lane
