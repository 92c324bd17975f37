"""INT8: the ranges that TensorRT's entropy calibration finds on images, kept between builds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np

from s3dnn_ros.engines.tensorrt.plan_cache import plans_dir, read_sealed, write_sealed
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models.graph import IMAGE_INPUT

# What every tensor that enters a segment is, for one batch.
Feed = Dict[str, np.ndarray]


def scales_path(model: str, segment_sha256: str, tensorrt: str) -> Path:
    """Return where the ranges of a segment are kept; each version of TensorRT has its own."""
    return plans_dir(model) / f'{segment_sha256[:16]}_{tensorrt}.scales'


def write_scales(path: Path, images_sha256: str, scales: bytes) -> None:
    """Keep ranges, and what they were found on. Raises OSError."""
    write_sealed(path, {'images_sha256': images_sha256}, scales)


def read_scales(path: Path, images_sha256: str = '') -> Optional[bytes]:
    """Return ranges, None if there are none or they were found on other images.

    Without images, any are good. Raises BuildError naming the file if it is not whole.
    """
    try:
        found, scales = read_sealed(
            path, lambda header, content: (header.text('images_sha256'), content))
    except FileNotFoundError:
        return None
    return scales if images_sha256 in ('', found) else None


def digest(scales: bytes) -> str:
    """Return what a plan's key says of ranges."""
    return hashlib.sha256(scales).hexdigest()


def feeds(model: str, segments: Sequence[bytes], images: np.ndarray, batch: int
          ) -> List[List[Feed]]:
    """Return what every segment reads, for each batch of images, by ONNX Runtime on the CPU.

    Parameters
    ----------
    model : str
        Its name, for errors.
    segments : sequence of bytes
        ONNX models whose image input is float32.
    images : ndarray
        uint8 (N, H, W, 3); the last batch is filled up with the first ones.
    batch : int
        Images of a batch.

    Raises
    ------
    ParameterError
        ONNX Runtime is not here.
    ModelError
        It cannot run a segment.

    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ParameterError('--precision', 'int8', 'calibration runs the network on the CPU; '
                             '`pip install onnxruntime`') from error
    filled = np.resize(images, (-(-len(images) // batch) * batch, *images.shape[1:]))
    batches = filled.reshape(-1, batch, *images.shape[1:])
    tensors: List[Feed] = [{IMAGE_INPUT: pixels.astype(np.float32)} for pixels in batches]
    result = []
    for number, segment in enumerate(segments):
        try:
            session = onnxruntime.InferenceSession(segment, providers=['CPUExecutionProvider'])
            inputs = [value.name for value in session.get_inputs()]
            outputs = [value.name for value in session.get_outputs()]
            read = [{name: known[name] for name in inputs} for known in tensors]
            for known, feed in zip(tensors, read):
                known.update(zip(outputs, session.run(outputs, feed)))
        except Exception as error:
            # ONNX Runtime raises a dozen types of its own
            raise ModelError(
                f'{model}, segment {number}', 'calibration for int8 runs it in ONNX Runtime, and '
                f'that cannot: {error}; choose another precision') from error
        result.append(read)
    return result


def calibrator(tensorrt, cuda, read: Sequence[Feed], scales: Optional[bytes]):
    """Return TensorRT's entropy calibrator, whose `scales` are there after the build.

    Parameters
    ----------
    tensorrt : module
    cuda : Cuda
        What puts images into the device's memory; not needed where there are `scales`.
    read : sequence of Feed
    scales : bytes or None
        What was found before, and is taken instead.

    """

    class Calibrator(tensorrt.IInt8EntropyCalibrator2):
        def __init__(self):
            tensorrt.IInt8EntropyCalibrator2.__init__(self)
            self.scales = scales
            self._feeds = iter(read)
            self._buffers = {name: cuda.allocate(array.nbytes)
                             for name, array in (read[0].items() if scales is None else ())}

        def get_batch_size(self):
            return len(next(iter(read[0].values()))) if read else 1

        def get_batch(self, names):
            feed = next(self._feeds, None)
            if feed is None:
                return []
            for name in names:
                cuda.upload(self._buffers[name], np.ascontiguousarray(feed[name]))
            return [self._buffers[name].number for name in names]

        def read_calibration_cache(self):
            return self.scales

        def write_calibration_cache(self, cache):
            self.scales = bytes(cache)

    return Calibrator()
