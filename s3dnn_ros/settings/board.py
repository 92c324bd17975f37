"""What sets the board and measures its power: part of the executor's parameters."""

from __future__ import annotations

import dataclasses
from typing import Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.platforms.jetson import KNOBS
from s3dnn_ros.settings.parameters import parameter


@dataclasses.dataclass(frozen=True)
class BoardSettings:
    """Who sets the board, to what, and what tells its power: `platform`, `platform_…`, `power`."""

    platform: str = parameter('none', 'Who sets the configuration of the board for the cohort. '
                              'none: nobody; follow: another process; jetson: this node, clocks '
                              'and cores; sm_partition: this node, multiprocessors of a discrete '
                              'GPU; auto: jetson where there is one, else none. Profiles have to '
                              'hold its configurations.',
                              choices=('none', 'follow', 'auto', 'jetson', 'sm_partition'))
    knobs: Tuple[str, ...] = parameter(('gpu', 'emc'), 'jetson: what is set, of gpu, emc, cpu '
                                       'and cores; as profiled.', called='platform_knobs')
    steps: int = parameter(0, 'jetson: so many values of each knob; 0: all; as profiled.',
                           low=0, high=100, called='platform_steps')
    partitions: Tuple[str, ...] = parameter((), 'sm_partition: how many multiprocessors, '
                                            'ascending; 0, as the last, for all; as profiled.',
                                            called='platform_partitions')
    power: str = parameter('auto', 'What tells power and energy in ~/stats. auto: the sensors of '
                           'a Jetson, or the energy counter of the NVIDIA GPU that the engine '
                           'runs on (with nvidia-ml-py), if there are; none: nothing.',
                           choices=('auto', 'none'))

    @property
    def is_set(self) -> bool:
        """Tell whether anybody sets the board."""
        return self.platform != 'none'

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        if self.platform == 'sm_partition' and not self.partitions:
            raise ParameterError('platform_partitions', [], "name some, for example ['8', '16', "
                                 "'0']")
        for knob in self.knobs:
            if knob not in KNOBS:
                raise ParameterError('platform_knobs', list(self.knobs),
                                     'expected some of ' + ', '.join(KNOBS))
        for count in self.partitions:
            if not count.isdigit():
                raise ParameterError('platform_partitions', list(self.partitions),
                                     'expected whole numbers')
