"""Point clouds: every layout is read, points are found in boxes, the rest is refused."""

import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.distance.camera import PinholeCamera
from s3dnn_ros.distance.cloud import PointCloud, cloud_of, rotation_of, view_points
from s3dnn_ros.errors import DepthError

SIZE = (64, 48)
CAMERA = PinholeCamera(50.0, 50.0, 31.5, 23.5, *SIZE)
WHOLE = (0.0, 0.0, 64.0, 48.0)
POINTS = np.array([[0.0, 0.0, 2.0], [0.5, -0.25, 1.0], [1.0, 2.0, 5.0], [-1.0, 1.0, 4.0],
                   [np.nan, 0.0, 1.0], [3.0, 2.0, 1.0]])


def coordinates(message):
    points = view_points(message)
    return np.stack([points[name].ravel() for name in 'xyz'], axis=1)


def cloud(points):
    return PointCloud(*np.asarray(points, np.float32).reshape(-1, 3).T)


def field(name, offset=0, datatype=7):
    return types.SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1)


@pytest.mark.parametrize('kind', ['f4', 'f8'])
@pytest.mark.parametrize('is_bigendian', [False, True])
@pytest.mark.parametrize('layout', [{}, {'point_padding': 5}, {'width': 3},
                                    {'width': 2, 'row_padding': 7, 'point_padding': 1}], ids=str)
def test_points_of_every_layout_are_read(make_cloud, kind, is_bigendian, layout):
    message = make_cloud(POINTS, kind=kind, is_bigendian=is_bigendian, **layout)
    np.testing.assert_array_equal(coordinates(message), POINTS)


def test_a_cloud_of_whole_millimetres_is_read_in_its_unit(make_cloud):
    message = make_cloud([[1000, -500, 2000]], kind='i2')
    with pytest.raises(DepthError, match='half of the cloud is over 300 m away'):
        cloud_of(view_points(message))
    found = cloud_of(view_points(message), unit_m=1e-3)
    assert np.stack([found.x, found.y, found.z])[:, 0] == pytest.approx([1.0, -0.5, 2.0])


@given(st.integers(0, 2 ** 4 - 1))
def test_with_a_mask_only_points_on_the_object_count(bits):
    mask = np.array([[bits >> 2 * row + column & 1 for column in range(2)] for row in range(2)])
    # a point 1 to 4 m away for each quarter of the box from 20, 10 to 40, 30
    depths = np.arange(1.0, 5.0)
    u, v = np.array([25.0, 35.0, 25.0, 35.0]) - 0.5, np.array([15.0, 15.0, 25.0, 25.0]) - 0.5
    points = np.stack(((u - 31.5) / 50 * depths, (v - 23.5) / 50 * depths, depths), axis=1)
    (_, _, z), (_, _, other) = cloud(points).locate(
        [(20.0, 10.0, 40.0, 30.0), WHOLE], SIZE, CAMERA, [mask, None])
    assert other == 2.5
    chosen = depths[mask.ravel() > 0]
    assert z == pytest.approx(np.median(chosen)) if chosen.size else np.isnan(z)


@pytest.mark.parametrize('width, height', [(0, 1), (0, 0), (5, 0)])
def test_an_empty_cloud_has_no_points(make_cloud, width, height):
    message = make_cloud(POINTS, width=3, data=b'')
    message.width, message.height, message.row_step = width, height, 12 * width
    found = cloud_of(view_points(message)).locate([WHOLE], SIZE, CAMERA)
    np.testing.assert_array_equal(found, [[np.nan] * 3])


def test_what_is_said_of_points_that_are_not_there_may_be_anything(make_cloud):
    message = make_cloud(POINTS, point_step=2 ** 32 - 1, row_step=2 ** 32 - 1, data=b'')
    message.height = 0
    assert cloud_of(view_points(message)).x.size == 0


def test_where_there_is_one_row_its_length_may_be_left_out(make_cloud):
    message = make_cloud(POINTS, row_step=0)
    np.testing.assert_array_equal(coordinates(message), POINTS)


