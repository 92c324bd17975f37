"""Camera topics, and cameras whose frames belong together."""

from __future__ import annotations

import dataclasses
import re
from typing import Mapping, Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings.parameters import parameter

# Executors take no more, whatever front ends tell.
MOST_CAMERAS = 256
_TOPIC = re.compile(r'(~/|/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z')
TOPIC_EXPECTED = ('expected a topic name: words of letters, digits and underscores, no digit '
                  'first, with / between them')
QOS_NAMES = ('sensor_data', 'reliable', 'best_effort', 'system_default')


def is_topic(topic: str) -> bool:
    """Tell whether there may be a topic of this name."""
    return bool(_TOPIC.match(topic))


@dataclasses.dataclass(frozen=True)
class CameraSettings:
    """One camera topic as the governor reads it."""

    topic: str = parameter('', 'Image topic. Empty: "<camera>/image_raw", and '
                           '"<camera>/image_raw/compressed" for compressed transport.')
    transport: str = parameter('raw', 'Message type on the topic: sensor_msgs/Image (raw) or '
                               'sensor_msgs/CompressedImage (compressed).',
                               choices=('raw', 'compressed'))
    qos: str = parameter('sensor_data', 'Quality of service of the subscription; a reliable '
                         'subscription hears nothing from a best-effort camera.',
                         choices=QOS_NAMES)
    depth: int = parameter(5, 'Messages the middleware keeps for this camera.', low=1, high=1000)
    max_rate_hz: float = parameter(0.0, 'Take at most this many frames per second, drop the '
                                   'others as "rate". 0: all.', low=0.0, high=1000.0, live=True)
    weight: float = parameter(1.0, 'Where not every frame can be run, cameras get shares in '
                              'proportion to their weights. 0: only what the others leave.',
                              low=0.0, high=100.0, live=True)
    value_range: Tuple[float, ...] = parameter(
        (), 'Of pixels of more than 8 bits, the value that becomes black and the one that becomes '
        "white, as [0, 16383] for a thermal camera's 14 bits. Empty: the encoding's whole range; "
        '32FC1 has none.', low=-1e9, high=1e9, live=True)

    def topic_of(self, camera):
        """Return the topic to subscribe to for the camera of this name."""
        if self.topic:
            return self.topic
        suffix = '/compressed' if self.transport == 'compressed' else ''
        return f'{camera}/image_raw{suffix}'


def check_cameras(cameras: Mapping[str, CameraSettings]) -> None:
    """Refuse cameras that cannot be read; raises ParameterError."""
    for name, camera in cameras.items():
        if camera.topic and not is_topic(camera.topic):
            raise ParameterError(f'cameras.{name}.topic', camera.topic, TOPIC_EXPECTED)
        span = camera.value_range
        if span and not (len(span) == 2 and span[0] < span[1]):
            raise ParameterError(f'cameras.{name}.value_range', list(span), 'expected two '
                                 'numbers, first the smaller one, which becomes black, or none')


@dataclasses.dataclass(frozen=True)
class GroupSettings:
    """Cameras whose frames belong together."""

    cameras: Tuple[str, ...] = parameter((), 'Cameras of the group; each camera is in one '
                                         'group at most.')
    max_skew_ms: float = parameter(20.0, 'Greatest difference between the capture stamps of '
                                   'frames that count as one moment.', low=0.0, high=10000.0,
                                   live=True)
    max_wait_ms: float = parameter(50.0, 'How long the first frame of a moment to arrive waits '
                                   'for the others, counted from its arrival; then the moment '
                                   'goes on incomplete.', low=0.0, high=10000.0, live=True)
