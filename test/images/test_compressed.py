"""Compressed images: decoded as their format says, and refused before they take memory."""

import struct
import types
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_images import BAYER_CELLS, noise, refusal

from s3dnn_ros.images.compressed import decode_compressed, open_compressed
from s3dnn_ros.images.headers import read_head
from s3dnn_ros.images.pixels import ENCODINGS, fit

JPEG_LOSS = 6
SUFFIXES = ['.jpg', '.png', '.webp', '.tiff', '.bmp']


def gradient(width=64, height=48):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 4, columns * 3, 255 - rows * 4], axis=2).astype(np.uint8)


def encoded(suffix, picture, *options):
    return cv2.imencode(suffix, picture, options)[1].tobytes()


def fitted(pixels):
    target = np.zeros((pixels.height, pixels.width, 3), np.uint8)
    fit(pixels, target)
    return target


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_compressed_images_come_back(suffix):
    found = fitted(decode_compressed(encoded(suffix, gradient())))
    assert np.abs(found.astype(int) - gradient()).mean() <= (
        JPEG_LOSS if suffix in ('.jpg', '.webp') else 0)


@pytest.mark.parametrize('format', ['', 'jpeg', 'jpg', 'mono8; jpeg compressed ', 'rgb8; png',
                                    'rgb8; jpeg compressed bgr8', ';;;', ' ; '])
def test_a_grey_picture_becomes_grey(format):
    found = fitted(decode_compressed(encoded('.png', np.full((6, 8), 90, np.uint8)), format))
    assert (found == 90).all()


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', BAYER_CELLS)
def test_a_bayer_pattern_behind_a_codec_gets_its_colours(pattern, bits):
    """As image_transport sends what a camera without a debayering node gives."""
    mosaic = noise(channels=1, dtype=np.uint8 if bits == 8 else np.uint16)
    name = f'bayer_{pattern}{bits}'
    pixels = decode_compressed(encoded('.png', mosaic), f'{name}; png compressed ')
    assert pixels.encoding is ENCODINGS[name]
    assert np.array_equal(pixels.array, mosaic)


def test_a_bayer_camera_whose_jpegs_are_in_colour_is_believed():
    pixels = decode_compressed(encoded('.jpg', gradient()), 'bayer_rggb8; jpeg compressed bgr8')
    assert pixels.encoding is ENCODINGS['bgr8']
    pixels = decode_compressed(encoded('.jpg', gradient()), 'bayer_rggb8; jpeg compressed ')
    assert pixels.encoding is ENCODINGS['bgr8']


@pytest.mark.parametrize('format', ['', 'png', '16UC1; png compressed ', 'mono16; png compressed'])
def test_sixteen_bits_stay_sixteen(format):
    grey = noise(channels=1, dtype=np.uint16)
    pixels = decode_compressed(encoded('.png', grey), format)
    assert pixels.array.dtype == np.uint16
    assert np.abs(fitted(pixels)[..., 0].astype(int) - grey / 256).max() <= 1


def test_an_alpha_channel_is_left_out():
    picture = np.dstack([gradient(), np.full((48, 64), 9, np.uint8)])
    assert np.array_equal(fitted(decode_compressed(encoded('.png', picture))), gradient())


@pytest.mark.parametrize('padding', [0, 1, 64, 65, 4096, 200_000])
@pytest.mark.parametrize('fill', [b'\0', b'\xff', b'\xee'])
def test_a_whole_jpeg_may_have_anything_behind_its_end(padding, fill):
    data = encoded('.jpg', noise()) + padding * fill
    assert decode_compressed(data).array.shape == (120, 160, 3)


@pytest.mark.parametrize('behind', [b'', bytes(100), bytes(100_000)])
@pytest.mark.parametrize('share', [0.3, 0.6, 0.9])
def test_half_a_jpeg_is_refused_whatever_comes_behind_it(share, behind):
    data = encoded('.jpg', noise())
    reason, text = refusal(decode_compressed, data[:int(len(data) * share)] + behind)
    assert reason == 'data' and 'cut short' in text


