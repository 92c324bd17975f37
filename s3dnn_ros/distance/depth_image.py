"""Depth images that are aligned with a camera's image (REP 118)."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from s3dnn_ros.distance.camera import PinholeCamera, clipped, same_shape
from s3dnn_ros.distance.points import MOST_POINTS, UNKNOWN, check_metres, median, on_object
from s3dnn_ros.errors import DepthError
from s3dnn_ros.images.pixels import Encoding
from s3dnn_ros.images.raw import view_rows

# Known encodings, and their unit in metres.
DEPTHS = {'16UC1': (Encoding(1, np.uint16), 1e-3), 'mono16': (Encoding(1, np.uint16), 1e-3),
           '32FC1': (Encoding(1, np.float32), 1.0)}
# Pixels between those that tell the unit: 256 of an image.
_PROBES = 16


@dataclasses.dataclass(frozen=True)
class DepthImage:
    """Depths, (H, W), in `unit_m`; 0, NaN and infinity are unknown."""

    array: np.ndarray
    unit_m: float

    def metres(self, rows, columns):
        """Return the depths in some rows and columns, which are slices, as float32 in metres."""
        return self.unit_m * self.array[rows, columns].astype(np.float32)

    def locate(self, boxes, image_size, camera: PinholeCamera, masks=()):
        """Return where the boxes' objects are, float32 (n, 3) in metres: x right, y down, z ahead.

        Each is the median of the points behind the pixels that its box touches, and that are on
        the object where it has a mask; NaN if none is known.

        Parameters
        ----------
        boxes : array-like
            (n, 4): left, top, right, bottom in pixels of the image.
        image_size : tuple of int
            Width and height of the image; the depth image may be smaller or larger.
        camera : PinholeCamera
        masks : sequence of ndarray
            Of each box, (h, w), above 0 on the object, stretched over the box; None for none.

        Raises
        ------
        DepthError
            The image, the depth image and the camera are not of one shape.

        """
        height, width = self.array.shape
        if not same_shape(image_size, (width, height)):
            raise DepthError(
                'size', f'the depth image has {width}x{height} pixels, and the image '
                f'{image_size[0]}x{image_size[1]}, of another shape: take a depth image that is '
                'aligned with this image')
        camera = camera.of_size(width, height)
        boxes = clipped(np.reshape(boxes, (-1, 4)) * np.tile(
            (width / image_size[0], height / image_size[1]), 2), width, height)
        with np.errstate(all='ignore'):
            # infinity times 0
            return np.array([
                self._locate(box, mask, camera) for box, mask in itertools.zip_longest(
                    boxes.tolist(), masks)], np.float32).reshape(-1, 3)

    def _locate(self, box, mask, camera):
        left, top, right, bottom = box
        if not (left < right and top < bottom):
            return UNKNOWN
        left, top, right, bottom = (math.floor(left), math.floor(top), math.ceil(right),
                                    math.ceil(bottom))
        step = math.ceil(math.sqrt((right - left) * (bottom - top) / MOST_POINTS))
        # as much is left out on both sides
        left += (right - left - 1) % step // 2
        top += (bottom - top - 1) % step // 2
        z = self.metres(slice(top, bottom, step), slice(left, right, step))
        x = z * ((np.arange(left, right, step, np.float32) - camera.cx) / camera.fx)
        y = z * ((np.arange(top, bottom, step, np.float32) - camera.cy) / camera.fy)[:, None]
        known = (z > 0.0) & (z < np.inf)
        if mask is not None:
            known &= on_object(mask, box, np.arange(left, right, step) + 0.5,
                               np.arange(top, bottom, step)[:, None] + 0.5)
        return median(x[known], y[known], z[known])


def open_depth(message, *, unit_m=0.0) -> DepthImage:
    """Return the depths of a sensor_msgs/Image, without a copy.

    Parameters
    ----------
    message : sensor_msgs/Image
    unit_m : float
        What a value of 1 means, in metres; 0: a millimetre in 16UC1, a metre in 32FC1.

    Raises
    ------
    DepthError
        The encoding is none of depths, or the depths look like millimetres.
    ImageError
        Step or data do not fit.

    """
    if message.encoding not in DEPTHS:
        raise DepthError('encoding', f"encoding '{message.encoding[:64]}' has no depths: send "
                         '16UC1 in millimetres or 32FC1 in metres (REP 118)')
    encoding, usual_m = DEPTHS[message.encoding]
    array = view_rows(message.encoding, encoding, message.width, message.height, message.step,
                      np.frombuffer(message.data, np.uint8), bool(message.is_bigendian))
    depths = DepthImage(array, unit_m or usual_m)
    return depths if unit_m else checked(depths)


def checked(depths) -> DepthImage:
    """Return the same depth image; raises DepthError if its depths look like millimetres."""
    check_metres(depths.metres(*(slice(None, None, max(1, side // _PROBES))
                                 for side in depths.array.shape)), 'the depth image')
    return depths
