"""A lane of the torch engine: static buffers, and a CUDA graph for every segment and batch."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import tempfile
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from s3dnn_ros.engines.cuda import Cuda, Stream
from s3dnn_ros.engines.lanes import UngatedLane
from s3dnn_ros.engines.torch.occupancy import kernels_of

# Runs before a graph is captured: cuDNN tries its algorithms in the first one.
RUNS_BEFORE_CAPTURE = 3


class LaneStream:
    """A stream of a lane: of cuda-bindings, or else one of PyTorch's own."""

    def __init__(self, torch, stream: Optional[Stream] = None):
        self._torch = torch
        self.stream = stream       # its owner, and the quicker way to use it
        self.torch_stream = (torch.cuda.ExternalStream(stream.number) if stream
                             else torch.cuda.Stream())

    def copy(self, target, source):
        """Copy a tensor into one of the same kind; both stay alive until that is done."""
        if self.stream:
            self.stream.copy(target.data_ptr(), source.data_ptr(), source.nbytes)
            return
        self._torch.cuda.set_stream(self.torch_stream)
        target.copy_(source, non_blocking=True)

    def launch(self, graph: CapturedGraph):
        """Run a graph."""
        if self.stream:
            graph.executable.launch(self.stream.number)
            return
        self._torch.cuda.set_stream(self.torch_stream)
        graph.captured.replay()


class CapturedGraph:
    """What `step` submits; with cuda-bindings it takes the priority of its stream."""

    def __init__(self, torch, cuda: Optional[Cuda], pool, step):
        self.captured = torch.cuda.CUDAGraph(**({'keep_graph': True} if cuda else {}))
        self.captured.capture_begin(pool=pool, capture_error_mode='thread_local')
        try:
            step()
        finally:
            self.captured.capture_end()
        self.executable = cuda and cuda.graph(self.captured.raw_cuda_graph())


class Part(NamedTuple):
    """What a lane has on one partition of the device: a stream for each level, urgent first.

    `call` runs a function and returns what it returns, in a thread of the partition: cuDNN's
    algorithms are chosen once for each thread, and one that was chosen for the whole device may
    not run on a part of it. The last partition has the thread of whoever loads.
    """

    streams: Sequence[LaneStream]
    call: Callable[[Callable[[], Any]], Any]


