"""Stands for PyCUDA: device memory is the host's, and all runs when it is submitted.

As with the real one, a thread makes and frees only with a context that it has pushed.
"""

import ctypes
import enum
import itertools
import sys
import threading
import types

import numpy as np


class Error(Exception):
    pass


class MemoryError(Error):
    pass


class LogicError(Error):
    pass


class FakeKind(enum.Enum):
    UNIFIED, COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = range(3)


class FakeDevice:
    def __init__(self, fake, number):
        if number >= fake.devices:
            raise LogicError('cuDeviceGet failed: invalid device ordinal')
        self._fake = fake

    def name(self):
        return 'a fake GPU'

    def get_attribute(self, kind):
        return {FakeKind.COMPUTE_CAPABILITY_MAJOR: 8, FakeKind.COMPUTE_CAPABILITY_MINOR: 7}[kind]

    def retain_primary_context(self):
        return FakeContext(self._fake)


class FakeContext:
    """A context, and of its class what is asked of the thread's own."""

    def __init__(self, fake):
        self._fake = fake
        self.thread = threading.get_ident()

    def push(self):
        self._fake.stack().append(self)

    def pop(self):
        self._fake.current()
        self._fake.stack().pop()

    def detach(self):
        self._fake.ends.append('context')


class FakeMade:
    """What belongs to a context; where that cannot be had, it is lost and not freed."""

    def __init__(self, fake):
        self._fake = fake
        self._context = fake.current()
        fake.made.append(type(self).__name__)

    def __del__(self):
        if not hasattr(self, '_context'):
            return
        stack = self._fake.stack()
        usable = self._context in stack[-1:] or (
            threading.get_ident() == self._context.thread)
        (self._fake.freed if usable else self._fake.lost).append(type(self).__name__)


class FakeStream(FakeMade):
    def __init__(self, fake, flags=0):
        super().__init__(fake)
        self.flags, self.waits = flags, []
        self.handle = next(fake.handles)

    def synchronize(self):
        self._fake.current()
        self._fake.reached.set()
        self._fake.go_on.wait()
        self._fake.ends.append('wait for a stream')

    def wait_for_event(self, event):
        self.waits.append(event)


class FakeEvent(FakeMade):
    def __init__(self, fake, flags=0):
        super().__init__(fake)
        self.flags = flags

    def record(self, stream=None):
        self._fake.current()
        self.stream = stream
        return self

    def synchronize(self):
        self._fake.current()
        return self

    def query(self):
        self._fake.current()
        if self._fake.broken:
            raise LogicError(f'cuEventQuery failed: {self._fake.broken}')
        return not self._fake.busy

    def time_since(self, start):
        if self.flags or start.flags:
            raise LogicError('cuEventElapsedTime failed: invalid resource handle')
        return 1.5


class FakeMemory(FakeMade):
    def __init__(self, fake, size):
        if size > fake.free:
            raise MemoryError('cuMemAlloc failed: out of memory')
        super().__init__(fake)
        self.array = np.full(size, 0x55, np.uint8)

    def __int__(self):
        return self.array.ctypes.data


class FakeCopy:
    """A copy of two dimensions; the fields are those of the real one."""

    def __init__(self, fake):
        self._fake = fake

    def __call__(self, stream):
        self._fake.current()
        assert stream is False or isinstance(stream, FakeStream)
        assert self.src_memory_type is self.dst_memory_type is FakeKind.UNIFIED
        assert self.height == 1
        assert self.src_pitch >= self.width_in_bytes <= self.dst_pitch
        ctypes.memmove(self.dst_device, self.src_device, self.width_in_bytes)


class FakeModule(FakeMade):
    def get_function(self, name):
        self._fake.current()
        assert name in ('floats', 'move')
        return self._floats

    def _floats(self, target, source, count, grid, block, shared, stream):
        self._fake.current()
        assert (type(target), type(source), type(count)) == (np.uintp, np.uintp, np.uint32)
        assert isinstance(stream, FakeStream) and grid[0] * block[0] >= count and shared == 0
        pixels = np.ctypeslib.as_array((ctypes.c_uint8 * int(count)).from_address(int(source)))
        floats = np.ctypeslib.as_array((ctypes.c_float * int(count)).from_address(int(target)))
        floats[:] = pixels


class FakePyCuda:
    """The module `pycuda.driver` is `driver`.

    Attributes
    ----------
    devices, free : int
        How many devices, and bytes of them, there are.
    busy : bool
        No event passes.
    broken : str
        The error that all events tell.
    made, freed, lost : list of str
        Kinds of objects, in order.
    ends : list of str
        What ended, in order.
    reached, go_on : threading.Event
        A thread waits for a stream, and may go on.

    """

    def __init__(self):
        self.devices, self.free, self.busy, self.broken = 1, 1 << 20, False, ''
        self.made, self.freed, self.lost, self.ends = [], [], [], []
        self.handles = itertools.count(0x7000)
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self._threads = threading.local()
        self.driver = types.ModuleType('pycuda.driver')
        vars(self.driver).update(
            Error=Error, MemoryError=MemoryError, LogicError=LogicError, init=self._init,
            device_attribute=FakeKind, memory_type=FakeKind,
            Context=types.SimpleNamespace(synchronize=self.current),
            Device=lambda number: FakeDevice(self, number),
            Stream=lambda flags=0: FakeStream(self, flags),
            Event=lambda flags=0: FakeEvent(self, flags),
            Memcpy2D=lambda: FakeCopy(self),
            mem_alloc=lambda size: FakeMemory(self, size),
            pagelocked_empty=self._pinned, memset_d8_async=self._fill,
            module_from_buffer=lambda code: FakeModule(self))

    def install(self, monkeypatch):
        """Let it be what `import pycuda` gives."""
        package = types.ModuleType('pycuda')
        package.driver = self.driver
        monkeypatch.setitem(sys.modules, 'pycuda', package)
        monkeypatch.setitem(sys.modules, 'pycuda.driver', self.driver)

    def stack(self):
        """Return the contexts that this thread has pushed."""
        return vars(self._threads).setdefault('stack', [])

    def current(self):
        """Return the context of this thread; raises LogicError if it has none."""
        if not self.stack():
            raise LogicError('invalid device context - no currently active context?')
        return self.stack()[-1]

    def _init(self):
        if not self.devices:
            raise Error('cuInit failed: no device')

    def _pinned(self, shape, dtype):
        size, = shape
        memory = FakeMemory(self, size)
        buffer = (ctypes.c_uint8 * size).from_address(int(memory))
        buffer.owner = memory
        return np.frombuffer(buffer, dtype)

    def _fill(self, target, value, size, stream):
        self.current()
        assert isinstance(stream, FakeStream)
        ctypes.memset(target, value, size)
