"""The replay node's parameters."""

from __future__ import annotations

import dataclasses
from typing import Dict

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings.cameras import CameraSettings
from s3dnn_ros.settings.common import AUTOSTART
from s3dnn_ros.settings.parameters import named, parameter


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """One simulated camera."""

    file: str = parameter('', 'Path of a video or image, or asset:NAME for one that '
                          '`s3dnn models fetch` brought.')
    motion: str = parameter('none', 'Movement over a still image.',
                            choices=('none', 'pan', 'zoom'))
    width: int = parameter(0, "Width of the published image, in pixels. 0: the file's own.",
                           low=0, high=16384)
    height: int = parameter(0, "Height of the published image, in pixels. 0: the file's own.",
                            low=0, high=16384)
    encoding: str = parameter('bgr8', 'Encoding of raw images, or jpeg/png for compressed ones.',
                              choices=('bgr8', 'rgb8', 'mono8', 'bgra8', 'yuv422', 'jpeg', 'png'))
    time_shift_s: float = parameter(0.0, 'Start this far into the video.', low=0.0, high=36000.0)
    phase_ms: float = parameter(0.0, "Delay of this camera's shutter against the others.",
                                low=0.0, high=10000.0)
    fps: float = parameter(0.0, 'Frames per second of this camera. 0: as the others, by the '
                           'parameter fps.', low=0.0, high=1000.0)


@dataclasses.dataclass(frozen=True)
class ReplaySettings:
    """The replay node: recorded images published as cameras would."""

    autostart: bool = parameter(True, AUTOSTART)
    sources: Dict[str, SourceSettings] = named(SourceSettings, 'camera_names',
                                               'Simulated cameras.')
    cameras: Dict[str, CameraSettings] = named(CameraSettings, 'camera_names',
                                               'Topics and transport, as the governor has them.')
    fps: float = parameter(5.0, 'Frames per second of every camera that has no rate of its own.',
                           low=0.1, high=1000.0)
    duration_s: float = parameter(0.0, 'Stop publishing after this time; 0 goes on.',
                                  low=0.0, high=1e6)
    wait_for_subscribers_s: float = parameter(10.0, 'Wait at most this long for a subscriber on '
                                              'every topic before the first image.',
                                              low=0.0, high=600.0)
    delay_s: float = parameter(0.0, 'Time from there to the first image.', low=0.0, high=600.0)
    stats_period_s: float = parameter(1.0, 'Period of the counters on ~/stats.',
                                      low=0.05, high=60.0)

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        for name, source in self.sources.items():
            if not source.file:
                raise ParameterError(f'sources.{name}.file', '', 'name a video or an image')
            compressed = source.encoding in ('jpeg', 'png')
            if compressed != (self.cameras[name].transport == 'compressed'):
                raise ParameterError(f'sources.{name}.encoding', source.encoding,
                                     f"cameras.{name}.transport is "
                                     f"'{self.cameras[name].transport}'; compressed transport "
                                     'takes jpeg or png, raw takes the others')

    def fps_of(self, name):
        """Return the frames per second of the camera of this name."""
        return self.sources[name].fps or self.fps
