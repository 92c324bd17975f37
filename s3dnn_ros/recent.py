"""What something took in its last runs: robust against a run that stalled."""

from __future__ import annotations

import collections

# So many runs are remembered: of 25 a second, those of the last 0.6 s.
KEPT = 16
# The part of them that takes no longer than `typical_s`. A little less than the half: a frame that
# is given up for a run that was overestimated is lost for sure.
TYPICAL = 0.4
# The part that takes no longer than `slow_s`.
SLOW = 0.85


class RecentTimes:
    """Seconds of the last `KEPT` runs; one thread adds, any may read."""

    def __init__(self):
        self._times_s = collections.deque(maxlen=KEPT)

    def __len__(self):
        return len(self._times_s)

    def add(self, time_s):
        """Remember a run."""
        self._times_s.append(time_s)

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

    def _at(self, part):
        times_s = sorted(self._times_s)
        return times_s[int(part * (len(times_s) - 1))] if times_s else 0.0
