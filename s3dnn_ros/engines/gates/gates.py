"""What makes gates on a device: words, what moves bytes between addresses, and jobs."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from typing import Callable, Optional, Tuple

import numpy as np

from s3dnn_ros.engines.cuda import Cuda, Stream, checked
from s3dnn_ros.engines.gates.job import Job, JobGraph, JobWindows
from s3dnn_ros.errors import EngineError

THREADS_PER_BLOCK = 256
WORD_BYTES = 4
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