class Lane(UngatedLane):
    """Static buffers and graphs, and a stream for each level of priority: one flight at a time.

    Whatever the level, things run in the order in which they are submitted.

    Parameters
    ----------
    torch : module
    cuda : Cuda or None
        What gives graphs priorities, where that is to be had.
    parts : sequence of Part
        The last for use until told otherwise.
    outputs : sequence of str
        What is copied to the host behind the last segment.

    """

    def __init__(self, torch, cuda, parts: Sequence[Part], outputs: Sequence[str]):
        self._torch = torch
        self._cuda = cuda
        self._parts = parts
        self._partition = len(parts) - 1    # the one in use
        self._stream = parts[-1].streams[0]
        self._last: Any = None              # the event behind what was submitted last
        self._outputs = outputs
        self._pool = torch.cuda.graph_pool_handle()
        self._marks: List[Any] = []
        self._captured: Dict[int, _Captured] = {}

    def capture(self, batch, modules, shape):
        """Capture all variants of all segments for one batch, on every partition."""
        torch = self._torch
        while len(self._marks) < len(modules):
            self._marks.append(torch.cuda.Event())
        before = torch.cuda.memory_allocated()
        image = torch.zeros((batch, *shape), dtype=torch.uint8, device='cuda')
        torch.cuda.synchronize()
        values: Dict[str, Any] = {}
        # kernels stay on the multiprocessors that they were captured on, wherever a graph is
        # launched; the partition that is used first has the values, and the others fill them
        graphs = [part.call(functools.partial(self._graphs, part.streams[0], modules, values,
                                              image)) for part in reversed(self._parts)][::-1]
        self._captured[batch] = _Captured(
            image, graphs, {name: values[name] for name in self._outputs}, values,
            (torch.cuda.memory_allocated() - before) / 2**20)

    def outputs_of(self, batch):
        """Return the static output tensors by name."""
        return self._captured[batch].outputs

    def memory_mb(self, batch):
        """Return the memory that the buffers for this batch take."""
        return self._captured[batch].memory_mb

    def measure(self, batch, repeats, variant):
        """Return the seconds of every segment in each of so many runs."""
        torch = self._torch
        graphs = [graphs[min(variant, len(graphs) - 1)]
                  for graphs in self._captured[batch].graphs[self._partition]]
        stream = self._stream
        marks = [[torch.cuda.Event(enable_timing=True) for _ in range(len(graphs) + 1)]
                 for _ in range(repeats)]
        for row in marks:
            row[0].record(stream.torch_stream)
            for graph, mark in zip(graphs, row[1:]):
                stream.launch(graph)
                mark.record(stream.torch_stream)
        torch.cuda.synchronize()
        return [[before.elapsed_time(after) / 1e3 for before, after in zip(row, row[1:])]
                for row in marks]

    def kernels(self, batch, modules):
        """Return the kernels of every segment, as it is exact, from PyTorch's profiler."""
        torch, image = self._torch, self._captured[batch].image
        found, values = [], {}
        stream = self._parts[-1].streams[0].torch_stream
        with torch.inference_mode(), torch.cuda.stream(stream):
            for module, *_ in modules:
                with torch.profiler.profile(
                        activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
                    self._step(module, values, image)
                    torch.cuda.synchronize()
                with tempfile.TemporaryDirectory() as directory:
                    trace = f'{directory}/trace.json'
                    profiler.export_chrome_trace(trace)
                    found.append(kernels_of(trace))
        return found

    def take(self, level, partition):
        """Use another stream from here on, behind what was submitted before."""
        stream = self._parts[partition].streams[level]
        if stream is not self._stream:
            if self._last is not None:
                stream.torch_stream.wait_event(self._last)
            self._partition, self._stream = partition, stream

    def fetch(self, batch, staged):
        """Copy images from pinned memory into the static input."""
        image, start = self._captured[batch].image, 0
        for pixels in staged:
            end = start + pixels.shape[0]
            self._stream.copy(image[start:end], pixels)
            start = end

    def launch(self, batch, segment, variant=0):
        """Launch a segment's graph."""
        self._stream.launch(self._captured[batch].graphs[self._partition][segment][variant])

    def send(self, batch):
        """Copy the outputs into new pinned memory, and return them; they are there later."""
        torch = self._torch
        host = {}
        for name, tensor in self._captured[batch].outputs.items():
            host[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._stream.copy(host[name], tensor)
        return {name: tensor.numpy() for name, tensor in host.items()}

    def mark(self, segment):
        """Return the event behind all that was submitted up to a segment."""
        self._last = self._marks[segment]
        self._last.record(self._stream.torch_stream)
        return self._last

    def repeat(self, batch):
        """Launch all segments once more."""
        for segment in range(len(self._captured[batch].graphs[self._partition])):
            self.launch(batch, segment)

    def _graphs(self, stream, modules, values, image):
        """Return the graphs of one partition, by segment and variant."""
        torch = self._torch
        with torch.inference_mode(), torch.cuda.stream(stream.torch_stream):
            for _ in range(RUNS_BEFORE_CAPTURE):
                tried: Dict[str, Any] = {}
                for module in itertools.chain.from_iterable(modules):
                    self._step(module, tried, image)
            torch.cuda.synchronize()
            return [[CapturedGraph(torch, self._cuda, self._pool,
                                   functools.partial(self._step, module, values, image))
                     for module in variants] for variants in modules]

    def _step(self, module, values, image):
        """Run a segment; what has come out of it before is overwritten, not replaced."""
        inputs = [values.get(name, image) for name in module.input_names]
        for name, value in zip(module.output_names, module(*inputs)):
            if name in values:
                # the segments behind it read from where the first of its variants wrote
                values[name].copy_(value)
            else:
                # what leaves the device is copied as it lies in memory
                values[name] = value.contiguous() if name in self._outputs else value


@dataclasses.dataclass(frozen=True)
class _Captured:
    """The graphs for one batch; `values` keeps alive what they read and write."""

    image: Any
    graphs: List[List[List[CapturedGraph]]]     # by partition, segment and variant
    outputs: Dict[str, Any]
    values: Dict[str, Any]
    memory_mb: float
