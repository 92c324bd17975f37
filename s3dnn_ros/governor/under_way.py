"""Batches that were sent off: their frames count as handed on, unless nobody has them any more."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

from s3dnn_ros.counters import Counters
from s3dnn_ros.governor.batch import Batch
from s3dnn_ros.transport.slots import SlotPool

# Slots that are out for too long are looked for at this period.
OVERDUE_LOOK_S = 0.05


class UnderWay:
    """The batches in the slots of all instances.

    Parameters
    ----------
    pools : mapping of instance name to SlotPool
    counters : Counters

    """

    def __init__(self, pools: Mapping[str, SlotPool], counters: Counters):
        self._pools = pools
        self._counters = counters
        # by slot: the batch in it, and when it was sent
        self._sent: Dict[str, Dict[int, Tuple[Batch, float]]] = {name: {} for name in pools}
        self._looked_s = float('-inf')          # when slots were last looked at

    def sent(self, batch: Batch, now_s):
        """Count the frames of a batch as handed on."""
        self._sent[batch.instance][batch.slot.index] = batch, now_s
        for frame in batch.frames:
            self._counters.published(frame.camera, batch.instance,
                                     latency_s=now_s - frame.taken_s,
                                     missed=now_s > frame.deadline_s)

    def executor_ended(self, name):
        """Take all slots of an instance back, as whoever had them has ended."""
        self._count_lost(name, self._pools[name].revoke_all(), 'executor',
                         f"the executor that had it ended, and another one runs instance '{name}'")

    def withdraw_overdue(self, leases_s: Mapping[str, float], now_s):
        """Take back the slots of instances that are out for longer than their leases."""
        for name, lease_s in leases_s.items():
            self._count_lost(
                name, self._pools[name].overdue(now_s, lease_s), 'lease',
                f"instance '{name}': no executor gave a batch back within {1e3 * lease_s:g} ms "
                '(slot_lease_ms or more); is it still running?')

    def is_time_to_look(self, now_s) -> bool:
        """Tell whether it is time to look for what is overdue, and begin to wait anew."""
        if 0.0 <= now_s - self._looked_s < OVERDUE_LOOK_S:
            return False
        self._looked_s = now_s
        return True

    def _count_lost(self, name, slots, reason, sentence):
        for slot in slots:
            batch, sent_s = self._sent[name][slot.index]
            for frame in batch.frames:
                self._counters.withdrawn(frame.camera, name, missed=sent_s > frame.deadline_s,
                                         reason=reason, sentence=sentence)
