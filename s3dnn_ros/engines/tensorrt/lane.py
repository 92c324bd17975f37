"""A lane of the TensorRT engine: buffers, and a context for every segment, variant and batch."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from s3dnn_ros.engines.lanes import UngatedLane
from s3dnn_ros.engines.tensorrt.host_segment import Buffer, HostEvent, HostSegment, HostStep
from s3dnn_ros.engines.tensorrt.loaded_engine import Context, LoadedEngine
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import IMAGE_INPUT

Runner = Union[LoadedEngine, HostSegment]

ELSEWHERE = 'cut it elsewhere: `s3dnn profile` again, with a larger --target-ms'


class EngineStep:
    """A segment of TensorRT at one batch on one lane.

    A graph is captured of a context that nobody changes afterwards, as TensorRT wants it, and so
    each has its own.
    """

    error = ''

    def __init__(self, context: Context):
        self._context = context
        self._graph: Any = None

    def submit(self, stream):
        """Run it."""
        if self._graph is not None:
            self._graph.launch(stream.number)
        else:
            self._context.enqueue(stream.number)

    def captured(self, cuda, stream):
        """Run it once, as TensorRT wants it; return the context in which it is captured."""
        self._run_once(stream)
        return cuda.captured(stream, lambda: self._context.enqueue(stream.number))

    def capture(self, cuda, stream):
        """Run it once, as TensorRT wants it, and launch it as a graph from here on."""
        self._run_once(stream)
        # some layers cannot be captured; then it stays as it is
        with contextlib.suppress(RuntimeError):
            self._graph = cuda.capture(stream, lambda: self._context.enqueue(stream.number))

    def _run_once(self, stream):
        self._context.enqueue(stream.number)
        stream.synchronize()


class Lane(UngatedLane):
    """Static buffers, and a stream for each level of priority: one flight at a time.

    Whatever the level, things run in the order in which they are submitted. So all contexts use
    one scratch memory, and all batches the same buffers.

    Parameters
    ----------
    cuda : Cuda
    streams : sequence of Stream
        One for each level.
    runners : sequence of sequence of LoadedEngine or HostSegment
        By segment and variant.
    outputs : sequence of str
        What is copied to the host behind the last segment.
    shape : tuple of int
        Of an image: rows, columns, colours.
    batches : sequence of int
        Ascending.
    number : int
        Of this lane: contexts that cannot share a profile take another on each.
    floats
        The kernel that makes floats of pixels.
    graphs : bool
        Whether segments become CUDA graphs.

    """

    def __init__(self, cuda, streams: Sequence[Any], runners: Sequence[Sequence[Runner]],
                 outputs: Sequence[str], shape: Tuple[int, ...], batches: Sequence[int],
                 number: int, floats, graphs: bool):
        self._cuda = cuda
        self._outputs = outputs
        self._floats = floats
        self._image_bytes = int(np.prod(shape))
        self._streams = streams
        self._stream = streams[0]
        self._last: Any = None              # the event behind what was submitted last
        self._hosts: Dict[int, HostStep] = {}       # the last one of each segment
        self._marks = [cuda.event() for _ in runners]
        scratch_bytes = max(runner.scratch_bytes for runner in itertools.chain(*runners))
        self._scratch = cuda.allocate(max(1, scratch_bytes))
        self._pixels = cuda.allocate(batches[-1] * self._image_bytes)
        contexts = {batch: self._contexts(runners, batch, number * len(batches) + place)
                    for place, batch in enumerate(batches)}
        self._shapes = {batch: _shapes(runners, contexts[batch], batch) for batch in batches}
        self._dtypes = _dtypes(runners)
        sizes = {name: max(1, int(np.prod(shape)) * np.dtype(self._dtypes[name]).itemsize)
                 for name, shape in self._shapes[batches[-1]].items()}
        self._buffers = {name: cuda.allocate(size) for name, size in sizes.items()}
        for memory in self._buffers.values():
            # the first runs read what nobody has written; what is no index would kill the process
            self._stream.clear(memory)
        self._stream.synchronize()
        self._memory_mb = (self._scratch.size + self._pixels.size + sum(sizes.values())) / 2**20
        self._steps = {batch: self._bound(runners, contexts[batch], batch) for batch in batches}
        if graphs:
            for step in itertools.chain(*(itertools.chain(*steps)
                                          for steps in self._steps.values())):
                if isinstance(step, EngineStep):
                    step.capture(cuda, self._stream)

    def shapes(self, batch: int) -> Mapping[str, Tuple[int, ...]]:
        """Return the shapes of the network's outputs for a batch."""
        return {name: self._shapes[batch][name] for name in self._outputs}

    def memory_mb(self, batch):
        """Return the memory of the buffers: all batches use the same."""
        return self._memory_mb

    def measure(self, batch, repeats, variant):
        """Return the seconds of every segment in each of so many runs."""
        steps = [steps[min(variant, len(steps) - 1)] for steps in self._steps[batch]]
        marks = [[self._cuda.event(timed=True) for _ in range(len(steps) + 1)]
                 for _ in range(repeats)]
        for row in marks:
            row[0].record(self._stream)
            for step, mark in zip(steps, row[1:]):
                step.submit(self._stream)
                mark.record(self._stream)
        self._stream.synchronize()
        return [[after.seconds_since(before) for before, after in zip(row, row[1:])]
                for row in marks]

    def take(self, level):
        """Use another stream from here on, behind what was submitted before."""
        stream = self._streams[level]
        if stream is not self._stream:
            if self._last is not None:
                stream.wait(self._last)
            self._stream = stream

    def fetch(self, batch, staged):
        """Copy images from pinned memory to the device, and make floats of them."""
        at = self._pixels.number
        for pixels in staged:
            self._stream.copy(at, pixels.ctypes.data, pixels.nbytes)
            at += pixels.nbytes
        self._floats.launch(self._buffers[IMAGE_INPUT].number, self._pixels.number,
                            batch * self._image_bytes, self._stream)

    def launch(self, batch, segment, variant=0):
        """Run a segment."""
        step = self._steps[batch][segment][variant]
        step.submit(self._stream)
        self._hosts.pop(segment, None)
        if isinstance(step, HostStep):
            self._hosts[segment] = step

    def send(self, batch):
        """Copy the outputs into pinned memory, and return them; they are there later."""
        host = {}
        for name in self._outputs:
            host[name] = self._cuda.pinned(self._shapes[batch][name], self._dtypes[name])
            self._stream.copy(host[name].ctypes.data, self._buffers[name].number,
                              host[name].nbytes)
        return host

    def mark(self, segment):
        """Return the event behind all that was submitted up to a segment."""
        self._last = self._marks[segment]
        self._last.record(self._stream)
        # those of later segments are of an earlier flight
        steps = [step for index, step in sorted(self._hosts.items()) if index <= segment]
        return HostEvent(self._last, steps) if steps else self._last

    def repeat(self, batch):
        """Launch all segments once more."""
        for segment in range(len(self._steps[batch])):
            self.launch(batch, segment)

    def _contexts(self, runners, batch, profile) -> List[List[Optional[Context]]]:
        """Return a context for each that runs on TensorRT."""
        return [[runner.context(batch, profile if runner.profiles > 1 else 0,
                                self._scratch.number, self._stream.number)
                 if isinstance(runner, LoadedEngine) else None for runner in variants]
                for variants in runners]

    def _bound(self, runners, contexts, batch):
        """Return the steps for a batch, tied to the buffers."""
        turned = {tensor.name for runner in itertools.chain(*runners)
                  if isinstance(runner, LoadedEngine)
                  for tensor in runner.tensors if tensor.channels_last}
        buffers = {name: Buffer(memory.number, self._dtypes[name], name in turned)
                   for name, memory in self._buffers.items()}
        addresses = {name: buffer.address for name, buffer in buffers.items()}

        def step(runner, context):
            if context is None:
                return HostStep(runner, self._cuda, buffers, batch)
            context.bind(addresses)
            return EngineStep(context)

        return [[step(runner, context) for runner, context in zip(*row)]
                for row in zip(runners, contexts)]


