"""When front ends are told what the device has to do: soon after that has changed."""

from __future__ import annotations

import math
from typing import Callable, Iterable, List, Optional

from s3dnn_ros.runtime.admission import Load
from s3dnn_ros.runtime.job import Job, Request

# The load is told no more often than this, and no less often than that.
LEAST_SILENCE_S = 0.002
MOST_SILENCE_S = 0.25


class LoadReport:
    """Tells the load when it has changed, or was told long ago.

    Parameters
    ----------
    tell : callable, optional
        Called with all that has started or waits, the time, and whether it must be told. Returns
        whether it was told; it must be every `MOST_SILENCE_S`. None: nobody is told.

    """

    def __init__(self, tell: Optional[Callable[[List[Load], float, bool], bool]] = None):
        self._tell = tell
        self._news_s = math.inf         # from when on to tell what has changed
        self._told_s = -math.inf
        self._must = False

    def changed(self, from_s: float):
        """Take note of a change that is worth telling from a moment on."""
        if from_s < self._news_s:
            self._news_s = from_s

    def ask(self, now_s: float):
        """Have the load told although nothing has changed."""
        self._news_s, self._must = now_s, True

    @property
    def due_s(self) -> Optional[float]:
        """Return when the load is to be told next; None: never."""
        if self._tell is None:
            return None
        news_s = self._news_s
        if news_s > self._told_s:       # simulated time may stand still
            news_s = max(news_s, self._told_s + LEAST_SILENCE_S)
        return min(self._told_s + MOST_SILENCE_S, news_s)

    def tell(self, started: Iterable[Job], waiting: Iterable[Request], now_s: float):
        """Tell what has started and what waits, if it is time."""
        if self._tell is None or now_s < self.due_s:
            return
        must = self._must or now_s - self._told_s >= MOST_SILENCE_S
        if self._tell(_loads(started, waiting, now_s), now_s, must):
            self._told_s, self._must = now_s, False
        self._news_s = math.inf


def _loads(started, waiting, now_s) -> List[Load]:
    loads = []
    for job in started:
        left_s, segment_s = job.left_s(now_s)
        loads.append(Load(job.queue, job.priority, job.urgent.deadline_s, left_s, segment_s,
                          True))
    for request in waiting:
        queue = request.instance.queue
        loads.append(Load(queue, request.priority, request.deadline_s,
                          queue.known_run_s(request.frames)[0], 0.0, False))
    return loads
