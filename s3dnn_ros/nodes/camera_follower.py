"""Cameras of front ends: a node's own cameras follow them while everything runs."""

from __future__ import annotations

from s3dnn_ros.errors import MessageError, shown
from s3dnn_ros.msg import Cameras
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.settings.cameras import MOST_CAMERAS, is_topic
from s3dnn_ros.settings.parameters import is_name

# Whose cameras are followed.
MOST_FRONT_ENDS = 16


class CameraFollower:
    """Makes a node's cameras agree with those that front ends tell of, whichever starts last.

    Parameters
    ----------
    node : S3dnnNode
    fields : sequence of str
        The fields of a told camera that are parameters of the node's cameras, too.

    Attributes
    ----------
    front_ends : dict
        The names of the cameras that each front end has.

    """

    def __init__(self, node, fields=()):
        self.front_ends = {}
        self._node = node
        self._fields = fields
        self._subscription = None

    def open(self):
        """Hear of cameras from now on."""
        self._subscription = self._node.create_subscription(
            Cameras, 'cameras', self._on_cameras, qos('latched', 10))

    def close(self):
        """Hear of them no more."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _on_cameras(self, msg):
        """Have the cameras that a front end tells of, and of those that it told before no others.

        Raises MessageError for what no front end can have, and ParameterError for what the node
        cannot use.
        """
        self._check(msg)
        told = {camera.name: camera for camera in msg.cameras}
        before = self.front_ends.get(msg.front_end, set())
        self.front_ends[msg.front_end] = set(told)
        gone = before.difference(*self.front_ends.values())
        values = {f'cameras.{camera.name}.{field}': _plain(getattr(camera, field))
                  for camera in told.values() for field in self._fields}
        values['camera_names'] = [
            name for name in dict.fromkeys([*self._node.settings.cameras, *told])
            if name not in gone]
        self._node.change(values)

    def _check(self, msg):
        front_end = shown(msg.front_end)
        if (len(msg.cameras) > MOST_CAMERAS
                or len({*self._node.settings.cameras, *(camera.name for camera in msg.cameras)})
                > MOST_CAMERAS):
            raise MessageError(f'with the cameras of front end {front_end} there are more than '
                               f'{MOST_CAMERAS}; use several executors, each with a namespace')
        if msg.front_end not in self.front_ends and len(self.front_ends) >= MOST_FRONT_ENDS:
            raise MessageError(f'front end {front_end} tells of its cameras, as '
                               f'{MOST_FRONT_ENDS} others did before; see who publishes them')
        for camera in msg.cameras:
            if not is_name(camera.name) or (camera.topic and not is_topic(camera.topic)):
                raise MessageError(f'front end {front_end} tells of a camera {shown(camera.name)} '
                                   f'with the topic {shown(camera.topic)}, which cannot be names; '
                                   'use letters, digits and underscores, a letter first')


def _plain(value):
    """Return a message's value as a parameter has it: a list where it is an array."""
    return value if isinstance(value, (str, int)) else list(value)
