"""Pinned host memory, from where a device copies by itself, used again and again."""

from __future__ import annotations

import collections
from typing import Callable, Deque, Dict

import numpy as np


class PinnedPool:
    """Gives arrays in pinned memory; to ask CUDA for some each time would hold up the device.

    Parameters
    ----------
    allocate : callable
        Returns the owner of so many bytes, which has their address as `number`.

    """

    def __init__(self, allocate: Callable):
        self._allocate = allocate
        self._free: Dict[int, Deque] = {}

    def array(self, shape, dtype) -> np.ndarray:
        """Return an array of any content; its memory comes back with its last view. Any thread."""
        dtype = np.dtype(dtype)
        wanted = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        size = max(1, wanted)
        free = self._free.setdefault(size, collections.deque())
        try:
            memory = free.pop()
        except IndexError:
            memory = self._allocate(size)
        return np.asarray(_Loan(memory, size, free))[:wanted].view(dtype).reshape(shape)


class _Loan:
    """What keeps memory out of the pool as long as an array is in it."""

    def __init__(self, memory, size, free: Deque):
        self._memory, self._free = memory, free
        self.__array_interface__ = {'data': (memory.number, False), 'shape': (size,),
                                    'typestr': '|u1', 'version': 3}

    def __del__(self):
        """Give it back."""
        self._free.append(self._memory)
