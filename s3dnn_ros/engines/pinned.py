"""Pinned host memory, from where a device copies by itself, used again and again."""

from __future__ import annotations

import collections
import ctypes
import math
import weakref
from typing import Any, Callable, Deque, Dict, MutableMapping

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
        self._loans: Dict[int, Any] = {}        # by size: a kind of loan

    def array(self, shape, dtype) -> np.ndarray:
        """Return an array of any content; its memory comes back with its last view. Any thread."""
        dtype = np.dtype(dtype)
        size = max(1, math.prod(shape) * dtype.itemsize)
        kind = self._loans.get(size) or self._loans.setdefault(size, _loan_of(size))
        try:
            memory = kind.free.pop()
        except IndexError:
            memory = self._allocate(size)
        loan = kind.from_address(memory.number)
        loan.memory = memory
        return np.ndarray(shape, dtype, loan)


class FrameMemory:
    """Gives memory for pixels, from where a device copies by itself, and knows it again.

    Parameters
    ----------
    pinned : callable
        Returns an array of so many bytes in pinned memory; raises RuntimeError if there is none.

    """

    def __init__(self, pinned: Callable[[int], np.ndarray]):
        self._pinned = pinned
        self._arrays: MutableMapping[int, np.ndarray] = weakref.WeakValueDictionary()   # by id

    def array(self, size: int) -> np.ndarray:
        """Return so many bytes of any content, in ordinary memory if none can be pinned."""
        try:
            array = self._pinned(size)
        except RuntimeError:
            return np.empty(size, np.uint8)
        self._arrays[id(array)] = array
        return array

    def holds(self, pixels: np.ndarray) -> bool:
        """Tell whether pixels lie in memory that was given and pinned. Any thread."""
        return pixels.base is not None and self._arrays.get(id(pixels.base)) is pixels.base


def _loan_of(size: int) -> Any:
    """Return the kind of what keeps memory out of the pool as long as an array is in it."""
    free: Deque = collections.deque()

    class Loan(ctypes.Array):
        _type_ = ctypes.c_uint8
        _length_ = size
        memory: Any = None

        def __del__(self):
            free.append(self.memory)

    Loan.free = free
    return Loan
