"""The only places that read or move time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since some epoch, the one that image stamps count from."""

    def now_s(self) -> float:
        """Return the time in seconds."""


class SystemClock:
    """The wall clock, which ROS stamps use outside simulation."""

    def now_s(self):
        """Return the seconds since 1970."""
        return time.time()


class VirtualClock:
    """A clock that stands until it is moved."""

    def __init__(self, now_s=0.0):
        self._now_s = now_s

    def now_s(self):
        """Return the time it was moved to."""
        return self._now_s

    def advance(self, seconds):
        """Move forward."""
        self._now_s += seconds
