"""The work on the CPU is what governor and executor do, and its times come from a clock."""

import numpy as np
import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.profiling.cpu_work import measure_cpu, noise_jpeg
from s3dnn_ros.settings.executor import ExecutorInstanceSettings

STAGE_S, RUN_S = 0.004, 1.0


class Network:
    """Takes its time to stage and to run, in virtual time; keeps what it was given."""

    def __init__(self, clock):
        self.clock = clock
        self.staged = []

    def stage(self, pixels):
        self.clock.advance(STAGE_S)
        self.staged.append(pixels)
        return pixels

    def run(self, pixels):
        self.clock.advance(RUN_S)
        return {'scores': np.zeros((1, 3), np.float32)}


def test_images_are_fitted_as_the_governor_does_and_times_are_told_apart(make_spec):
    clock, spec, jpeg = VirtualClock(), make_spec(colour='rgb', resize='letterbox'), noise_jpeg(
        32, 16)
    network = Network(clock)
    times = measure_cpu(spec, network, jpeg, ExecutorInstanceSettings(), clock)
    assert times.image == '32x16'
    assert times.compressed_ms == times.raw_ms == pytest.approx(1e3 * STAGE_S)
    assert times.behind_ms == 0.0
    expected = np.empty((1, 4, 4, 3), np.uint8)
    fit(decode_compressed(jpeg), expected[0], colour='rgb', resize='letterbox')
    assert all(np.array_equal(pixels, expected) for pixels in network.staged)


def test_what_is_no_image_is_refused(make_spec):
    clock = VirtualClock()
    with pytest.raises(ImageError):
        measure_cpu(make_spec(), Network(clock), b'no image', ExecutorInstanceSettings(), clock)


def test_noise_is_as_large_as_a_camera_image():
    pixels = decode_compressed(noise_jpeg(320, 240))
    assert (pixels.width, pixels.height) == (320, 240)
    assert 0.3 < 8 * len(noise_jpeg(320, 240)) / (320 * 240) < 4.0
