"""Everyone adapts alone: NeuOS's negative loop."""

from __future__ import annotations

from typing import Sequence

from s3dnn_ros.cohort.coordinator import Decision, Member, propose


class Uncoordinated:
    """The device and every network adapt to the same LAG, and know nothing of each other.

    NeuOS's section 3.2: a network that is behind takes a faster variant than its last one, and
    the device a faster configuration; whoever is ahead gives both back. The last member speaks
    for the device: whoever reached a boundary last has written its wish over the others'.
    """

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        if not members:
            raise ValueError('there are no members; expected one at least')
        variants, speedups = {}, {}
        for member in members:
            table = member.speedup_accuracy
            now = table.exact if member.variant is None else member.variant
            speedups[member.instance] = member.needed_speedup
            variants[member.instance] = table.lookup(table.speedup[now] * member.needed_speedup)
        last = members[-1]
        return Decision(propose([last])[0].configuration, variants, speedups)

    def ended(self, instance, late):
        """Do nothing."""
