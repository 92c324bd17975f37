"""What something took in its last runs: robust against a run that stalled."""

from __future__ import annotations

import collections

# So many runs are remembered: of 25 a second, those of the last 0.6 s.
KEPT = 16
# The part of them that `high` covers.
HIGH = 0.85


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
        """Return the median; 0 before the first run."""
        return self._at(0.5)

    @property
    def high_s(self):
        """Return what few runs exceed; 0 before the first run."""
        return self._at(HIGH)

    def _at(self, part):
        times_s = sorted(self._times_s)
        return times_s[int(part * (len(times_s) - 1))] if times_s else 0.0
