"""Drives a core in real time: a thread of its own, an inbox, and looks at the device."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from typing import Callable

from s3dnn_ros.base.clock import sharpen_timers
from s3dnn_ros.engines.base import Engine
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.events import Arrival, Stopping

# After a step that failed, the next one comes so much later.
FAILED_S = 0.01


def look(core: Core, engine: Engine, now_s: float) -> float:
    """Look for what has ended, if anything runs; return when to look again, inf for never."""
    first_s = None if engine.poll_s is None else core.look_s
    if first_s is None:
        return math.inf
    engine.poll()
    return max(now_s + engine.poll_s, first_s)


class Driver:
    """Steps a core whenever something comes or is due.

    Parameters
    ----------
    core : Core
    engine : Engine
    clock : Clock
    dropped : callable
        Called with (request, reason, sentence) for what comes after the end.
    report : callable
        Called with a sentence when a step failed.
    inbox : object, optional
        With `put`, `get` and `get_nowait` of a `queue.SimpleQueue`, which it is otherwise.

    """

    def __init__(self, core: Core, engine: Engine, clock, dropped: Callable, report: Callable,
                 inbox=None):
        self._core = core
        self._engine = engine
        self._clock = clock
        self._dropped = dropped
        self._report = report
        self._inbox = queue.SimpleQueue() if inbox is None else inbox
        self._closed = False
        self._door = threading.Lock()          # taken in before the end, or refused
        self._thread = threading.Thread(target=self._run, name='s3dnn-core', daemon=True)
        core.notify = self._inbox.put

    def start(self):
        """Start the thread."""
        self._thread.start()

    def post(self, event):
        """Hand an event over; any thread. What arrives after the end is dropped at once.

        Tells whether the core will take it in.
        """
        with self._door:
            if not self._closed:
                self._inbox.put(event)
                return True
        if isinstance(event, Arrival):
            self._dropped(event.request, 'shutdown', '')
        return False

    def stop(self):
        """Drop what waits, wait for what runs, and end the thread."""
        self.post(Stopping())
        self._thread.join()

    def cpu_s(self) -> float:
        """Return the CPU seconds that the thread has used."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def _run(self):
        sharpen_timers()
        wake_s = self._clock.now_s()
        while not self._core.has_stopped:
            try:
                self._wait(math.inf if wake_s is None else wake_s)
                wake_s = self._step()
            except Exception as error:
                # without its thread the node would look alive and do nothing
                self._report(f'the runtime failed: {error!r}; please report this')
                wake_s = self._clock.now_s() + FAILED_S
        with self._door:
            self._closed = True
        self._take_in()
        self._step()

    def _wait(self, wake_s):
        """Wait for an event, or until there is something to decide again."""
        while True:
            now_s = self._clock.now_s()
            until_s = min(wake_s, look(self._core, self._engine, now_s))
            try:
                event = self._inbox.get(timeout=None if until_s == math.inf
                                        else max(0.0, until_s - now_s))
            except queue.Empty:
                if until_s < wake_s:
                    continue
                return
            self._core.post(event)
            self._take_in()
            return

    def _take_in(self):
        with contextlib.suppress(queue.Empty):
            while True:
                self._core.post(self._inbox.get_nowait())

    def _step(self):
        """Step once; return when to step next."""
        now_s = self._clock.now_s()
        wake_s = self._core.step(now_s)
        self._core.step_s = self._clock.now_s() - now_s
        return wake_s
