"""Images of sensor_msgs/CompressedImage: what they are is in their bytes and their `format`.

image_transport's plugins write the `format` as 'ENCODING; CODEC compressed TARGET'. Without a
TARGET the pixels behind the codec are those of the ENCODING: a Bayer pattern in a grey JPEG, 16
bits in a PNG. Other drivers write the codec's name alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from s3dnn_ros.errors import ImageError, shown
from s3dnn_ros.images.headers import expect_png_end, read_head
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, check_size

_JPEG_END = b'\xff\xd9'
_JPEG_TAIL = 64     # mostly the end is here; some cameras pad it with far more
_PNG_KIND, _GREY_16 = slice(24, 26), b'\x10\0'     # bits and colours, in its head
_VIDEO = ('h264', 'h265', 'hevc', 'av1', 'vp8', 'vp9', 'mpeg')
_DEPTH = 'compresseddepth'
# What OpenCV decodes without a conversion, by type and number of channels.
_AS_DECODED = {
    (np.uint8, 1): 'mono8', (np.uint8, 3): 'bgr8', (np.uint8, 4): 'bgra8',
    (np.uint16, 1): 'mono16', (np.uint16, 3): 'bgr16',
}


def decode_compressed(data, format='', *, max_side=8192, value_range=None) -> Pixels:
    """Return the pixels of a compressed image: JPEG, PNG, WebP, TIFF or BMP.

    Parameters
    ----------
    data : anything with a buffer
    format : str
        As in the message.
    max_side : int
        Larger images are refused before anything is decoded.
    value_range : tuple of two floats, optional
        As in Pixels.

    Raises
    ------
    ImageError
        With reason `encoding`, `size` or `data`.

    """
    original, codec, target = _words_of(format)
    _refuse_other_codecs(codec, format)
    head = read_head(data)
    check_size(head.width, head.height, max_side)
    if head.format == 'JPEG':
        _expect_end(data, head)
    elif head.format == 'PNG':
        expect_png_end(data)
    known = ENCODINGS.get(original)
    is_raw = known is not None and known.channels == 1 and not target
    # otherwise as a picture is looked at: in colour, turned as its camera was held
    flags = cv2.IMREAD_UNCHANGED if is_raw else cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    array = _decoded(np.frombuffer(data, np.uint8), flags, head)
    check_size(array.shape[1], array.shape[0], max_side)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if is_raw and channels == 1 and array.dtype == known.dtype:
        return Pixels(array, known, value_range=value_range)
    encoding = _AS_DECODED.get((array.dtype.type, channels))
    if encoding is None:
        raise ImageError('encoding', f'the {head.format} image has {channels} channels of '
                                     f'{array.dtype}; expected 1, 3 or 4 of 8 bits, or 1 or 3 of '
                                     '16')
    return Pixels(array, ENCODINGS[encoding], value_range=value_range)


def decode_grey_png(data, *, max_side=8192) -> np.ndarray:
    """Return the values of a grey PNG of 16 bits, uint16 (H, W), as they are.

    Raises ImageError for another format, before anything is decoded, and as `decode_compressed`.
    """
    head = read_head(data)
    if head.format != 'PNG' or memoryview(data).cast('B')[_PNG_KIND] != _GREY_16:
        raise ImageError('encoding', f'the {head.format} image is no PNG of 16 bits without '
                                     'colour')
    check_size(head.width, head.height, max_side)
    expect_png_end(data)
    return _decoded(np.frombuffer(data, np.uint8),
                    cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION, head)


def open_compressed(message, *, max_side=8192, value_range=None) -> Pixels:
    """Return the pixels of a sensor_msgs/CompressedImage, as `decode_compressed` does."""
    return decode_compressed(message.data, message.format, max_side=max_side,
                             value_range=value_range)


def _words_of(format):
    """Return the encoding, the codec and the target that a `format` names, each may be empty."""
    first, _, rest = format.partition(';')
    words = rest.split()
    if not words:
        return '', first.strip().lower(), ''
    target = words[words.index('compressed') + 1:] if 'compressed' in words else []
    return first.strip(), words[0].lower(), target[0] if target else ''


def _refuse_other_codecs(codec, format):
    if codec.startswith(_DEPTH):
        raise ImageError('encoding', f'format {shown(format[:64])} is a depth image, in which '
                                     'networks see nothing; name the topic of the colour image')
    if codec.startswith(_VIDEO):
        raise ImageError('encoding', f'format {shown(format[:64])} is a stream of video, whose '
                                     'images cannot be decoded one by one; republish it by '
                                     'image_transport, and name that topic')


def _expect_end(data, head):
    """Raise ImageError for a JPEG that was cut short; OpenCV fills the rest with grey.

    Its end cannot occur within its pixels, but any bytes may come behind it.
    """
    view = memoryview(data).cast('B')
    if (_JPEG_END not in bytes(view[max(head.pixels_from, len(view) - _JPEG_TAIL):])
            and _JPEG_END not in bytes(view[head.pixels_from:])):
        raise ImageError('data', f'the JPEG image ({len(view)} bytes) cannot be decoded; it is '
                                 'cut short')


def _decoded(buffer, flags, head):
    try:
        array = cv2.imdecode(buffer, flags)
    except cv2.error as error:
        raise ImageError('data', f'the {head.format} image cannot be decoded: '
                                 f'{error.err}') from error
    if array is None:
        raise ImageError('data', f'the {head.format} image ({buffer.size} bytes) cannot be '
                                 'decoded; it is cut short or damaged')
    return array
