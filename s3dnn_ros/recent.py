"""What something took in its last runs: robust against a run that stalled."""

from __future__ import annotations

import collections
from typing import Dict, Optional

# So many runs are remembered: of 25 a second, those of the last 0.6 s.
KEPT = 16
# The part of them that takes no longer than `typical_s`. A little less than the half: a frame that
# is given up for a run that was overestimated is lost for sure.
TYPICAL = 0.4
# The part that takes no longer than `slow_s`.
SLOW = 0.85
# Of each size, so many runs are remembered to find the shortest: more than a device is slow for.
BASE_RUNS = 64
SLOWNESS_RUNS = 8
# A size that is not among so many runs is forgotten: its base may be of a bad moment.
FORGOTTEN_RUNS = 500


class RecentTimes:
    """Seconds of the last runs; one thread adds, any may read."""

    def __init__(self, kept=KEPT):
        self._times_s = collections.deque(maxlen=kept)
        self._sorted_s = ()             # read more often than added to

    def __len__(self):
        return len(self._times_s)

    def add(self, time_s):
        """Remember a run."""
        self._times_s.append(time_s)
        self._sorted_s = sorted(self._times_s)

    @property
    def typical_s(self):
        """Return what a run takes mostly; 0 before the first run."""
        return self._at(TYPICAL)

    @property
    def slow_s(self):
        """Return what few runs exceed; 0 before the first run."""
        return self._at(SLOW)

    @property
    def low_s(self):
        """Return the shortest; 0 before the first run."""
        return self._at(0.0)

    @property
    def average_s(self):
        """Return the average of all but the longest, of what varies much; 0 before the second."""
        times_s = self._sorted_s[:-1]
        return sum(times_s) / len(times_s) if times_s else 0.0

    def _at(self, part):
        times_s = self._sorted_s
        return times_s[int(part * (len(times_s) - 1))] if times_s else 0.0


class RunTimes:
    """Times of runs of several sizes on one device, which may be slow for a while.

    Each size has a base, its shortest time among its last `BASE_RUNS` runs. How slow the device
    is, all sizes tell: the last `SLOWNESS_RUNS` runs, as multiples of their bases. So a size that
    did not run since the device was slow is not believed to be slow any more. One thread uses it.
    """

    def __init__(self):
        self._bases: Dict[int, RecentTimes] = {}        # by size
        self._last: Dict[int, int] = {}                 # by size: the number of its last run
        self._count = 0
        self._slowness = RecentTimes(SLOWNESS_RUNS)

    def add(self, size, time_s):
        """Remember a run."""
        self._count += 1
        self._last[size] = self._count
        times = self._bases.setdefault(size, RecentTimes(BASE_RUNS))
        times.add(time_s)
        self._slowness.add(time_s / times.low_s if times.low_s else 1.0)
        for other in [other for other, last in self._last.items()
                      if self._count - last > FORGOTTEN_RUNS]:
            del self._bases[other], self._last[other]

    def runs(self, size) -> int:
        """Return how many runs of a size are remembered."""
        return len(self._bases.get(size, ()))

    def nearest(self, size) -> Optional[int]:
        """Return the size among those remembered that is nearest; None: there is none."""
        return min(self._bases, key=lambda other: abs(other - size), default=None)

    def typical_s(self, size) -> float:
        """Return what a run takes mostly, as slow as the device is now."""
        return self._bases[size].low_s * self._slowness.typical_s

    def slow_s(self, size) -> float:
        """Return what few runs exceed."""
        return self._bases[size].low_s * self._slowness.slow_s

    def low_s(self, size) -> float:
        """Return what a quick run takes; 0 where none is remembered."""
        times = self._bases.get(size)
        return times.low_s * self._slowness.low_s if times else 0.0
