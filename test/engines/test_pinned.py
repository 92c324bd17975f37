"""Pinned memory is given out, comes back with the last view of it, and is used again."""

import math
import threading

import numpy as np
import pytest

from s3dnn_ros.engines.pinned import FrameMemory, PinnedPool


class FakeMemory:
    def __init__(self, size):
        self._array = np.zeros(size, np.uint8)
        self.number = self._array.ctypes.data


class Counted:
    def __init__(self):
        self.sizes = []
        self.pool = PinnedPool(self._allocate)

    def _allocate(self, size):
        self.sizes.append(size)
        return FakeMemory(size)


@pytest.mark.parametrize('shape, dtype', [
    ((2, 3), np.float32), ((), np.uint8), ((0, 4), np.float32), ((5,), np.float16)])
def test_an_array_is_as_wanted(shape, dtype):
    array = Counted().pool.array(shape, dtype)
    assert array.shape == shape and array.dtype == dtype
    array[...] = 7
    assert (array == 7).all()


def test_memory_is_used_again_once_nobody_has_it():
    counted = Counted()
    first = counted.pool.array((4, 2), np.uint8)
    address, view = first.ctypes.data, first[1:]
    del first
    assert counted.pool.array((8,), np.uint8).ctypes.data != address
    del view
    again = [counted.pool.array((2,), np.float32) for _ in range(2)]
    assert address in [array.ctypes.data for array in again]
    assert counted.sizes == [8, 8]


def test_threads_get_memory_of_their_own():
    counted, wrong = Counted(), []

    def work(number):
        for _ in range(200):
            array = counted.pool.array((64,), np.uint8)
            array[...] = number
            if not (array == number).all():
                wrong.append(number)
            # else it would live until the next one is there
            del array
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(counted.sizes) <= 4


def batch_in(memory, shape):
    return memory[:math.prod(shape)].reshape(shape)


def test_pixels_in_memory_for_frames_are_known_again():
    pool = Counted().pool
    frames = FrameMemory(lambda size: pool.array((size,), np.uint8))
    memory, other = frames.array(96), frames.array(96)
    assert not memory.any()
    assert all(frames.holds(batch_in(array, (2, 4, 4, 3))) for array in (memory, other))
    for foreign in (np.zeros(96, np.uint8), pool.array((96,), np.uint8)):
        assert not frames.holds(batch_in(foreign, (2, 4, 4, 3)))
    # a copy lies somewhere else, and so does what has the place of what is gone
    assert not frames.holds(batch_in(memory, (2, 4, 4, 3)).copy())
    del memory
    assert not frames.holds(batch_in(np.zeros(96, np.uint8), (2, 4, 4, 3)))


def test_where_no_memory_can_be_pinned_frames_lie_in_ordinary_memory():
    def none(size):
        raise RuntimeError('out of memory')

    frames = FrameMemory(none)
    memory = frames.array(12)
    assert memory.shape == (12,) and not frames.holds(memory[:3])
