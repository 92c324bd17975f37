"""The locator node's parameters."""

from __future__ import annotations

import dataclasses
from typing import Dict, Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings.cameras import QOS_NAMES, TOPIC_EXPECTED, is_topic
from s3dnn_ros.settings.common import AUTOSTART, STATS_PERIOD_S
from s3dnn_ros.settings.parameters import named, parameter

# What image_transport puts behind the topic of the image.
_COMPRESSED = '/compressedDepth'


@dataclasses.dataclass(frozen=True)
class DepthSettings:
    """Where the depths of one camera come from."""

    depth_topic: str = parameter('', "Depth image that is aligned with this camera's image, 16UC1 "
                                 'in mm or 32FC1 in m: sensor_msgs/Image, or CompressedImage of '
                                 'image_transport where the topic ends with /compressedDepth. '
                                 'Empty: none.',
                                 live=True)
    cloud_topic: str = parameter('', 'Point cloud in place of a depth image: '
                                 'sensor_msgs/PointCloud2. Where it is in another frame than the '
                                 'image, tf2_ros gives the transform. Empty: none.', live=True)
    info_topic: str = parameter('', "sensor_msgs/CameraInfo of the camera's image. Empty: "
                                '"camera_info" beside the depth image; with a cloud it must be '
                                'named.', live=True)
    depth_qos: str = parameter('sensor_data', 'Quality of service of these subscriptions.',
                               choices=QOS_NAMES, live=True)
    depth_unit_m: float = parameter(0.0, 'What a depth or coordinate of 1 means, in metres. 0: a '
                                    'millimetre in 16UC1, a metre in 32FC1 and clouds.',
                                    low=0.0, high=1000.0, live=True)

    @property
    def topic(self):
        """Return the topic of the depths; empty if there is none."""
        return self.depth_topic or self.cloud_topic

    @property
    def is_compressed(self):
        """Tell whether depth images are sensor_msgs/CompressedImage: image_transport says so."""
        return self.depth_topic.endswith(_COMPRESSED)

    @property
    def sources(self):
        """Return what is subscribed to, and how."""
        return self.depth_topic, self.cloud_topic, self.camera_info_topic, self.depth_qos

    @property
    def camera_info_topic(self):
        """Return the topic of the CameraInfo."""
        base = self.depth_topic[:-len(_COMPRESSED)] if self.is_compressed else self.depth_topic
        folder, slash, _ = base.rpartition('/')
        return self.info_topic or f'{folder}{slash}camera_info'


@dataclasses.dataclass(frozen=True)
class LocatorSettings:
    """The locator node: how far away detections are, by depth images or point clouds."""

    autostart: bool = parameter(True, AUTOSTART)
    instance_names: Tuple[str, ...] = parameter((), 'Network instances; read for the topics of '
                                                'vision_msgs alone.')
    cameras: Dict[str, DepthSettings] = named(
        DepthSettings, 'camera_names', 'Cameras; those without a depth_topic or cloud_topic are '
        'left out.')
    output: str = parameter('native', "As the executor's. native: s3dnn_ros/Detections; both: "
                            'vision_msgs/Detection3DArray, too.',
                            choices=('native', 'vision_msgs', 'both'))
    depth_max_skew_ms: float = parameter(50.0, 'How far the stamps of an image and its depth may '
                                         'be apart.', low=0.0, high=10000.0, live=True)
    depth_max_wait_ms: float = parameter(200.0, 'How long a result waits for its depth; then it '
                                         'is published without distances.',
                                         low=0.0, high=10000.0, live=True)
    stats_period_s: float = parameter(1.0, STATS_PERIOD_S, low=0.05, high=60.0)

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        if self.output == 'vision_msgs':
            raise ParameterError('output', self.output, 'the locator reads the native results of '
                                 'the executor; use both')
        for name, camera in self.cameras.items():
            for field in ('depth_topic', 'cloud_topic', 'info_topic'):
                topic = getattr(camera, field)
                if topic and not is_topic(topic):
                    raise ParameterError(f'cameras.{name}.{field}', topic, TOPIC_EXPECTED)
            if camera.depth_topic and camera.cloud_topic:
                raise ParameterError(f'cameras.{name}.cloud_topic', camera.cloud_topic,
                                     'there is a depth_topic already; leave one of them out')
            if camera.cloud_topic and not camera.info_topic:
                raise ParameterError(f'cameras.{name}.info_topic', '', 'name the camera_info of '
                                     "the camera's image: a cloud has none beside it")

    @property
    def located(self):
        """Return the cameras that have depths, by name."""
        return {name: camera for name, camera in self.cameras.items() if camera.topic}
