"""Pixels of all encodings, and how they become a network's input.

They are read once and written once, by the resize that puts them at their place
in the batch. Encodings that OpenCV cannot resize as they are (YUV, Bayer) cost
one conversion more.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, Optional, Tuple

import cv2
import numpy as np

from s3dnn_ros.errors import ImageError
from s3dnn_ros.transport.frames import Transform


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How an encoding lies in memory and becomes BGR."""

    channels: int
    dtype: type = np.uint8
    to_bgr: Optional[int] = None     # OpenCV conversion, None when it is BGR already
    resizable: bool = True           # pixels may be averaged before the conversion
    chroma: int = 0     # so many pixels of a row, and so many rows, share U and V behind Y


def _bayer() -> Dict[str, Encoding]:
    # OpenCV names a pattern by its second row, ROS by its first
    conversions = {'rggb': cv2.COLOR_BayerBG2BGR, 'bggr': cv2.COLOR_BayerRG2BGR,
                   'gbrg': cv2.COLOR_BayerGR2BGR, 'grbg': cv2.COLOR_BayerGB2BGR}
    return {f'bayer_{pattern}{np.dtype(dtype).itemsize * 8}': Encoding(
        1, dtype, to_bgr, resizable=False)
        for dtype in (np.uint8, np.uint16) for pattern, to_bgr in conversions.items()}


# yuv422 is UYVY in sensor_msgs; the 8UC names are OpenCV's own.
ENCODINGS = {
    'bgr8': Encoding(3),
    '8UC3': Encoding(3),
    'rgb8': Encoding(3, to_bgr=cv2.COLOR_RGB2BGR),
    'bgra8': Encoding(4, to_bgr=cv2.COLOR_BGRA2BGR),
    '8UC4': Encoding(4, to_bgr=cv2.COLOR_BGRA2BGR),
    'rgba8': Encoding(4, to_bgr=cv2.COLOR_RGBA2BGR),
    'bgr16': Encoding(3, np.uint16),
    'rgb16': Encoding(3, np.uint16, cv2.COLOR_RGB2BGR),
    'mono8': Encoding(1, to_bgr=cv2.COLOR_GRAY2BGR),
    '8UC1': Encoding(1, to_bgr=cv2.COLOR_GRAY2BGR),
    '32FC1': Encoding(1, np.float32, cv2.COLOR_GRAY2BGR),
    'mono16': Encoding(1, np.uint16, cv2.COLOR_GRAY2BGR),
    '16UC1': Encoding(1, np.uint16, cv2.COLOR_GRAY2BGR),
    'yuv422': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_UYVY, resizable=False),
    'uyvy': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_UYVY, resizable=False),
    'yuv422_yuy2': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_YUY2, resizable=False),
    'yuyv': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_YUY2, resizable=False),
    'nv12': Encoding(1, to_bgr=cv2.COLOR_YUV2BGR_NV12, resizable=False, chroma=2),
    'nv21': Encoding(1, to_bgr=cv2.COLOR_YUV2BGR_NV21, resizable=False, chroma=2),
    'nv24': Encoding(1, to_bgr=cv2.COLOR_YUV2BGR_NV12, resizable=False, chroma=1),
    **_bayer(),
}


@dataclasses.dataclass(frozen=True)
class Pixels:
    """An image ready to be fitted: `array` is (H, W) or (H, W, C).

    Where its encoding has U and V apart, they are in `chroma`, (H / n, W / n, 2). Values of more
    than 8 bits in `value_range`, from black to white, are spread over 8 bits; None: all of them.
    """

    array: np.ndarray
    encoding: Encoding
    chroma: Optional[np.ndarray] = None
    value_range: Optional[Tuple[float, float]] = None

    def __post_init__(self):
        """Refuse floats whose range nobody knows; raises ImageError."""
        if self.array.dtype.kind == 'f' and not self.value_range:
            raise ImageError('encoding', 'a 32FC1 image has no range of its own; set '
                             'cameras.NAME.value_range to the values that are to become black '
                             'and white')

    @property
    def width(self):
        """Return the width in pixels."""
        return self.array.shape[1]

    @property
    def height(self):
        """Return the height in pixels."""
        return self.array.shape[0]


