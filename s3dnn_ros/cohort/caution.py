"""How much of its deadline an instance keeps free, by how its jobs ended."""

from __future__ import annotations

from typing import Dict

# What a late job adds to the share, besides what it was late by.
RISE = 0.1
# What a job in time takes off what was added: so slowly that delays that come again and again, and
# that what is kept free makes up for, leave few jobs late.
DECAY = 0.003


class Caution:
    """Learns for each instance which share of its deadlines to keep free (ours).

    Another program on the device delays jobs though every LAG looks well when they begin, and
    once it shows, it is too late to hurry.
    """

    def __init__(self):
        self._shares: Dict[str, float] = {}

    def ended(self, instance: str, late: float):
        """Take note of how late a job ended, as a share of its deadline; below 0 in time."""
        share = self._shares.get(instance, 0.0)
        if late > 0.0:
            self._shares[instance] = min(1.0, share + late + RISE)
        elif share:
            self._shares[instance] = (1.0 - DECAY) * share

    def share(self, instance: str) -> float:
        """Return the share to keep free besides what is always kept."""
        return self._shares.get(instance, 0.0)
