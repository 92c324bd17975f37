"""Compressed depth images: what is sent is read again, and hostile ones are refused."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from s3dnn_ros.distance.camera import PinholeCamera
from s3dnn_ros.distance.compressed_depth import open_compressed_depth
from s3dnn_ros.errors import DepthError, ImageError

ALL = (slice(None), slice(None))
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
HEADER_BYTES = 12
VALUES = np.full((48, 64), 2000, np.uint16)


def inverse(depths_m, depth_max_m, quantisation):
    """Return what the plugin makes of depths, and its A and B."""
    a = np.float32(quantisation * (quantisation + 1.0))
    b = np.float32(1.0 - a / depth_max_m)
    with np.errstate(all='ignore'):
        values = np.where(depths_m < depth_max_m, a / depths_m + b, 0.0)
    return values.astype(np.uint16), float(a), float(b)


@given(values=arrays.arrays(np.uint16, SIZES),
       format=st.sampled_from(['16UC1; compressedDepth png', '16UC1; compressedDepth', '16UC1',
                               '16UC1;compressedDepth  png', 'mono16; compressedDepth png']))
def test_whole_numbers_are_as_they_were_sent(make_compressed, values, format):
    depths = open_compressed_depth(make_compressed(values, format), unit_m=1e-3)
    np.testing.assert_allclose(depths.metres(*ALL), values * 1e-3, rtol=1e-6)


@given(depths_m=arrays.arrays(np.float32, SIZES, elements=st.floats(0.5, 9.0, width=32)),
       quantisation=st.floats(20.0, 150.0))
def test_inverse_depths_are_as_good_as_their_steps(make_compressed, depths_m, quantisation):
    depths_m[0, 0] = np.nan
    values, a, b = inverse(depths_m, 10.0, quantisation)
    found_m = open_compressed_depth(make_compressed(
        values, '32FC1; compressedDepth png', a=a, b=b)).metres(*ALL)
    np.testing.assert_array_equal(np.isnan(found_m), np.isnan(depths_m))
    known = ~np.isnan(depths_m)
    # the plugin cuts fractions off
    steps = a / depths_m[known] - a / found_m[known]
    assert (steps > -0.01).all() and (steps < 1.01).all()


@pytest.mark.parametrize('values, changes', [
    (VALUES, {}), (VALUES, {'a': 8000.0, 'b': -2000.0, 'format': '32FC1; compressedDepth'})],
    ids=['millimetres', 'inverse'])
def test_an_object_is_where_its_depths_are(make_compressed, camera, values, changes):
    values = values.copy()
    values[:, :20] = 0
    (x, y, z), nowhere = open_compressed_depth(make_compressed(values, **changes)).locate(
        [(33.0, 25.0, 63.0, 47.0), (2.0, 2.0, 9.0, 9.0)], (64, 48), camera)
    assert (x, y, z) == pytest.approx((2 * 16 / 50, 2 * 12 / 50, 2.0), abs=1e-5)
    assert np.isnan(nowhere).all()


@pytest.mark.parametrize('format, said', [
    ('32FC1; compressedDepth rvl', 'parameter format of .* to png'),
    ('16UC1; png compressed', 'compressed by the plugin compressedDepth'),
    ('jpeg', 'send 16UC1 or 32FC1'), ('', 'has no depths'), ('bgr8; compressedDepth', 'bgr8'),
    (';', 'has no depths'), ('16UC1; rvl', 'has no depths'), ('x' * 1000, 'has no depths')])
def test_other_formats_are_refused(make_compressed, format, said):
    with pytest.raises(DepthError, match=said) as caught:
        open_compressed_depth(make_compressed(VALUES, format))
    assert caught.value.reason == 'encoding' and len(str(caught.value)) < 250


@pytest.mark.parametrize('array, suffix', [
    (VALUES.astype(np.uint8), '.png'), (np.dstack([VALUES] * 3), '.png'),
    (np.dstack([VALUES.astype(np.uint8)] * 3), '.jpg')], ids=['8 bits', 'colours', 'JPEG'])
def test_what_is_no_grey_png_of_16_bits_is_refused(make_compressed, array, suffix):
    with pytest.raises(ImageError, match='no PNG of 16 bits without colour'):
        open_compressed_depth(make_compressed(array, suffix=suffix))


def test_a_large_image_is_refused_before_it_is_decoded(make_compressed, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', pytest.fail)
    message = make_compressed(VALUES)
    for place, side in ((16, 8193), (20, 2**31 - 1), (16, 0)):
        data = bytearray(message.data)
        struct.pack_into('>I', data, HEADER_BYTES + place, side)
        with pytest.raises(ImageError, match=f'{side}') as caught:
            open_compressed_depth(make_compressed(VALUES, data=bytes(data)))
        assert caught.value.reason == 'size'


@pytest.mark.parametrize('a, b', [(0.0, 0.0), (-1.0, 0.0), (np.nan, 0.0), (np.inf, 0.0),
                                  (1.0, np.nan), (1.0, -np.inf)])
def test_numbers_that_make_no_depths_are_refused(make_compressed, a, b):
    with pytest.raises(ImageError, match='of which no depths can be made'):
        open_compressed_depth(make_compressed(VALUES, '32FC1; compressedDepth', a=a, b=b))
    # in whole numbers they mean nothing
    assert open_compressed_depth(make_compressed(VALUES, a=a, b=b)).unit_m == 1e-3


def test_messages_that_are_cut_short_are_refused(make_compressed):
    whole = make_compressed(VALUES).data
    for end in range(len(whole)):
        with pytest.raises(ImageError):
            open_compressed_depth(make_compressed(VALUES, data=whole[:end]))


def test_millimetres_in_floats_are_told(make_compressed):
    message = make_compressed(VALUES, '32FC1; compressedDepth', a=4e6, b=0.0)
    with pytest.raises(DepthError, match=r'set depth_unit_m to 0\.001 if the'):
        open_compressed_depth(message)
    camera = PinholeCamera(50.0, 50.0, 31.5, 23.5, 64, 48)
    (_, _, z), = open_compressed_depth(message, unit_m=1e-3).locate(
        [(0.0, 0.0, 64.0, 48.0)], (64, 48), camera)
    assert z == pytest.approx(2.0)
