"""Who has work on the device, and for how long."""

from __future__ import annotations

import collections
import threading
from typing import Counter, Dict, Iterable


class BusyTimes:
    """Adds up the seconds in which each name had work under way; what overlaps counts once.

    May be read while another thread writes.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._under_way: Counter[str] = collections.Counter()
        self._since_s: Dict[str, float] = {}    # of those that have work under way
        self._busy_s: Dict[str, float] = {}     # of what is over

    def began(self, names: Iterable[str], now_s: float):
        """Take note of a work that is of all these names."""
        with self._lock:
            for name in names:
                self._under_way[name] += 1
                self._since_s.setdefault(name, now_s)

    def ended(self, names: Iterable[str], now_s: float):
        """Take note of its end."""
        with self._lock:
            for name in names:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    took_s = now_s - self._since_s.pop(name)
                    self._busy_s[name] = self._busy_s.get(name, 0.0) + took_s

    def until(self, now_s: float) -> Dict[str, float]:
        """Return the seconds of every name up to this moment, also of what is still under way."""
        with self._lock:
            busy_s = dict(self._busy_s)
            for name, since_s in self._since_s.items():
                busy_s[name] = busy_s.get(name, 0.0) + now_s - since_s
        return busy_s
