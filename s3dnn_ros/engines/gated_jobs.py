"""The jobs of one lane that wait on the device: a graph for each batch, one of them at a time."""

from __future__ import annotations

import dataclasses
import functools
import weakref
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.engines.cuda import Cuda, Graph, Stream
from s3dnn_ros.engines.gates import Gates, ProgressMark, Shared, most_waiting

# More levels of urgency would leave each too few streams.
MOST_LEVELS = 3


class Output(NamedTuple):
    """A tensor on the device that a job copies to the host."""

    address: int
    shape: Tuple[int, ...]
    dtype: Any      # NumPy's


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
    outputs: Mapping[str, Output]

    def point(self, images: Sequence[int], host: Sequence[np.ndarray]):
        """Let it read these images, and write there; rows without an image read the first."""
        self.sources.array[:self.images] = [*images, *images[:1] * (self.images - len(images))]
        self.targets.array[self.images:] = [array.ctypes.data for array in host]


class GatedJobs:
    """Begins jobs, lets their segments go on, holds them, and tells how far they are.

    Parameters
    ----------
    cuda : Cuda
    gates : Gates
    streams : GateStreams
        Where they run.
    look : callable
        Raises RuntimeError after an error of the device.

    """

    def __init__(self, cuda: Cuda, gates: Gates, streams: GateStreams, look: Callable[[], Any]):
        self._cuda = cuda
        self._gates = gates
        self._streams = streams
        self._lent: Optional[Tuple[int, Stream]] = None     # to the job that has begun
        self._look = look
        self._words = gates.words(2)
        self._open = self._words.array[0:1]         # how many segments may run
        self._progress = self._words.array[1:2]     # how many have ended; one more at the end
        self._jobs: Dict[int, _Job] = {}
        self._reads: Dict[int, Any] = {}        # by batch: what its job reads, and what it writes
        self._hosts: Dict[int, Dict[str, np.ndarray]] = {}
        self._end = 0
        self._submitted = 0         # segments
        self._held = False

    def add(self, batch: int, images: Sequence[int], image_bytes: int, segments: Sequence[int],
            outputs: Mapping[str, Output], behind_images: Optional[int] = None):
        """Make the job for a batch.

        Parameters
        ----------
        batch : int
        images : sequence of int
            Where on the device each image is to lie.
        image_bytes : int
        segments : sequence of int
            Captured graphs, as numbers; they are copied.
        outputs : mapping of str to Output
        behind_images : int, optional
            A captured graph that runs once the images are there.

        """
        targets, sources = (self._gates.addresses(len(images) + len(outputs)) for _ in range(2))
        targets.array[:len(images)] = images
        sources.array[len(images):] = [output.address for output in outputs.values()]

        def moved(first, pairs, size):
            return self._cuda.captured(self._streams.quiet, functools.partial(
                self._gates.move, targets.address(first), sources.address(first), pairs, size,
                self._streams.quiet))

        opened, progress = (self._words.address(index) for index in range(2))
        job = self._gates.job()
        for index, segment in enumerate(segments):
            job.wait(opened, index + 1)
            if index == 0:
                with moved(0, len(images), image_bytes) as graph:
                    job.run(graph)
                if behind_images is not None:
                    job.run(behind_images)
            job.run(segment)
            job.write(progress, index + 1)
        for index, output in enumerate(outputs.values()):
            size = int(np.prod(output.shape)) * np.dtype(output.dtype).itemsize
            with moved(len(images) + index, 1, size) as graph:
                job.run(graph)
        job.write(progress, len(segments) + 1)
        self._jobs[batch] = _Job(job.ready(), len(segments), len(images), targets, sources,
                                 outputs)
        # CUDA loads kernels when they run first, which it does not do while a job waits
        black = self._cuda.pinned((image_bytes,), np.uint8)
        self.begin(batch, [black.ctypes.data], black)
        self.leave()
        self._finish()

    def begin(self, batch: int, images: Sequence[int], memory: Any, level: int = 0):
        """Begin a job that reads the images at these addresses, and waits before its start.

        `memory` is what they lie in; it is kept. The device prefers jobs of a lower `level`.
        """
        self._finish()
        job = self._jobs[batch]
        self._reads[batch] = memory
        self._hosts[batch] = {name: self._cuda.pinned(output.shape, output.dtype)
                              for name, output in job.outputs.items()}
        job.point(images, list(self._hosts[batch].values()))
        self._open[0] = self._progress[0] = 0
        self._end = job.segments + 1
        self._lent = self._streams.borrow(level)
        job.graph.launch(self._lent[1].number)

    def launch(self, segment: int):
        """Let a segment go on, unless the job is held."""
        self._submitted = segment + 1
        if not self._held:
            self._open[0] = self._submitted

    def hold(self) -> bool:
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

    def progress(self) -> int:
        """Return how many segments have ended."""
        return min(int(self._progress[0]), self._end - 1)

    def repeat(self, batch: int):
        """Run the whole job once more, on the images of the last one."""
        self._open[0] = self._end
        self._lent = self._lent or self._streams.borrow(0)
        self._jobs[batch].graph.launch(self._lent[1].number)

    def outputs(self, batch: int) -> Dict[str, np.ndarray]:
        """Return the outputs; they are there when the job has ended."""
        return self._hosts[batch]

    def mark(self, segment: int) -> ProgressMark:
        """Return the mark behind a segment; behind the last, the outputs are there."""
        least = segment + 1 if segment + 2 < self._end else self._end
        return ProgressMark(self._progress, least, self._look)

    def leave(self):
        """Let all go on that still waits: no more segments are launched."""
        self._held, self._submitted = False, 0
        self._open[0] = self._end
        if self._progress[0] >= self._end:
            self._give_back()

    def __del__(self):
        # the stream of a job that stands still is lost
        if self._lent is not None and self._progress[0] >= self._end:
            self._give_back()

    def _finish(self):
        """Wait for the end of the former job."""
        ProgressMark(self._progress, self._end, self._look).synchronize()
        self._give_back()

    def _give_back(self):
        if self._lent is not None:
            self._streams.give_back(*self._lent)
            self._lent = None


