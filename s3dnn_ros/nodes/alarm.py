"""Wakes a node at a moment of its choice."""

from __future__ import annotations

import threading
from typing import Callable, Optional

# Of real time. Simulated time is looked at so often, as it runs at any speed; the system's time
# less often, as it is seldom set.
LOOK_SIMULATED_S, LOOK_SYSTEM_S = 0.02, 1.0


class Alarm:
    """Calls back when a moment has come, in the thread that spins the node.

    A timer that is set anew at every shot is no way to do this: Kilted's events executor then
    shoots all timers of its clock too often, and later for a long time none of them.

    Parameters
    ----------
    node : S3dnnNode
    callback : callable
        What it raises is counted and dropped, as in a timer of the node.

    """

    def __init__(self, node, callback: Callable[[], None]):
        self._node = node
        self._callback = node.guarded(callback)
        self._changed = threading.Condition()
        self._time_s: Optional[float] = None
        self._is_rung = False
        self._is_coming = False     # a call is on its way
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='s3dnn-alarm', daemon=True)
        self._thread.start()

    def set(self, time_s: Optional[float]):
        """Call at this moment of the node's clock, not at the one set before; None: never."""
        with self._changed:
            is_earlier = time_s is not None and (self._time_s is None or time_s < self._time_s)
            self._time_s = time_s
            if is_earlier:
                self._changed.notify()

    def ring(self):
        """Call soon, whatever moment is set; any thread."""
        with self._changed:
            self._is_rung = True
            self._changed.notify()

    def close(self):
        """End the thread; nothing is called any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self):
        with self._changed:
            while not self._closed:
                wait_s = self._wait_s()
                if wait_s is None or wait_s > 0.0:
                    self._changed.wait(wait_s)
                else:
                    self._time_s, self._is_rung, self._is_coming = None, False, True
                    self._node.executor.create_task(self._call)

    def _wait_s(self) -> Optional[float]:
        """Return how long to wait until there may be something to do; None: until a change."""
        if self._is_coming or (self._time_s is None and not self._is_rung):
            return None
        if self._node.executor is None:
            return LOOK_SYSTEM_S    # nobody spins the node yet
        if self._is_rung:
            return 0.0
        look_s = (LOOK_SIMULATED_S if self._node.get_clock().ros_time_is_active
                  else LOOK_SYSTEM_S)
        return min(self._time_s - self._node.clock_s.now_s(), look_s)

    def _call(self):
        try:
            if not self._closed:
                self._callback()
        finally:
            with self._changed:
                self._is_coming = False
                self._changed.notify()
