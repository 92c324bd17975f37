"""From image messages to network inputs: views where possible, one write of pixels.

A raw image is looked at in place (a NumPy view of the message's bytes). Its
pixels are read once and written once, by the resize that puts them at their
place in the batch. Encodings that OpenCV cannot resize as they are (YUV, Bayer)
cost one conversion more.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Optional

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


# yuv422 is UYVY in sensor_msgs; the 8UC names are OpenCV's own.
ENCODINGS = {
    'bgr8': Encoding(3),
    '8UC3': Encoding(3),
    'rgb8': Encoding(3, to_bgr=cv2.COLOR_RGB2BGR),
    'bgra8': Encoding(4, to_bgr=cv2.COLOR_BGRA2BGR),
    '8UC4': Encoding(4, to_bgr=cv2.COLOR_BGRA2BGR),
    'rgba8': Encoding(4, to_bgr=cv2.COLOR_RGBA2BGR),
    'mono8': Encoding(1, to_bgr=cv2.COLOR_GRAY2BGR),
    '8UC1': Encoding(1, to_bgr=cv2.COLOR_GRAY2BGR),
    'mono16': Encoding(1, np.uint16, cv2.COLOR_GRAY2BGR),
    '16UC1': Encoding(1, np.uint16, cv2.COLOR_GRAY2BGR),
    'yuv422': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_UYVY, resizable=False),
    'uyvy': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_UYVY, resizable=False),
    'yuv422_yuy2': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_YUY2, resizable=False),
    'yuyv': Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_YUY2, resizable=False),
    # OpenCV names a Bayer pattern by its second row, ROS by its first.
    'bayer_rggb8': Encoding(1, to_bgr=cv2.COLOR_BayerBG2BGR, resizable=False),
    'bayer_bggr8': Encoding(1, to_bgr=cv2.COLOR_BayerRG2BGR, resizable=False),
    'bayer_gbrg8': Encoding(1, to_bgr=cv2.COLOR_BayerGR2BGR, resizable=False),
    'bayer_grbg8': Encoding(1, to_bgr=cv2.COLOR_BayerGB2BGR, resizable=False),
}


_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_PNG_START = b'\x89PNG'
_HEADER_BYTES = 65536    # EXIF data comes before a JPEG's size
_JPEG_TAIL = 64      # some cameras pad the end
_PAIRS = (cv2.COLOR_YUV2BGR_UYVY, cv2.COLOR_YUV2BGR_YUY2)


@dataclasses.dataclass(frozen=True)
class Pixels:
    """An image ready to be fitted: `array` is (H, W) or (H, W, C)."""

    array: np.ndarray
    encoding: Encoding

    @property
    def width(self):
        """Return the width in pixels."""
        return self.array.shape[1]

    @property
    def height(self):
        """Return the height in pixels."""
        return self.array.shape[0]


def view_raw(encoding, width, height, step, data, *, is_bigendian=False, max_side=8192):
    """Return the pixels of a sensor_msgs/Image without copying them.

    Raises
    ------
    ImageError
        With reason `encoding`, `size` or `data`.

    """
    check_size(width, height, max_side)
    known = ENCODINGS.get(encoding)
    if known is None:
        raise ImageError('encoding', f"encoding '{encoding}' is unknown; known are "
                                     + ', '.join(ENCODINGS))
    item = np.dtype(known.dtype).itemsize
    row = width * known.channels * item
    if step < row:
        raise ImageError('data', f'rows of {width} {encoding} pixels take {row} bytes, but step '
                                 f'is {step}')
    buffer = np.frombuffer(data, np.uint8)
    # a camera may leave out the padding of the last row
    needed = step * (height - 1) + row
    if buffer.size < needed:
        raise ImageError('data', f'{width}x{height} {encoding} with step {step} takes {needed} '
                                 f'bytes, but the message has {buffer.size}')
    if known.to_bgr in _PAIRS and width % 2:
        raise ImageError('size', f'{encoding} stores pixels in pairs, but the image is {width} '
                                 'pixels wide')
    if step % item:
        raise ImageError('data', f'step is {step}, not a multiple of the {item} bytes of a pixel')
    order = '>' if is_bigendian and item > 1 else '='
    array = np.ndarray((height, width, known.channels), np.dtype(known.dtype).newbyteorder(order),
                       buffer, strides=(step, known.channels * item, item))
    return Pixels(array[:, :, 0] if known.channels == 1 else array, known)


def decode_compressed(data, *, max_side=8192):
    """Return the pixels of a sensor_msgs/CompressedImage (JPEG, PNG, ...).

    Raises
    ------
    ImageError
        With reason `data` or `size`.

    """
    buffer = np.frombuffer(data, np.uint8)
    announced = _announced_size(bytes(buffer[:_HEADER_BYTES]))
    if announced and all(announced):
        # a few kilobytes can claim gigabytes of pixels
        check_size(*announced, max_side)
    # old OpenCV fills the rest of a JPEG that was cut short with grey
    whole = buffer.size and (bytes(buffer[:2]) != _JPEG_START
                             or _JPEG_END in bytes(buffer[-_JPEG_TAIL:]))
    try:
        array = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if whole else None
    except cv2.error as error:
        raise ImageError('data', f'the compressed image cannot be decoded: {error.err}') from error
    if array is None:
        raise ImageError('data', f'the compressed image ({buffer.size} bytes) cannot be decoded; '
                                 'it is cut short or of a format OpenCV does not know')
    check_size(array.shape[1], array.shape[0], max_side)
    return Pixels(array, ENCODINGS['bgr8'])


def _announced_size(head):
    """Return (width, height) as the head of a JPEG or PNG states them, None if it does not."""
    if head.startswith(_PNG_START) and len(head) >= 24:
        return struct.unpack_from('>II', head, 16)
    position = 2
    while head.startswith(_JPEG_START) and position + 9 <= len(head):
        marker, length = struct.unpack_from('>xBH', head, position)
        # C0 to CF start a frame, but for the tables C4, C8 and CC
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack_from('>HH', head, position + 5)[::-1]
        position += 2 + length
    return None


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
    array, encoding = pixels.array, pixels.encoding
    if array.dtype.byteorder == '>':
        array = array.astype(np.uint16)
    to_colour = encoding.to_bgr
    if not encoding.resizable:
        array, to_colour = cv2.cvtColor(array, to_colour), None
    size = (target.shape[1], target.shape[0])
    if to_colour is None:
        _resize(array, size, target)
    else:
        small = _resize(array, size)
        if small.dtype == np.uint16:
            small = cv2.convertScaleAbs(small, alpha=1.0 / 256.0)
        if colour == 'rgb' and to_colour == cv2.COLOR_RGB2BGR:
            target[...] = small
            return
        cv2.cvtColor(small, to_colour, dst=target)
    if colour == 'rgb':
        target[...] = target[..., ::-1].copy()


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
