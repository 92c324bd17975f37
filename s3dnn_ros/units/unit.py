"""A unit: an engine on one device, with a thread of its own."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from typing import Any, Callable

from s3dnn_ros.engines.base import Engine, Network

# For what runs yet when a unit is closed.
CLOSE_S = 10.0


class Unit:
    """An engine that is made, loaded, run and closed in one thread.

    CUDA's current device belongs to a thread, and so do the algorithms that cuDNN has chosen.
    A thread that hangs cannot be ended, but it does not keep the process from its end.

    Parameters
    ----------
    name : str
        Such as `torch:cuda:0`.
    make : callable
        Returns the Engine; called in the unit's thread.

    Attributes
    ----------
    engine : Engine
    hangs : bool
        Set by who waits for it too long. Then `load` begins with another thread and engine.

    Raises
    ------
    Exception
        Whatever `make` raises.

    """

    def __init__(self, name: str, make: Callable[[], Engine]):
        self.name = name
        self._make = make
        self._begin()

    def call(self, function: Callable[[], Any]) -> concurrent.futures.Future:
        """Call a function in the unit's thread, behind those before it; any thread."""
        future: concurrent.futures.Future = concurrent.futures.Future()
        self._calls.put((function, future))
        return future

    def load(self, instance, segments, outputs, spec, **options) -> Network:
        """Return what `Engine.load` returns or raises, with its arguments."""
        if self.hangs:
            # the old engine is closed if it ever hangs no more
            self.close(wait_s=0.0)
            self._begin()
        return self.call(lambda: self.engine.load(instance, segments, outputs, spec, **options)
                         ).result()

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Close the engine and end the thread, behind what was called; waits so long at most."""
        closed = self.call(self.engine.close)
        self._calls.put(None)
        concurrent.futures.wait([closed], wait_s)

    def _begin(self):
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._calls,), name=f's3dnn {self.name}',
                         daemon=True).start()
        try:
            self.engine: Engine = self.call(self._make).result()
        except Exception:
            self._calls.put(None)
            raise
        self.hangs = False


def _work(calls):
    while True:
        call = calls.get()
        if call is None:
            return
        function, future = call
        try:
            future.set_result(function())
        except Exception as error:
            # whatever a device does, the next call must find its thread
            future.set_exception(error)
        # a thread that waits must not keep alive what it did last
        del call, function, future
