"""Images of sensor_msgs/Image, looked at in place: views of the message's bytes."""

from __future__ import annotations

import cv2
import numpy as np

from s3dnn_ros.errors import ImageError, shown
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, check_size

_PAIRS = (cv2.COLOR_YUV2BGR_UYVY, cv2.COLOR_YUV2BGR_YUY2)


def open_raw(message, *, max_side=8192, value_range=None) -> Pixels:
    """Return the pixels of a sensor_msgs/Image, as `view_raw` does."""
    return view_raw(message.encoding, message.width, message.height, message.step, message.data,
                    is_bigendian=bool(message.is_bigendian), max_side=max_side,
                    value_range=value_range)


def view_raw(encoding, width, height, step, data, *, is_bigendian=False, max_side=8192,
             value_range=None):
    """Return the pixels of a sensor_msgs/Image without copying them.

    Rows of U and V apart, behind those of Y, are as far apart as their own pixels want. Where
    `step` counts the bytes of both, as some drivers have it, rows of Y have no padding.

    Raises
    ------
    ImageError
        With reason `encoding`, `size` or `data`.

    """
    check_size(width, height, max_side)
    known = ENCODINGS.get(encoding)
    if known is None:
        raise ImageError('encoding', f'encoding {shown(encoding[:64])} is unknown; known are '
                                     + ', '.join(ENCODINGS))
    buffer = np.frombuffer(data, np.uint8)
    if known.chroma:
        return _two_planes(encoding, known, width, height, step, buffer)
    array = view_rows(encoding, known, width, height, step, buffer, is_bigendian)
    if known.to_bgr in _PAIRS and width % 2:
        raise ImageError('size', f'{encoding} stores pixels in pairs, but the image is {width} '
                                 'pixels wide')
    return Pixels(array, known, value_range=value_range)


def view_rows(encoding, known, width, height, step, buffer, is_bigendian):
    """Return the rows in a buffer of bytes as an array, (H, W) or (H, W, C), without a copy.

    `known` is the Encoding of this name. Raises ImageError, reason `data`.
    """
    item = np.dtype(known.dtype).itemsize
    row = width * known.channels * item
    if step < row:
        raise ImageError('data', f'rows of {width} {encoding} pixels take {row} bytes, but step '
                                 f'is {step}')
    # a camera may leave out the padding of the last row
    needed = step * (height - 1) + row
    if buffer.size < needed:
        raise ImageError('data', f'{width}x{height} {encoding} with step {step} takes {needed} '
                                 f'bytes, but the message has {buffer.size}')
    if step % item:
        raise ImageError('data', f'step is {step}, not a multiple of the {item} bytes of a pixel')
    order = '>' if is_bigendian and item > 1 else '='
    array = np.ndarray((height, width, known.channels), np.dtype(known.dtype).newbyteorder(order),
                       buffer, strides=(step, known.channels * item, item))
    return array[:, :, 0] if known.channels == 1 else array


def _two_planes(encoding, known, width, height, step, buffer):
    """Return the pixels of an image whose U and V lie behind its Y."""
    if width % 2 or height % 2:
        raise ImageError('size', f'{encoding} shares colours among four pixels, but the image is '
                                 f'{width}x{height} pixels')
    needed, row = _two_planes_bytes(known, width, height, step)
    luma_step = step
    if buffer.size < needed and step == width + 2 * width // known.chroma ** 2:
        luma_step = width
        needed, row = _two_planes_bytes(known, width, height, width)
    if step < width or buffer.size < needed:
        raise ImageError('data', f'{width}x{height} {encoding} with step {step} takes {needed} '
                                 f'bytes, but the message has {buffer.size}')
    luma = np.ndarray((height, width), np.uint8, buffer, strides=(luma_step, 1))
    chroma = np.ndarray((height // known.chroma, width // known.chroma, 2), np.uint8, buffer,
                        luma_step * height, (row, 2, 1))
    return Pixels(luma, known, chroma)


def _two_planes_bytes(known, width, height, step):
    """Return how many bytes both planes take, and a row of U and V."""
    row = 2 * step // known.chroma
    rows = height // known.chroma
    return step * height + row * (rows - 1) + 2 * width // known.chroma, row
