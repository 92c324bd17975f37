"""Heads: the format and the size of compressed images, before anything is decoded."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_images import noise, refusal

from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.headers import MOST_SEGMENTS, Head, read_head

FORMATS = {'JPEG': '.jpg', 'PNG': '.png', 'WebP': '.webp', 'TIFF': '.tiff', 'BMP': '.bmp'}
SIDES = st.integers(1, 300)


def encoded(name, *arguments, options=(), **more):
    return cv2.imencode(FORMATS[name], noise(*arguments, **more), options)[1].tobytes()


@pytest.mark.parametrize('name', FORMATS)
@given(width=SIDES, height=SIDES)
def test_what_was_written_is_read(name, width, height):
    head = read_head(encoded(name, width, height))
    assert (head.format, head.width, head.height) == (name, width, height)
    assert bool(head.pixels_from) == (name == 'JPEG')


@pytest.mark.parametrize('options', [
    (cv2.IMWRITE_WEBP_QUALITY, 50), (cv2.IMWRITE_WEBP_QUALITY, 101)], ids=['lossy', 'lossless'])
def test_both_kinds_of_webp(options):
    assert read_head(encoded('WebP', 70, 50, options=options)) == Head('WebP', 70, 50)


def test_a_webp_with_extensions():
    """A canvas of 24 bits each (RFC 9649, 2.7)."""
    sides = (99_999).to_bytes(3, 'little') + (70_000).to_bytes(3, 'little')
    data = b'RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0' + b'\x10\0\0\0' + sides
    assert read_head(data) == Head('WebP', 100_000, 70_001)


@pytest.mark.parametrize('order, start', [('<', b'II*\0'), ('>', b'MM\0*')])
def test_a_tiff_is_as_large_as_its_tiles(order, start):
    entries = [(256, 3, 64), (257, 4, 48), (258, 3, 8), (322, 4, 60_000), (323, 3, 16)]
    packed = [struct.pack(order + ('HHIHH' if kind == 3 else 'HHII'), tag, kind, 1,
                          *((value, 0) if kind == 3 else (value,)))
              for tag, kind, value in entries]
    data = start + struct.pack(order + 'IH', 8, len(entries)) + b''.join(packed)
    assert read_head(data) == Head('TIFF', 60_000, 48)


def test_the_size_of_a_jpeg_may_come_behind_much_else():
    data = encoded('JPEG', 70, 50)
    comment = b'\xff\xfe' + struct.pack('>H', 65535) + bytes(65533)
    fill = b'\xff\xff'
    found = read_head(data[:2] + 3 * comment + fill + data[2:])
    assert (found.width, found.height) == (70, 50)
    assert found.pixels_from == read_head(data).pixels_from + 3 * len(comment) + len(fill)


def test_a_jpeg_of_nothing_but_segments_ends():
    comments = b'\xff\xfe\x00\x02' * (MOST_SEGMENTS + 1)
    reason, text = refusal(read_head, b'\xff\xd8' + comments + encoded('JPEG')[2:])
    assert reason == 'data' and f'more than {MOST_SEGMENTS} segments' in text


@pytest.mark.parametrize('damage, words', [
    (lambda data: data[:2] + data[read_head(data).pixels_from - 14:], 'before its size'),
    (lambda data: data[:4] + b'\0\1' + data[6:], 'shorter than its length'),
    (lambda data: data[:20] + b'xx' + data[20:], 'no segment begins at byte 20'),
])
def test_a_jpeg_that_is_damaged_is_refused(damage, words):
    reason, text = refusal(read_head, damage(encoded('JPEG')))
    assert reason == 'data' and words in text


@pytest.mark.parametrize('start', [b'', b'GIF89a', b'\0\0\0\x0cjP  \r\n\x87\n', b'P6 8 6 255\n',
                                   b'\0\0\0\x1cftypavif', b'\0\0\0\1\x67\x42'])
def test_what_nobody_knows_is_refused_with_what_is_known(start):
    reason, text = refusal(read_head, start + bytes(50))
    assert reason == 'encoding'
    assert all(name in text for name in FORMATS)


@pytest.mark.parametrize('name', FORMATS)
@given(st.data())
def test_any_bytes_have_a_head_or_are_refused(name, data):
    whole = bytearray(encoded(name, 40, 30))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(4, 60))] = data.draw(st.integers(0, 255))
    try:
        head = read_head(whole[:data.draw(st.integers(0, len(whole)))])
    except ImageError as error:
        assert error.reason in ('data', 'encoding') and len(str(error)) < 300
    else:
        assert head.width >= 0 and head.height >= 0


def test_any_buffer_is_read():
    data = encoded('PNG', 7, 5)
    for buffer in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        assert read_head(buffer) == Head('PNG', 7, 5)
