"""Gates: segments that wait on the device until the host lets them go on.

Before each segment, a job waits until a word in memory that host and device share is large
enough, and behind each it writes another one. So the host lets a segment go on by a store, and
sees how far the job is by a load: neither is a call of CUDA, and nothing is launched between two
segments.

A job is one CUDA graph. Where graphs cannot wait, as before CUDA 11.7, it is several launches into
one stream: windows of one segment each. Since CUDA 12.8, a graph can also choose between several
by a word, when it comes to them: the variants of a segment.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import time
from typing import Any, Callable, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from s3dnn_ros.engines.cuda import Cuda, Graph, Stream, checked
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

# Reads a word for what is behind it in its graph: which of several graphs runs. What it calls is
# the driver's.
CHOOSE = b"""
.version 6.0
.target sm_53
.address_size 64
.extern .func cudaGraphSetConditional(.param .b64 handle, .param .b32 value);
.visible .entry choose(.param .u64 word, .param .u64 handle)
{
    .reg .b32 %i<2>;
    .reg .b64 %at<3>;
    ld.param.u64 %at1, [word];
    ld.global.u32 %i1, [%at1];
    ld.param.u64 %at2, [handle];
    {
        .param .b64 chosen;
        .param .b32 number;
        st.param.b64 [chosen], %at2;
        st.param.b32 [number], %i1;
        call.uni cudaGraphSetConditional, (chosen, number);
    }
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

    def __init__(self, pinned: Callable[..., np.ndarray], length: int, dtype):
        # of a pool: CUDA frees memory only once no job waits, and lets nobody launch meanwhile
        self.array = pinned((length,), dtype)
        self.array[:] = 0
        self.number = self.array.ctypes.data
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
    chooses : bool
        Whether jobs can choose between graphs.
    note : str
        Why a job is not one graph, or cannot choose; empty if it is and can.

    Raises
    ------
    EngineError
        The device or the driver cannot wait for a word; the sentence says what is missing.

    """

    def __init__(self, cuda: Cuda, partition=None):
        self._driver, self._runtime = cuda.libraries
        self._pinned = cuda.pinned
        self._partition = partition
        self.chooses, self.note = False, ''
        try:
            self._moves = {size: self._kernel(size) for size in (WORD_BYTES, 1)}
            stream = (partition or cuda).stream(cuda.priorities[-1])
            try:
                self._new_job: Callable[[], Job] = self._graphs()
                self._prove(stream)
                self._prove_choice(cuda, stream)
            except (AttributeError, RuntimeError) as error:
                self._new_job = functools.partial(JobWindows, self._driver, self._runtime)
                self._prove(stream)
                self.note = ('segments wait in their streams, and networks in variants have no '
                             f'gates, as graphs cannot wait: {error}')
        except (AttributeError, RuntimeError) as error:
            raise EngineError('cuda', f'no gates: {error}; CUDA has them where it offers stream '
                                      'memory operations, by cuda-bindings or by its own '
                                      'libraries') from error

    def words(self, length: int) -> Shared:
        """Return so many words, which jobs wait for and write."""
        return Shared(self._pinned, length, np.uint32)

    def addresses(self, length: int) -> Shared:
        """Return so many addresses, for `move`."""
        return Shared(self._pinned, length, np.uint64)

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
        return self._loaded(code, b'move')

    def _loaded(self, code, name):
        return checked(self._driver.cuModuleGetFunction(
            checked(self._driver.cuModuleLoadData(code)), name))

    def _prove(self, stream):
        """Run a job with a wait and a write; raises RuntimeError if they do not work."""
        words = self.words(2)
        words.array[0] = 1
        self.job().wait(words.address(0), 1).write(words.address(1), 1).ready().launch(
            stream.number)
        stream.synchronize()
        if words.array[1] != 1:
            raise RuntimeError('the device does not write what it is told')

    def _prove_choice(self, cuda, stream):
        """Run a job that chooses between two graphs; note why, if that does not work."""
        words, targets, sources = self.words(4), self.addresses(2), self.addresses(2)
        words.array[:] = 1, 0, 2, 3     # the choice, what is written, and what by each graph
        targets.array[:] = words.address(1)
        sources.array[:] = words.address(2), words.address(3)
        try:
            choose = self._loaded(CHOOSE, b'choose')
            new_job = self._new_job
            with contextlib.ExitStack() as captured:
                graphs = [captured.enter_context(cuda.captured(stream, functools.partial(
                    self.move, targets.address(row), sources.address(row), 1, WORD_BYTES,
                    stream))) for row in range(2)]
                job = new_job(choose).choose(words.address(0), graphs).ready()
            job.launch(stream.number)
            stream.synchronize()
            if words.array[1] != 3:
                raise RuntimeError('the device does not choose as it is told')
            self._new_job, self.chooses = functools.partial(new_job, choose), True
        except (AttributeError, RuntimeError) as error:
            self.note = ('networks in variants have no gates, as graphs cannot choose between '
                         f'others: {error}')


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

    def choose(self, address: int, captured: Sequence[int]) -> Job:
        """Run that of these graphs whose place the word at an address says; if gates choose."""

    def ready(self) -> Launchable:
        """Return it ready to be launched."""


class Launchable(Protocol):
    """What can be launched again and again."""

    def launch(self, stream: int) -> None:
        """Run it on a stream, given as a number."""


class JobGraph:
    """A job that is one graph; `chooser` is the kernel that it chooses by."""

    def __init__(self, driver, runtime, context, chooser=None):
        self._driver, self._runtime, self._context = driver, runtime, context
        self._chooser = chooser
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

    def choose(self, address: int, captured: Sequence[int]) -> JobGraph:
        """Run that of these graphs whose place the word at an address says."""
        driver = self._driver
        handle = checked(driver.cuGraphConditionalHandleCreate(self._graph, self._context, 0, 0))
        reads = driver.CUDA_KERNEL_NODE_PARAMS()
        reads.func, reads.ctx, reads.sharedMemBytes = self._chooser, self._context, 0
        reads.gridDimX = reads.gridDimY = reads.gridDimZ = 1
        reads.blockDimX = reads.blockDimY = reads.blockDimZ = 1
        reads.kernelParams = (address, int(handle)), (ctypes.c_void_p, ctypes.c_uint64)
        before = checked(driver.cuGraphAddKernelNode(
            self._graph, self._last, len(self._last), reads))
        parameters = driver.CUgraphNodeParams()
        parameters.type = driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_CONDITIONAL
        choice = parameters.conditional
        choice.handle, choice.ctx, choice.size = handle, self._context, len(captured)
        choice.type = driver.CUgraphConditionalNodeType.CU_GRAPH_COND_TYPE_SWITCH
        # before CUDA 13, what takes data of edges has a name of its own
        add = getattr(driver, 'cuGraphAddNode_v2', None) or driver.cuGraphAddNode
        self._last = [checked(add(self._graph, [before], None, 1, parameters))]
        for body, graph in zip(choice.phGraph_out, captured):
            checked(driver.cuGraphAddChildGraphNode(body, [], 0, driver.CUgraph(graph)))
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
