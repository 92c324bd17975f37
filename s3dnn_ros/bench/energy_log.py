"""What a device has drawn between two moments, from a counter that steps now and then."""

from __future__ import annotations

import threading
from typing import List, Optional, Tuple

# A GPU's counter steps ten times a second; when it does is known to so much.
PERIOD_S = 0.02


class EnergyLog:
    """Watches an energy counter in a thread of its own; a context manager.

    Parameters
    ----------
    energy_mj : callable
        Returns the counter.
    clock : Clock

    """

    def __init__(self, energy_mj, clock):
        self._energy_mj = energy_mj
        self._clock = clock
        self._steps: List[Tuple[float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name='energy', daemon=True)

    def __enter__(self):
        """Begin to watch; returns itself."""
        self._thread.start()
        return self

    def __exit__(self, *_):
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def power_w(self, begin_s: float, end_s: float) -> Optional[float]:
        """Return the mean power between two moments; None if the counter did not step twice.

        From its first step to its last one between them: in between steps nobody knows.
        """
        steps = [step for step in list(self._steps) if begin_s <= step[0] < end_s]
        if len(steps) < 2:
            return None
        (first_s, first_mj), (last_s, last_mj) = steps[0], steps[-1]
        return (last_mj - first_mj) / 1e3 / (last_s - first_s)

    def _run(self):
        last_mj = self._energy_mj()
        while not self._ended.wait(PERIOD_S):
            energy_mj = self._energy_mj()
            if energy_mj != last_mj:
                last_mj = energy_mj
                self._steps.append((self._clock.now_s(), energy_mj))
