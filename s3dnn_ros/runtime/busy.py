"""Who has work on the device, and for how long."""

from __future__ import annotations

import threading
from typing import Dict, List


class BusyTimes:
    """Adds up the seconds in which each name had work under way; what overlaps counts once.

    May be read while another thread writes.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._names: Dict[str, List[float]] = {}    # works under way, since when, seconds before
        self._all = [0, 0.0, 0.0]

    def began(self, name: str, now_s: float):
        """Take note of a work of this name."""
        with self._lock:
            if name not in self._names:
                self._names[name] = [0, 0.0, 0.0]
            for busy in (self._names[name], self._all):
                if not busy[0]:
                    busy[1] = now_s
                busy[0] += 1

    def ended(self, name: str, now_s: float):
        """Take note of its end."""
        with self._lock:
            for busy in (self._names[name], self._all):
                busy[0] -= 1
                if not busy[0]:
                    busy[2] += now_s - busy[1]

    def until(self, now_s: float) -> Dict[str, float]:
        """Return the seconds of every name up to this moment, also of what is still under way."""
        with self._lock:
            return {name: _until(busy, now_s) for name, busy in self._names.items()}

    def all_until(self, now_s: float) -> float:
        """Return the seconds in which any of them had work under way, up to this moment."""
        with self._lock:
            return _until(self._all, now_s)


def _until(busy, now_s):
    under_way, since_s, before_s = busy
    return before_s + (now_s - since_s if under_way else 0.0)
