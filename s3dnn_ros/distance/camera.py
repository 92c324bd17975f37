"""The pinhole camera that a detection's box is seen through."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from s3dnn_ros.errors import DepthError


@dataclasses.dataclass(frozen=True)
class PinholeCamera:
    """Focal lengths and centre in pixels of an image of this size.

    The centre of the first pixel is at 0, 0. Width and height are 0 where the image's are meant.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int = 0
    height: int = 0

    def of_size(self, width, height):
        """Return the camera of the same image in another size; raises DepthError."""
        if not (self.width and self.height):
            return dataclasses.replace(self, width=width, height=height)
        if not same_shape((width, height), (self.width, self.height)):
            raise DepthError('info', f'CameraInfo is of {self.width}x{self.height} pixels, '
                             f'which has another shape than {width}x{height}; take the '
                             'camera_info of the same camera')
        x, y = width / self.width, height / self.height
        return PinholeCamera(x * self.fx, y * self.fy, x * (self.cx + 0.5) - 0.5,
                             y * (self.cy + 0.5) - 0.5, width, height)


def camera_of(info) -> PinholeCamera:
    """Return the camera of a sensor_msgs/CameraInfo.

    It is that of the rectified image (P), where there is one, else that of K. Raises DepthError
    if it is not calibrated.
    """
    fx, fy, cx, cy = ((info.p[0], info.p[5], info.p[2], info.p[6]) if info.p[0] else
                      (info.k[0], info.k[4], info.k[2], info.k[5]))
    if not (all(map(math.isfinite, (fx, fy, cx, cy))) and fx > 0.0 and fy > 0.0):
        raise DepthError('info', f'CameraInfo has the focal lengths {fx:g} and {fy:g}: the '
                         'camera is not calibrated; calibrate it, or have its driver load the '
                         'calibration')
    roi = info.roi
    if roi.width and roi.height:
        return PinholeCamera(fx, fy, cx - roi.x_offset, cy - roi.y_offset, roi.width, roi.height)
    return PinholeCamera(fx, fy, cx, cy, info.width, info.height)


def same_shape(size, other):
    """Tell whether two (width, height) are those of one image, scaled and rounded."""
    (width, height), (other_width, other_height) = size, other
    return (min(*size, *other) > 0 and abs(width * other_height - other_width * height)
            <= max(*size, *other))


def clipped(boxes, width, height):
    """Return boxes (n, 4) of left, top, right, bottom in a size; those not finite are empty."""
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    boxes[~np.isfinite(boxes).all(axis=1)] = 0.0
    return np.clip(boxes, 0.0, (width, height, width, height))
