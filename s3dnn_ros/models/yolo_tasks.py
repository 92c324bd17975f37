"""What YOLO networks say beside boxes and classes, by the name that Ultralytics gives the task."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Mapping, Protocol, Tuple

import cv2
import numpy as np

from s3dnn_ros.models.boxes import (
    Boxes,
    Suppress,
    overlaps_of_one_class,
    overlaps_of_one_class_turned,
)
from s3dnn_ros.models.shapes import Shapes, size

# Where no other is named, Ultralytics' exporter calls the output of prototypes so.
PROTOTYPES = 'output1'
# Keypoints of a person, and values of each, as COCO has them.
KEYPOINTS, KEYPOINT_VALUES = 17, 3


class Task(Protocol):
    """What lies in a row behind its box and scores, and what is made of it."""

    name: str
    reads: Tuple[str, ...]      # outputs beside that of the boxes
    suppress: Suppress

    def columns(self, output_shapes: Shapes) -> int:
        """Return how many values of a row are its; -1 if its outputs are not there, or others."""

    def boxes(self, centred: np.ndarray, rest: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return corners of boxes with centre and size (n, 4), and which rows to keep.

        `rest` (n, m) are its values of each row.
        """

    def final(self, boxes: np.ndarray, rest: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the same of boxes that a network has chosen itself."""

    def finish(self, boxes: Boxes, rows: np.ndarray, outputs: Mapping[str, np.ndarray],
               image: int, width: int, height: int) -> Boxes:
        """Return the boxes of an image with what their kept rows say.

        The network's input is `width` × `height` pixels.
        """


class Detect:
    """Boxes alone."""

    name = 'detect'
    reads: Tuple[str, ...] = ()
    suppress: Suppress = staticmethod(overlaps_of_one_class)

    def columns(self, output_shapes):
        """Return 0."""
        return 0

    def boxes(self, centred, rest):
        """Return corners, and the rest as it is."""
        return corners(centred), rest

    def final(self, boxes, rest):
        """Return both as they are."""
        return boxes, rest

    def finish(self, boxes, rows, outputs, image, width, height):
        """Return the boxes."""
        return boxes


class Pose(Detect):
    """Keypoints: x and y in pixels, and a score where there are three `values` of each."""

    name = 'pose'

    def __init__(self, keypoints: int, values: int):
        if keypoints < 1 or values not in (2, 3):
            raise ValueError(f'keypoints are {keypoints} × {values}; expected 1 or more, of 2 or '
                             '3 values each')
        self._keypoints, self._values = int(keypoints), int(values)

    def columns(self, output_shapes):
        """Return the values of all points."""
        return self._keypoints * self._values

    def finish(self, boxes, rows, outputs, image, width, height):
        """Return the boxes with their keypoints."""
        points = np.ones((len(boxes), self._keypoints, 3), np.float32)
        if len(boxes):
            points[..., :self._values] = rows.reshape(len(boxes), self._keypoints, self._values)
            points[~np.isfinite(points).all(axis=2)] = 0.0      # a point that nobody knows
        return replace(boxes, keypoints=points)


class Segment(Detect):
    """Masks: each a sum of prototypes [N, m, rows, columns], weighted by a row's values."""

    name = 'segment'

    def __init__(self, prototypes: str):
        self.reads = (prototypes,)

    def columns(self, output_shapes):
        """Return the number of prototypes."""
        shape = output_shapes.get(self.reads[0], ())
        return size(shape, 1) or -1 if len(shape) == 4 else -1

    def finish(self, boxes, rows, outputs, image, width, height):
        """Return the boxes with their masks, as fine as the prototypes are."""
        prototypes = outputs[self.reads[0]][image].astype(np.float32, copy=False)
        return replace(boxes, masks=tuple(
            _mask(prototypes, weights, box) for weights, box in zip(
                rows, boxes.xyxy * _scale_to(prototypes, width, height))))


class Turned(Detect):
    """Oriented boxes: the value of a row is the angle in radians, from x towards y."""

    name = 'obb'
    suppress: Suppress = staticmethod(overlaps_of_one_class_turned)

    def columns(self, output_shapes):
        """Return 1."""
        return 1

    def boxes(self, centred, rest):
        """Return corners of what is around each box, and the box with its angle."""
        turned = np.concatenate((centred, rest), axis=1)
        return around(turned), turned

    def final(self, boxes, rest):
        """Return the same: these, too, have centre and size."""
        return self.boxes(boxes, rest)

    def finish(self, boxes, rows, outputs, image, width, height):
        """Return the boxes with what they are around."""
        return replace(boxes, oriented=rows.astype(np.float32))


def make_task(name: str, prototypes: str = PROTOTYPES, keypoints: int = KEYPOINTS,
              keypoint_values: int = KEYPOINT_VALUES) -> Task:
    """Return a task by its name; raises ValueError if there is no such, or for unusable numbers.

    `prototypes` is the output for segment; `keypoints` points of `keypoint_values` each are for
    pose.
    """
    known: Dict[str, Callable[[], Task]] = {
        'detect': Detect, 'segment': lambda: Segment(prototypes),
        'pose': lambda: Pose(keypoints, keypoint_values), 'obb': Turned}
    if name not in known:
        raise ValueError(f'task is {name!r}; expected one of {", ".join(known)}')
    return known[name]()


def corners(centred: np.ndarray) -> np.ndarray:
    """Return left, top, right, bottom (n, 4) of boxes (n, 4) with centre and size."""
    centre, half = centred[:, :2], centred[:, 2:4] / 2
    return np.concatenate((centre - half, centre + half), axis=1)


def around(turned: np.ndarray) -> np.ndarray:
    """Return the corners (n, 4) of what is around boxes (n, 5) as in Boxes.oriented."""
    cos, sin = np.abs(np.cos(turned[:, 4])), np.abs(np.sin(turned[:, 4]))
    width, height = turned[:, 2], turned[:, 3]
    extent = np.stack((cos * width + sin * height, sin * width + cos * height), axis=1)
    return corners(np.concatenate((turned[:, :2], extent), axis=1))


def _scale_to(prototypes, width, height) -> np.ndarray:
    rows, columns = prototypes.shape[1:]
    return np.array([columns / width, rows / height] * 2, np.float32)


def _mask(prototypes, weights, box) -> np.ndarray:
    """Return the mask of a box, given in pixels of the prototypes."""
    left, top, right, bottom = box
    columns, rows = int(np.ceil(right - left)), int(np.ceil(bottom - top))
    # one pixel more on each side, for interpolation
    first = np.maximum(np.floor([left, top]).astype(int) - 1, 0)
    last = np.ceil([right, bottom]).astype(int) + 1
    part = prototypes[:, first[1]:last[1], first[0]:last[0]]
    logits = np.tensordot(weights.astype(np.float32), part, 1)
    step = np.array([(right - left) / columns, (bottom - top) / rows])
    # the centre of a pixel lies half a pixel from its edge, on both sides
    shift = np.array([left, top]) - first + step / 2 - 0.5
    to_part = np.float32([[step[0], 0.0, shift[0]], [0.0, step[1], shift[1]]])
    logits = cv2.warpAffine(logits, to_part, (columns, rows), borderMode=cv2.BORDER_REPLICATE,
                            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.where(logits > 0.0, np.uint8(255), np.uint8(0))
