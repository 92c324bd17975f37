"""Gates: segments that wait on the device until the host lets them go on.

Before each segment, a job waits until a word in memory that host and device share is large
enough, and behind each it writes another one. So the host lets a segment go on by a store, and
sees how far the job is by a load: neither is a call of CUDA, and nothing is launched between two
segments.

A job is one CUDA graph. Where graphs cannot wait, as before CUDA 11.7, it is several launches into
one stream: windows of one segment each.
"""

from __future__ import annotations

import ctypes
import functools
import os
import time
from typing import Any, Callable, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from s3dnn_ros.engines.cuda import Cuda, Graph, PinnedMemory, Stream, checked
from s3dnn_ros.errors import EngineError

THREADS_PER_BLOCK = 256
WORD_BYTES = 4
LOOK_EVERY = 256
_AT_LEAST = 0       # CU_STREAM_WAIT_VALUE_GEQ
# Read by CUDA when it starts.
_CONNECTIONS = 'CUDA_DEVICE_MAX_CONNECTIONS'
_CONNECTIONS_BY_DEFAULT = 8
_MOST_CONNECTIONS = 32
_SPARE_CONNECTIONS = 2
WAIT_PERIOD_S = 20e-6
# Copies words, or else single bytes, between addresses that it finds in memory; one row of blocks
# for each pair of addresses. So a graph that was made once reads and writes wherever the host
# says. In PTX, as `cuda.FLOATS`.
MOVE = """
.version 6.0
.target sm_53
.address_size 64
.visible .entry move(.param .u64 targets, .param .u64 sources, .param .u32 count)
{
    .reg .pred %done;
    .reg .b32 %i<6>;
    .reg .b64 %at<6>;
    mov.u32 %i1, %ctaid.x;
    mov.u32 %i2, %ntid.x;
    mov.u32 %i3, %tid.x;
    mad.lo.u32 %i4, %i1, %i2, %i3;
    ld.param.u32 %i5, [count];
    setp.ge.u32 %done, %i4, %i5;
    @%done ret;
    mov.u32 %i1, %ctaid.y;
    mul.wide.u32 %at1, %i1, 8;
    mul.wide.u32 %at2, %i4, SIZE;
    ld.param.u64 %at3, [sources];
    add.u64 %at3, %at3, %at1;
    ld.global.u64 %at3, [%at3];
    add.u64 %at3, %at3, %at2;
    ld.global.uBITS %i1, [%at3];
    ld.param.u64 %at4, [targets];
    add.u64 %at4, %at4, %at1;
    ld.global.u64 %at4, [%at4];
    add.u64 %at4, %at4, %at2;
    st.global.uBITS [%at4], %i1;
    ret;
}
\0"""


def more_connections():
    """Have CUDA take as many connections to the device as it can, if it has not started yet.

    Streams share connections, and what waits in one holds up all others of its connection.
    """
    os.environ.setdefault(_CONNECTIONS, str(_MOST_CONNECTIONS))


def most_waiting() -> int:
    """Return how many jobs may wait at once: with one in each connection nothing runs any more."""
    try:
        connections = int(os.environ.get(_CONNECTIONS, _CONNECTIONS_BY_DEFAULT))
    except ValueError:
        connections = _CONNECTIONS_BY_DEFAULT
    return max(0, min(connections, _MOST_CONNECTIONS) - _SPARE_CONNECTIONS)


class Shared:
    """An array in memory that host and device share, all zeros at first.

    Attributes
    ----------
    array : ndarray
    view : memoryview
        Of the array: the quicker way to single entries.
    number : int
        Its address, for both.

    """

    def __init__(self, runtime, length: int, dtype):
        dtype = np.dtype(dtype)
        size = length * dtype.itemsize
        self._memory = PinnedMemory(runtime, size)
        self.number = self._memory.number
        self.array = np.frombuffer((ctypes.c_uint8 * size).from_address(self.number), dtype)
        self.array[:] = 0
        self.view = memoryview(self.array)

    def address(self, index: int) -> int:
        """Return the address of an entry."""
        return self.number + index * self.array.itemsize


