"""CUDA over cuda-bindings: what PyTorch does not offer of it, and all that TensorRT needs.

Streams with priorities, also on a part of the multiprocessors, events, memory, and graphs that
take the priority of the stream they are launched on.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import re
import uuid
from typing import Callable, Iterator, Sequence

from s3dnn_ros.engines import cuda_pycuda
from s3dnn_ros.engines.cuda_library import NO_MEMORY, NOT_READY, load
from s3dnn_ros.engines.pinned import PinnedPool
from s3dnn_ros.errors import BuildError, EngineError

_NON_BLOCKING = 1       # cudaStreamNonBlocking and CU_STREAM_NON_BLOCKING
_NO_TIMING = 2          # cudaEventDisableTiming
_NAME_LENGTH = 256
THREADS_PER_BLOCK = 256
# The first cuda-bindings that let go of Python's lock while they call CUDA.
UNLOCKED = (12, 9, 1)
# From pixels to what networks read. In PTX, which every driver translates for its GPU: a Jetson
# need not have a compiler.
FLOATS = b"""
.version 6.0
.target sm_53
.address_size 64
.visible .entry floats(.param .u64 target, .param .u64 source, .param .u32 count)
{
    .reg .pred %done;
    .reg .b32 %i<6>;
    .reg .f32 %value;
    .reg .b64 %at<4>;
    mov.u32 %i1, %ctaid.x;
    mov.u32 %i2, %ntid.x;
    mov.u32 %i3, %tid.x;
    mad.lo.u32 %i4, %i1, %i2, %i3;
    ld.param.u32 %i5, [count];
    setp.ge.u32 %done, %i4, %i5;
    @%done ret;
    ld.param.u64 %at1, [source];
    cvt.u64.u32 %at2, %i4;
    add.u64 %at1, %at1, %at2;
    ld.global.u8 %i5, [%at1];
    cvt.rn.f32.u32 %value, %i5;
    ld.param.u64 %at3, [target];
    mul.wide.u32 %at2, %i4, 4;
    add.u64 %at3, %at3, %at2;
    st.global.f32 [%at3], %value;
    ret;
}
\0"""


class OutOfMemory(RuntimeError):
    """Memory of the device, or pinned memory of the host, that is not to be had."""


@dataclasses.dataclass(frozen=True)
class Device:
    """A GPU: its name, its compute capability (`9.0`), and what NVML knows it by."""

    name: str
    compute_capability: str
    gpu: str


class Cuda:
    """The driver and the runtime of one device.

    `libraries` are both, as cuda-bindings offers them; without, these are taken. Raises
    ImportError without cuda-bindings.
    """

    def __init__(self, device: int = 0, libraries=None):
        if libraries is None:
            from cuda.bindings import driver, runtime
        else:
            driver, runtime = libraries
        self._driver = driver
        self._runtime = runtime
        self._device = device
        least, greatest = checked(runtime.cudaDeviceGetStreamPriorityRange())
        # the most urgent first
        self.priorities: Sequence[int] = range(greatest, least + 1)
        pinned = PinnedPool(lambda size: PinnedMemory(runtime, size))
        self.pinned = pinned.array

    @property
    def libraries(self):
        """Return the driver and the runtime."""
        return self._driver, self._runtime

    def stream(self, priority: int) -> Stream:
        """Return a new stream on all multiprocessors."""
        return Stream(self._runtime, checked(
            self._runtime.cudaStreamCreateWithPriority(_NON_BLOCKING, priority)))

    def partition(self, sms: int, behind: int = 0) -> Partition:
        """Return at least so many multiprocessors to use alone; raises EngineError.

        The first `behind` of the device are left to others.
        """
        try:
            return Partition(self._driver, self._runtime, self._device, sms, behind)
        except (AttributeError, IndexError, RuntimeError) as error:
            raise EngineError('cuda', f'cannot take {sms} SMs for itself: {error}; CUDA 12.4 can '
                                      'on discrete GPUs, by cuda-bindings (12.9.1 or later for '
                                      'TensorRT); elsewhere set engine_sms to 0') from error

    def graph(self, captured: int) -> Graph:
        """Return a captured graph, given as a number, ready to be launched."""
        return Graph(self._runtime, captured)

    def device(self) -> Device:
        """Return what this is about."""
        driver = self._driver
        device = checked(driver.cuDeviceGet(self._device))
        major, minor = (checked(driver.cuDeviceGetAttribute(kind, device)) for kind in (
            driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR))
        # behind its end there may be anything
        name = checked(driver.cuDeviceGetName(_NAME_LENGTH, device)).split(b'\0', 1)[0].decode()
        number = bytes(checked(driver.cuDeviceGetUuid(device)).bytes)
        return Device(name, f'{major}.{minor}', f'GPU-{uuid.UUID(bytes=number)}')

    def event(self, timed: bool = False) -> Event:
        """Return a new event, which has passed until it is recorded."""
        return Event(self._runtime, timed)

    def allocate(self, size: int) -> DeviceMemory:
        """Return so many bytes of the device; raises OutOfMemory if there are not as many."""
        return DeviceMemory(self._runtime, size)

    def upload(self, memory: DeviceMemory, array) -> None:
        """Copy an array to the device, and wait for it."""
        checked(self._runtime.cudaMemcpy(memory.number, array.ctypes.data, array.nbytes,
                                         self._runtime.cudaMemcpyKind.cudaMemcpyDefault))

    def floats(self) -> Floats:
        """Return what makes floats of bytes."""
        checked(self._runtime.cudaFree(0))       # makes the driver know the device
        return Floats(self._driver)

    def host_function(self, function: Callable[[], None]) -> HostFunction:
        """Return what lets a stream call a function, which must use nothing of CUDA.

        Raises BuildError where streams cannot.
        """
        try:
            return HostFunction(self._runtime, function)
        except AttributeError as error:
            raise BuildError('a segment on the CPU', f'needs a stream that calls it, and {error}; '
                             '`pip install cuda-bindings`, or let the loader find libcudart '
                             '(LD_LIBRARY_PATH)') from error

    def capture(self, stream: Stream, submit: Callable[[], None]) -> Graph:
        """Return what a function submits to a stream as a graph; nothing of it runs."""
        with self.captured(stream, submit) as captured:
            return Graph(self._runtime, captured)

    @contextlib.contextmanager
    def captured(self, stream: Stream, submit: Callable[[], None]) -> Iterator[int]:
        """Give what a function submits to a stream as a captured graph, a number, for a while."""
        runtime = self._runtime
        try:
            # by other threads, requests are staged meanwhile
            checked(runtime.cudaStreamBeginCapture(
                stream.number, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
            try:
                submit()
            finally:
                ended = runtime.cudaStreamEndCapture(stream.number)
            captured = int(checked(ended))
            try:
                yield captured
            finally:
                runtime.cudaGraphDestroy(captured)
        except BaseException:
            runtime.cudaGetLastError()      # others would take it for theirs
            raise

    def synchronize(self) -> None:
        """Wait for all that was submitted."""
        checked(self._runtime.cudaDeviceSynchronize())


class Partition:
    """Some of a device's multiprocessors: a green context."""

    def __init__(self, driver, runtime, device, sms, behind):
        self._driver = driver
        self._runtime = runtime
        device = checked(driver.cuDeviceGet(device))
        kind = driver.CUdevResourceType.CU_DEV_RESOURCE_TYPE_SM
        whole = checked(driver.cuDeviceGetDevResource(device, kind))
        parts = (self._behind(whole, behind, sms) if behind else
                 checked(driver.cuDevSmResourceSplitByCount(1, whole, 0, sms))[0])
        self.sms: int = sum(part.sm.smCount for part in parts)
        described = checked(driver.cuDevResourceGenerateDesc(parts, len(parts)))
        self._context = checked(driver.cuGreenCtxCreate(
            described, device, driver.CUgreenCtxCreate_flags.CU_GREEN_CTX_DEFAULT_STREAM))

    def _behind(self, whole, behind, sms):
        """Return the parts that have at least `sms` multiprocessors behind the first `behind`.

        What a split leaves cannot be split again, but parts of one split go together.
        """
        split = self._driver.cuDevSmResourceSplitByCount
        least = checked(split(1, whole, 0, 1))[0][0].sm.smCount
        parts, count, _ = checked(split(whole.sm.smCount // least, whole, 0, least))
        first, wanted = -(-behind // least), -(-sms // least)
        if first + wanted > count:
            raise RuntimeError(f'{count * least} can be parted, and {behind} are taken')
        return parts[first:first + wanted]

    def context(self):
        """Return the context of these multiprocessors."""
        return checked(self._driver.cuCtxFromGreenCtx(self._context))

    def stream(self, priority: int) -> Stream:
        """Return a new stream on these multiprocessors."""
        return Stream(self._runtime, checked(self._driver.cuGreenCtxStreamCreate(
            self._context, _NON_BLOCKING, priority)))


class Stream:
    """A stream; `number` is what others know it by."""

    def __init__(self, runtime, stream):
        self._runtime = runtime
        self.number = int(stream)
        self._anywhere = runtime.cudaMemcpyKind.cudaMemcpyDefault

    def copy(self, target: int, source: int, size: int):
        """Copy so many bytes between two addresses, either of the device or of pinned memory."""
        checked(self._runtime.cudaMemcpyAsync(target, source, size, self._anywhere, self.number))

    def clear(self, memory: DeviceMemory):
        """Fill memory with zeros."""
        checked(self._runtime.cudaMemsetAsync(memory.number, 0, memory.size, self.number))

    def wait(self, event: Event):
        """Let what follows wait for an event."""
        checked(self._runtime.cudaStreamWaitEvent(self.number, event.number, 0))

    def synchronize(self):
        """Wait for what was submitted."""
        checked(self._runtime.cudaStreamSynchronize(self.number))

    def __del__(self):
        """Free it, once what was submitted has run."""
        self._runtime.cudaStreamDestroy(self.number)


class Event:
    """A mark in a stream; every look at it raises RuntimeError after an error of the device."""

    def __init__(self, runtime, timed):
        self._runtime = runtime
        self.number = int(checked(
            runtime.cudaEventCreateWithFlags(0 if timed else _NO_TIMING)))

    def record(self, stream: Stream):
        """Put it behind what was submitted to a stream."""
        checked(self._runtime.cudaEventRecord(self.number, stream.number))

    def query(self) -> bool:
        """Tell whether it has passed."""
        returned = self._runtime.cudaEventQuery(self.number)
        if int(returned[0]) == NOT_READY:
            return False
        checked(returned)
        return True

    def synchronize(self):
        """Wait until it has passed."""
        checked(self._runtime.cudaEventSynchronize(self.number))

    def seconds_since(self, earlier: Event) -> float:
        """Return the time between two timed events that have passed."""
        return checked(self._runtime.cudaEventElapsedTime(earlier.number, self.number)) / 1e3

    def __del__(self):
        """Free it."""
        if hasattr(self, 'number'):
            self._runtime.cudaEventDestroy(self.number)


class DeviceMemory:
    """Memory of the device; `number` is its address."""

    def __init__(self, runtime, size):
        self._runtime = runtime
        self.size = size
        self.number = _allocated(runtime, runtime.cudaMalloc(size))

    def __del__(self):
        """Free it; the device finishes first what it does."""
        if hasattr(self, 'number'):
            self._runtime.cudaFree(self.number)


class PinnedMemory:
    """Memory of the host that the device reads and writes by itself."""

    def __init__(self, runtime, size):
        self._runtime = runtime
        self.number = _allocated(runtime, runtime.cudaMallocHost(size))

    def __del__(self):
        """Free it."""
        if hasattr(self, 'number'):
            self._runtime.cudaFreeHost(self.number)


class Floats:
    """The kernel that makes floats of bytes."""

    def __init__(self, driver):
        self._driver = driver
        self._module = checked(driver.cuModuleLoadData(FLOATS))
        self._kernel = checked(driver.cuModuleGetFunction(self._module, b'floats'))

    def launch(self, target: int, source: int, count: int, stream: Stream):
        """Make floats at one address of so many bytes at another."""
        blocks = -(-count // THREADS_PER_BLOCK)
        checked(self._driver.cuLaunchKernel(
            self._kernel, blocks, 1, 1, THREADS_PER_BLOCK, 1, 1, 0, stream.number,
            ((target, source, count), (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)), 0))


class HostFunction:
    """A function that streams call.

    It waits for the interpreter's lock: whoever holds that in a call that waits for the device
    would wait for ever. ctypes lets go of it, and so do cuda-bindings since 12.9.1. TensorRT does
    while it builds, reads a plan and runs; it does not while it frees an engine or a context, nor,
    before 10, while it makes a context. So whoever loads or drops a network while a function is
    under way takes the risk that both wait for ever.
    """

    def __init__(self, runtime, function):
        self._launch = runtime.cudaLaunchHostFunc
        # whoever keeps this object keeps what CUDA calls
        self._called = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: function())
        self._number = ctypes.cast(self._called, ctypes.c_void_p).value

    def submit(self, stream: Stream):
        """Let a stream call it, when all before it is done; what follows waits."""
        checked(self._launch(stream.number, self._number, 0))


class Graph:
    """A graph that can be launched."""

    def __init__(self, runtime, captured):
        self._runtime = runtime
        # PyTorch's own way lets every kernel keep the priority it was captured with
        self._executable = checked(runtime.cudaGraphInstantiate(runtime.cudaGraph_t(captured), 0))

    def launch(self, stream: int):
        """Run it on a stream, with the stream's priority."""
        checked(self._runtime.cudaGraphLaunch(self._executable, stream))

    def __del__(self):
        """Free it; at the interpreter's end nothing is left to free it with."""
        if getattr(self, '_executable', None) is not None:
            self._runtime.cudaGraphExecDestroy(self._executable)


def _allocated(runtime, returned) -> int:
    """Return the address that a call gave; raises OutOfMemory."""
    try:
        return int(checked(returned))
    except OutOfMemory:
        runtime.cudaGetLastError()      # others would take it for theirs
        raise


def checked(returned):
    """Return what a call of CUDA gave, without its status; raises RuntimeError that names it."""
    status, *values = returned
    if int(status):
        kind = OutOfMemory if int(status) == NO_MEMORY else RuntimeError
        raise kind(f'{status.name} ({int(status)})')
    return values[0] if len(values) == 1 else values


def find_cuda():
    """Return CUDA on the first device; raises ImportError that says why there is none.

    Where cuda-bindings cannot be used, it goes by CUDA's own libraries: those may fit the driver
    though cuda-bindings are too new for it. PyCUDA comes last, as it can do the least.
    """
    reasons = []
    for name, libraries in (('cuda-bindings', _bindings), ("CUDA's own libraries", load),
                            ('PyCUDA', cuda_pycuda.load)):
        try:
            return Cuda(libraries=libraries())
        except (AttributeError, ImportError, OSError, RuntimeError) as error:
            reasons.append(f'{name}: {error}')
    raise ImportError('CUDA finds no device: ' + '; '.join(reasons))


def _bindings():
    """Return (driver, runtime) of cuda-bindings; raises ImportError if a host function hangs."""
    from cuda.bindings import __version__, driver, runtime

    if tuple(map(int, re.findall(r'\d+', __version__)[:3])) < UNLOCKED:
        raise ImportError(f"{__version__} keep Python's lock while they call CUDA, and a segment "
                          'on the CPU would wait for it for ever; `pip install -U cuda-bindings`: '
                          f'{".".join(map(str, UNLOCKED))} or later')
    return driver, runtime
