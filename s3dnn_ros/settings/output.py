"""What the executor publishes: part of its parameters."""

from __future__ import annotations

import dataclasses

from s3dnn_ros.settings.parameters import parameter


@dataclasses.dataclass(frozen=True)
class OutputSettings:
    """Messages and pictures: `output`, `overlay`, `overlay_max_rate_hz`."""

    messages: str = parameter('native', 'Result messages: s3dnn_ros/Detections (native), '
                              'vision_msgs/Detection2DArray (vision_msgs), or both.',
                              choices=('native', 'vision_msgs', 'both'), called='output')
    overlay: bool = parameter(True, 'Offer an image with boxes on overlay/<camera>; it is drawn '
                              'only while somebody subscribes.', live=True)
    overlay_max_rate_hz: float = parameter(10.0, 'Most overlay images per second and camera.',
                                           low=0.1, high=120.0, live=True)
