"""A lane of the torch engine whose jobs wait on the device: one graph for a whole job."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Callable, Dict, Sequence

import numpy as np

from s3dnn_ros.engines.cuda import Cuda, Graph
from s3dnn_ros.engines.gates import Gates, ProgressMark, Shared
from s3dnn_ros.engines.torch.lane import Lane, Part


class GatedLane(Lane):
    """Static buffers, and a graph of the whole network for each batch: one flight at a time.

    A segment is launched by a store: the graph waits for it. Networks in variants, and engines
    with several partitions, have other lanes.

    Parameters
    ----------
    torch : module
    cuda : Cuda
    gates : Gates
    part : Part
        Of its streams, the first is used.
    outputs : sequence of str
        What is copied to the host behind the last segment.
    look : callable
        Raises RuntimeError after an error of the device.

    """

    def __init__(self, torch, cuda: Cuda, gates: Gates, part: Part, outputs: Sequence[str],
                 look: Callable[[], Any]):
        super().__init__(torch, cuda, [part], outputs)
        self._gates = gates
        self._look = look
        self._words = gates.words(2)
        self._open = self._words.array[0:1]         # how many segments may run
        self._progress = self._words.array[1:2]     # how many have ended; one more at the end
        self._jobs: Dict[int, _Job] = {}
        self._hosts: Dict[int, Dict[str, np.ndarray]] = {}      # by batch: what its job writes
        self._staged: Dict[int, Sequence[Any]] = {}     # and what it reads
        self._end = 0
        self._submitted = 0         # segments
        self._held = False

    def capture(self, batch, modules, shape):
        """Capture all segments for one batch, and the job of them."""
        super().capture(batch, modules, shape)
        self._jobs[batch] = self._job(batch)
        # CUDA loads kernels when they run first, which it does not do while a job waits
        images = self._torch.zeros((batch, *shape), dtype=self._torch.uint8, pin_memory=True)
        self.fetch(batch, [images])
        self.leave()
        self._finish()

    def take(self, level, partition):
        """Do nothing: there is one stream."""

    def fetch(self, batch, staged):
        """Begin a job that reads these images, and waits before its first segment."""
        self._finish()
        job = self._jobs[batch]
        self._staged[batch] = staged
        self._hosts[batch] = {name: self._cuda.pinned(shape, dtype)
                              for name, (shape, dtype) in job.outputs.items()}
        job.point(staged, self._hosts[batch].values())
        self._open[0] = self._progress[0] = 0
        self._end = job.segments + 1
        job.graph.launch(self._parts[0].streams[0].stream.number)

    def launch(self, batch, segment, variant=0):
        """Let a segment go on, unless the job is held."""
        self._submitted = segment + 1
        if not self._held:
            self._open[0] = self._submitted

    def hold(self):
        """Stop behind the segment that runs; tell whether any is left then."""
        self._held = True
        if not self._submitted:
            return True
        self._open[0] = min(self._open[0], self._progress[0] + 1)
        return bool(self._open[0] + 1 < self._end)

    def resume(self):
        """Go on with what was submitted."""
        self._held = False
        self._open[0] = self._submitted

    def progress(self):
        """Return how many segments have ended."""
        return min(int(self._progress[0]), self._end - 1)

    def repeat(self, batch):
        """Run the whole job once more, on the images of the last one."""
        self.leave()
        self._jobs[batch].graph.launch(self._parts[0].streams[0].stream.number)

    def send(self, batch):
        """Return the outputs; they are there later."""
        return self._hosts[batch]

    def mark(self, segment):
        """Return the mark behind a segment; behind the last, the outputs are there."""
        least = segment + 1 if segment + 2 < self._end else self._end
        return ProgressMark(self._progress, least, self._look)

    def leave(self):
        """Let all go on that still waits: no more segments are launched."""
        self._held, self._submitted = False, 0
        self._open[0] = self._end

    def _finish(self):
        """Wait for the end of the former job."""
        ProgressMark(self._progress, self._end, self._look).synchronize()

    def _numpy_type(self, tensor):
        return self._torch.empty(0, dtype=tensor.dtype).numpy().dtype

    def _job(self, batch) -> _Job:
        """Return the graph of a whole job."""
        captured = self._captured[batch]
        images, outputs = list(captured.image), list(captured.outputs.values())
        targets, sources = (self._gates.addresses(len(images) + len(outputs)) for _ in range(2))
        targets.array[:len(images)] = [image.data_ptr() for image in images]
        sources.array[len(images):] = [output.data_ptr() for output in outputs]
        stream = self._parts[0].streams[0].stream

        def moved(first, pairs, tensor):
            return self._cuda.captured(stream, functools.partial(
                self._gates.move, targets.address(first), sources.address(first), pairs,
                tensor.nbytes, stream))

        opened, progress = (self._words.address(index) for index in range(2))
        segments = captured.graphs[0]
        job = self._gates.job()
        for index, (segment, *_) in enumerate(segments):
            job.wait(opened, index + 1)
            if index == 0:
                with moved(0, len(images), images[0]) as graph:
                    job.run(graph)
            job.run(int(segment.captured.raw_cuda_graph()))
            job.write(progress, index + 1)
        for index, output in enumerate(outputs):
            with moved(len(images) + index, 1, output) as graph:
                job.run(graph)
        job.write(progress, len(segments) + 1)
        kinds = {name: (tuple(tensor.shape), self._numpy_type(tensor))
                 for name, tensor in captured.outputs.items()}
        return _Job(job.ready(), len(segments), len(images), targets, sources, kinds)


@dataclasses.dataclass(frozen=True)
class _Job:
    """A graph, and where it finds the addresses of what it reads and writes.

    The first `images` addresses are those of images, the others of outputs.
    """

    graph: Graph
    segments: int
    images: int
    targets: Shared
    sources: Shared
    outputs: Dict[str, Any]     # shape and dtype by name

    def point(self, staged: Sequence[Any], host):
        """Let it read these images, and write there; rows without an image read the first."""
        addresses = [pixels.data_ptr() + index * (pixels.nbytes // pixels.shape[0])
                     for pixels in staged for index in range(pixels.shape[0])]
        addresses += addresses[:1] * (self.images - len(addresses))
        self.sources.array[:self.images] = addresses
        self.targets.array[self.images:] = [array.ctypes.data for array in host]
