"""What an image needs on the CPU, before its network and behind it (RT-mDL's C1 and C2)."""

from __future__ import annotations

import functools
import statistics
from typing import Any, Callable, Mapping, Protocol

import cv2
import numpy as np

from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import Pixels, fit
from s3dnn_ros.images.raw import view_raw
from s3dnn_ros.profiling.table import CpuTimes

# How often each step is done to learn what it takes.
REPEATS = 30
_JPEG_QUALITY = 80


class Thresholds(Protocol):
    """Which boxes a decoder gives: an instance's settings."""

    score_threshold: float
    iou_threshold: float
    max_detections: int


class CpuWork:
    """The steps on the CPU of a loaded network.

    Parameters
    ----------
    spec : ModelSpec
    network : Network
    open_image : callable
        Returns the image's Pixels; it is the first step.
    thresholds : Thresholds

    """

    def __init__(self, spec, network, open_image: Callable[[], Pixels], thresholds: Thresholds):
        self._spec = spec
        self._network = network
        self._open_image = open_image
        self._thresholds = thresholds
        self._decoder = spec.make_decoder()

    def fitted(self) -> np.ndarray:
        """Open the image and fit it; return pixels, uint8 (1, height, width, 3)."""
        spec = self._spec
        pixels = np.empty((1, spec.height, spec.width, 3), np.uint8)
        fit(self._open_image(), pixels[0], colour=spec.colour, resize=spec.resize, pad=spec.pad)
        return pixels

    def before(self) -> Any:
        """Return the fitted image where the device can fetch it."""
        return self._network.stage(self.fitted())

    def behind(self, outputs: Mapping[str, np.ndarray]):
        """Find what the outputs show."""
        self._decoder.decode({name: outputs[name] for name in self._decoder.reads(outputs)},
                             self._thresholds.score_threshold, self._thresholds.iou_threshold,
                             self._thresholds.max_detections)


def measure_cpu(spec, network, image: bytes, thresholds: Thresholds, clock) -> CpuTimes:
    """Return what one image takes on the CPU, as a file and as raw bgr8; nothing else may run.

    Parameters
    ----------
    spec : ModelSpec
    network : Network
        Of this model.
    image : bytes
        An image file, JPEG as a rule. What is found in it decides how long the work behind the
        network takes.
    thresholds : Thresholds
    clock : Clock

    Raises
    ------
    ImageError
        It is no image.

    """
    opened = decode_compressed(image)
    width, height = opened.width, opened.height
    pixels = np.empty((height, width, 3), np.uint8)
    fit(opened, pixels)
    openers = {
        'compressed': functools.partial(decode_compressed, image),
        'raw': functools.partial(view_raw, 'bgr8', width, height, 3 * width, pixels.tobytes())}
    works = {kind: CpuWork(spec, network, opener, thresholds) for kind, opener in openers.items()}
    outputs = network.run(works['raw'].fitted())
    times_ms = {f'{kind}_ms': _median_ms(work.before, clock) for kind, work in works.items()}
    return CpuTimes(f'{width}x{height}', behind_ms=_median_ms(
        functools.partial(works['raw'].behind, outputs), clock), **times_ms)


def noise_jpeg(width: int, height: int) -> bytes:
    """Return a picture of noise as JPEG that is about as large as one of a camera."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode('.jpg', cv2.GaussianBlur(noise, (0, 0), 2.0),
                        (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1].tobytes()


def _median_ms(step, clock) -> float:
    times_ms = []
    for _ in range(REPEATS):
        begun_s = clock.now_s()
        step()
        times_ms.append(1e3 * (clock.now_s() - begun_s))
    return statistics.median(times_ms)