def _shapes(runners, contexts, batch) -> Dict[str, Tuple[int, ...]]:
    """Return the shape of every tensor at a batch.

    Raises ModelError if one is not known, or is no number for every image. A free first size is
    taken for the batch where a segment reads; TensorRT tells what a segment writes. Where these
    differ, a buffer would be too small for one of them.
    """
    found: Dict[str, Tuple[int, ...]] = {}
    for runner, context in zip(itertools.chain(*runners), itertools.chain(*contexts)):
        for name, shape in (runner.shapes(batch) if context is None else context.shapes).items():
            if any(size < 0 for size in shape):
                raise ModelError(f"tensor '{name}'", 'has a size that only a run tells; cut off '
                                 'what selects boxes in the network, since its decoder does that')
            if not shape:
                raise ModelError(f"tensor '{name}'", 'is one number for the whole batch; export '
                                 f'the network with one for each image, or {ELSEWHERE}')
            if found.setdefault(name, shape) != shape:
                raise ModelError(f"tensor '{name}'", f'is {list(found[name])} to one segment and '
                                 f'{list(shape)} to another at a batch of {batch}: its first size '
                                 f'is not the batch; {ELSEWHERE}')
    return found


def _dtypes(runners) -> Dict[str, Any]:
    """Return what every tensor is on the device: as TensorRT has it, if it knows it."""
    found: Dict[str, Any] = {}
    for runner in itertools.chain(*runners):
        if isinstance(runner, HostSegment):
            for name, dtype in runner.dtypes.items():
                found.setdefault(name, dtype)
    for runner in itertools.chain(*runners):
        if isinstance(runner, LoadedEngine):
            found.update((tensor.name, tensor.dtype) for tensor in runner.tensors)
    return found
