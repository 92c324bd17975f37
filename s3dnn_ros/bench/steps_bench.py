"""What single steps of a frame take: to make its image BGR, and to follow its objects."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import cv2
import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.option_checks import at_least_one
from s3dnn_ros.bench.steps_results import FORMAT
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import ENCODINGS, Encoding, fit
from s3dnn_ros.images.raw import view_raw
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.runtime.tracks import Tracks
from s3dnn_ros.transport.frames import FrameInfo, Transform

_LOG = logging.getLogger(__name__)
PARTS = ('images', 'tracks')
OBJECTS = (10, 50, 100)
KEPT_FRAMES = 30
# Objects of so many pixels move by so many from frame to frame, in an image of this size.
SIDES, SPEED, SIZE = (30.0, 120.0), 3.0, (1920.0, 1080.0)
JPEG_QUALITY = 80


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure.

    Images of this size; each of their steps `repeats` times in a run, objects over so many frames.
    """

    width: int = 1920
    height: int = 1080
    repeats: int = 50
    runs: int = 3
    frames: int = 2000
    parts: Tuple[str, ...] = PARTS

    def __post_init__(self):
        """Refuse what cannot be measured; raises ParameterError."""
        for part in self.parts:
            if part not in PARTS:
                raise ParameterError('--parts', part, 'expected some of ' + ', '.join(PARTS))
        for name in ('repeats', 'runs', 'frames'):
            at_least_one(f'--{name}', (getattr(self, name),))
        if self.width % 2 or self.height % 2:
            raise ParameterError('--size', f'{self.width}x{self.height}', 'Bayer patterns and YUV '
                                 'need even numbers')


def run(plan: Plan, save: Callable[[Dict], None] = ignore) -> Dict:
    """Measure all steps; return what JSON can hold, `save` it after each."""
    results: Dict[str, Any] = {'format': FORMAT, 'environment': environment(),
                               'plan': dataclasses.asdict(plan), 'images': [], 'tracks': []}
    chance = np.random.default_rng(0)
    for part, measure in zip(PARTS, (_measure_images, _measure_tracks)):
        if part in plan.parts:
            for row in measure(chance, plan):
                _LOG.info(_sentence(row))
                results[part].append(row)
                save(results)
    return results


def _sentence(row) -> str:
    name = row['name'] if 'name' in row else f"{row['objects']} objects"
    return f'{name}: ' + ', '.join(f'{key} {spread(values, 2)}' for key, values in row.items()
                                   if isinstance(values, list) and values)


def _measure_images(chance, plan) -> Iterator[Dict]:
    for name, ours, alone in _images(chance, plan):
        row = {'name': name, 'ours_ms_per_mp': [], 'opencv_ms_per_mp': []}
        for _ in range(plan.runs):
            # in turns, so that what else the computer does is alike for both
            for key, step in (('ours_ms_per_mp', ours), ('opencv_ms_per_mp', alone)):
                if step is not None:
                    row[key].append(_median_ms(step, plan.repeats)
                                    / (plan.width * plan.height / 1e6))
        yield row


def _measure_tracks(chance, plan) -> Iterator[Dict]:
    for count in OBJECTS:
        runs = [_follow(chance, count, plan.frames) for _ in range(plan.runs)]
        yield {'objects': count, **{key: [run[key] for run in runs] for key in runs[0]}}


def _median_ms(step, repeats) -> float:
    times_ms = []
    step()
    for _ in range(repeats):
        begun_s = time.perf_counter()
        step()
        times_ms.append(1e3 * (time.perf_counter() - begun_s))
    return float(np.median(times_ms))


def _images(chance, plan) -> Iterator[Tuple[str, Callable, Optional[Callable]]]:
    """Give each encoding, with what makes BGR of it here and by OpenCV alone."""
    width, height = plan.width, plan.height
    target = np.empty((height, width, 3), np.uint8)
    for name, encoding in ENCODINGS.items():
        size = width * height * np.dtype(encoding.dtype).itemsize * encoding.channels
        if encoding.chroma:
            size += 2 * width * height // encoding.chroma ** 2
        is_float = encoding.dtype == np.float32
        data = (chance.random(size // 4, np.float32).view(np.uint8) if is_float
                else chance.integers(0, 256, size, np.uint8))

        def ours(name=name, data=data, value_range=(0.0, 1.0) if is_float else None):
            fit(view_raw(name, width, height, len(data) // height if not ENCODINGS[name].chroma
                         else width, data, value_range=value_range), target)

        yield name, ours, _opencv(encoding, data, plan)
    picture = cv2.GaussianBlur(chance.integers(0, 256, target.shape, np.uint8), (0, 0), 2.0)
    for name, suffix, options in (('JPEG', '.jpg', (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)),
                                  ('PNG', '.png', ())):
        data = cv2.imencode(suffix, picture, options)[1]
        yield (name, lambda data=data: fit(decode_compressed(data), target),
               lambda data=data: cv2.imdecode(data, cv2.IMREAD_COLOR))


def _opencv(encoding: Encoding, data, plan) -> Optional[Callable]:
    """Return what OpenCV alone does for an encoding; None where it has nothing for it."""
    code = encoding.to_bgr
    if encoding.chroma:
        array = data.reshape(-1, plan.width)
        # it knows no NV24
        return (lambda: cv2.cvtColor(array, code)) if encoding.chroma == 2 else None
    array = data.view(encoding.dtype).reshape(plan.height, plan.width, encoding.channels)
    if encoding.channels == 1:
        array = array[..., 0]
    if encoding.dtype == np.uint8:
        return array.copy if code is None else lambda: cv2.cvtColor(array, code)
    scale = 255.0 if encoding.dtype == np.float32 else 1 / 256
    if code is None:
        return lambda: cv2.convertScaleAbs(array, alpha=scale)
    return lambda: cv2.cvtColor(cv2.convertScaleAbs(array, alpha=scale), code)


def _follow(chance, count, frames) -> Dict[str, float]:
    """Return percentiles of what it takes to follow so many objects into the next frame.

    CPU time is that of all threads: what else the computer does is not in it.
    """
    tracks = Tracks('--', KEPT_FRAMES)
    scores, class_ids = np.full(count, 0.5, np.float32), np.zeros(count, np.int32)
    times_s, cpu_times_s = [], []
    for index, xyxy in enumerate(_moving(chance, count, frames), 1):
        frame = FrameInfo('front', '', index * 33_000_000, index, *map(int, SIZE),
                          Transform(1.0, 1.0), 0.0, 0.0)
        boxes = Boxes(xyxy, scores, class_ids)
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        tracks.follow(frame, boxes)
        cpu_times_s.append(time.process_time() - begun_cpu_s)
        times_s.append(time.perf_counter() - begun_s)
    return {f'{name}p{share}_ms': 1e3 * float(np.percentile(values, share))
            for name, values in (('', times_s), ('cpu_', cpu_times_s)) for share in (50, 99)}


def _moving(chance, count, frames) -> Iterator[np.ndarray]:
    """Give the boxes, (count, 4), of objects in each frame; at the edges they turn back."""
    size = chance.uniform(*SIDES, (count, 2))
    farthest = np.subtract(SIZE, size)
    corner = chance.uniform(0.0, 1.0, (count, 2)) * farthest
    speed = chance.normal(0.0, SPEED, (count, 2))
    for _ in range(frames):
        yield np.concatenate((corner, corner + size), axis=1).astype(np.float32)
        corner = corner + speed
        speed = np.where((corner < 0.0) | (corner > farthest), -speed, speed)
        corner = np.clip(corner, 0.0, farthest)
