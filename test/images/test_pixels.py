"""Pixels: put at their place in one write, with the right colours."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from raw_images import BLUE, COLOURED, EVERY, GREEN, GREY_ENCODINGS, OCHRE, RED, raw, refusal

from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, fit
from s3dnn_ros.images.raw import view_raw

ROUNDING = 2         # of a colour conversion, in grey levels
YUV_ROUNDING = 5     # eight-bit YUV on top
ONE_PIXEL = 1.0
ONE_LEVEL = 1.0
LIVE = 1024          # bytes that Python itself allocates meanwhile
GREY = (90, 90, 90)


def image(width, height, value=0):
    return Pixels(np.full((height, width, 3), value, np.uint8), ENCODINGS['bgr8'])


@pytest.mark.parametrize('colour', ['bgr', 'rgb'])
@pytest.mark.parametrize('size', [(8, 6), (5, 3), (20, 30)])
@pytest.mark.parametrize('rgb', [RED, GREEN, BLUE, OCHRE], ids=['red', 'green', 'blue', 'ochre'])
@pytest.mark.parametrize('encoding', COLOURED)
def test_colours_arrive_in_the_order_asked_for(encoding, rgb, size, colour):
    target = np.zeros((size[1], size[0], 3), np.uint8)
    fit(raw(encoding, rgb=rgb), target, colour=colour)
    expected = np.array(rgb if colour == 'rgb' else rgb[::-1], int)
    tolerance = YUV_ROUNDING if 'yu' in encoding or 'uy' in encoding else ROUNDING
    assert np.abs(target - expected).max() <= tolerance


@pytest.mark.parametrize('size', [(8, 6), (5, 3)])
@pytest.mark.parametrize('encoding', GREY_ENCODINGS)
def test_grey_images_become_grey(encoding, size):
    target = np.zeros((size[1], size[0], 3), np.uint8)
    fit(raw(encoding, rgb=GREY), target)
    assert np.abs(target - np.array(GREY, int)).max() <= ROUNDING


@pytest.mark.parametrize('size', [(4, 4), (3, 2)])
def test_the_bytes_of_mono16_are_read_in_their_order(size):
    little, big = (np.full((4, 4), 0x4001, order) for order in ('<u2', '>u2'))
    targets = np.zeros((2, size[1], size[0], 3), np.uint8)
    fit(view_raw('mono16', 4, 4, 8, little.tobytes()), targets[0])
    fit(view_raw('mono16', 4, 4, 8, big.tobytes(), is_bigendian=True), targets[1])
    assert np.abs(targets - 0x40).max() <= ROUNDING


def test_the_byte_order_does_not_matter_for_single_bytes():
    assert np.array_equal(raw('bgr8', is_bigendian=True).array, raw('bgr8').array)


def test_white_of_mono16_stays_white():
    target = np.zeros((4, 4, 3), np.uint8)
    fit(view_raw('mono16', 4, 4, 8, b'\xff' * 32), target)
    assert (target == 255).all()


@given(st.sampled_from(EVERY), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5),
       st.integers(-2, 3), st.sampled_from(['bgr', 'rgb']),
       st.sampled_from(['stretch', 'letterbox']))
@example('yuv422', 3, 2, 0, 0, 'bgr', 'stretch')
@example('mono16', 3, 2, 1, 0, 'bgr', 'stretch')
def test_any_image_is_fitted_or_refused_with_a_reason(
        encoding, width, height, padding, surplus, colour, resize):
    known = ENCODINGS[encoding]
    step = width * known.channels * np.dtype(known.dtype).itemsize + padding
    data = bytes(max(0, step * height + surplus))
    target = np.zeros((6, 5, 3), np.uint8)
    try:
        fit(view_raw(encoding, width, height, step, data), target, colour=colour, resize=resize)
    except ImageError as error:
        assert error.reason in ('encoding', 'size', 'data')


SIDES = st.integers(1, 300)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(['stretch', 'letterbox']))
def test_corners_of_the_image_are_found_again(width, height, target_width, target_height, resize):
    target = np.zeros((target_height, target_width, 3), np.uint8)
    transform = fit(image(width, height), target, resize=resize)
    left, top = transform.offset_x, transform.offset_y
    right, bottom = left + width * transform.scale_x, top + height * transform.scale_y
    assert 0 <= left < right <= target_width + 1e-6
    assert 0 <= top < bottom <= target_height + 1e-6
    corners = transform.to_source([[left, top, right, bottom]], width, height)[0]
    assert np.abs(corners - [0, 0, width, height]).max() <= ONE_PIXEL


@given(SIDES, SIDES, SIDES, SIDES)
def test_a_letterbox_keeps_the_proportions_and_touches_two_sides(
        width, height, target_width, target_height):
    target = np.zeros((target_height, target_width, 3), np.uint8)
    transform = fit(image(width, height), target, resize='letterbox')
    inner = np.array([width * transform.scale_x, height * transform.scale_y])
    ideal = np.array([width, height]) * min(target_width / width, target_height / height)
    assert np.abs(inner - ideal).max() <= ONE_PIXEL
    assert np.isclose(inner, [target_width, target_height]).any()
    # centred, to within the pixel that cannot be halved
    margins = np.array([target_width, target_height]) - inner
    assert np.abs(margins / 2 - [transform.offset_x, transform.offset_y]).max() <= ONE_PIXEL


@given(SIDES, SIDES, st.sampled_from(['bgr8', 'rgb8', 'mono8', 'bgra8']),
       st.sampled_from(['bgr', 'rgb']))
def test_a_letterbox_is_image_within_and_pad_without(width, height, encoding, colour):
    target = np.full((40, 60, 3), 1, np.uint8)
    data = np.full(width * height * 4, 200, np.uint8)
    pixels = view_raw(encoding, width, height, width * ENCODINGS[encoding].channels, data)
    transform = fit(pixels, target, colour=colour, resize='letterbox', pad=77)
    left, top = int(transform.offset_x), int(transform.offset_y)
    right = left + round(width * transform.scale_x)
    bottom = top + round(height * transform.scale_y)
    expected = np.full_like(target, 77)
    expected[top:bottom, left:right] = 200
    assert np.array_equal(target, expected)


@pytest.mark.parametrize('resize', ['stretch', 'letterbox'])
@pytest.mark.parametrize('encoding', EVERY)
def test_pixels_are_written_into_the_target_and_nowhere_else(encoding, resize):
    canvas = np.full((3, 12, 10, 3), 5, np.uint8)
    fit(raw(encoding, rgb=(200, 200, 200)), canvas[1], resize=resize)
    assert (canvas[[0, 2]] == 5).all()
    assert (canvas[1] != 5).all()


def test_the_target_shows_the_picture_upright():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:50, :100] = (255, 0, 0)
    picture[50:, 100:] = (0, 0, 255)
    target = np.zeros((10, 20, 3), np.uint8)
    fit(Pixels(picture, ENCODINGS['bgr8']), target)
    assert tuple(target[2, 4]) == (255, 0, 0)
    assert tuple(target[7, 15]) == (0, 0, 255)
    assert not target[2, 15].any()


def extra_bytes(function):
    """Return the most memory that was allocated beside what was there before."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('resize', ['stretch', 'letterbox'])
