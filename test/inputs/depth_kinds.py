"""Depths as cameras and lidars send them, and what is known of the camera."""

import numpy as np
from depth_messages import camera_info, compressed_depth, depth_image, point_cloud
from kinds import kind

from s3dnn_ros.distance.camera import camera_of
from s3dnn_ros.distance.cloud import cloud_of, view_points
from s3dnn_ros.distance.compressed_depth import open_compressed_depth
from s3dnn_ros.distance.depth_image import open_depth

SECTION = 'Distances (`locator`)'
SIZE = (64, 48)
BOX = (16.0, 12.0, 48.0, 36.0)
# Two metres away, nearer beside it.
METRES = np.full((48, 64), 1.0)
METRES[12:36, 16:48] = 2.0


def located(depths, info=None):
    """Return x, y and z of what is in the box."""
    (position,) = depths.locate([BOX], SIZE, camera_of(info or camera_info()))
    return position


def expect_two_metres(depths):
    """Expect what is in the box two metres ahead, a little beside the centre at most."""
    x, y, z = located(depths)
    assert abs(z - 2.0) < 0.02 and abs(x) < 0.05 and abs(y) < 0.05


def points_of(metres, f=50.0):
    """Return the points of all pixels, (n, 3)."""
    row, column = np.indices(metres.shape)
    return np.stack(((column - 31.5) / f * metres, (row - 23.5) / f * metres, metres),
                    axis=-1).reshape(-1, 3)


@kind(SECTION, 'depth image in 16UC1, millimetres; also the higher byte first, also with padding')
def _millimetres(folder):
    for more in ({}, {'is_bigendian': True}, {'padding': 32}):
        expect_two_metres(open_depth(depth_image(1000 * METRES, **more)))


@kind(SECTION, 'depth image in 32FC1, metres, NaN where nothing is known')
def _metres(folder):
    metres = METRES.copy()
    metres[::3] = np.nan
    expect_two_metres(open_depth(depth_image(metres, '32FC1')))


@kind(SECTION, 'depth image of half the size')
def _half(folder):
    expect_two_metres(open_depth(depth_image(1000 * METRES[::2, ::2])))


@kind(SECTION, 'compressedDepth of image_transport, PNG, 16UC1 and 32FC1')
def _compressed(folder):
    values = (1000 * METRES).astype(np.uint16)
    expect_two_metres(open_compressed_depth(compressed_depth(values)))
    inverse = np.uint16(10000.0 / METRES)
    expect_two_metres(open_compressed_depth(compressed_depth(
        inverse, '32FC1; compressedDepth png', a=10000.0)))


@kind(SECTION, 'point cloud, in rows or not, of 32 or 64 bits, the higher byte first')
def _cloud(folder):
    points = points_of(METRES)
    for more in ({}, {'width': 64}, {'kind': 'f8'}, {'is_bigendian': True}):
        expect_two_metres(cloud_of(view_points(point_cloud(points, **more))))


@kind(SECTION, 'nothing known of what is in the box')
def _nothing(folder):
    assert np.isnan(located(open_depth(depth_image(np.zeros((48, 64)))))).all()
    return 'distance and position are NaN'


@kind(SECTION, 'depth image of another shape')
def _shape(folder):
    located(open_depth(depth_image(np.full((48, 48), 2000))))


@kind(SECTION, 'depth image in millimetres, sent as 32FC1')
def _unit(folder):
    open_depth(depth_image(1000 * METRES, '32FC1'))


@kind(SECTION, 'an image that has no depths (`rgb8`)')
def _colours(folder):
    open_depth(depth_image(METRES, encoding='rgb8'))


@kind(SECTION, 'compressedDepth, RVL')
def _rvl(folder):
    open_compressed_depth(compressed_depth(METRES.astype(np.uint16),
                                           '16UC1; compressedDepth rvl'))


@kind(SECTION, 'point cloud without z')
def _without_z(folder):
    cloud = point_cloud(points_of(METRES))
    cloud.fields = cloud.fields[:2]
    view_points(cloud)


@kind(SECTION, 'point cloud with fewer bytes than it says')
def _few_bytes(folder):
    cloud = point_cloud(points_of(METRES))
    cloud.data = cloud.data[:-1]
    view_points(cloud)


@kind(SECTION, 'CameraInfo full of zeros')
def _zeros(folder):
    camera_of(camera_info(f=0.0))


@kind(SECTION, 'CameraInfo of another camera')
def _another(folder):
    located(open_depth(depth_image(1000 * METRES)), camera_info(48, 48))
