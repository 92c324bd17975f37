"""Which depth belongs to which result: the one that was taken nearest in time."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, List, Optional

# Depths kept for results that are to come: a second of them, at 30 in a second.
KEPT = 30


@dataclasses.dataclass(frozen=True)
class Pair:
    """A result, and its depth, if there is one in time.

    `skew_s` is how much later than the result's the stamp of the nearest depth is; None if none
    has come.
    """

    result: Any
    depth: Any = None
    skew_s: Optional[float] = None


class Pairs:
    """The depths of one camera, and its results that wait for them.

    Parameters
    ----------
    max_skew_s : float
        How far the stamps of result and depth may be apart.
    max_wait_s : float
        How long a result waits for its depth.

    """

    def __init__(self, max_skew_s, max_wait_s):
        self.max_skew_s = max_skew_s
        self.max_wait_s = max_wait_s
        self._depths = collections.OrderedDict()
        self._waiting = []

    def add_depth(self, stamp_ns, depth):
        """Keep a depth; if its stamp goes back, the camera has begun again."""
        if self._depths and stamp_ns < next(reversed(self._depths)):
            self._depths.clear()
        self._depths[stamp_ns] = depth
        while len(self._depths) > KEPT:
            self._depths.popitem(last=False)

    def add_result(self, stamp_ns, result, now_s):
        """Let a result wait; `now_s` is on the clock of all calls."""
        self._waiting.append((stamp_ns, now_s + self.max_wait_s, result))

    def take(self, now_s) -> List[Pair]:
        """Return the results whose nearest depth is known, or that have waited long enough."""
        newest_ns = next(reversed(self._depths), None)
        waiting, self._waiting = self._waiting, []
        pairs = []
        for stamp_ns, due_s, result in waiting:
            if now_s >= due_s or (newest_ns is not None and stamp_ns <= newest_ns):
                pairs.append(self._pair(stamp_ns, result))
            else:
                self._waiting.append((stamp_ns, due_s, result))
        return pairs

    @property
    def due_s(self) -> Optional[float]:
        """Return when the first result will have waited long enough; None if none waits."""
        return min((due_s for _, due_s, _ in self._waiting), default=None)

    def _pair(self, stamp_ns, result):
        if not self._depths:
            return Pair(result)
        nearest_ns = min(self._depths, key=lambda depth_ns: abs(depth_ns - stamp_ns))
        skew_s = (nearest_ns - stamp_ns) / 1e9
        depth = self._depths[nearest_ns] if abs(skew_s) <= self.max_skew_s else None
        return Pair(result, depth, skew_s)
