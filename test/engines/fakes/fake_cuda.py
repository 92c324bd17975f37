"""Stands for a CUDA device: its memory is the host's, and all runs when it is submitted."""

import contextlib
import ctypes
import weakref

import numpy as np

from s3dnn_ros.engines.cuda import Device, OutOfMemory


class FakeMemory:
    """Takes of the device's `free` bytes as long as it lives."""

    def __init__(self, cuda, size):
        if size > cuda.free:
            raise OutOfMemory('cudaErrorMemoryAllocation (2)')
        cuda.free -= size
        weakref.finalize(self, cuda.give_back, size)
        self.size = size
        self._array = np.full(size, 0x55, np.uint8)
        self.number = self._array.ctypes.data


class FakeStream:
    def __init__(self, number):
        self.number = number
        self.sms = 0
        self.waits = []

    def copy(self, target, source, size):
        ctypes.memmove(target, source, size)

    def clear(self, memory):
        ctypes.memset(memory.number, 0, memory.size)

    def wait(self, event):
        self.waits.append(event)

    def synchronize(self):
        pass


class FakeEvent:
    """Passes with the device's `hold`."""

    def __init__(self, cuda):
        self._cuda = cuda
        self.stream = None

    def record(self, stream):
        self.stream = stream

    def query(self):
        if self._cuda.broken:
            raise RuntimeError(self._cuda.broken)
        return not self._cuda.hold

    def synchronize(self):
        pass

    def seconds_since(self, earlier):
        return 0.001


class FakeFloats:
    def launch(self, target, source, count, stream):
        pixels = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(source))
        floats = np.ctypeslib.as_array((ctypes.c_float * count).from_address(target))
        floats[:] = pixels


class FakeHostFunction:
    def __init__(self, function):
        self._function = function

    def submit(self, stream):
        self._function()


class FakeGraph:
    def __init__(self, submit):
        self._submit = submit
        self.launches = 0

    def launch(self, stream):
        self.launches += 1
        self._submit()


class FakePartition:
    """Eight multiprocessors at a time, behind as many as others have."""

    def __init__(self, cuda, sms, behind):
        self.sms, self.behind = -(-sms // 8) * 8, behind
        self._cuda = cuda

    def stream(self, priority):
        stream = self._cuda.stream(priority)
        stream.sms, stream.behind = self.sms, self.behind
        return stream


class FakeCuda:
    """Keeps its streams and graphs in lists; without `captures` there are no graphs."""

    priorities = range(-2, 1)
    captures = True
    free = 1 << 40
    hold = False
    broken = ''

    def __init__(self):
        self.streams, self.graphs = [], []
        self.functions = {}         # of captured graphs, by number

    def device(self):
        return Device('a fake GPU', '9.0', 'GPU-0')

    def stream(self, priority):
        self.streams.append(FakeStream(100 + len(self.streams)))
        return self.streams[-1]

    def partition(self, sms, behind=0):
        return FakePartition(self, sms, behind)

    def event(self, timed=False):
        return FakeEvent(self)

    def allocate(self, size):
        return FakeMemory(self, size)

    def give_back(self, size):
        self.free += size

    def upload(self, memory, array):
        ctypes.memmove(memory.number, array.ctypes.data, array.nbytes)

    def pinned(self, shape, dtype):
        return np.empty(shape, dtype)

    def floats(self):
        return FakeFloats()

    def host_function(self, function):
        return FakeHostFunction(function)

    @contextlib.contextmanager
    def captured(self, stream, submit):
        if not self.captures:
            raise RuntimeError('cudaErrorStreamCaptureUnsupported (900)')
        number = len(self.functions)
        self.functions[number] = submit
        yield number

    def capture(self, stream, submit):
        if not self.captures:
            raise RuntimeError('cudaErrorStreamCaptureUnsupported (900)')
        self.graphs.append(FakeGraph(submit))
        return self.graphs[-1]

    def synchronize(self):
        pass
