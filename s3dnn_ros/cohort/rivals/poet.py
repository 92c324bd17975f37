"""POET (Imes et al., RTAS 2015): each instance has a controller that knows only whole networks.

The equations are those of POET's published source (reference/papers.md §3). Its heartbeats are
jobs here, and its rates are in jobs a deadline, so that the goal is 1 (DERIVED: the paper's
applications choose their own units).
"""

from __future__ import annotations

import bisect
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.cohort.coordinator import Decision, Member
from s3dnn_ros.cohort.rivals.fixed import exact
from s3dnn_ros.cohort.tables import SpeedupPowerTable

# Of the Kalman filter: variance of the process and of the measurement, and what it begins with.
PROCESS_VARIANCE, MEASUREMENT_VARIANCE = 1e-5, 0.01
FIRST_RATE, FIRST_VARIANCE = 0.2, 1.0
# For so many jobs a pair of configurations is chosen.
WINDOW = 10
GOAL = 1.0
# No job is quicker, in deadlines: a rate stays finite.
_LEAST = 1e-6


class Pair(NamedTuple):
    """Two configurations that together give a speed-up.

    `share` of a window's jobs run in `lower`, the others in `upper`; `cost` is the energy of a
    job.
    """

    lower: int
    upper: int
    share: float
    cost: float


class CheapestPairs:
    """Finds the cheapest pair for a speed-up, as `all_pairs` does, in O(log n) instead of O(n²).

    What the pairs of a speed-up draw lies on straight lines between configurations, by speed-up
    and power. So the cheapest are neighbours on the lower convex hull.
    """

    def __init__(self, table: SpeedupPowerTable):
        hull: List[Tuple[float, float, int]] = []
        for point in sorted(zip(table.speedup, table.powerup, range(len(table.speedup)))):
            if hull and point[0] == hull[-1][0]:
                continue
            while len(hull) > 1 and not _turns_left(hull[-2], hull[-1], point):
                hull.pop()
            hull.append(point)
        self._hull = hull
        self._speedups = [speedup for speedup, _, _ in hull]
        self.least, self.most = self._speedups[0], self._speedups[-1]

    def pair(self, target: float) -> Pair:
        """Return the cheapest pair for a speed-up from `least` to `most`."""
        place = bisect.bisect_left(self._speedups, target)
        slow, power, row = self._hull[place]
        if slow == target:
            return Pair(row, row, 1.0, power / slow)
        up, power_up, upper = slow, power, row
        slow, power, row = self._hull[place - 1]
        share = _share(slow, up, target)
        return Pair(row, upper, share, share * power / slow + (1.0 - share) * power_up / up)


def all_pairs(speedup: Sequence[float], powerup: Sequence[float], target: float) -> Pair:
    """Return the cheapest pair for a speed-up among all pairs, as POET's source does.

    One of a pair is tried at a time, against all others at once with NumPy.
    """
    speedup, powerup = np.asarray(speedup), np.asarray(powerup)
    upper = np.flatnonzero(speedup >= target)
    up, power_up = speedup[upper], powerup[upper]
    best = (np.inf, 0, 0, 1.0)
    for lower in np.flatnonzero(speedup <= target):
        slow = speedup[lower]
        with np.errstate(invalid='ignore', divide='ignore'):
            share = np.where(up > slow, _share(slow, up, target), 1.0)
        cost = share / slow * powerup[lower] + (1.0 - share) / up * power_up
        place = cost.argmin()
        if cost[place] < best[0]:
            best = (cost[place], lower, upper[place], share[place])
    return Pair(int(best[1]), int(best[2]), float(best[3]), float(best[0]))


class Controller:
    """POET for one application: a Kalman filter, a controller, and the translation to pairs.

    Parameters
    ----------
    pairs : CheapestPairs
        Of the whole network.
    configuration : int
        In which the first window runs.
    speedup : float
        What that gives.

    Attributes
    ----------
    configuration : int
        For the next job.

    """

    def __init__(self, pairs: CheapestPairs, configuration: int, speedup: float):
        self.configuration = configuration
        self._pairs = pairs
        self._speedup = min(max(speedup, pairs.least), pairs.most)
        self._rate, self._variance = FIRST_RATE, FIRST_VARIANCE
        self._pair = Pair(configuration, configuration, 1.0, 0.0)
        self._jobs, self._took = 0, 0.0

    def ended(self, took: float):
        """Take note of what a job took, in deadlines and above 0; after a window, choose anew."""
        self._jobs += 1
        self._took += took
        if self._jobs == WINDOW:
            self._speedup = self._controlled(WINDOW / self._took)
            self._pair = self._pairs.pair(self._speedup)
            self._jobs, self._took = 0, 0.0
        in_lower = round(WINDOW * self._pair.share)
        self.configuration = (self._pair.lower if self._jobs < in_lower else self._pair.upper)

    def _controlled(self, rate: float) -> float:
        """Return the speed-up for the next window, given the rate of the last one."""
        speedup, before = self._speedup, self._variance + PROCESS_VARIANCE
        gain = before * speedup / (speedup * speedup * before + MEASUREMENT_VARIANCE)
        self._rate += gain * (rate - speedup * self._rate)
        self._variance = (1.0 - gain * speedup) * before
        wanted = speedup + (GOAL - rate) / self._rate
        return min(max(wanted, self._pairs.least), self._pairs.most)


class Poet:
    """A Controller for each instance; none knows of another, and networks run exact.

    Each sets the device when one of its jobs ends: the last one has its way. Configurations are
    all there is: POET's idle states need a device that can be switched off.

    Parameters
    ----------
    table : SpeedupPowerTable
        Of whole networks.
    margin : float
        Share of every deadline that is kept free. Without, about half of the jobs are late, as
        the controller holds their mean at the deadline.

    """

    def __init__(self, table: SpeedupPowerTable, margin=0.0):
        self._margin = margin
        self._speedup = table.speedup
        self._pairs = CheapestPairs(table)
        self._controllers: Dict[str, Controller] = {}
        self._configuration: Optional[int] = None

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        for member in members:
            if member.instance not in self._controllers:
                now = member.configuration
                self._controllers[member.instance] = Controller(self._pairs, now,
                                                                self._speedup[now])
                if self._configuration is None:
                    self._configuration = now
        return exact(self._configuration, members)

    def ended(self, instance: str, late: float):
        """Have the instance's controller choose."""
        controller = self._controllers.get(instance)
        if controller is not None:
            controller.ended(max(_LEAST, 1.0 + late) / (1.0 - self._margin))
            self._configuration = controller.configuration


def _share(slow, up, target):
    """Return the share of the jobs in the slower configuration for which both give the target."""
    return slow * (up - target) / (target * (up - slow))


def _turns_left(first, second, third) -> bool:
    return ((second[0] - first[0]) * (third[1] - first[1])
            > (second[1] - first[1]) * (third[0] - first[0]))