class Gates:
    """Makes what has gates, on one context of a device.

    Parameters
    ----------
    cuda : Cuda
    partition : Partition, optional
        Where it runs; without, on the whole device.

    Attributes
    ----------
    note : str
        Why a job is not one graph; empty if it is.

    Raises
    ------
    EngineError
        The device or the driver cannot wait for a word; the sentence says what is missing.

    """

    def __init__(self, cuda: Cuda, partition=None):
        self._driver, self._runtime = cuda.libraries
        self._partition = partition
        self.note = ''
        try:
            self._moves = {size: self._kernel(size) for size in (WORD_BYTES, 1)}
            stream = (partition or cuda).stream(cuda.priorities[-1])
            try:
                self._new_job: Callable[[], Job] = self._graphs()
                self._prove(stream)
            except (AttributeError, RuntimeError) as error:
                self._new_job = functools.partial(JobWindows, self._driver, self._runtime)
                self._prove(stream)
                self.note = f'segments wait in their streams, as graphs cannot wait: {error}'
        except (AttributeError, RuntimeError) as error:
            raise EngineError('cuda', f'no gates: {error}; CUDA has them where it offers stream '
                                      'memory operations, by cuda-bindings or by its own '
                                      'libraries') from error

    def words(self, length: int) -> Shared:
        """Return so many words, which jobs wait for and write."""
        return Shared(self._runtime, length, np.uint32)

    def addresses(self, length: int) -> Shared:
        """Return so many addresses, for `move`."""
        return Shared(self._runtime, length, np.uint64)

    def move(self, targets: int, sources: int, pairs: int, size: int, stream: Stream):
        """Copy so many bytes from each of the addresses at `sources` to its own at `targets`."""
        unit = 1 if size % WORD_BYTES else WORD_BYTES
        count = size // unit
        checked(self._driver.cuLaunchKernel(
            self._moves[unit], -(-count // THREADS_PER_BLOCK), pairs, 1,
            THREADS_PER_BLOCK, 1, 1, 0, stream.number,
            ((targets, sources, count), (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)), 0))

    def job(self) -> Job:
        """Return a job without any step."""
        return self._new_job()

    def _graphs(self) -> Callable[[], Job]:
        """Return what makes jobs that are graphs."""
        context = (self._partition.context() if self._partition else
                   checked(self._driver.cuCtxGetCurrent()))
        return functools.partial(JobGraph, self._driver, self._runtime, context)

    def _kernel(self, size):
        """Return what moves units of so many bytes."""
        code = MOVE.replace('SIZE', str(size)).replace('BITS', str(8 * size)).encode()
        return checked(self._driver.cuModuleGetFunction(
            checked(self._driver.cuModuleLoadData(code)), b'move'))

    def _prove(self, stream):
        """Run a job with a wait and a write; raises RuntimeError if they do not work."""
        words = self.words(2)
        words.array[0] = 1
        self.job().wait(words.address(0), 1).write(words.address(1), 1).ready().launch(
            stream.number)
        stream.synchronize()
        if words.array[1] != 1:
            raise RuntimeError('the device does not write what it is told')


def find_gates(cuda: Cuda, partition=None) -> Tuple[Optional[Gates], str]:
    """Return what makes gates, and why there are none, or why a job is not one graph."""
    try:
        gates = Gates(cuda, partition)
        return gates, gates.note
    except EngineError as error:
        return None, str(error)


class Job(Protocol):
    """A job that is made step by step; each step waits for the one before it."""

    def wait(self, address: int, least: int) -> Job:
        """Wait until the word at an address is at least so large."""

    def write(self, address: int, value: int) -> Job:
        """Write a word, behind all that was written before."""

    def run(self, captured: int) -> Job:
        """Run a captured graph, given as a number; it is copied."""

    def ready(self) -> Launchable:
        """Return it ready to be launched."""


class Launchable(Protocol):
    """What can be launched again and again."""

    def launch(self, stream: int) -> None:
        """Run it on a stream, given as a number."""


class JobGraph:
    """A job that is one graph."""

    def __init__(self, driver, runtime, context):
        self._driver, self._runtime, self._context = driver, runtime, context
        self._graph = checked(driver.cuGraphCreate(0))
        self._last: List[Any] = []

    def wait(self, address: int, least: int) -> JobGraph:
        """Wait until the word at an address is at least so large."""
        return self._add('wait', address, least, _AT_LEAST)

    def write(self, address: int, value: int) -> JobGraph:
        """Write a word, behind all that was written before."""
        return self._add('write', address, value, 0)

    def run(self, captured: int) -> JobGraph:
        """Run a captured graph, given as a number; it is copied."""
        driver = self._driver
        self._last = [checked(driver.cuGraphAddChildGraphNode(
            self._graph, self._last, len(self._last), driver.CUgraph(captured)))]
        return self

    def ready(self) -> Graph:
        """Return it ready to be launched."""
        try:
            return Graph(self._runtime, int(self._graph))
        finally:
            checked(self._driver.cuGraphDestroy(self._graph))

    def _add(self, kind, address, value, flags) -> JobGraph:
        """Add a node that waits for a word or writes it."""
        driver = self._driver
        operation = driver.CUstreamBatchMemOpParams()
        operation.operation = getattr(driver.CUstreamBatchMemOpType,
                                      f'CU_STREAM_MEM_OP_{kind.upper()}_VALUE_32')
        details = getattr(operation, f'{kind}Value')
        details.operation = operation.operation
        details.address = driver.CUdeviceptr(address)
        details.value = driver.cuuint32_t(value)
        details.flags = flags
        parameters = driver.CUDA_BATCH_MEM_OP_NODE_PARAMS()
        parameters.ctx, parameters.flags = self._context, 0
        parameters.count, parameters.paramArray = 1, [operation]
        self._last = [checked(driver.cuGraphAddBatchMemOpNode(
            self._graph, self._last, len(self._last), parameters))]
        return self


class JobWindows:
    """A job that is several launches into one stream, for devices whose graphs cannot wait."""

    def __init__(self, driver, runtime):
        self._driver, self._runtime = driver, runtime
        self._steps: List[Callable[[int], Any]] = []

    def wait(self, address: int, least: int) -> JobWindows:
        """Wait until the word at an address is at least so large."""
        return self._add('cuStreamWaitValue32', address, least, _AT_LEAST)

    def write(self, address: int, value: int) -> JobWindows:
        """Write a word, behind all that was written before."""
        return self._add('cuStreamWriteValue32', address, value, 0)

    def run(self, captured: int) -> JobWindows:
        """Run a captured graph, given as a number; it is copied."""
        self._steps.append(Graph(self._runtime, captured).launch)
        return self

    def ready(self) -> JobWindows:
        """Return itself."""
        return self

    def launch(self, stream: int):
        """Run all steps on a stream, one behind the other."""
        for step in self._steps:
            step(stream)

    def _add(self, name, address, value, flags) -> JobWindows:
        """Add a call that waits for a word or writes it."""
        call, driver = getattr(self._driver, name), self._driver
        place, value = driver.CUdeviceptr(address), driver.cuuint32_t(value)
        self._steps.append(lambda stream: checked(call(stream, place, value, flags)))
        return self


class ProgressMark:
    """Has passed once a word has become so large, as an `Event` that a stream has reached.

    Parameters
    ----------
    words : sequence of int
        Where the device writes.
    index : int
        Which of them it is.
    least : int
    look : callable
        Raises RuntimeError after an error of the device, which writes nothing any more. That is a
        call of CUDA, so only one of `LOOK_EVERY` queries makes it.

    """

    def __init__(self, words: Sequence[int], index: int, least: int, look: Callable[[], Any]):
        self._words = words
        self._index = index
        self._least = least
        self._look = look
        self._queries = 0

    def query(self) -> bool:
        """Tell whether it has passed; raises RuntimeError after an error of the device."""
        if self._words[self._index] >= self._least:
            return True
        self._queries += 1
        if self._queries % LOOK_EVERY == 0:
            self._look()
        return False

    def synchronize(self):
        """Wait until it has passed."""
        while not self.query():
            time.sleep(WAIT_PERIOD_S)
