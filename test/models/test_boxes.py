"""Boxes and what belongs to them find their way back to the image."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.models.yolo_tasks import around
from s3dnn_ros.transport.frames import Transform

WIDTH, HEIGHT = 400, 300
scales = st.floats(0.1, 4.0)
seeds = st.integers(0, 2 ** 16)


def boxes(count=3, **more):
    corner = np.float32([[10.0 * index, 5.0] for index in range(count)])
    return Boxes(np.concatenate((corner, corner + 20), axis=1), np.linspace(
        0.9, 0.5, count, dtype=np.float32), np.arange(count, dtype=np.int32), **more)


@hypothesis.given(seeds, scales, scales)
def test_points_come_from_where_they_lie_in_the_image(seed, scale_x, scale_y):
    rng = np.random.default_rng(seed)
    transform = Transform(scale_x, scale_y, *rng.uniform(-50, 50, 2))
    in_image = rng.uniform(-100, 500, (3, 4, 2))
    in_input = in_image * [scale_x, scale_y] + [transform.offset_x, transform.offset_y]
    scores = rng.random((3, 4, 1))
    found = boxes(keypoints=np.concatenate((in_input, scores), axis=2).astype(np.float32))
    found = found.in_source(transform, WIDTH, HEIGHT)
    np.testing.assert_allclose(found.keypoints[..., :2], in_image, atol=1e-2)
    np.testing.assert_allclose(found.keypoints[..., 2:], scores, 1e-6)
    assert found.oriented is None and found.masks == ()


@hypothesis.given(seeds, scales)
def test_oriented_boxes_keep_their_angle_where_both_axes_are_scaled_alike(seed, scale):
    rng = np.random.default_rng(seed)
    transform = Transform(scale, scale, 3.0, -7.0)
    turned = np.concatenate((rng.uniform(0, 300, (3, 2)), rng.uniform(1, 80, (3, 2)),
                             rng.uniform(-3, 3, (3, 1))), axis=1)
    in_input = np.concatenate((turned[:, :2] * scale + [3.0, -7.0], turned[:, 2:4] * scale,
                               turned[:, 4:]), axis=1)
    found = boxes(oriented=in_input).in_source(transform, WIDTH, HEIGHT)
    np.testing.assert_allclose(found.oriented, turned, 1e-3, 1e-2)


@hypothesis.given(scales, scales)
def test_upright_boxes_stay_upright_however_they_are_stretched(scale_x, scale_y):
    transform = Transform(scale_x, scale_y)
    turned = np.float32([[100, 80, 40, 20, 0.0], [50, 60, 40, 20, np.pi / 2]])
    found = boxes(2, oriented=turned).in_source(transform, WIDTH, HEIGHT).oriented
    np.testing.assert_allclose(found[0], [
        100 / scale_x, 80 / scale_y, 40 / scale_x, 20 / scale_y, 0.0], 1e-4)
    # the second one's width runs along y
    np.testing.assert_allclose(found[1], [
        50 / scale_x, 60 / scale_y, 40 / scale_y, 20 / scale_x, np.pi / 2], 1e-4)
    np.testing.assert_allclose(around(turned) / ([scale_x, scale_y] * 2), around(found),
                               1e-3, 1e-2)


def test_one_object_after_the_other():
    masks = tuple(np.full((1, 1), value, np.uint8) for value in (0, 255))
    points = np.zeros((2, 1, 3), np.float32)
    first, second = boxes(2, masks=masks, keypoints=points)
    assert first.box == (0.0, 5.0, 20.0, 25.0) and second.class_id == 1
    assert second.mask is masks[1] and first.keypoints == [[0.0, 0.0, 0.0]]
    assert first.oriented is None
    alone, = boxes(1)
    assert alone.score == pytest.approx(0.9) and alone.mask is None and alone.keypoints is None
    assert list(Boxes.none()) == []