@pytest.mark.parametrize('fields, words', [
    ([], 'no field x, y, z; it has none'),
    ([field('x'), field('z', 4), field('intensity', 8)], 'no field y; it has intensity, x, z'),
    ([field('x', datatype=0), field('y', 4), field('z', 8)], 'datatype 0; known are 1 to 8'),
    ([field('x', datatype=9), field('y', 4), field('z', 8)], 'datatype 9; known are 1 to 8'),
], ids=str)
def test_a_cloud_without_coordinates_is_refused(make_cloud, fields, words):
    with pytest.raises(DepthError, match=words) as caught:
        view_points(make_cloud(POINTS, fields=fields))
    assert caught.value.reason == 'fields'


@pytest.mark.parametrize('changes', [
    {'data': b'few'}, {'point_step': 8}, {'point_step': 0}, {'width': 2 ** 32 - 1},
    {'height': 2, 'row_step': 1}, {'fields': [field('x'), field('y', 4), field('z', 2 ** 32 - 1)]},
], ids=str)
def test_bytes_that_are_no_cloud_are_refused(make_cloud, changes):
    with pytest.raises(DepthError, match='does not fit its') as caught:
        view_points(make_cloud(POINTS, **changes))
    assert caught.value.reason == 'data'


@given(seed=st.integers(0, 10 ** 6), left=st.floats(-5.0, 60.0), top=st.floats(-5.0, 44.0),
       width=st.floats(0.0, 30.0), height=st.floats(0.0, 30.0))
def test_the_position_is_the_median_of_the_points_in_the_box(seed, left, top, width, height):
    points = np.random.default_rng(seed).uniform((-3, -3, -1), (3, 3, 6), (500, 3))
    points = points.astype(np.float32)
    left, top, right, bottom = map(np.float32, (left, top, left + width, top + height))
    x, y, z = points.T
    u = x / z * np.float32(50.0) + np.float32(32.0)
    v = y / z * np.float32(50.0) + np.float32(24.0)
    inside = ((z > 0) & (u >= max(left, 0)) & (u < min(right, 64)) & (v >= max(top, 0))
              & (v < min(bottom, 48)))
    expected = np.median(points[inside], axis=0) if inside.any() else [np.nan] * 3
    found = cloud(points).locate([(left, top, right, bottom)], SIZE, CAMERA)
    np.testing.assert_allclose(found, [expected], atol=1e-5)


def test_points_behind_the_camera_and_unknown_ones_are_not_seen():
    unseen = [[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [np.nan] * 3, [np.inf] * 3, [0.0, np.nan, 1.0],
              [0.0, 0.0, np.inf]]
    np.testing.assert_array_equal(cloud(unseen).locate([WHOLE], SIZE, CAMERA), [[np.nan] * 3])
    found = cloud([*unseen, [0.0, 0.0, 3.0]]).locate([WHOLE], SIZE, CAMERA)
    np.testing.assert_array_equal(found, [[0.0, 0.0, 3.0]])


def test_a_box_without_points_is_nowhere_and_disturbs_no_other():
    found = cloud([[0.0, 0.0, 2.0]]).locate(
        [(0.0, 0.0, 5.0, 5.0), (np.nan,) * 4, (99.0, 0.0, 120.0, 5.0), WHOLE], SIZE, CAMERA)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [True, True, True, False])


def test_without_boxes_nothing_is_located():
    assert cloud(POINTS).locate([], SIZE, CAMERA).shape == (0, 3)


def test_a_cloud_in_another_frame_is_moved():
    # a lidar looks along x, with z up; it is 0.1 m above the camera
    quaternion = (0.5, -0.5, 0.5, 0.5)
    found = cloud([[4.0, -1.0, 0.5]]).moved(rotation_of(*quaternion), (0.0, -0.1, 0.0))
    np.testing.assert_allclose(np.stack([found.x, found.y, found.z])[:, 0], [1.0, -0.6, 4.0],
                               atol=1e-6)


@given(angle=st.floats(-3.14, 3.14), axis=st.integers(0, 2))
def test_a_quaternion_turns_about_its_axis(angle, axis):
    quaternion = [0.0, 0.0, 0.0, np.cos(angle / 2)]
    quaternion[axis] = np.sin(angle / 2)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    unit = np.eye(3)
    expected = np.cos(angle) * unit[first] + np.sin(angle) * unit[second]
    np.testing.assert_allclose(rotation_of(*quaternion) @ unit[first], expected, atol=1e-6)
    np.testing.assert_allclose(rotation_of(*quaternion) @ unit[axis], unit[axis], atol=1e-6)
