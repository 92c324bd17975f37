"""Transforms between frames, by tf2_ros where that is installed."""

from __future__ import annotations

import rclpy.time

from s3dnn_ros.distance.cloud import rotation_of
from s3dnn_ros.errors import DepthError

try:
    import tf2_ros
except ImportError:
    tf2_ros = None


class Transforms:
    """The newest transforms; hears /tf only once one was asked for."""

    def __init__(self, node):
        self._node = node
        self._buffer = self._listener = None

    def lookup(self, target, source):
        """Return the rotation, (3, 3), and translation, (3,), from a frame into another one.

        Raises DepthError if nobody knows it.
        """
        if tf2_ros is None:
            raise DepthError('transform', f"the cloud is in the frame '{source}', and the image "
                             f"in '{target}': install ros-$ROS_DISTRO-tf2-ros-py, or send the "
                             'cloud in the frame of the image')
        if self._listener is None:
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, self._node)
        try:
            # cameras and lidars are fixed to each other: the newest will do
            found = self._buffer.lookup_transform(target, source, rclpy.time.Time()).transform
        except tf2_ros.TransformException as error:
            raise DepthError('transform', f"the cloud is in the frame '{source}', and /tf has no "
                             f"transform to the image's frame '{target}' ({error}); publish it"
                             ) from error
        move, turn = found.translation, found.rotation
        return rotation_of(turn.x, turn.y, turn.z, turn.w), (move.x, move.y, move.z)

    def close(self):
        """Hear no more of /tf."""
        if self._listener is not None:
            self._listener.unregister()
            self._buffer = self._listener = None
