"""The jobs of one lane that wait on the device: a graph for each batch, one of them at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import threading
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from s3dnn_ros.engines.cuda import Cuda, Stream
from s3dnn_ros.engines.gates.gates import Gates, Shared
from s3dnn_ros.engines.gates.job import Launchable
from s3dnn_ros.engines.gates.progress_mark import ProgressMark
from s3dnn_ros.engines.gates.streams import GateStreams

# The words of a lane: how many segments may run, and how many have ended; one more at the end.
_OPEN, _PROGRESS = range(2)


class Output(NamedTuple):
    """A tensor on the device that a job copies to the host."""

    address: int
    shape: Tuple[int, ...]
    dtype: Any      # NumPy's


@dataclasses.dataclass(frozen=True)
class _Job:
    """What is launched, and where it finds the addresses of what it reads and writes.

    The first `images` addresses are those of images, the others of outputs.
    """

    graph: Launchable
    segments: int
    images: int
    targets: Shared
    sources: Shared
    outputs: Mapping[str, Output]

    def read(self, images: Sequence[int]):
        """Let it read these images; rows without an image read the first."""
        view = self.sources.view
        for row in range(self.images):
            view[row] = images[row if row < len(images) else 0]

    def write(self, arrays: Iterable[np.ndarray]):
        """Let it write its outputs there."""
        for row, array in enumerate(arrays, self.images):
            self.targets.view[row] = array.ctypes.data


class GatedJobs:
    """Begins jobs, lets their segments go on, holds them, and tells how far they are.

    A job may be armed: its graph is launched already, and waits for its images and its first
    segment.

    Parameters
    ----------
    cuda : Cuda
    gates : Gates
    streams : GateStreams
        Where they run.
    look : callable
        Raises RuntimeError after an error of the device.

    Attributes
    ----------
    armed : int
        The batch of the job that is armed, or 0.

    """

    def __init__(self, cuda: Cuda, gates: Gates, streams: GateStreams, look: Callable[[], Any]):
        self._cuda = cuda
        self._gates = gates
        self._streams = streams
        self._lent: Optional[Stream] = None     # to the job that has begun
        self._look = look
        self._shared = gates.words(2)
        self._words = self._shared.view
        self._variants: Any = None  # a word for each segment: in which it runs
        self._chooses = False       # some segment has several
        self._jobs: Dict[int, _Job] = {}
        self._reads: Dict[int, Any] = {}        # by batch: what its job reads, and what it writes
        self._hosts: Dict[int, Dict[str, np.ndarray]] = {}
        self._end = 0
        self._submitted = 0         # segments
        self._held = False
        self._lock = threading.Lock()       # of what says whether a job may be armed, or wait
        self._taken = False         # there is a job that is not armed
        self._batch = 0             # the last
        self._is_unused = False     # it was armed when somebody looked last
        self._blank: Any = None     # an image for what is let go
        self.armed = 0
        streams.arming.add(self)

    def add(self, batch: int, images: Sequence[int], image_bytes: int,
            segments: Sequence[Sequence[int]],
            outputs: Mapping[str, Output], behind_images: Optional[int] = None):
        """Make the job for a batch.

        Parameters
        ----------
        batch : int
        images : sequence of int
            Where on the device each image is to lie.
        image_bytes : int
        segments : sequence of sequence of int
            Captured graphs, as numbers, by segment and variant; they are copied. As many for
            each batch.
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

        opened, progress = (self._shared.address(word) for word in (_OPEN, _PROGRESS))
        if not self._jobs:
            self._variants = self._gates.words(len(segments))
            self._chooses = any(len(variants) > 1 for variants in segments)
        job = self._gates.job()
        for index, variants in enumerate(segments):
            job.wait(opened, index + 1)
            if index == 0:
                with moved(0, len(images), image_bytes) as graph:
                    job.run(graph)
                if behind_images is not None:
                    job.run(behind_images)
            if len(variants) == 1:
                job.run(variants[0])
            else:
                job.choose(self._variants.address(index), variants)
            job.write(progress, index + 1)
        for index, output in enumerate(outputs.values()):
            size = math.prod(output.shape) * np.dtype(output.dtype).itemsize
            with moved(len(images) + index, 1, size) as graph:
                job.run(graph)
        job.write(progress, len(segments) + 1)
        self._jobs[batch] = _Job(job.ready(), len(segments), len(images), targets, sources,
                                 outputs)
        # CUDA loads kernels when they run first, which it does not do while a job waits
        self._blank = self._cuda.pinned((image_bytes,), np.uint8)
        for turn in range(max(map(len, segments))):
            self.begin(batch, [self._blank.ctypes.data], self._blank)
            self._variants.array[:] = [turn % len(variants) for variants in segments]
            self.leave()
            self._finish()
        self._variants.array[:] = 0
        self._batch = min(self._jobs)

    def begin(self, batch: int, images: Sequence[int], memory: Any):
        """Begin a job that reads the images at these addresses, and waits before its start.

        `memory` is what they lie in; it is kept.
        """
        with self._lock:
            self._taken = True
            armed, self.armed = self.armed, 0
        if armed != batch:
            self._let_go(armed)
            self._finish()
            self._launch(batch)
        if self._chooses:
            # where nobody tells it in time, a segment runs exact
            self._variants.array[:] = 0
        self._batch = batch
        self._read(batch, images, memory)

    def arm(self) -> bool:
        """Launch the next job, of the batch of the last; tell whether it need not be tried again.

        It is not launched while the former one runs.
        """
        with self._lock:
            if self._taken or self.armed or not self._streams.arming.allowed:
                return True
            if self._words[_PROGRESS] < self._end:
                return False
            try:
                self._give_back()
                self._launch(self._batch)
                self.armed, self._is_unused = self._batch, False
            except RuntimeError:
                pass        # whoever begins the next job will hear of it
            return True

    def disarm(self):
        """Let an armed job go on, although there is no image."""
        with self._lock:
            armed, self.armed = self.armed, 0
            self._let_go(armed)

    def disarm_unused(self):
        """Let an armed job go on if it was armed already when this was called last."""
        if self.armed and self._is_unused:
            self.disarm()
        self._is_unused = bool(self.armed)

    def run_on(self):
        """Let a job that has begun run to its end, whatever is submitted."""
        with self._lock:
            if self._taken:
                self._words[_OPEN] = self._end

    def _let_go(self, armed):
        if armed:
            self._read(armed, [self._blank.ctypes.data], self._blank)
            self._words[_OPEN] = self._end

    def _launch(self, batch):
        """Launch a job, which then waits before its first segment.

        Its outputs get memory of their own, as those of the former job may still be in use.
        """
        job = self._jobs[batch]
        hosts = self._hosts[batch] = {name: self._cuda.pinned(output.shape, output.dtype)
                                      for name, output in job.outputs.items()}
        job.write(hosts.values())
        self._lent = self._streams.borrow()
        self._words[_OPEN] = self._words[_PROGRESS] = 0
        self._end = job.segments + 1
        try:
            job.graph.launch(self._lent.number)
        except RuntimeError:
            # of several launches, some may be there: they run to their end, and write how far they
            # are; after that, nobody must wait for the others
            self._words[_OPEN] = self._end
            with contextlib.suppress(RuntimeError):
                self._lent.synchronize()
            self._words[_PROGRESS] = self._end
            self._give_back()
            raise

    def _read(self, batch, images, memory):
        self._reads[batch] = memory
        self._jobs[batch].read(images)

    def launch(self, segment: int, variants: Sequence[int]) -> bool:
        """Let segments go on, from the first one, each in its variant, unless the job is held.

        Tells whether they run exact instead: a job that may not wait runs before it is told.
        """
        end = segment + len(variants)
        with self._lock:
            self._submitted = end
            if self._words[_OPEN] > segment:
                return any(variants)
            if self._chooses:
                self._variants.array[segment:end] = variants
            if not self._held:
                self._words[_OPEN] = end if self._streams.arming.may_wait else self._end
            return False

    def hold(self) -> bool:
        """Stop behind the segment that runs; tell whether any is left then."""
        self._held = True
        self._words[_OPEN] = opened = min(self._words[_OPEN], self._words[_PROGRESS] + 1)
        return opened + 1 < self._end

    def resume(self):
        """Go on with what was submitted."""
        self._held = False
        self._words[_OPEN] = self._submitted

    def progress(self) -> int:
        """Return how many segments have ended."""
        return min(self._words[_PROGRESS], self._end - 1)

    def repeat(self, batch: int):
        """Run the whole job once more, on the images of the last one."""
        self._words[_OPEN] = self._end
        self._lent = self._lent or self._streams.borrow()
        self._jobs[batch].graph.launch(self._lent.number)

    def outputs(self, batch: int) -> Dict[str, np.ndarray]:
        """Return the outputs; they are there when the job has ended."""
        return self._hosts[batch]

    def mark(self, segment: int) -> ProgressMark:
        """Return the mark behind a segment; behind the last, the outputs are there."""
        least = segment + 1 if segment + 2 < self._end else self._end
        return ProgressMark(self._words, _PROGRESS, least, self._look)

    def leave(self):
        """Let all go on that still waits: no more segments are launched."""
        self._held, self._submitted = False, 0
        self._words[_OPEN] = self._end
        if self._words[_PROGRESS] >= self._end:
            self._give_back()
        with self._lock:
            self._taken = False
        self._streams.arming.free(self)

    def __del__(self):
        self._words[_OPEN] = self._end
        if self._lent is None:
            return
        if self._words[_PROGRESS] >= self._end:
            self._give_back()
        else:
            # its stream is lost, and where it will write nobody else may
            self._streams.lost.append(vars(self))

    def _finish(self):
        """Wait for the end of the former job."""
        ProgressMark(self._words, _PROGRESS, self._end, self._look).synchronize()
        self._give_back()

    def _give_back(self):
        if self._lent is not None:
            self._streams.give_back(self._lent)
            self._lent = None
