"""A job with gates, made step by step: one graph, or several launches into one stream."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, List, Protocol, Sequence

from s3dnn_ros.engines.cuda import Graph, checked
from s3dnn_ros.engines.gates.one_line import line_up

_AT_LEAST = 0       # CU_STREAM_WAIT_VALUE_GEQ


class Job(Protocol):
    """A job that is made step by step; each step waits for the one before it."""

    def wait(self, address: int, least: int) -> Job:
        """Wait until the word at an address is at least so large."""

    def write(self, address: int, value: int) -> Job:
        """Write a word, behind all that was written before."""

    def run(self, captured: int) -> Job:
        """Run a captured graph, given as a number, without its branches; it is copied."""

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
        """Run a captured graph, given as a number, without its branches; it is copied."""
        driver = self._driver
        line_up(driver, captured, self._context)
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
            line_up(driver, graph, self._context)
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
        """Run a captured graph, given as a number, without its branches; it is copied."""
        # CUDA's own libraries serve TensorRT alone, whose plans have no branches
        if hasattr(self._driver, 'cuGraphGetNodes'):
            line_up(self._driver, captured)
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
