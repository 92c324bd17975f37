"""Drives a core in virtual time, from event to event, as fast as it goes."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Callable, List, Tuple

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.driver import look


class VirtualDriver:
    """Steps a core in one thread, and moves the clock to whatever comes next.

    Parameters
    ----------
    core : Core
    engine : Engine
        It says in `next_end_s` when it ends something next, and does it in `end_due`. What ends
        only in its `poll` is looked for.
    clock : VirtualClock
        That of the engine, too.

    """

    def __init__(self, core: Core, engine, clock: VirtualClock):
        self._core = core
        self._engine = engine
        self._clock = clock
        self._actions: List[Tuple[float, int, Callable[[], None]]] = []     # a heap
        self._numbers = itertools.count()
        self._wake_s = math.inf     # when the core wants to be stepped

    def at(self, time_s: float, action: Callable[[], None]):
        """Have something done at a time, in the order of the calls if it is of one time."""
        heapq.heappush(self._actions, (time_s, next(self._numbers), action))

    def run_until(self, end_s: float):
        """Do all that is to be done up to a time, which the clock then shows."""
        core, engine, clock, actions = self._core, self._engine, self._clock, self._actions
        is_polled = engine.poll_s is not None
        self._wake_s = clock.now_s()
        while True:
            now_s = clock.now_s()
            engine.end_due()
            while actions and actions[0][0] <= now_s:
                heapq.heappop(actions)[2]()
            # as in real time, nothing is decided where nothing is new
            if core.has_events or self._wake_s <= now_s:
                wake_s = core.step(now_s)
                self._wake_s = math.inf if wake_s is None else wake_s
            look_s = look(core, engine, now_s) if is_polled else math.inf
            if core.has_events:
                continue
            next_s = min(look_s, engine.next_end_s(), self._wake_s,
                         actions[0][0] if actions else math.inf)
            if next_s > end_s:
                clock.advance(max(0.0, end_s - now_s))
                return
            if next_s > now_s:
                clock.advance(next_s - now_s)
