"""What PyTorch does not offer of CUDA, over cuda-bindings.

Streams with priorities, also on a part of the multiprocessors, and graphs that take the
priority of the stream they are launched on.
"""

from __future__ import annotations

from typing import Sequence

from s3dnn_ros.errors import EngineError

_NON_BLOCKING = 1       # cudaStreamNonBlocking and CU_STREAM_NON_BLOCKING


class Cuda:
    """The runtime and the driver of one device; raises ImportError without cuda-bindings."""

    def __init__(self, device: int = 0):
        from cuda.bindings import driver, runtime

        self._driver = driver
        self._runtime = runtime
        self._device = device
        least, greatest = _value(runtime.cudaDeviceGetStreamPriorityRange())
        # the most urgent first
        self.priorities: Sequence[int] = range(greatest, least + 1)

    def stream(self, priority: int) -> Stream:
        """Return a new stream on all multiprocessors."""
        return Stream(self._runtime, _value(
            self._runtime.cudaStreamCreateWithPriority(_NON_BLOCKING, priority)))

    def partition(self, sms: int) -> Partition:
        """Return at least so many multiprocessors to use alone; raises EngineError."""
        try:
            return Partition(self._driver, self._runtime, self._device, sms)
        except (AttributeError, IndexError, RuntimeError) as error:
            raise EngineError('cuda', f'cannot take {sms} SMs for itself: {error}; CUDA 12.4 can '
                                      'on discrete GPUs, elsewhere set engine_sms to 0') from error

    def graph(self, captured: int) -> Graph:
        """Return a captured graph, given as a number, ready to be launched."""
        return Graph(self._runtime, captured)


class Partition:
    """Some of a device's multiprocessors: a green context."""

    def __init__(self, driver, runtime, device, sms):
        self._driver = driver
        self._runtime = runtime
        device = _value(driver.cuDeviceGet(device))
        kind = driver.CUdevResourceType.CU_DEV_RESOURCE_TYPE_SM
        everything = _value(driver.cuDeviceGetDevResource(device, kind))
        parts, *_ = _value(driver.cuDevSmResourceSplitByCount(1, everything, 0, sms))
        self.sms: int = parts[0].sm.smCount
        described = _value(driver.cuDevResourceGenerateDesc([parts[0]], 1))
        self._context = _value(driver.cuGreenCtxCreate(
            described, device, driver.CUgreenCtxCreate_flags.CU_GREEN_CTX_DEFAULT_STREAM))

    def stream(self, priority: int) -> Stream:
        """Return a new stream on these multiprocessors."""
        return Stream(self._runtime, _value(self._driver.cuGreenCtxStreamCreate(
            self._context, _NON_BLOCKING, priority)))


class Stream:
    """A stream; `number` is what others know it by."""

    def __init__(self, runtime, stream):
        self._runtime = runtime
        self.number = int(stream)
        self._anywhere = runtime.cudaMemcpyKind.cudaMemcpyDefault

    def copy(self, target: int, source: int, size: int):
        """Copy so many bytes between two addresses, either of the device or of pinned memory."""
        _value(self._runtime.cudaMemcpyAsync(target, source, size, self._anywhere, self.number))

    def __del__(self):
        """Free it, once what was submitted has run."""
        self._runtime.cudaStreamDestroy(self.number)


class Graph:
    """A graph that can be launched."""

    def __init__(self, runtime, captured):
        self._runtime = runtime
        # PyTorch's own way lets every kernel keep the priority it was captured with
        self._executable = _value(runtime.cudaGraphInstantiate(runtime.cudaGraph_t(captured), 0))

    def launch(self, stream: int):
        """Run it on a stream, with the stream's priority."""
        _value(self._runtime.cudaGraphLaunch(self._executable, stream))

    def __del__(self):
        """Free it; at the interpreter's end nothing is left to free it with."""
        if getattr(self, '_executable', None) is not None:
            self._runtime.cudaGraphExecDestroy(self._executable)


def _value(returned):
    """Return what a call gave, without its status; raises RuntimeError that names the status."""
    status, *values = returned
    if int(status):
        raise RuntimeError(f'{status.name} ({int(status)})')
    return values[0] if len(values) == 1 else values
