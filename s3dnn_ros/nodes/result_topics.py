"""Topics of results: one of our messages for each camera, and those of vision_msgs."""

from __future__ import annotations

import contextlib
import re
import threading

from rclpy.exceptions import InvalidTopicNameException

from s3dnn_ros.errors import ParameterError, shown
from s3dnn_ros.msg import Detections
from s3dnn_ros.nodes.detection_2d_topics import Detection2DTopics
from s3dnn_ros.nodes.messages import detections_msg
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.settings.cameras import MOST_CAMERAS

try:
    from vision_msgs.msg import Detection2DArray
except ImportError:
    Detection2DArray = None

DEPTH = 50
# As the parameter max_batch allows.
MOST_FRAMES = 64
_CAMERA = re.compile(r'[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z')


def check_messages(messages):
    """Raise ParameterError if such results cannot be published here."""
    if messages != 'native' and Detection2DArray is None:
        raise ParameterError('output', messages, 'vision_msgs is not installed; install '
                             'ros-$ROS_DISTRO-vision-msgs or use native')


class ResultTopics:
    """Publishes results; any thread may call it.

    Parameters
    ----------
    node : ExecutorNode
    messages : str
        The executor's parameter `output`.
    instances : iterable of str

    """

    def __init__(self, node, messages, instances):
        self._node = node
        self._is_native = messages != 'vision_msgs'
        self._publishers = {}       # by camera; None where only vision_msgs are wanted
        self._lock = threading.Lock()
        self._arrays = None
        if messages != 'native':
            self._arrays = Detection2DTopics(
                lambda topic: node.create_publisher(Detection2DArray, topic,
                                                    qos('reliable', DEPTH)),
                node.destroy_publisher, instances)

    def open(self, camera):
        """Create the topics of a camera before its first frame."""
        self._publisher(camera)

    def objection(self, front_end, frames):
        """Return why results of these frames could not be published, or an empty string."""
        if not 0 < len(frames) <= MOST_FRAMES:
            return (f'front end {shown(front_end)} sends a batch of {len(frames)} frames; from 1 '
                    f'to {MOST_FRAMES} can run together')
        for frame in frames:
            sentence = self._objection_to(frame.camera)
            if sentence:
                return f'front end {shown(front_end)} sends frames of {sentence}'
        return ''

    def watch(self, camera, instance):
        """Take note that an instance gets a camera's frames."""
        self.open(camera)
        if self._arrays is not None:
            self._arrays.watch(camera, instance)

    def publish(self, result):
        """Publish a FrameResult; return when, in seconds."""
        native = self._publisher(result.frame.camera)
        if self._arrays is not None:
            self._arrays.publish(result)
        published_s = self._node.clock_s.now_s()
        if native is not None:
            native.publish(detections_msg(result, published_s))
        return published_s

    def close(self):
        """Remove all topics."""
        for publisher in filter(None, self._publishers.values()):
            self._node.destroy_publisher(publisher)
        self._publishers = {}
        if self._arrays is not None:
            self._arrays.close()

    def _objection_to(self, camera):
        if camera in self._publishers:
            return ''
        if len(self._publishers) >= MOST_CAMERAS:
            return (f'another camera, {shown(camera)}, than the {MOST_CAMERAS} that have topics '
                    'here; start the executor anew without those that are gone')
        if _CAMERA.match(camera):       # of some others, as {node}, rclpy would make a topic, too
            with contextlib.suppress(InvalidTopicNameException, ValueError):    # it is too long
                self.open(camera)
                return ''
        return (f'a camera named {shown(camera)}, which cannot be part of a topic name; use '
                'letters, digits and underscores')

    def _publisher(self, camera):
        with self._lock:
            if camera not in self._publishers:
                self._publishers[camera] = self._node.create_publisher(
                    Detections, f'detections/{camera}',
                    qos('reliable', DEPTH)) if self._is_native else None
                if self._arrays is not None:
                    self._arrays.open(camera)
            return self._publishers[camera]
