"""Cameras: from CameraInfo, in other sizes, and boxes that lie in their images."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.distance.camera import PinholeCamera, camera_of, clipped, same_shape
from s3dnn_ros.errors import DepthError

SIZES = st.integers(1, 4000)


def test_a_camera_of_the_rectified_image_where_there_is_one(make_info):
    p = [40.0, 0.0, 30.0, -4.0, 0.0, 41.0, 20.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert camera_of(make_info(p=p)) == PinholeCamera(40.0, 41.0, 30.0, 20.0, 64, 48)
    assert camera_of(make_info()) == PinholeCamera(50.0, 50.0, 31.5, 23.5, 64, 48)


@pytest.mark.parametrize('f', [0.0, -1.0, math.nan, math.inf])
def test_a_camera_that_is_not_calibrated_is_refused(make_info, f):
    with pytest.raises(DepthError, match='not calibrated; calibrate it') as caught:
        camera_of(make_info(f=f))
    assert caught.value.reason == 'info'


def test_a_part_of_the_sensor_has_its_centre_elsewhere(make_info):
    assert camera_of(make_info(roi=(8, 4, 32, 24))) == PinholeCamera(
        50.0, 50.0, 23.5, 19.5, 32, 24)


@given(scale=st.integers(1, 8), x=st.floats(-2.0, 2.0), z=st.floats(0.1, 100.0))
def test_a_point_lies_at_the_same_place_of_a_larger_image(scale, x, z):
    small = PinholeCamera(50.0, 60.0, 31.0, 23.0, 64, 48)
    large = small.of_size(64 * scale, 48 * scale)
    for one, other in (((small.fx, small.cx), (large.fx, large.cx)),
                       ((small.fy, small.cy), (large.fy, large.cy))):
        edge = one[0] * x / z + one[1] + 0.5
        assert other[0] * x / z + other[1] + 0.5 == pytest.approx(scale * edge)


def test_a_camera_of_another_shape_is_refused_and_one_of_no_size_fits(camera):
    with pytest.raises(DepthError, match=r'64x48 pixels.*another shape than 64x64'):
        camera.of_size(64, 64)
    unknown = PinholeCamera(50.0, 50.0, 31.5, 23.5)
    assert unknown.of_size(64, 64) == PinholeCamera(50.0, 50.0, 31.5, 23.5, 64, 64)


@given(width=SIZES, height=SIZES, factor=st.integers(1, 8))
def test_a_scaled_image_has_the_same_shape_and_an_empty_one_has_none(width, height, factor):
    rounded = (-(-width // factor), -(-height // factor))
    assert same_shape((width, height), (factor * width, factor * height))
    assert same_shape((width, height), rounded)
    assert not same_shape((width, height), (0, height))
    assert not same_shape((1280, 720), (640, 480))


@given(boxes=st.lists(st.tuples(*[st.floats(width=32)] * 4), max_size=5))
def test_boxes_are_clipped_and_those_that_are_not_finite_are_empty(boxes):
    found = clipped(boxes, 64, 48)
    assert found.shape == (len(boxes), 4)
    assert ((found >= 0.0) & (found <= (64, 48, 64, 48))).all()
    for box, (left, top, right, bottom) in zip(boxes, found):
        if not np.isfinite(box).all():
            assert left == right and top == bottom
