"""Raw images: seen in place, or refused in a sentence."""

import cv2
import numpy as np
import pytest
from raw_images import EVERY, OCHRE, ONE_PLANE, TWO_PLANES, encode, noise, refusal

from s3dnn_ros.images.pixels import fit
from s3dnn_ros.images.raw import view_raw

CONVERSIONS = {'nv12': cv2.COLOR_YUV2BGR_NV12, 'nv21': cv2.COLOR_YUV2BGR_NV21}


@pytest.mark.parametrize('encoding', EVERY)
def test_a_raw_image_is_looked_at_in_place(encoding):
    data = encode(encoding, OCHRE, 8, 6)
    pixels = view_raw(encoding, 8, 6, len(data) // 6, data)
    assert np.shares_memory(pixels.array, np.frombuffer(data, np.uint8))
    assert (pixels.width, pixels.height) == (8, 6)


@pytest.mark.parametrize('encoding', ONE_PLANE)
def test_padding_at_the_end_of_rows_is_skipped(encoding):
    data = encode(encoding, OCHRE, 8, 6)
    row = len(data) // 6
    padded = b''.join(data[at:at + row] + b'\xee' * 6 for at in range(0, len(data), row))
    plain = view_raw(encoding, 8, 6, row, data)
    assert np.array_equal(view_raw(encoding, 8, 6, row + 6, padded).array, plain.array)
    assert np.array_equal(view_raw(encoding, 8, 6, row + 6, padded[:-6]).array, plain.array)


@pytest.mark.parametrize('encoding', EVERY)
def test_data_that_end_before_the_last_pixel_are_refused(encoding):
    data = encode(encoding, OCHRE, 8, 6)
    reason, text = refusal(view_raw, encoding, 8, 6, len(data) // 6, data[:-1])
    assert reason == 'data'
    assert str(len(data)) in text
    assert str(len(data) - 1) in text


def test_rows_that_do_not_fit_their_step_are_refused():
    reason, text = refusal(view_raw, 'bgr8', 8, 6, 23, bytes(8 * 6 * 3))
    assert reason == 'data'
    assert '24 bytes, but step is 23' in text


def test_an_unknown_encoding_is_refused_with_the_known_ones():
    reason, text = refusal(view_raw, 'nv16', 8, 6, 8, bytes(100))
    assert reason == 'encoding'
    assert "'nv16'" in text
    assert 'bayer_rggb8' in text


@pytest.mark.parametrize('width, height', [(0, 6), (8, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(width, height):
    assert refusal(view_raw, 'bgr8', width, height, 24, b'')[0] == 'size'


@pytest.mark.parametrize('width, height', [(16384, 1), (1, 16384), (16384, 16384)])
def test_an_image_beyond_the_limit_is_refused(width, height):
    reason, text = refusal(view_raw, 'mono8', width, height, width, b'')
    assert reason == 'size'
    assert 'max_image_side allows 8192' in text


@pytest.mark.parametrize('encoding', TWO_PLANES)
@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('is_whole', [True, False])
def test_two_planes_lie_behind_each_other(encoding, padding, is_whole):
    """Each with the padding that its rows have, which the last one may leave out."""
    width, height = 8, 6
    data = encode(encoding, OCHRE, width, height)
    luma, chroma = data[:width * height], data[width * height:]
    row = len(chroma) // (height if encoding == 'nv24' else height // 2)
    wide = padding * row // width
    padded = b''.join(plane[at:at + long] + b'\xee' * pad
                      for plane, long, pad in ((luma, width, padding), (chroma, row, wide))
                      for at in range(0, len(plane), long))
    pixels = view_raw(encoding, width, height, width + padding,
                      padded if is_whole or not wide else padded[:-wide])
    assert pixels.array.tobytes() == luma
    assert pixels.chroma.tobytes() == chroma


@pytest.mark.parametrize('encoding', TWO_PLANES)
def test_a_refusal_tells_the_step_that_was_sent(encoding):
    data = encode(encoding, OCHRE, 8, 6)
    step = len(data) // 6       # of both planes
    assert f'with step {step} takes {len(data)} bytes' in refusal(
        view_raw, encoding, 8, 6, step, data[:-1])[1]


@pytest.mark.parametrize('encoding', CONVERSIONS)
def test_two_planes_have_the_colours_that_opencv_finds(encoding):
    data = noise(64, 72, channels=1)
    target = np.zeros((48, 64, 3), np.uint8)
    fit(view_raw(encoding, 64, 48, 64, data.tobytes()), target)
    assert np.array_equal(target, cv2.cvtColor(data, CONVERSIONS[encoding]))


@pytest.mark.parametrize('encoding', TWO_PLANES)
@pytest.mark.parametrize('width, height', [(7, 6), (8, 5)])
def test_two_planes_of_an_odd_size_are_refused(encoding, width, height):
    reason, text = refusal(view_raw, encoding, width, height, width, bytes(1000))
    assert reason == 'size' and f'{width}x{height}' in text
