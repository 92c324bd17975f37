"""What compressed images say of themselves, read before anything is decoded.

A few bytes can claim gigabytes of pixels, so nobody decodes what has not said its size here.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Tuple

from s3dnn_ros.errors import ImageError

# More segments in front of its pixels has no JPEG, more entries no TIFF.
MOST_SEGMENTS = 1000
# Nor has any PNG more parts.
MOST_PARTS = 100_000
_JPEG_START, _PNG_START = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'
_TIFF_STARTS = {b'II*\0': '<', b'MM\0*': '>'}
_TIFF_WIDTHS, _TIFF_HEIGHTS = (256, 322), (257, 323)    # of the image, and of its tiles
_START_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Head:
    """The format of a compressed image and its size in pixels.

    `pixels_from` is where a JPEG's compressed pixels begin; 0 in other formats.
    """

    format: str
    width: int
    height: int
    pixels_from: int = 0


def read_head(data) -> Head:
    """Return what a compressed image says of itself; `data` is anything with a buffer.

    Raises
    ------
    ImageError
        With reason `encoding` for a format that is not known here, with `data` for a head that is
        damaged or cut short.

    """
    view = memoryview(data).cast('B')
    name, read = _reader_of(bytes(view[:_START_BYTES]), len(view))
    try:
        return Head(name, *read(view))
    except (struct.error, IndexError) as error:
        raise ImageError('data', f'the {name} image ({len(view)} bytes) cannot be decoded; it is '
                                 'cut short') from error
    except _DamagedError as error:
        raise ImageError('data', f'the head of the {name} image ({len(view)} bytes) cannot be '
                                 f'decoded; it is damaged: {error}') from error


def expect_png_end(data) -> None:
    """Raise ImageError for a PNG without an end: OpenCV makes room for a part of any length."""
    view = memoryview(data).cast('B')
    position = 8
    for _ in range(MOST_PARTS):
        if position + 12 > len(view):
            break
        length, kind = struct.unpack_from('>I4s', view, position)
        position += 12 + length
        if kind == b'IEND' and position <= len(view):
            return
    raise ImageError('data', f'the PNG image ({len(view)} bytes) cannot be decoded; it is cut '
                             'short or damaged')


class _DamagedError(Exception):
    """Says what is wrong with a head."""


def _reader_of(start, length):
    if start.startswith(_JPEG_START):
        return 'JPEG', _jpeg
    if start.startswith(_PNG_START):
        return 'PNG', _png
    if start[:4] == b'RIFF' and start[8:12] == b'WEBP':
        return 'WebP', _webp
    if start[:4] in _TIFF_STARTS:
        return 'TIFF', _tiff
    if start[:2] == b'BM':
        return 'BMP', _bmp
    raise ImageError('encoding' if length else 'data', f'the compressed image ({length} bytes) '
                     'cannot be decoded: it begins like none of JPEG, PNG, WebP, TIFF and BMP')


def _jpeg(view) -> Tuple[int, int, int]:
    """Walk from segment to segment until the pixels begin (ITU-T T.81, B.2)."""
    size, position = None, 2
    for _ in range(MOST_SEGMENTS):
        while view[position] == view[position + 1] == 0xFF:
            position += 1       # fill bytes
        mark, marker = view[position], view[position + 1]
        if mark != 0xFF:
            raise _DamagedError(f'no segment begins at byte {position}')
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            position += 2       # these have no content
            continue
        (length,) = struct.unpack_from('>H', view, position + 2)
        if length < 2:
            raise _DamagedError(f'a segment at byte {position} is shorter than its length')
        # C0 to CF start a frame, but for the tables C4, C8 and CC
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if size is not None:
                raise _DamagedError('it has two sizes')
            size = struct.unpack_from('>HH', view, position + 5)[::-1]
        position += 2 + length
        if marker == 0xDA:
            if size is None:
                raise _DamagedError('its pixels come before its size')
            return (*size, position)
    raise _DamagedError(f'more than {MOST_SEGMENTS} segments come before its pixels')


def _png(view) -> Tuple[int, int]:
    length, kind, width, height = struct.unpack_from('>I4sII', view, 8)
    if (length, kind) != (13, b'IHDR'):
        raise _DamagedError('it does not begin with its size')
    return width, height


def _webp(view) -> Tuple[int, int]:
    """Read the first chunk (RFC 9649)."""
    kind = bytes(view[12:16])
    if kind == b'VP8X':
        low, high = struct.unpack_from('<IH', view, 24)
        return 1 + (low & 0xFFFFFF), 1 + (low >> 24 | high << 8)
    if kind == b'VP8L' and view[20] == 0x2F:
        (bits,) = struct.unpack_from('<I', view, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b'VP8 ' and bytes(view[23:26]) == b'\x9d\x01\x2a':
        width, height = struct.unpack_from('<HH', view, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise _DamagedError('it does not begin with its size')


def _bmp(view) -> Tuple[int, int]:
    (header_bytes,) = struct.unpack_from('<I', view, 14)
    width, height = struct.unpack_from('<HH' if header_bytes == 12 else '<ii', view, 18)
    return abs(width), abs(height)      # below zero, it stands upside down


def _tiff(view) -> Tuple[int, int]:
    """Read the first directory (TIFF 6.0); a tile is decoded whole, so the larger size counts."""
    order = _TIFF_STARTS[bytes(view[:4])]
    (position,) = struct.unpack_from(order + 'I', view, 4)
    (entries,) = struct.unpack_from(order + 'H', view, position)
    if entries > MOST_SEGMENTS:
        raise _DamagedError(f'its directory has {entries} entries')
    width = height = 0
    for index in range(entries):
        entry = position + 2 + 12 * index
        tag, kind = struct.unpack_from(order + 'HH', view, entry)
        if tag not in (*_TIFF_WIDTHS, *_TIFF_HEIGHTS):
            continue
        if kind not in (3, 4):      # SHORT, LONG
            raise _DamagedError(f'tag {tag} is no number')
        (value,) = struct.unpack_from(order + ('H' if kind == 3 else 'I'), view, entry + 8)
        width = max(width, value) if tag in _TIFF_WIDTHS else width
        height = max(height, value) if tag in _TIFF_HEIGHTS else height
    return width, height
