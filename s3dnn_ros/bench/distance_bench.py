"""What it takes to tell how far detections are: from the message to the positions of its boxes."""

from __future__ import annotations

import dataclasses
import logging
import time
import types
from typing import Callable, Dict, List

import cv2
import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.distance_results import FORMAT
from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.distance.camera import PinholeCamera
from s3dnn_ros.distance.cloud import cloud_of, rotation_of, view_points
from s3dnn_ros.distance.compressed_depth import PLUGIN, open_compressed_depth
from s3dnn_ros.distance.depth_image import open_depth

_LOG = logging.getLogger(__name__)
# Messages that take turns, so that none is in the processor's cache.
MESSAGES = 12
# Sides of the boxes, and the share of pixels without depth.
BOX_SHARE = (0.05, 0.4)
UNKNOWN_SHARE = 0.1
DEPTHS_M = (0.5, 20.0)
NOISE_MM = 3.0
# From a lidar, which looks along x, to a camera 0.1 m below.
LIDAR_QUATERNION, LIDAR_SHIFT_M = (0.5, -0.5, 0.5, 0.5), (0.0, -0.1, 0.0)
# Of a point, with intensity, ring and time.
POINT_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure: `frames` of each kind in a run, at `fps`."""

    width: int = 1280
    height: int = 720
    points: int = 130_000
    boxes: int = 20
    fps: float = 30.0
    frames: int = 300
    runs: int = 3

    def __post_init__(self):
        """Refuse what cannot be measured; raises ParameterError."""
        for name in ('points', 'boxes', 'frames', 'runs'):
            at_least_one(f'--{name}', (getattr(self, name),))
        above_zero('--fps', (self.fps,))


def run(plan: Plan, save: Callable[[Dict], None] = ignore) -> Dict:
    """Measure each kind of depths; return what JSON can hold, `save` it after each run."""
    chance = np.random.default_rng(0)
    size = (plan.width, plan.height)
    camera = PinholeCamera(0.6 * plan.width, 0.6 * plan.width, (plan.width - 1) / 2,
                           (plan.height - 1) / 2, *size)
    boxes = _boxes(chance, plan)
    rows: List[Dict] = []
    results = {'format': FORMAT, 'environment': environment(), 'plan': dataclasses.asdict(plan),
               'distances': rows}
    for name, make, open_one in (
            ('depth image, 16UC1', lambda: _depth_image(chance, plan, '16UC1'), open_depth),
            ('depth image, 32FC1', lambda: _depth_image(chance, plan, '32FC1'), open_depth),
            ('compressed depth image, 16UC1', lambda: _compressed(chance, plan),
             open_compressed_depth),
            ('cloud of the camera', lambda: _cloud(_seen(chance, plan, camera)), _open_cloud),
            ('cloud of a lidar, all around', lambda: _cloud(_around(chance, plan)),
             _open_lidar)):
        messages = [make() for _ in range(MESSAGES)]
        rows.append({'name': name, 'runs': []})
        for _ in range(plan.runs):
            times_ms = _times_ms(plan, messages, lambda message, open_one=open_one: open_one(
                message).locate(boxes, size, camera))
            rows[-1]['runs'].append(dict(zip(
                ('p50_ms', 'p99_ms'), np.percentile(times_ms, (50, 99)).round(3).tolist())))
            _LOG.info('%s: %s', name, rows[-1]['runs'][-1])
            save(results)
    return results


def _times_ms(plan, messages, locate):
    times_ms = []
    due_s = time.perf_counter()
    for frame in range(plan.frames):
        due_s += 1.0 / plan.fps
        time.sleep(max(0.0, due_s - time.perf_counter()))
        begun_s = time.perf_counter()
        locate(messages[frame % len(messages)])
        times_ms.append(1e3 * (time.perf_counter() - begun_s))
    return times_ms


def _open_cloud(message):
    return cloud_of(view_points(message))


def _open_lidar(message):
    return _open_cloud(message).moved(rotation_of(*LIDAR_QUATERNION), LIDAR_SHIFT_M)


def _boxes(chance, plan):
    size = np.array((plan.width, plan.height))
    sides = chance.uniform(*BOX_SHARE, (plan.boxes, 2)) * size
    corners = chance.uniform(0.0, 1.0, (plan.boxes, 2)) * (size - sides)
    return np.concatenate((corners, corners + sides), axis=1)


def _depth_image(chance, plan, encoding):
    depths = chance.uniform(*DEPTHS_M, (plan.height, plan.width)).astype(np.float32)
    depths[chance.random(depths.shape) < UNKNOWN_SHARE] = 0.0
    array = (1e3 * depths).astype(np.uint16) if encoding == '16UC1' else depths
    return types.SimpleNamespace(encoding=encoding, width=plan.width, height=plan.height,
                                 step=array.strides[0], is_bigendian=0, data=array.tobytes())


def _compressed(chance, plan):
    """Return a slope with a sensor's noise: of chance alone, PNG makes nothing smaller."""
    depths_mm = np.add.outer(np.arange(plan.height), np.linspace(1e3, 3e3, plan.width))
    depths_mm += chance.normal(0.0, NOISE_MM, depths_mm.shape)
    depths_mm[chance.random(depths_mm.shape) < UNKNOWN_SHARE] = 0.0
    png = cv2.imencode('.png', depths_mm.astype(np.uint16))[1].tobytes()
    return types.SimpleNamespace(format=f'16UC1; {PLUGIN} png', data=bytes(12) + png)


def _seen(chance, plan, camera):
    z = chance.uniform(*DEPTHS_M, plan.points)
    return ((chance.uniform(0, plan.width, plan.points) - camera.cx) / camera.fx * z,
            (chance.uniform(0, plan.height, plan.points) - camera.cy) / camera.fy * z, z)


def _around(chance, plan):
    angle = chance.uniform(-np.pi, np.pi, plan.points)
    ranges = chance.uniform(*DEPTHS_M, plan.points)
    return (ranges * np.cos(angle), ranges * np.sin(angle),
            ranges * chance.uniform(-0.4, 0.4, plan.points))


def _cloud(points):
    array = np.zeros(len(points[0]), np.dtype({
        'names': list('xyz'), 'formats': ['<f4'] * 3, 'offsets': [0, 4, 8],
        'itemsize': POINT_BYTES}))
    array['x'], array['y'], array['z'] = points
    fields = [types.SimpleNamespace(name=name, offset=4 * index, datatype=7, count=1)
              for index, name in enumerate('xyz')]
    return types.SimpleNamespace(
        fields=fields, width=len(array), height=1, point_step=POINT_BYTES,
        row_step=array.nbytes, is_bigendian=False, data=array.tobytes())
