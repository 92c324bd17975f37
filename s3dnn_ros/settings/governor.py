"""The governor's parameters."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Tuple

from s3dnn_ros.engines.base import ENGINES, UNITS
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings.cameras import CameraSettings, GroupSettings, check_cameras
from s3dnn_ros.settings.common import (
    AUTOSTART,
    MODEL_DIRECTORIES,
    PRESET,
    PROFILE,
    STATS_PERIOD_S,
    require_model,
)
from s3dnn_ros.settings.parameters import Presets, named, parameter

_PRESETS: Presets = {
    'latency': {},
    'throughput': {'instances.*.max_batch': 8, 'instances.*.max_fusion_delay_ms': 10.0},
    'energy': {},
    'accuracy': {},
}


@dataclasses.dataclass(frozen=True)
class InstanceSettings:
    """One network watching some cameras, as the governor sees it."""

    model: str = parameter('', 'Model name (config/models/NAME.yaml) or path of a YAML file.')
    cameras: Tuple[str, ...] = parameter((), 'Cameras this instance watches. Empty: all.')
    deadline_ms: float = parameter(0.0, 'Relative deadline, from the capture stamp to the '
                                   "publication of the result. 0: the model's own.",
                                   low=0.0, high=60000.0, live=True)
    allow_infeasible: bool = parameter(False, 'Run the instance even if its deadline is shorter '
                                       'than the network takes alone by its profile; otherwise '
                                       'such a deadline is refused.', live=True)
    max_batch: int = parameter(1, 'Most frames fused into one run of the network; with a '
                               'profile, as many of them as meet the earliest deadline.',
                               low=1, high=64, live=True)
    max_fusion_delay_ms: float = parameter(0.0, 'Longest wait for frames to fuse with, counted '
                                           'from the moment the oldest of them has passed its '
                                           'synchronisation group (without a group: has '
                                           'arrived). With a profile, a frame waits only for '
                                           'cameras that are expected in that time, and only as '
                                           'long as the deadline allows. 0 fuses only what is '
                                           'there already.', low=0.0, high=10000.0, live=True)
    profile: str = parameter('auto', PROFILE)


@dataclasses.dataclass(frozen=True)
class GovernorSettings:
    """The governor node."""

    PRESETS: ClassVar[Presets] = _PRESETS

    preset: str = parameter('none', PRESET + 'throughput: more frames in one run; the others '
                            "change only the executor's.", choices=('none', *_PRESETS))
    autostart: bool = parameter(True, AUTOSTART)
    cameras: Dict[str, CameraSettings] = named(CameraSettings, 'camera_names', 'Cameras.')
    groups: Dict[str, GroupSettings] = named(GroupSettings, 'group_names',
                                             'Synchronisation groups.')
    instances: Dict[str, InstanceSettings] = named(InstanceSettings, 'instance_names',
                                                   'Network instances.')
    model_directories: Tuple[str, ...] = parameter((), MODEL_DIRECTORIES)
    engine: str = parameter('auto', 'Inference engine of the executor, whose profiles are read. '
                            'auto: the newest profile of any engine.',
                            choices=('auto', *ENGINES, UNITS))
    transport: str = parameter('shared_memory', 'How pixels reach the executor: shared_memory on '
                               'one host, inline to another.',
                               choices=('shared_memory', 'inline'))
    ring_slots: int = parameter(8, 'Batches that may be under way at once, per instance; beyond '
                                'that only the newest frame of each camera waits. Each takes the '
                                "memory of max_batch frames as the network's input.",
                                low=1, high=64)
    slot_lease_ms: float = parameter(2000.0, 'After this time a batch that no executor finished '
                                     'counts as lost and its slot is used again.',
                                     low=10.0, high=60000.0, live=True)
    max_image_side: int = parameter(8192, 'Images wider or higher than this are refused.',
                                    low=1, high=65536, live=True)
    stats_period_s: float = parameter(1.0, STATS_PERIOD_S, low=0.05, high=60.0)

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        check_cameras(self.cameras)
        group_of: Dict[str, str] = {}
        for name, group in self.groups.items():
            _require_known(f'groups.{name}.cameras', group.cameras, self.cameras, 'camera_names')
            for camera in group.cameras:
                if camera in group_of:
                    raise ParameterError(f'groups.{name}.cameras', list(group.cameras),
                                         f"camera '{camera}' is in group '{group_of[camera]}' "
                                         'already; a camera belongs to one group at most')
                group_of[camera] = name
        for name, instance in self.instances.items():
            require_model(name, instance)
            _require_known(f'instances.{name}.cameras', instance.cameras, self.cameras,
                           'camera_names')
            for camera in instance.cameras or self.cameras:
                group = self.groups.get(group_of.get(camera, ''))
                if group and 0.0 < instance.deadline_ms <= group.max_wait_ms:
                    raise ParameterError(
                        f'groups.{group_of[camera]}.max_wait_ms', group.max_wait_ms,
                        f"instance '{name}' has a deadline of {instance.deadline_ms} ms; wait "
                        'for less than that')

    def cameras_of(self, instance):
        """Return the names of the cameras that the instance of this name watches."""
        return self.instances[instance].cameras or tuple(self.cameras)


def _require_known(parameter_name, used, known, known_name):
    for name in used:
        if name not in known:
            raise ParameterError(parameter_name, list(used),
                                 f"'{name}' is not in {known_name} "
                                 f"({', '.join(known) or 'which is empty'})")
