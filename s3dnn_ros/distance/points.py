"""The middle of some points, and whether they can be metres."""

from __future__ import annotations

import numpy as np

from s3dnn_ros.errors import DepthError

# Of a larger box, points on a regular grid are taken: of more, the median gets no better.
MOST_POINTS = 1024
# Nothing that most robots look at is farther away.
FARTHEST_M = 300.0
UNKNOWN = (np.nan, np.nan, np.nan)


def median(x, y, z):
    """Return the median of points by coordinate, float32 (3,); NaN if there are none."""
    count = len(z)
    if not count:
        return UNKNOWN
    low, high = (count - 1) // 2, count // 2
    ordered = np.partition(np.stack((x, y, z)), (low, high), axis=1)
    return (ordered[:, low] + ordered[:, high]) / 2.0


def on_object(mask, box, x, y):
    """Tell which places (x, y), in pixels of an image, are on the object in a box.

    `mask` (h, w), above 0 on the object, is stretched over the box (left, top, right, bottom), and
    places in no way outside of it. x and y are broadcast.
    """
    left, top, right, bottom = box
    rows, columns = mask.shape
    column = np.clip((x - left) * (columns / (right - left)), 0, columns - 1).astype(np.intp)
    row = np.clip((y - top) * (rows / (bottom - top)), 0, rows - 1).astype(np.intp)
    return mask[row, column] > 0


def check_metres(depths_m, what):
    """Raise DepthError if depths, in no order, look like millimetres; 0 and infinity are none."""
    known = depths_m[np.isfinite(depths_m) & (depths_m > 0.0)]
    if known.size and np.median(known) > FARTHEST_M:
        raise DepthError('unit', f'half of {what} is over {FARTHEST_M:.0f} m away: set '
                         'depth_unit_m to 0.001 if these are millimetres, or to 1.0 if they are '
                         'metres')
