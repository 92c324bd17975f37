"""Depth images: where the objects in boxes are, in every encoding, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from s3dnn_ros.distance.camera import PinholeCamera
from s3dnn_ros.distance.depth_image import open_depth
from s3dnn_ros.errors import DepthError, ImageError

SIZE = (64, 48)
WIDTH, HEIGHT = SIZE
WHOLE = (0.0, 0.0, 64.0, 48.0)
NOWHERE = [np.nan] * 3
CAMERA = PinholeCamera(50.0, 50.0, 31.5, 23.5, *SIZE)


def locate(message, *boxes, camera=CAMERA, size=SIZE, **options):
    return open_depth(message, **options).locate(boxes, size, camera)


@pytest.mark.parametrize('encoding, value', [('16UC1', 2500), ('mono16', 2500), ('32FC1', 2.5)])
@pytest.mark.parametrize('is_bigendian', [False, True])
@pytest.mark.parametrize('padding', [0, 8])
def test_a_wall_is_where_it_is(make_depth, encoding, value, is_bigendian, padding):
    message = make_depth(np.full((HEIGHT, WIDTH), value), encoding, is_bigendian=is_bigendian,
                         padding=padding)
    found = locate(message, (17.0, 9.0, 47.0, 39.0), (33.0, 25.0, 63.0, 47.0))
    # the box's middle, at pixel 47.5, is 16 pixels right of the centre
    assert found == pytest.approx(np.array([[0.0, 0.0, 2.5],
                                            [2.5 * 16 / 50, 2.5 * 12 / 50, 2.5]]), abs=1e-5)


@given(depths=arrays.arrays(np.uint16, (HEIGHT, WIDTH), elements=st.integers(0, 3)),
       left=st.integers(0, 60), top=st.integers(0, 44), width=st.integers(1, 20),
       height=st.integers(1, 20))
def test_the_position_is_the_median_of_the_points_in_the_box(make_depth, depths, left, top, width,
                                                             height):
    right, bottom = min(left + width, WIDTH), min(top + height, HEIGHT)
    rows, columns = np.mgrid[top:bottom, left:right]
    z = depths[top:bottom, left:right] * 1.0
    points = np.stack([(columns - 31.5) / 50.0 * z, (rows - 23.5) / 50.0 * z, z])[:, z > 0]
    expected = np.median(points, axis=1) if points.size else NOWHERE
    found = locate(make_depth(depths), (left, top, left + width, top + height), unit_m=1.0)
    np.testing.assert_allclose(found, [expected], atol=1e-5)


@given(seed=st.integers(0, 1000))
def test_of_a_large_box_points_on_a_grid_are_as_good(make_depth, seed):
    chance = np.random.default_rng(seed)
    depths = chance.integers(1000, 3000, (480, 640))
    camera = PinholeCamera(500.0, 500.0, 319.5, 239.5, 640, 480)
    (x, y, z), = locate(make_depth(depths), (0, 0, 640, 480), camera=camera, size=(640, 480))
    assert abs(z - 2.0) < 0.12 and abs(x) < 0.12 and abs(y) < 0.12


def test_an_object_before_a_wall_counts_if_it_fills_most_of_its_box(make_depth):
    depths = np.full((HEIGHT, WIDTH), 5000)
    depths[10:30, 20:40] = 1500
    (_, _, z), = locate(make_depth(depths), (18.0, 8.0, 42.0, 32.0))
    assert z == pytest.approx(1.5)


@given(mask=arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5)),
                          elements=st.sampled_from([0, 255])))
def test_with_a_mask_only_points_on_the_object_count(make_depth, mask):
    depths = np.full((HEIGHT, WIDTH), 5000)
    rows, columns = mask.shape
    # 2 × 2 pixels of the depth image for each of the mask
    depths[10:10 + 2 * rows, 20:20 + 2 * columns][
        np.repeat(np.repeat(mask, 2, 0), 2, 1) > 0] = 1500
    box = (20.0, 10.0, 20.0 + 2 * columns, 10.0 + 2 * rows)
    (_, _, z), (_, _, other) = open_depth(make_depth(depths)).locate(
        [box, (0.0, 0.0, 5.0, 5.0)], SIZE, CAMERA, [mask, None])
    assert other == 5.0
    assert z == pytest.approx(1.5) if mask.any() else np.isnan(z)


@pytest.mark.parametrize('encoding, values', [
    ('16UC1', [0]), ('32FC1', [np.nan, np.inf, -np.inf, 0.0, -1.0])])
def test_unknown_depths_count_for_nothing(make_depth, encoding, values):
    depths = np.resize(values, (HEIGHT, WIDTH)).astype(float)
    np.testing.assert_array_equal(locate(make_depth(depths, encoding), WHOLE), [NOWHERE])
    depths[20:23, 30:33] = 1
    (_, _, z), = locate(make_depth(depths, encoding), WHOLE, unit_m=1.0)
    assert z == 1.0


@pytest.mark.parametrize('box', [
    (70.0, 0.0, 90.0, 48.0), (-9.0, 0.0, -1.0, 48.0), (0.0, 50.0, 64.0, 60.0),
    (5.0, 5.0, 5.0, 9.0), (9.0, 9.0, 5.0, 5.0), (np.nan, 0.0, 64.0, 48.0),
    (0.0, 0.0, np.inf, 48.0)], ids=str)
def test_a_box_without_pixels_is_nowhere_and_disturbs_no_other(make_depth, box):
    found = locate(make_depth(np.full((HEIGHT, WIDTH), 1000)), box, WHOLE)
    np.testing.assert_array_equal(np.isnan(found), [[True] * 3, [False] * 3])


def test_without_boxes_nothing_is_located(make_depth):
    assert locate(make_depth(np.ones((HEIGHT, WIDTH)))).shape == (0, 3)


@pytest.mark.parametrize('factor', [0.5, 2])
def test_a_depth_image_of_another_size_and_the_same_shape_fits(make_depth, factor):
    size = (int(factor * WIDTH), int(factor * HEIGHT))
    message = make_depth(np.full(size[::-1], 2000))
    for camera in (CAMERA, CAMERA.of_size(*size)):
        found = locate(message, (34.0, 26.0, 46.0, 38.0), camera=camera)
        assert found == pytest.approx(np.array([[2 * 8 / 50, 2 * 8 / 50, 2.0]]), abs=1e-5)


@pytest.mark.parametrize('shape', [(48, 48), (64, 48), (36, 64), (0, 64), (48, 0)], ids=str)
def test_a_depth_image_of_another_shape_is_refused(make_depth, shape):
    with pytest.raises(DepthError, match='another shape: take a depth image that is') as caught:
        locate(make_depth(np.ones(shape)), WHOLE)
    assert caught.value.reason == 'size' and f'{shape[1]}x{shape[0]}' in str(caught.value)


@pytest.mark.parametrize('encoding', ['bgr8', '64FC1', '16SC1', '', 'x' * 1000])
def test_another_encoding_is_refused(make_depth, encoding):
    with pytest.raises(DepthError, match='send 16UC1 in millimetres or 32FC1 in met') as caught:
        open_depth(make_depth(np.ones((HEIGHT, WIDTH)), encoding))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize('changes', [{'step': 10}, {'step': 129}, {'data': b'few'},
                                     {'width': 2 ** 32 - 1}, {'height': 2 ** 32 - 1}], ids=str)
def test_bytes_that_are_no_depth_image_are_refused(make_depth, changes):
    with pytest.raises(ImageError) as caught:
        open_depth(make_depth(np.ones((HEIGHT, WIDTH)), **changes))
    assert caught.value.reason == 'data'


def test_millimetres_in_floats_are_told_and_have_a_parameter(make_depth):
    message = make_depth(np.full((HEIGHT, WIDTH), 1500.0), '32FC1')
    with pytest.raises(DepthError, match=r'set depth_unit_m to 0\.001 if the') as caught:
        open_depth(message)
    assert caught.value.reason == 'unit'
    for unit_m in (1e-3, 1.0):
        (_, _, z), = locate(message, WHOLE, unit_m=unit_m)
        assert z == pytest.approx(1500.0 * unit_m)
