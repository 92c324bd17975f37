"""A lane of the TensorRT engine whose jobs wait on the device: one graph for a whole job."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Sequence, Tuple

from s3dnn_ros.engines.cuda import Cuda, OutOfMemory
from s3dnn_ros.engines.gates.gated_jobs import GatedJobs, Output
from s3dnn_ros.engines.gates.gated_lane import GatedLane
from s3dnn_ros.engines.gates.gates import Gates
from s3dnn_ros.engines.gates.streams import GateStreams
from s3dnn_ros.engines.tensorrt.lane import Lane
from s3dnn_ros.engines.tensorrt.loaded_engine import LoadedEngine
from s3dnn_ros.models.graph import IMAGE_INPUT


class CaptureError(RuntimeError):
    """A segment cannot be captured; its jobs cannot wait on the device."""


class TensorRtGatedLane(GatedLane, Lane):
    """Static buffers, and a graph of the whole network for each batch: one flight at a time.

    Networks with a segment on the CPU have other lanes, and so have those in variants where graphs
    cannot choose.

    Parameters
    ----------
    cuda : Cuda
    gates : Gates
    streams : GateStreams
    runners : sequence of sequence of LoadedEngine
        By segment and variant.
    outputs, shape, batches, number, floats
        As of `Lane`.
    look : callable
        Raises RuntimeError after an error of the device.

    Raises
    ------
    CaptureError
        A segment cannot be captured.
    OutOfMemory
        The device has no room for it.

    """

    def __init__(self, cuda: Cuda, gates: Gates, streams: GateStreams,
                 runners: Sequence[Sequence[LoadedEngine]], outputs: Sequence[str],
                 shape: Tuple[int, ...], batches: Sequence[int], number: int, floats,
                 look: Callable[[], Any]):
        super().__init__(cuda, [streams.quiet], runners, outputs, shape, batches, number, floats,
                         graphs=False)
        self._jobs = GatedJobs(cuda, gates, streams, look)
        for batch in batches:
            self._add(batch)

    def fetch(self, batch, staged):
        """Begin a job that reads these images, and waits before its first segment."""
        self._jobs.begin(batch, [
            pixels.ctypes.data + index * self._image_bytes
            for pixels in staged for index in range(len(pixels))], staged)

    def _add(self, batch):
        """Capture all segments for a batch, and make the job of them."""
        stream = self._stream
        with contextlib.ExitStack() as captured:
            try:
                segments = [[captured.enter_context(step.captured(self._cuda, stream))
                             for step in variants] for variants in self._steps[batch]]
            except OutOfMemory:
                raise
            except RuntimeError as error:
                raise CaptureError(str(error)) from error
            floats = captured.enter_context(self._cuda.captured(
                stream, lambda: self._floats.launch(
                    self._buffers[IMAGE_INPUT].number, self._pixels.number,
                    batch * self._image_bytes, stream)))
            self._jobs.add(
                batch, [self._pixels.number + index * self._image_bytes for index in range(batch)],
                self._image_bytes, segments, {
                    name: Output(self._buffers[name].number, shape, self._dtypes[name])
                    for name, shape in self.shapes(batch).items()}, floats)
