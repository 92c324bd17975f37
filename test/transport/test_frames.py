"""The way back from the network's input to source pixels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.transport.frames import Transform

PIXEL = 1e-2     # float32 boxes in images of thousands of pixels
SCALES = st.floats(0.01, 20.0)
OFFSETS = st.floats(0.0, 500.0)
WIDTH, HEIGHT = 4000, 3000
COORDINATES = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])


@given(SCALES, SCALES, OFFSETS, OFFSETS, st.floats(0, WIDTH), st.floats(0, HEIGHT))
def test_a_source_pixel_comes_back_where_it_was(scale_x, scale_y, offset_x, offset_y, x, y):
    transform = Transform(scale_x, scale_y, offset_x, offset_y)
    there = [x * scale_x + offset_x, y * scale_y + offset_y]
    back = transform.to_source([there + there], WIDTH, HEIGHT)[0]
    tolerance = PIXEL + 1e-4 / min(scale_x, scale_y)
    assert back == pytest.approx([x, y, x, y], abs=tolerance)


@given(st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES, COORDINATES), max_size=4))
def test_boxes_lie_within_the_image(boxes):
    source = Transform(0.5, 2.0, 3.0, 4.0).to_source(boxes, WIDTH, HEIGHT)
    assert source.shape == (len(boxes), 4)
    assert source.dtype == np.float32
    assert (source >= 0.0).all()
    assert (source <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()


@pytest.mark.parametrize('corner', range(4))
@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
def test_a_box_that_is_not_finite_comes_back_empty(corner, number):
    box = [10.0, 20.0, 30.0, 40.0]
    box[corner] = number
    left, top, right, bottom = Transform(1.0, 1.0).to_source([box], WIDTH, HEIGHT)[0]
    assert (right - left) * (bottom - top) <= 0.0


def test_no_boxes_stay_no_boxes():
    assert Transform(1.0, 1.0).to_source(np.zeros((0, 4)), 4, 4).shape == (0, 4)


def test_a_batch_is_due_with_its_most_urgent_frame(make_batch, make_frame):
    batch = make_batch(make_frame(deadline_s=3.0), make_frame(deadline_s=2.0))
    assert batch.deadline_s == 2.0
