"""Pixels: seen in place, put at their place in one write, with the right colours."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, decode_compressed, fit, view_raw

ROUNDING = 2         # of a colour conversion, in grey levels
YUV_ROUNDING = 5     # eight-bit YUV on top
JPEG_LOSS = 6
ONE_PIXEL = 1.0
LIVE = 1024          # bytes that Python itself allocates meanwhile

RED, GREEN, BLUE, OCHRE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40)
GREY = (90, 90, 90)
BAYER_CELLS = {'rggb': 'RG GB', 'bggr': 'BG GR', 'gbrg': 'GB RG', 'grbg': 'GR BG'}
COLOURED = [name for name, encoding in ENCODINGS.items() if name not in (
    'mono8', '8UC1', 'mono16', '16UC1')]
EVERY = list(ENCODINGS)


def encode(encoding, rgb, width, height):
    """Return the bytes of a raw image of one colour, written independently of the package."""
    r, g, b = rgb
    y, u, v = (round(16 + 0.257 * r + 0.504 * g + 0.098 * b),
               round(128 - 0.148 * r - 0.291 * g + 0.439 * b),
               round(128 + 0.439 * r - 0.368 * g - 0.071 * b))
    pixel = {
        'bgr8': [b, g, r], '8UC3': [b, g, r], 'rgb8': [r, g, b],
        'bgra8': [b, g, r, 7], '8UC4': [b, g, r, 7], 'rgba8': [r, g, b, 7],
        'mono8': [g], '8UC1': [g], 'mono16': [0, g], '16UC1': [0, g],
    }.get(encoding)
    if pixel:
        return bytes(pixel) * (width * height)
    if encoding in ('yuv422', 'uyvy'):
        return bytes([u, y, v, y]) * (width // 2 * height)
    if encoding in ('yuv422_yuy2', 'yuyv'):
        return bytes([y, u, y, v]) * (width // 2 * height)
    first, second = BAYER_CELLS[encoding[6:10]].split()
    value = {'R': r, 'G': g, 'B': b}
    rows = [bytes(value[letter] for letter in row) * (width // 2) for row in (first, second)]
    return b''.join(rows) * (height // 2)


def raw(encoding, width=8, height=6, *, rgb=OCHRE, **more):
    data = encode(encoding, rgb, width, height)
    return view_raw(encoding, width, height, len(data) // height, data, **more)


def refusal(function, *arguments, **more):
    with pytest.raises(ImageError) as caught:
        function(*arguments, **more)
    return caught.value.reason, str(caught.value)


def image(width, height, value=0):
    return Pixels(np.full((height, width, 3), value, np.uint8), ENCODINGS['bgr8'])


@pytest.mark.parametrize('encoding', EVERY)
def test_a_raw_image_is_looked_at_in_place(encoding):
    data = encode(encoding, OCHRE, 8, 6)
    pixels = view_raw(encoding, 8, 6, len(data) // 6, data)
    assert np.shares_memory(pixels.array, np.frombuffer(data, np.uint8))
    assert (pixels.width, pixels.height) == (8, 6)


@pytest.mark.parametrize('encoding', EVERY)
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
    reason, text = refusal(view_raw, 'nv21', 8, 6, 8, bytes(100))
    assert reason == 'encoding'
    assert "'nv21'" in text
    assert 'bayer_rggb8' in text


@pytest.mark.parametrize('width, height', [(0, 6), (8, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(width, height):
    assert refusal(view_raw, 'bgr8', width, height, 24, b'')[0] == 'size'


@pytest.mark.parametrize('width, height', [(16384, 1), (1, 16384), (16384, 16384)])
def test_an_image_beyond_the_limit_is_refused(width, height):
    reason, text = refusal(view_raw, 'mono8', width, height, width, b'')
    assert reason == 'size'
    assert 'max_image_side allows 8192' in text


def test_an_image_of_16k_by_16k_is_fitted_where_the_limit_allows():
    side = 16384
    pixels = view_raw('mono8', side, side, side, np.zeros(side * side, np.uint8), max_side=side)
    target = np.full((32, 32, 3), 255, np.uint8)
    fit(pixels, target)
    assert not target.any()


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
@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16', '16UC1'])
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


def gradient(width=64, height=48):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 4, columns * 3, 255 - rows * 4], axis=2).astype(np.uint8)


@pytest.mark.parametrize('kind, tolerance', [('.png', 0), ('.jpg', JPEG_LOSS)])
def test_compressed_images_come_back(kind, tolerance):
    picture = gradient()
    pixels = decode_compressed(cv2.imencode(kind, picture)[1].tobytes())
    target = np.zeros_like(picture)
    fit(pixels, target)
    assert np.abs(target.astype(int) - picture).mean() <= tolerance


def test_a_grey_compressed_image_gets_three_channels():
    data = cv2.imencode('.png', np.full((6, 8), 90, np.uint8))[1].tobytes()
    assert decode_compressed(data).array.shape == (6, 8, 3)


@pytest.mark.parametrize('share', [0.0, 0.01, 0.3, 0.6, 0.9])
@pytest.mark.parametrize('kind', ['.png', '.jpg'])
def test_a_compressed_image_that_is_cut_short_is_refused(kind, share):
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = cv2.imencode(kind, noise)[1].tobytes()
    reason, text = refusal(decode_compressed, data[:int(len(data) * share)])
    assert reason == 'data'
    assert 'cannot be decoded' in text


def test_a_compressed_image_beyond_the_limit_is_refused():
    data = cv2.imencode('.png', np.zeros((10, 200, 3), np.uint8))[1].tobytes()
    assert refusal(decode_compressed, data, max_side=100)[0] == 'size'


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    assume(not data.startswith((b'\xff\xd8', b'\x89PNG', b'P')))
    assert refusal(decode_compressed, data)[0] == 'data'
