"""Opens point clouds: by sensor_msgs_py where that is installed and reads them right."""

from __future__ import annotations

from s3dnn_ros.distance.cloud import PointCloud, cloud_of, view_points

try:
    from sensor_msgs_py.point_cloud2 import read_points
except ImportError:
    read_points = None


def open_cloud(msg, *, unit_m=0.0) -> PointCloud:
    """Return the points of a PointCloud2; raises DepthError. `unit_m` is as in `cloud_of`."""
    points = view_points(msg)       # refuses what cannot be read
    if read_points is not None and _is_plain(msg):
        points = read_points(msg, ('x', 'y', 'z'))
    return cloud_of(points, unit_m=unit_m)


def _is_plain(msg):
    """Return whether sensor_msgs_py reads a cloud right.

    It takes padded rows for points, turns bytes around in the message itself, which is read once
    for each instance, and asserts what the fields are that nobody reads.
    """
    names = {field.name for field in msg.fields}
    return (not msg.is_bigendian and msg.row_step == msg.width * msg.point_step
            and len(names) == len(msg.fields)
            and all(field.count == 1 and 1 <= field.datatype <= 8 for field in msg.fields))
