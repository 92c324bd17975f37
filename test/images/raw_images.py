"""Raw images of one colour in all encodings, written independently of the package."""

import numpy as np
import pytest

from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.pixels import ENCODINGS
from s3dnn_ros.images.raw import view_raw

RED, GREEN, BLUE, OCHRE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40)
BAYER_CELLS = {'rggb': 'RG GB', 'bggr': 'BG GR', 'gbrg': 'GB RG', 'grbg': 'GR BG'}
GREY_ENCODINGS = ('mono8', '8UC1', 'mono16', '16UC1')
# Floats are nothing without a range.
EVERY = [name for name in ENCODINGS if name != '32FC1']
COLOURED = [name for name in EVERY if name not in GREY_ENCODINGS]
TWO_PLANES = ['nv12', 'nv21', 'nv24']
ONE_PLANE = [name for name in EVERY if name not in TWO_PLANES]


def encode(encoding, rgb, width, height):
    """Return the bytes of a raw image of one colour."""
    r, g, b = rgb
    y, u, v = (round(16 + 0.257 * r + 0.504 * g + 0.098 * b),
               round(128 - 0.148 * r - 0.291 * g + 0.439 * b),
               round(128 + 0.439 * r - 0.368 * g - 0.071 * b))
    pixel = {
        'bgr8': [b, g, r], '8UC3': [b, g, r], 'rgb8': [r, g, b],
        'bgra8': [b, g, r, 7], '8UC4': [b, g, r, 7], 'rgba8': [r, g, b, 7],
        'bgr16': [b, b, g, g, r, r], 'rgb16': [r, r, g, g, b, b],
        'mono8': [g], '8UC1': [g], 'mono16': [0, g], '16UC1': [0, g],
    }.get(encoding)
    if pixel:
        return bytes(pixel) * (width * height)
    if encoding in ('yuv422', 'uyvy'):
        return bytes([u, y, v, y]) * (width // 2 * height)
    if encoding in ('yuv422_yuy2', 'yuyv'):
        return bytes([y, u, y, v]) * (width // 2 * height)
    if encoding in TWO_PLANES:
        pairs = width * height // (1 if encoding == 'nv24' else 4)
        return bytes([y]) * (width * height) + bytes(
            [v, u] if encoding == 'nv21' else [u, v]) * pairs
    first, second = BAYER_CELLS[encoding[6:10]].split()
    value = {'R': r, 'G': g, 'B': b}
    times = int(encoding[10:]) // 8
    rows = [bytes(value[letter] for letter in row for _ in range(times)) * (width // 2)
            for row in (first, second)]
    return b''.join(rows) * (height // 2)


def raw(encoding, width=8, height=6, *, rgb=OCHRE, **more):
    """Return the pixels of such an image, without padding."""
    data = encode(encoding, rgb, width, height)
    return view_raw(encoding, width, height, len(data) // height, data, **more)


def refusal(function, *arguments, **more):
    """Return the reason and the sentence with which a call is refused."""
    with pytest.raises(ImageError) as caught:
        function(*arguments, **more)
    return caught.value.reason, str(caught.value)


def noise(width=160, height=120, dtype=np.uint8, channels=3):
    """Return an image of which nothing can be guessed."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