class GatedLane:
    """What the lanes of all engines do by their `GatedJobs`; in front of an engine's own lane.

    A segment is launched by a store: the graph waits for it.
    """

    _jobs: GatedJobs
    _level = 0

    def take(self, level, *_):
        """Begin the next job at this level of urgency."""
        self._level = level

    def launch(self, batch, segment, variant=0):
        """Let a segment go on, unless the job is held."""
        self._jobs.launch(segment)

    def hold(self):
        """Stop behind the segment that runs; tell whether any is left then."""
        return self._jobs.hold()

    def resume(self):
        """Go on with what was submitted."""
        self._jobs.resume()

    def progress(self):
        """Return how many segments have ended."""
        return self._jobs.progress()

    def repeat(self, batch):
        """Run the whole job once more, on the images of the last one."""
        self._jobs.repeat(batch)

    def send(self, batch):
        """Return the outputs; they are there when the job has ended."""
        return self._jobs.outputs(batch)

    def mark(self, segment):
        """Return the mark behind a segment; behind the last, the outputs are there."""
        return self._jobs.mark(segment)

    def leave(self):
        """Let all go on that still waits: no more segments are launched."""
        self._jobs.leave()


class GateStreams:
    """Streams for jobs that wait, each with a connection to the device of its own.

    What waits in a connection holds up all streams of it. Streams that are made one after the
    other get connections one after the other; so all are made at once.

    Parameters
    ----------
    make : callable
        Returns a new stream of a level of urgency, 0 the most urgent.
    levels : int

    Attributes
    ----------
    levels : int
        Those that there are.
    quiet : Stream
        For what is captured and measured while no job waits.

    """

    def __init__(self, make: Callable[[int], Any], levels: int):
        self.levels = min(levels, MOST_LEVELS)
        streams: List[List[Any]] = [[] for _ in range(self.levels)]
        count = most_waiting() - 1
        for index in range(count):
            streams[index % self.levels].append(make(index % self.levels))
        self.quiet = make(self.levels - 1)
        self._free = streams
        self._lanes_left = count

    def lane(self, make: Callable[[], Any]) -> Any:
        """Return the lane that `make` makes; None if as many jobs as may wait have one."""
        if not self._lanes_left:
            return None
        lane = make()
        self._lanes_left -= 1
        weakref.finalize(lane, self._forget_lane)
        return lane

    def borrow(self, level: int) -> Tuple[int, Any]:
        """Return (level, stream) of a stream of this level, or of the nearest that has one.

        Raises RuntimeError where jobs that stood still have kept all.
        """
        for near in sorted(range(self.levels), key=lambda other: abs(other - level)):
            if self._free[near]:
                return near, self._free[near].pop()
        raise RuntimeError('no stream is left, since too many jobs stood still on the device; '
                           'start the executor again')

    def give_back(self, level: int, stream):
        """Take a stream back."""
        self._free[level].append(stream)

    def _forget_lane(self):
        self._lanes_left += 1
