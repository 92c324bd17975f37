"""A lane of the torch engine whose jobs wait on the device: one graph for a whole job."""

from __future__ import annotations

from typing import Any, Callable, Sequence

from s3dnn_ros.engines.cuda import Cuda
from s3dnn_ros.engines.gates.gated_jobs import GatedJobs, Output
from s3dnn_ros.engines.gates.gated_lane import GatedLane
from s3dnn_ros.engines.gates.gates import Gates
from s3dnn_ros.engines.gates.streams import GateStreams
from s3dnn_ros.engines.torch.lane import Lane, LaneStream, Part


class TorchGatedLane(GatedLane, Lane):
    """Static buffers, and a graph of the whole network for each batch: one flight at a time.

    Engines with several partitions have other lanes, and so have networks in variants where graphs
    cannot choose.

    Parameters
    ----------
    torch : module
    cuda : Cuda
    gates : Gates
    streams : GateStreams
    call : callable
        As a Part's.
    outputs : sequence of str
        What is copied to the host behind the last segment.
    look : callable
        Raises RuntimeError after an error of the device.

    """

    def __init__(self, torch, cuda: Cuda, gates: Gates, streams: GateStreams, call: Callable,
                 outputs: Sequence[str], look: Callable[[], Any]):
        super().__init__(torch, cuda, [Part([LaneStream(torch, streams.quiet)], call)], outputs)
        self._jobs = GatedJobs(cuda, gates, streams, look)

    def capture(self, batch, modules, shape):
        """Capture all segments for one batch, and the job of them."""
        super().capture(batch, modules, shape)
        captured = self._captured[batch]
        images = list(captured.image)
        self._jobs.add(batch, [image.data_ptr() for image in images], images[0].nbytes, [
            [int(variant.captured.raw_cuda_graph()) for variant in variants]
            for variants in captured.graphs[0]], {
                name: Output(tensor.data_ptr(), tuple(tensor.shape), self._numpy_type(tensor))
                for name, tensor in captured.outputs.items()})

    def fetch(self, batch, staged):
        """Begin a job that reads these images, and waits before its first segment."""
        self._jobs.begin(batch, [
            pixels.data_ptr() + index * (pixels.nbytes // pixels.shape[0])
            for pixels in staged for index in range(pixels.shape[0])], staged)

    def _numpy_type(self, tensor):
        return self._torch.empty(0, dtype=tensor.dtype).numpy().dtype
