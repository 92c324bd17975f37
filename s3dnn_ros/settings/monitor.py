"""The monitor node's parameters."""

from __future__ import annotations

import dataclasses
from typing import Tuple

from s3dnn_ros.settings.common import AUTOSTART
from s3dnn_ros.settings.parameters import parameter


@dataclasses.dataclass(frozen=True)
class MonitorSettings:
    """The monitor node: a live table, and a report at the end."""

    autostart: bool = parameter(True, AUTOSTART)
    camera_names: Tuple[str, ...] = parameter((), 'Cameras to watch.')
    table: bool = parameter(True, 'Show the live table.')
    output_directory: str = parameter('', 'Where summary.json and one annotated PNG per camera '
                                      'are written at the end. Empty: nowhere.')
    pictures: bool = parameter(True, 'Subscribe to the overlay images, for the PNGs.')
    results_file: str = parameter('', 'CSV file with a line for every result: published_s (the '
                                  'image stamp and the latency, in seconds since 1970), camera, '
                                  'instance, latency_ms, missed (0 or 1), batch. Empty: none.')
    settle_s: float = parameter(0.0, 'Leave the first seconds out of the percentiles.',
                                low=0.0, high=3600.0)
    exit_when_finished: bool = parameter(False, 'End once the replay node has published its last '
                                         'frame and every frame is accounted for.')
