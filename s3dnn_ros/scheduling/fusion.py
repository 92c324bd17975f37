"""Which waiting frames go into the next batch of an instance, and when.

S3DNN's governor (RTAS 2018, Algorithm 1; the rules here are DERIVED) fuses
requests of one model and shape, as long as the most urgent of them still meets
its deadline and one run costs less than several. Per camera only the newest
frame waits, so that nothing queues without bound.

W(k) is the time of one run with k frames, in seconds. A request is *lost* when
even a run of its own would end after its deadline: now + W(1) > deadline.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

# A camera that comes later than its period says is waited for by this part of
# the period, so that jitter does not break its batches apart.
JITTER = 0.1


@dataclasses.dataclass(frozen=True)
class Request:
    """A frame that waits for a run of an instance; `item` is passed through."""

    camera: str
    deadline_s: float
    ready_s: float
    item: Any


def best_batch(deadlines_s: Sequence[float], now_s, time_s: Optional[Callable[[int], float]],
               max_batch, apart_s: Optional[Callable[[int], float]] = None) -> int:
    """Return how many of these requests should run as one batch.

    The largest k with now + W(k) ≤ the earliest deadline and W(k) < k·W(1), else
    1 (Algorithm 1, DERIVED). Deadlines that are lost hold back nobody: the
    earliest of the others counts. Where all are lost, the largest k that saves
    time is best, as it frees the device soonest. 0 for no deadlines.

    Parameters
    ----------
    deadlines_s : sequence of float
        In any order.
    now_s : float
    time_s : callable or None
        W; where it is None (no profile), everything is fused.
    max_batch : int
    apart_s : callable or None
        What the first k take one after another; None: k·W(1).

    """
    limit = min(len(deadlines_s), max_batch)
    if time_s is None:
        return limit
    alone_s = time_s(1)
    earliest_s = min((deadline_s for deadline_s in deadlines_s
                      if now_s + alone_s <= deadline_s), default=float('inf'))
    for size in range(limit, 1, -1):
        took_s = time_s(size)
        saves = took_s < (apart_s(size) if apart_s else size * alone_s)
        if now_s + took_s <= earliest_s and saves:
            return size
    return min(limit, 1)


class FusionQueue:
    """The waiting frames of one instance. Times are seconds, given by the caller.

    `max_batch` and `max_delay_s` may change at any time; `time_s` is W, or None
    where no profile is known.
    """

    def __init__(self, cameras, max_batch, max_delay_s, time_s=None):
        self.cameras = frozenset(cameras)
        self.max_batch = max_batch
        self.max_delay_s = max_delay_s
        self.time_s = time_s
        self._waiting: Dict[str, Request] = {}
        # by camera: when its last two frames were ready, the newer one last
        self._arrivals: Dict[str, Tuple[float, float]] = {}

    def __len__(self):
        return len(self._waiting)

    def put(self, request) -> Optional[Request]:
        """Add a request; return the older one of the same camera that it replaces."""
        _, last_s = self._arrivals.get(request.camera, (0.0, float('-inf')))
        self._arrivals[request.camera] = last_s, request.ready_s
        replaced = self._waiting.pop(request.camera, None)
        self._waiting[request.camera] = request
        return replaced

    def due_s(self) -> Optional[float]:
        """Return from when on a batch should be taken, None while nothing waits.

        With W known (DERIVED), a frame waits only for cameras whose next frame is
        expected, one period after their last, before the bound: `max_delay_s`
        after the oldest frame became ready, or the last moment at which one frame
        more would still meet the earliest deadline, whichever is first. Without W
        it waits for `max_delay_s`. Nothing waits where everybody is here already.
        """
        if not self._waiting:
            return None
        oldest_s = min(request.ready_s for request in self._waiting.values())
        full = min(self.max_batch, len(self.cameras))
        if len(self._waiting) >= full:
            return oldest_s
        bound_s = oldest_s + self.max_delay_s
        if self.time_s is None or self.max_delay_s <= 0.0:
            return bound_s
        larger = len(self._waiting) + 1
        if not any(self.time_s(size) < size * self.time_s(1) for size in range(larger, full + 1)):
            return oldest_s
        earliest_s = min(request.deadline_s for request in self._waiting.values())
        bound_s = min(bound_s, earliest_s - self.time_s(larger))
        return max(oldest_s, min(bound_s, self._last_expected_s(bound_s)))

    def take(self, now_s) -> Tuple[Request, ...]:
        """Remove and return the next batch, earliest deadline first.

        Requests that are lost come after all others: they ride along where the
        batch meets its deadlines in spite of them, else they wait for their turn.
        """
        alone_s = None if self.time_s is None else self.time_s(1)

        def urgency(request):
            lost = alone_s is not None and now_s + alone_s > request.deadline_s
            return lost, request.deadline_s, request.ready_s

        order: List[Request] = sorted(self._waiting.values(), key=urgency)
        size = best_batch([request.deadline_s for request in order], now_s, self.time_s,
                          self.max_batch)
        batch = tuple(order[:size])
        for request in batch:
            del self._waiting[request.camera]
        return batch

    def discard(self) -> Tuple[Request, ...]:
        """Remove and return everything."""
        waiting = tuple(self._waiting.values())
        self._waiting.clear()
        return waiting

    def _last_expected_s(self, bound_s):
        """Return until when to wait for the cameras that should come by `bound_s`."""
        last_s = float('-inf')
        for camera in self.cameras:
            if camera in self._waiting or camera not in self._arrivals:
                continue
            before_s, newest_s = self._arrivals[camera]
            period_s = newest_s - before_s
            # a single arrival has an infinite period; a clock set back, a negative one
            if period_s > 0.0 and newest_s + period_s <= bound_s:
                last_s = max(last_s, newest_s + period_s + JITTER * period_s)
        return last_s
