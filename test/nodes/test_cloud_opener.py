"""Clouds are opened alike with sensor_msgs_py and without."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')

from sensor_msgs.msg import PointCloud2, PointField

from s3dnn_ros.nodes import cloud_opener
from s3dnn_ros.nodes.cloud_opener import open_cloud

pytestmark = pytest.mark.ros

POINTS = np.random.default_rng(3).uniform(-5.0, 5.0, (12, 3)).astype(np.float32)


def message(*, width=12, padding=0, is_bigendian=False, count=1, again=()):
    """Return POINTS as a cloud with rows of `width` points and a field that nobody reads."""
    rows = POINTS.astype('>f4' if is_bigendian else '<f4').reshape(-1, width * 3)
    names = ['x', 'y', 'z', *again]
    msg = PointCloud2(
        width=width, height=len(rows), point_step=12, row_step=12 * width + padding,
        is_bigendian=is_bigendian, fields=[
            PointField(name=name, offset=4 * (index % 3), datatype=PointField.FLOAT32,
                       count=1 if index < 3 else count) for index, name in enumerate(names)])
    msg.data.frombytes(b''.join(row.tobytes() + bytes(padding) for row in rows))
    return msg


CLOUDS = [{}, {'width': 4}, {'width': 4, 'padding': 4}, {'is_bigendian': True},
          {'again': ['i'], 'count': 0}, {'again': ['x']}]


def check(msg):
    # each instance that watches the camera opens it once
    for _ in range(2):
        cloud = open_cloud(msg)
        np.testing.assert_array_equal(np.stack([cloud.x, cloud.y, cloud.z], axis=1), POINTS)


@pytest.mark.parametrize('layout', CLOUDS, ids=str)
def test_without_sensor_msgs_py(monkeypatch, layout):
    monkeypatch.setattr(cloud_opener, 'read_points', None)
    check(message(**layout))


@pytest.mark.parametrize('layout', CLOUDS, ids=str)
def test_with_sensor_msgs_py(layout):
    pytest.importorskip('sensor_msgs_py', reason='sensor_msgs_py is not here')
    check(message(**layout))


def test_sensor_msgs_py_reads_what_it_reads_right_and_only_that(monkeypatch):
    asked = []
    monkeypatch.setattr(cloud_opener, 'read_points',
                        lambda msg, names: asked.append(msg) or cloud_opener.view_points(msg))
    plain, *others = [message(**layout) for layout in CLOUDS if layout != {'width': 4}]
    for msg in (plain, *others):
        open_cloud(msg)
    assert asked == [plain]