def fit(pixels, target, *, colour='bgr', resize='stretch', pad=114):
    """Write an image into `target`, uint8 (H, W, 3), and return the Transform.

    `colour` is the order the network wants. `stretch` fills the target,
    `letterbox` keeps the aspect ratio and fills the rest with `pad`.
    """
    height, width = target.shape[:2]
    transform = Transform(width / pixels.width, height / pixels.height)
    inner = target
    if resize == 'letterbox':
        scale = min(transform.scale_x, transform.scale_y)
        inner_width = max(1, round(pixels.width * scale))
        inner_height = max(1, round(pixels.height * scale))
        left, top = (width - inner_width) // 2, (height - inner_height) // 2
        target[:top] = target[top + inner_height:] = pad
        target[:, :left] = target[:, left + inner_width:] = pad
        inner = target[top:top + inner_height, left:left + inner_width]
        transform = Transform(inner_width / pixels.width, inner_height / pixels.height, left, top)
    _write(pixels, inner, colour)
    return transform


def _write(pixels, target, colour):
    array, to_colour = pixels.array, pixels.encoding.to_bgr
    if array.dtype.byteorder == '>':
        array = array.astype(array.dtype.newbyteorder('='))
    if array.dtype == np.float32:
        # no average of a NaN is a number
        array = _of_8_bits(array, pixels.value_range)
    if not pixels.encoding.resizable:
        array, to_colour = _converted(pixels, array), None
    is_swapped = colour == 'rgb'
    if is_swapped and to_colour == cv2.COLOR_RGB2BGR:
        # it has the network's order already
        to_colour, is_swapped = None, False
    size = (target.shape[1], target.shape[0])
    if to_colour is None and array.dtype == np.uint8:
        _resize(array, size, target)
    elif to_colour is None:
        _of_8_bits(_resize(array, size), pixels.value_range, target)
    else:
        small = _resize(array, size)
        if small.dtype == np.uint16:
            small = _of_8_bits(small, pixels.value_range)
        cv2.cvtColor(small, to_colour, dst=target)
    if is_swapped:
        target[...] = target[..., ::-1].copy()


def _converted(pixels, array):
    """Return what cannot be resized as it is as BGR."""
    if pixels.chroma is None:
        if array.dtype == np.uint16:
            # three channels of 16 bits would take three times as long
            array = _of_8_bits(array, pixels.value_range)
        return cv2.cvtColor(array, pixels.encoding.to_bgr)
    chroma = pixels.chroma
    if pixels.encoding.chroma == 1:
        # OpenCV takes one U and V for four pixels
        chroma = cv2.resize(chroma, (array.shape[1] // 2, array.shape[0] // 2),
                            interpolation=cv2.INTER_AREA)
    return cv2.cvtColorTwoPlane(array, chroma, pixels.encoding.to_bgr)


def _of_8_bits(array, value_range, target=None):
    """Return values in a range, or the upper halves of 16 bits, in `target` if there is one.

    What is outside of the range becomes black or white, and NaN becomes black.
    """
    if not value_range:
        return cv2.convertScaleAbs(array, dst=target, alpha=1.0 / 256.0)
    least, most = value_range
    if array.dtype == np.float32:
        array = np.fmax(array, np.float32(least))
        np.fmin(array, np.float32(most), out=array)
    scale = 255.0 / (most - least)
    # convertScaleAbs would turn what is below the range into its opposite
    return cv2.addWeighted(array, scale, array, 0.0, -least * scale, dst=target, dtype=cv2.CV_8U)


def _resize(array, size, target=None):
    if size == (array.shape[1], array.shape[0]):
        if target is None:
            return array
        np.copyto(target, array)
        return target
    # bilinear also when shrinking: the detectors were trained so, and averaging
    # takes ten times as long
    return cv2.resize(array, size, dst=target, interpolation=cv2.INTER_LINEAR)


def check_size(width, height, max_side):
    """Raise ImageError for an image without content, or larger than is allowed."""
    if width < 1 or height < 1:
        raise ImageError('size', f'the image is {width}x{height} pixels; it has no content')
    if width > max_side or height > max_side:
        raise ImageError('size', f'the image is {width}x{height} pixels; max_image_side allows '
                                 f'{max_side}')
