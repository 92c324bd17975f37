"""One configuration for ever, and exact networks: NVIDIA's power modes."""

from __future__ import annotations

import math
from typing import Sequence

from s3dnn_ros.cohort.coordinator import Decision, Member
from s3dnn_ros.cohort.tables import SpeedupPowerTable


class Fixed:
    """Always the same configuration, and exact networks.

    With the fastest one this is Max-N. It is Race2Idle, too, if the device rests while there is
    nothing to do. With a slower one it is Max-Q, or a cap of the power.
    """

    def __init__(self, configuration: int):
        self._configuration = configuration

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        return exact(self._configuration, members)

    def ended(self, instance, late):
        """Do nothing."""


def exact(configuration: int, members: Sequence[Member]) -> Decision:
    """Return a decision in which all networks run exact.

    Raises ValueError if there are no members.
    """
    if not members:
        raise ValueError('there are no members; expected one at least')
    return Decision(configuration,
                    {member.instance: member.speedup_accuracy.exact for member in members},
                    {member.instance: 1.0 for member in members})


def fastest(table: SpeedupPowerTable) -> int:
    """Return the fastest configuration; of those alike the one of least power."""
    return table.lookup(math.inf)


def fastest_within(table: SpeedupPowerTable, share: float) -> int:
    """Return the fastest configuration whose power is at most this share of the greatest.

    That of least power, if none is.
    """
    most = share * max(table.powerup)
    rows = range(len(table.powerup))
    allowed = [row for row in rows if table.powerup[row] <= most]
    if not allowed:
        return min(rows, key=lambda row: table.powerup[row])
    return min(allowed, key=lambda row: (-table.speedup[row], table.powerup[row]))
