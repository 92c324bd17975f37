"""What waits for one network, and which of it runs next as one batch."""

from __future__ import annotations

import collections
import itertools
from typing import List, Tuple

from s3dnn_ros.recent import RunTimes
from s3dnn_ros.scheduling.fusion import best_batch

# Runs of one batch after which its profile is trusted no more.
FEWEST_RUNS = 3


class ModelQueue:
    """The requests for one network, of all instances and front ends.

    Not thread-safe; the core owns it.

    Parameters
    ----------
    network : Network
    expect : Expectation
        What a run of how many frames takes.

    """

    def __init__(self, network, expect):
        self.network = network
        self.expect = expect
        self.lanes_taken = 0
        self.pending: List = []     # jobs that wait for their start
        self._waiting = collections.deque()
        self._runs = RunTimes()

    def put(self, request):
        """Add a request at the end."""
        self._waiting.append(request)

    def put_back(self, requests):
        """Add requests that were taken, at the front."""
        self._waiting.extendleft(reversed(requests))

    def remove(self, request):
        """Forget a request that waits."""
        self._waiting.remove(request)

    def late(self, now_s) -> List:
        """Remove and return what waits and is late, see `is_late`."""
        found = [request for request in self._waiting if self.is_late(request, now_s)]
        for request in found:
            self._waiting.remove(request)
        return found

    def ready(self, fuse) -> bool:
        """Tell whether another job should be made of what waits.

        Every pending job will need a lane. Of fused ones one is enough: the next is made when
        it has started, of what has arrived by then.
        """
        free = self.network.lanes - self.lanes_taken - len(self.pending)
        return bool(self._waiting) and free > 0 and not (fuse and self.pending)

    def is_late(self, request, now_s) -> bool:
        """Tell whether a request would miss its deadline even if it ran now, alone and quickly.

        One that is to run late is not late.
        """
        if request.run_late:
            return False
        batch = self.network.padded(request.frames)
        least_s = (self.expect.least_s(batch) if self.expect.profiled
                   else self._runs.low_s(batch))
        return now_s + least_s > request.deadline_s

    def gave_up(self, request, now_s):
        """Take note of a request that is late; trust the overheads less if it is late for them."""
        least_s = self.expect.least_s(self.network.padded(request.frames))
        if now_s + least_s - self.expect.overhead_s(0) <= request.deadline_s:
            self.expect.lower_overheads()

    def observe(self, job, segment, last, run):
        """Learn from a run of consecutive segments that went well."""
        # what was submitted ahead waited for the one before it
        took_s = run.ended_s - max(run.started_s, job.ended_s)
        self.expect.observe(segment, self.network.padded(job.frames), took_s,
                            job.time_factors(segment, last))

    def ran(self, batch, took_s):
        """Learn from a run of the whole network, with all that came in between."""
        self._runs.add(batch, took_s)

    def known_run_s(self, frames) -> Tuple[float, bool]:
        """Return what a run of so many frames takes, and whether that was measured.

        What the last runs took mostly; before there are some, the profile's time; without
        one, that of the nearest batch, in proportion. 0 where nothing is known.
        """
        batch = self.network.padded(frames)
        if self._runs.runs(batch) >= FEWEST_RUNS:
            return self._runs.typical_s(batch), True
        if self.expect.profiled:
            return self.expect.run_s(batch), True
        nearest = self._runs.nearest(batch)
        if nearest is not None:
            return self._runs.typical_s(nearest) * batch / nearest, False
        return self.expect.run_s(batch), False

    def margin_s(self, frames) -> float:
        """Return by how much few runs of so many frames exceed what was told."""
        batch = self.network.padded(frames)
        if not self._runs.runs(batch):
            return 0.0
        return self._runs.slow_s(batch) - self._runs.typical_s(batch)

    def take(self, now_s, fuse, max_batch) -> Tuple:
        """Remove and return the requests that run next."""
        chosen = self.choose(now_s, fuse, max_batch)
        for request in chosen:
            self._waiting.remove(request)
        return chosen

    def choose(self, now_s, fuse, max_batch, taken=()) -> Tuple:
        """Return the requests that should run next: the first, or the best batch.

        Fused are the most urgent ones, as many as still keep the earliest deadline (S3DNN,
        Algorithm 1, DERIVED), and of at most `max_batch` frames. Those `taken` before count
        as if they were back at the front.
        """
        waiting = [*taken, *self._waiting]
        if not fuse or len(waiting) == 1:
            return (waiting[0],)
        order = sorted(waiting, key=lambda request: (-request.priority, request.deadline_s))
        frames = list(itertools.accumulate(request.frames for request in order))
        limit = min(max_batch, self.network.largest)
        # every request says with how many others its front end allows it to run
        limits = itertools.accumulate((request.max_batch or limit for request in order), min)
        fitting = max(1, sum(total <= min(limit, own) for total, own in zip(frames, limits)))
        apart_s = list(itertools.accumulate(self._run_s(request.frames) for request in order))
        count = best_batch(
            [request.deadline_s for request in order[:fitting]], now_s,
            lambda requests: self._run_s(frames[requests - 1]), fitting,
            lambda requests: apart_s[requests - 1])
        return tuple(order[:count])

    def _run_s(self, frames):
        return self.expect.run_s(self.network.padded(frames))
