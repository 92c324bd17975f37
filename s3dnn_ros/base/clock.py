"""The only places that read or move time."""

from __future__ import annotations

import contextlib
import ctypes
import time
from typing import Protocol

# Python hands its interpreter lock over at this interval; the default of 5 ms
# would be the largest part of a frame's latency.
SWITCH_INTERVAL_S = 0.0005
_PR_SET_TIMERSLACK = 29


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


def sharpen_timers():
    """Let the timers of this thread fire when they are due.

    Linux lets them come up to 50 µs late by default, as long as a thread waits between two
    looks at the device. Elsewhere nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