def test_the_end_of_a_thumbnail_is_none():
    """EXIF may hold a whole JPEG."""
    thumbnail, data = encoded('.jpg', noise(40, 30)), encoded('.jpg', noise())
    exif = b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 8) + b'Exif\0\0' + thumbnail
    whole = data[:2] + exif + data[2:]
    assert decode_compressed(whole).array.shape == (120, 160, 3)
    assert refusal(decode_compressed, whole[:-len(data) // 2])[0] == 'data'


@pytest.mark.parametrize('share', [0.0, 0.01, 0.3, 0.6, 0.9])
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp', '.tiff'])
def test_a_compressed_image_that_is_cut_short_is_refused(suffix, share):
    data = encoded(suffix, noise())
    reason, text = refusal(decode_compressed, data[:int(len(data) * share)])
    assert reason in ('data', 'encoding')
    assert 'cannot be decoded' in text


def png_of(width, height):
    """Return a PNG that says so of itself, and has no pixels."""
    head = struct.pack('>4sIIBBBBB', b'IHDR', width, height, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + head
            + struct.pack('>I', zlib.crc32(head)) + bytes(40))


def jpeg_of(width, height):
    data = bytearray(encoded('.jpg', noise()))
    at = data.index(b'\xff\xc0')
    data[at + 5:at + 9] = struct.pack('>HH', height, width)
    return bytes(data)


def behind_comments(data):
    comment = b'\xff\xfe' + struct.pack('>H', 65535) + bytes(65533)
    return data[:2] + 2 * comment + data[2:]


@pytest.mark.parametrize('data', [
    png_of(60_000, 60_000), jpeg_of(60_000, 60_000), behind_comments(jpeg_of(60_000, 60_000)),
    b'BM' + bytes(12) + struct.pack('<Iii', 40, 60_000, -60_000) + bytes(200),
    b'RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0' + b'\xff' * 6,
    b'II*\0' + struct.pack('<IH', 8, 2) + struct.pack('<HHIIHHII', 256, 4, 1, 60_000, 257, 4, 1,
                                                      60_000)],
    ids=['PNG', 'JPEG', 'JPEG behind comments', 'BMP', 'WebP', 'TIFF'])
def test_an_image_that_claims_too_much_is_refused_before_it_is_decoded(data, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', None)
    reason, text = refusal(decode_compressed, data)
    assert reason == 'size' and 'max_image_side allows 8192' in text


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_compressed_image_beyond_the_limit_is_refused(suffix):
    data = encoded(suffix, np.zeros((10, 200, 3), np.uint8))
    assert refusal(decode_compressed, data, max_side=100)[0] == 'size'
    assert decode_compressed(data, max_side=200).width == 200


@pytest.mark.parametrize('format, words', [
    ('h264', 'stream of video'), ('hevc', 'stream of video'), ('bgr8; av1', 'stream of video'),
    ('16UC1; compressedDepth png', 'depth image'), ('32FC1; compressedDepth', 'depth image')])
def test_what_is_no_picture_is_refused_with_what_to_do(format, words):
    reason, text = refusal(decode_compressed, encoded('.png', gradient()), format)
    assert reason == 'encoding'
    assert f"'{format}'" in text and words in text and 'topic' in text


@pytest.mark.parametrize('picture', [
    np.zeros((6, 8, 3), np.float32), np.zeros((6, 8, 4), np.uint16)], ids=['float', 'bgra16'])
def test_pixels_of_another_type_are_refused_or_lose_what_nobody_wants(picture):
    data = encoded('.tiff' if picture.dtype == np.float32 else '.png', picture)
    if picture.dtype == np.uint16:
        assert decode_compressed(data).encoding is ENCODINGS['bgr16']
    else:
        reason, text = refusal(decode_compressed, data)
        assert reason == 'encoding' and 'float32' in text


@settings(max_examples=50)
@given(st.binary(max_size=200), st.text(max_size=30))
def test_garbage_is_refused(data, format):
    assert refusal(decode_compressed, data, format)[0] in ('data', 'encoding', 'size')


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(SUFFIXES))
def test_damage_is_decoded_or_refused(data, suffix):
    whole = bytearray(encoded(suffix, noise(24, 16)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    reason = None
    try:
        pixels = decode_compressed(whole, max_side=1000)
    except Exception as error:
        reason = error.reason
        assert reason in ('data', 'encoding', 'size')
    if reason is None:
        head = read_head(whole)
        assert pixels.width * pixels.height <= head.width * head.height


def test_a_message_has_its_format():
    mosaic = noise(channels=1)
    message = types.SimpleNamespace(data=encoded('.png', mosaic),
                                    format='bayer_rggb8; png compressed ')
    assert open_compressed(message).encoding is ENCODINGS['bayer_rggb8']
    assert refusal(open_compressed, message, max_side=100)[0] == 'size'


@pytest.mark.parametrize('length', [2**31 - 1, 2**32 - 1, 10**6])
def test_a_png_with_a_part_longer_than_all_of_it_is_refused_before_it_is_decoded(
        length, monkeypatch):
    whole = encoded('.png', np.zeros((4, 6, 3), np.uint8))
    at = whole.index(b'IEND') - 4
    part = struct.pack('>I', length) + b'teXt'
    monkeypatch.setattr(cv2, 'imdecode', None)
    for data in (whole[:at] + part + whole[at:], whole[:at], whole[:-4]):
        assert refusal(decode_compressed, data)[0] == 'data'
