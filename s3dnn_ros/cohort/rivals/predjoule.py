"""PredJoule (Bateni et al., RTSS 2018): each instance sets the device for its own next layer."""

from __future__ import annotations

import dataclasses
from typing import Dict, NamedTuple, Sequence, Tuple

from s3dnn_ros.cohort.coordinator import Decision, Member
from s3dnn_ros.cohort.rivals.fixed import exact
from s3dnn_ros.cohort.tables import SpeedupPowerTable

# Steps through the configurations of a TX2, of which there are 11,760, from slow to fast; of
# others the same share.
STEP, STEP_BACK = 100 / 11760, 10 / 11760
# A layer of more uncertainty than this is slowed down in small steps.
UNCERTAIN = 3.0
# A learned speed-up so near to the needed one is the same.
NEAR = 0.05


class _Boundary(NamedTuple):
    """What an instance told before a layer."""

    segment: int
    lag_s: float
    sub_deadline_s: float
    configuration: int


class PredJoule:
    """Learns what configurations give each layer, and takes the one that just makes up for slack.

    INFERRED from what the NeuOS authors' code keeps of it (reference/papers.md §2). There a first
    run in some configuration sets the layers' deadlines; here the profile does. Members must tell
    their next layer's deadline as their horizon.
    """

    def __init__(self):
        self._last: Dict[str, _Boundary] = {}
        # by instance and layer: what was seen in each configuration
        self._learned: Dict[Tuple[str, int], Dict[int, float]] = {}
        self._uncertainty: Dict[SpeedupPowerTable, float] = {}

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        decision = exact(0, members)
        speaker = members[-1]
        self._learn(speaker)
        configuration = self._next(speaker)
        self._last[speaker.instance] = _Boundary(
            speaker.segment, speaker.lag_s, _horizon_s(speaker), configuration)
        return dataclasses.replace(decision, configuration=configuration)

    def ended(self, instance, late):
        """Do nothing: slack begins anew with the next job."""

    def _learn(self, member):
        """Note how much faster than its deadline the layer ran that has ended."""
        last = self._last.get(member.instance)
        if last is None or member.segment != last.segment + 1:
            return
        took_s = last.sub_deadline_s - (member.lag_s - last.lag_s)
        if took_s > 0.0:
            learned = self._learned.setdefault((member.instance, last.segment), {})
            learned[last.configuration] = last.sub_deadline_s / took_s

    def _next(self, member) -> int:
        needed, table = member.needed_speedup, member.speedup_power
        learned = self._learned.get((member.instance, member.segment), {})
        near = [(abs(speedup - needed), table.powerup[row], row)
                for row, speedup in learned.items() if abs(speedup - needed) <= NEAR * needed]
        if near:
            return min(near)[-1]
        uncertainty = self._uncertain(table)
        if member.lag_s >= 0.0 and uncertainty > UNCERTAIN:
            return _moved(member, -STEP_BACK / uncertainty)
        return _moved(member, STEP / uncertainty)

    def _uncertain(self, table) -> float:
        """Return the largest (E/E_max)/(T/T_max) of all configurations."""
        known = self._uncertainty.get(table)
        if known is None:
            dearest = max(power / speed for power, speed in zip(table.powerup, table.speedup))
            known = max(table.powerup) / (dearest * min(table.speedup))
            self._uncertainty[table] = known
        return known


def _horizon_s(member) -> float:
    return member.deadline_s if member.horizon_s is None else member.horizon_s


def _moved(member, share) -> int:
    """Return the configuration so far from the present one; another one unless it is the last."""
    count = len(member.speedup_power.speedup)
    step = round(share * count) or (1 if share > 0.0 else -1)
    return min(max(member.configuration + step, 0), count - 1)
