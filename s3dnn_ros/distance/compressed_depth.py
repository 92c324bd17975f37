"""Depth images as the plugin compressedDepth of image_transport sends them.

In front of a PNG of 16 bits come 12 bytes: a number that says nothing, and A and B. Depths in
32FC1 are kept as inverse depths: the depth of a value is A / (value − B), and that of 0 is
unknown.
"""

from __future__ import annotations

import dataclasses
import math
import struct

import numpy as np

from s3dnn_ros.distance.depth_image import DEPTHS, DepthImage, checked
from s3dnn_ros.errors import DepthError, ImageError, shown
from s3dnn_ros.images.compressed import decode_grey_png

PLUGIN = 'compressedDepth'
_HEADER = struct.Struct('<iff')


@dataclasses.dataclass(frozen=True)
class InverseDepthImage(DepthImage):
    """Values, (H, W), of which each means the depth a / (value − b) in `unit_m`; 0 is unknown."""

    a: float
    b: float

    def metres(self, rows, columns):
        """Return some depths; see `DepthImage.metres`."""
        values = self.array[rows, columns].astype(np.float32)
        values[values == 0.0] = np.nan
        with np.errstate(all='ignore'):
            return np.float32(self.unit_m * self.a) / (values - np.float32(self.b))


def open_compressed_depth(message, *, unit_m=0.0) -> DepthImage:
    """Return the depths of a sensor_msgs/CompressedImage whose `format` names compressedDepth.

    Parameters
    ----------
    message : sensor_msgs/CompressedImage
    unit_m : float
        As in `open_depth`.

    Raises
    ------
    DepthError
        The format is another one, or the depths look like millimetres.
    ImageError
        The PNG is damaged, too large or none, or its values cannot be depths.

    """
    encoding = _encoding_of(message.format)
    view = memoryview(message.data).cast('B')
    if len(view) < _HEADER.size:
        raise ImageError('data', f'the compressed depth image has {len(view)} bytes, fewer than '
                                 f'its header of {_HEADER.size}')
    _, a, b = _HEADER.unpack_from(view)
    array = decode_grey_png(view[_HEADER.size:])
    kind, usual_m = DEPTHS[encoding]
    unit_known_m = unit_m or usual_m
    if kind.dtype == np.uint16:
        depths = DepthImage(array, unit_known_m)
    elif math.isfinite(a) and math.isfinite(b) and a > 0.0:
        depths = InverseDepthImage(array, unit_known_m, a, b)
    else:
        raise ImageError('data', f'the header of the compressed depth image has A = {a:g} and '
                                 f'B = {b:g}, of which no depths can be made')
    return depths if unit_m else checked(depths)


def _encoding_of(format):
    """Return the encoding that a format names; raises DepthError."""
    encoding, _, rest = format.partition(';')
    # older plugins leave out the codec, which is PNG
    plugin, codec = (*(rest.split() or [PLUGIN]), 'png')[:2]
    if encoding.strip() not in DEPTHS or plugin != PLUGIN:
        raise DepthError('encoding', f'format {shown(format[:64])} has no depths: send 16UC1 or '
                         f'32FC1, compressed by the plugin {PLUGIN} of image_transport')
    if codec != 'png':
        raise DepthError('encoding', f'format {shown(format[:64])} is not decoded here: set the '
                         f"parameter format of the depth camera's plugin {PLUGIN} to png")
    return encoding.strip()
