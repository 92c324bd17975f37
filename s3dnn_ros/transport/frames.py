"""What travels with pixels: frames, batches, and the way back to source pixels."""

from __future__ import annotations

import dataclasses
from typing import Callable, Optional, Protocol, Tuple, Union

import numpy as np


@dataclasses.dataclass(frozen=True)
class Transform:
    """How source pixels lie in the network's input: input = source * scale + offset."""

    scale_x: float
    scale_y: float
    offset_x: float = 0.0
    offset_y: float = 0.0

    def to_source(self, xyxy, width, height):
        """Return boxes (n, 4) of left, top, right, bottom in source pixels, clipped to the image.

        Boxes that are not finite come back empty, so that no consumer has to
        look for them.
        """
        offset = np.array([self.offset_x, self.offset_y] * 2, np.float32)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        limit = np.array([width, height] * 2, np.float32)
        with np.errstate(divide='ignore', invalid='ignore'):
            source = (np.asarray(xyxy, np.float32).reshape(-1, 4) - offset) / scale
        source[~np.isfinite(source).all(axis=1)] = 0.0
        return np.clip(source, 0.0, limit)

    def points_to_source(self, points):
        """Return points (..., 2), x and y, in source pixels; they may lie outside the image."""
        offset = np.array([self.offset_x, self.offset_y], np.float32)
        return (np.asarray(points, np.float32) - offset) / self._scale

    def oriented_to_source(self, boxes):
        """Return boxes (n, 5) with centre, width, height and angle in source pixels.

        Where x and y are scaled alike, a box stays one. Otherwise its sides have the lengths and
        the width the direction that they have there, and it is as good as a box can be.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 5)
        cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
        along = np.stack((cos, sin), axis=1) * boxes[:, 2:3] / self._scale
        across = np.stack((-sin, cos), axis=1) * boxes[:, 3:4] / self._scale
        return np.concatenate((
            self.points_to_source(boxes[:, :2]), np.hypot(*along.T)[:, np.newaxis],
            np.hypot(*across.T)[:, np.newaxis],
            np.arctan2(along[:, 1], along[:, 0])[:, np.newaxis]), axis=1)

    @property
    def _scale(self):
        return np.array([self.scale_x, self.scale_y], np.float32)


@dataclasses.dataclass(frozen=True)
class FrameInfo:
    """One camera frame in a batch; the fields of FrameInfo.msg.

    `taken_s` is when the image was taken, by this machine's clock: the stamp, or `received_s`
    where the stamp is of another clock.
    """

    camera: str
    frame_id: str
    stamp_ns: int
    sequence: int
    width: int
    height: int
    transform: Transform
    received_s: float
    deadline_s: float
    taken_s: Optional[float] = None

    def __post_init__(self):
        """Let taken_s default to the stamp."""
        if self.taken_s is None:
            object.__setattr__(self, 'taken_s', self.stamp_ns * 1e-9)


class DistantPixels(Protocol):
    """Pixels in memory of another process, uint8 of `shape`."""

    shape: Tuple[int, ...]

    def read(self, memory: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return a copy of them, in what `memory` gives for so many bytes; any thread.

        Raises RequestError if they are not there any more.
        """


@dataclasses.dataclass(frozen=True)
class FrameBatch:
    """Frames that run through one network together.

    `pixels` is uint8 (N, H, W, 3) in the model's colour order. Whoever has read
    them calls `release()` once; it returns False when they were overwritten
    meanwhile, and what was made of them is worth nothing. `epoch` tells front ends
    apart, also from one of the same name before a restart. At most `max_batch` frames
    may share a run with these (0: any number), and with `run_late` they run even if
    they will be late.
    """

    front_end: str
    sequence: int
    instance: str
    model: str
    frames: Tuple[FrameInfo, ...]
    sent_s: float
    pixels: Union[np.ndarray, DistantPixels]
    release: Callable[[], bool]
    epoch: int = 0
    max_batch: int = 0
    run_late: bool = False

    @property
    def deadline_s(self):
        """Return the earliest deadline among the frames."""
        return min(frame.deadline_s for frame in self.frames)