@pytest.mark.parametrize('size', [(416, 320), (640, 480)])
def test_bgr_pixels_are_written_once(size, resize):
    data = bytes(640 * 480 * 3)
    target = np.zeros((size[1], size[0], 3), np.uint8)

    def one_copy():
        fit(view_raw('bgr8', 640, 480, 640 * 3, data), target, resize=resize)

    assert extra_bytes(target.copy) >= target.nbytes, 'the meter sees no NumPy memory'
    assert extra_bytes(one_copy) < 2 * target[0].nbytes + LIVE


def test_an_image_of_16k_by_16k_is_fitted_where_the_limit_allows():
    side = 16384
    pixels = view_raw('mono8', side, side, side, np.zeros(side * side, np.uint8), max_side=side)
    target = np.full((32, 32, 3), 255, np.uint8)
    fit(pixels, target)
    assert not target.any()


RANGES = st.tuples(st.floats(-1e5, 1e5), st.floats(1.0, 1e5)).map(
    lambda pair: (pair[0], pair[0] + pair[1]))


def mapped(values, value_range):
    """Return what values become, by the definition."""
    least, most = value_range
    whole = np.where(np.isnan(values), least, values).astype(float)
    return (np.clip(whole, least, most) - least) * 255.0 / (most - least)


@given(st.sampled_from(['mono16', '16UC1', 'bgr16', '32FC1']), RANGES, st.booleans(),
       st.lists(st.floats(width=32), min_size=12, max_size=12))
@example('32FC1', (20.0, 40.0), True, [math.nan, math.inf, -math.inf, 20.0, 40.0, 30.0] * 2)
@example('mono16', (1000.0, 17383.0), False, [0.0, 999.0, 1000.0, 9191.0, 17383.0, 65535.0] * 2)
def test_values_in_the_range_are_spread_over_8_bits(encoding, value_range, is_bigendian, values):
    known = ENCODINGS[encoding]
    array = np.array(values, np.float32)
    if known.dtype is np.uint16:
        array = np.clip(np.nan_to_num(array), 0, 65535)
    order = np.dtype(known.dtype).newbyteorder('>' if is_bigendian else '<')
    array = array.astype(order)
    width = 12 // known.channels // 2
    target = np.zeros((2, width, 3), np.uint8)
    fit(view_raw(encoding, width, 2, width * known.channels * order.itemsize, array.tobytes(),
                 is_bigendian=is_bigendian, value_range=value_range), target)
    expected = mapped(array, value_range).reshape(2, width, known.channels)
    assert np.abs(target - expected).max() <= ONE_LEVEL


def test_the_range_holds_for_bayer_patterns_and_after_a_resize():
    data = np.full((6, 8), 700, np.uint16).tobytes()
    for encoding in ('bayer_rggb16', 'mono16'):
        target = np.zeros((3, 5, 3), np.uint8)
        fit(view_raw(encoding, 8, 6, 16, data, value_range=(500.0, 1010.0)), target)
        assert (target == 100).all()


def test_images_of_8_bits_have_no_other_range():
    pixels = view_raw('mono8', 2, 1, 2, b'\x05\x60', value_range=(0.0, 10.0))
    target = np.zeros((1, 2, 3), np.uint8)
    fit(pixels, target)
    assert target[0, :, 0].tolist() == [5, 96]


def test_floats_without_a_range_are_refused_with_the_parameter():
    reason, text = refusal(view_raw, '32FC1', 2, 2, 8, bytes(16))
    assert reason == 'encoding' and 'cameras.NAME.value_range' in text


def test_floats_take_the_memory_of_the_image_once_more():
    data, target = bytes(640 * 480 * 4), np.zeros((48, 64, 3), np.uint8)
    pixels = view_raw('32FC1', 640, 480, 640 * 4, data, value_range=(0.0, 1.0))
    assert extra_bytes(lambda: fit(pixels, target)) < 1.3 * len(data)
