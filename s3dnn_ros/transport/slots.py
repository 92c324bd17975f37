"""Places for the pixels of batches under way: one protocol, two kinds of memory.

A pool has a fixed number of slots. The front end acquires one, writes the
batch into it, and hands it on; the executor releases it. A slot that nobody
released within its lease is taken back, which is how a dead executor is noticed.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Dict, List, Optional

import numpy as np


@dataclasses.dataclass(frozen=True)
class Slot:
    """One acquired place: `pixels` is uint8, as large as the pool's largest batch."""

    index: int
    ticket: int
    pixels: np.ndarray


@dataclasses.dataclass(frozen=True)
class SlotSize:
    """Room for a batch of `frames`, of so many bytes each."""

    frames: int
    frame_bytes: int

    @property
    def bytes(self) -> int:
        """Return what a slot takes."""
        return self.frames * self.frame_bytes


class SlotPool:
    """Bookkeeping shared by both kinds of memory; subclasses say when a slot is free."""

    def __init__(self, count, size: SlotSize):
        self._size = size
        self._free: List[int] = list(range(count))
        self._out: Dict[int, Slot] = {}
        self._since_s: Dict[int, float] = {}
        self._tickets = 0

    def acquire(self, now_s) -> Optional[Slot]:
        """Return an unused slot, or None while all are under way."""
        if not self._free:
            self._collect()
        if not self._free:
            return None
        index = self._free.pop(0)
        self._tickets += 1
        slot = Slot(index, self._tickets, self._open(index, self._tickets))
        self._out[index] = slot
        self._since_s[index] = now_s
        return slot

    def overdue(self, now_s, lease_s) -> List[Slot]:
        """Take back and return the slots that have been out for longer than the lease."""
        self._collect()
        return self._take_back([slot for index, slot in self._out.items()
                                if now_s - self._since_s[index] > lease_s])

    def revoke_all(self) -> List[Slot]:
        """Take back and return the slots that are out: whoever had them is gone."""
        self._collect()
        return self._take_back(list(self._out.values()))

    def abandon(self, slot):
        """Give back a slot that was acquired but not sent."""
        self._take_back([slot])

    def grow(self, size: SlotSize):
        """Have slots of this size from now on, if they are smaller."""
        self._size = max(size, self._size, key=lambda size: size.bytes)

    def close(self):
        """Free the memory."""

    def _take_back(self, slots):
        for slot in slots:
            self._revoke(slot.index)
            self._give_back(slot.index)
        return slots

    def _collect(self):
        for index in [index for index, slot in self._out.items()
                      if self._released(index, slot.ticket)]:
            self._give_back(index)

    def _give_back(self, index):
        del self._out[index], self._since_s[index]
        self._free.append(index)

    def _open(self, index, ticket) -> np.ndarray:
        raise NotImplementedError

    def _released(self, index, ticket) -> bool:
        raise NotImplementedError

    def _revoke(self, index):
        raise NotImplementedError


def zeros(size: int) -> np.ndarray:
    """Return so many bytes."""
    return np.zeros(size, np.uint8)


class HeapSlots(SlotPool):
    """Slots in this process's memory: the executor is composed with the governor.

    `make` returns so many bytes.
    """

    def __init__(self, count, size, make: Callable[[int], np.ndarray] = zeros):
        super().__init__(count, size)
        self._make = make
        self._memory = [make(size.bytes) for _ in range(count)]
        self._holds = [0] * count

    def release(self, slot) -> bool:
        """Give a slot back; False if it had been taken back already."""
        intact = self._holds[slot.index] == slot.ticket
        if intact:
            self._holds[slot.index] = 0
        return intact

    def _open(self, index, ticket):
        self._holds[index] = ticket
        if self._memory[index].size < self._size.bytes:
            self._memory[index] = self._make(self._size.bytes)
        return self._memory[index]

    def _released(self, index, ticket):
        return self._holds[index] != ticket

    def _revoke(self, index):
        self._holds[index] = 0
