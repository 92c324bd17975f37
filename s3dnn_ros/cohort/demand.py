"""What instances will ask of the device: the share of it that each needs, by how often it came."""

from __future__ import annotations

from typing import Dict, NamedTuple

# Share of the newest interval in the smoothed one.
SMOOTHING = 0.1
# However much is asked for, some of the device is left to whoever looks.
MOST_SHARE = 0.95
# Who is silent for so long that it would need less is forgotten.
LEAST_SHARE = 0.001


class _Arrivals(NamedTuple):
    last_s: float
    run_s: float
    deadline_s: float
    interval_s: float       # 0.0 before there were two


class Demand:
    """What each instance needs of the device in its fastest configuration.

    As look-ahead EDF (Pillai and Shin, SOSP 2001) it reserves for what has not come yet what
    usually comes. Who asks more often than once in a deadline is taken to need a run in each.
    """

    def __init__(self):
        self._arrivals: Dict[str, _Arrivals] = {}

    def started(self, instance: str, run_s: float, deadline_s: float, now_s: float):
        """Take note of a job that takes so long at least, and has so long for it."""
        known = self._arrivals.get(instance)
        interval_s = 0.0
        if known is not None:
            interval_s = max(0.0, now_s - known.last_s)
            if known.interval_s:
                interval_s = known.interval_s + SMOOTHING * (interval_s - known.interval_s)
        self._arrivals[instance] = _Arrivals(now_s, run_s, deadline_s, interval_s)

    def of_others(self, instance: str, now_s: float) -> float:
        """Return the share of the device that all others need; who is silent, ever less."""
        share = 0.0
        for name, known in list(self._arrivals.items()):
            needed = known.run_s / max(known.interval_s, known.deadline_s, now_s - known.last_s)
            if needed < LEAST_SHARE:
                del self._arrivals[name]
            elif name != instance and known.interval_s:
                share += needed
        return min(share, MOST_SHARE)
