"""The longest of the last runs, as the time that the next one is expected to take."""

from __future__ import annotations

import collections
from typing import Deque, Dict, Hashable


class RecentMaximum:
    """Remembers the last runs of each kind, as multiples of what was expected of them (DERIVED).

    The papers remember times, by batch. A multiple serves all batches of one kind, and a device
    that is set to other clocks.

    Parameters
    ----------
    window : int
        How many runs of each kind are remembered; at least 1.

    """

    def __init__(self, window: int):
        self._window = window
        self._multiples: Dict[Hashable, Deque[float]] = {}

    def ran(self, kind: Hashable, took_s: float, expected_s: float):
        """Remember a run; not one that took no time, since it was given up at once."""
        if took_s > 0.0 and expected_s > 0.0:
            self._multiples.setdefault(kind, collections.deque(maxlen=self._window)).append(
                took_s / expected_s)

    def predicted_s(self, kind: Hashable, expected_s: float) -> float:
        """Return what a run takes at most; what is expected, if none is remembered."""
        return expected_s * max(self._multiples.get(kind, (1.0,)))
