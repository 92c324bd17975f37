"""The executor's parameters: those of an instance, and one section for each room."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings.board import BoardSettings
from s3dnn_ros.settings.cameras import CameraSettings, check_cameras
from s3dnn_ros.settings.cohort import CohortSettings
from s3dnn_ros.settings.common import (
    AUTOSTART,
    MODEL_DIRECTORIES,
    PRESET,
    PROFILE,
    STATS_PERIOD_S,
    require_model,
)
from s3dnn_ros.settings.engine import EngineSettings
from s3dnn_ros.settings.output import OutputSettings
from s3dnn_ros.settings.parameters import Presets, named, parameter, section
from s3dnn_ros.settings.recording import RecordingSettings
from s3dnn_ros.settings.scheduling import SchedulingSettings

# those that submit segment by segment
COHORT_SCHEDULERS = ('supervised', 'packing', 'edf')
_PRESETS: Presets = {
    'latency': {'fusion': False},
    'throughput': {'capacity': 3.0, 'cpu_workers': 2},
    'energy': {'cohort': True, 'cohort_mode': 'min_energy', 'platform': 'auto'},
    'accuracy': {'cohort': True, 'cohort_mode': 'max_accuracy', 'platform': 'auto'},
}


@dataclasses.dataclass(frozen=True)
class ExecutorInstanceSettings:
    """One network instance as the executor runs it."""

    model: str = parameter('', 'Model name (config/models/NAME.yaml) or path of a YAML file.')
    score_threshold: float = parameter(0.4, 'Detections below this score are not published.',
                                       low=0.0, high=1.0, live=True)
    iou_threshold: float = parameter(0.5, 'Of two boxes of one class that overlap more than this, '
                                     'the better is kept.', low=0.0, high=1.0, live=True)
    max_detections: int = parameter(100, 'Most detections per frame.', low=1, high=10000,
                                    live=True)
    priority: int = parameter(0, 'Scheduling priority; larger is more important.',
                              low=-100, high=100, live=True)
    profile: str = parameter('auto', PROFILE)
    table: str = parameter('', 'Engine units: file of `s3dnn table measure`, which says what each '
                           'unit takes. Empty: this is measured in a few runs when the network '
                           'is loaded.')
    tracker: str = parameter('none', 'Follows objects from frame to frame, and gives each a '
                             'number, for each camera by itself (needs `pip install '
                             '"trackforge>=0.4,<0.5"`).', choices=('none', 'sort'))
    tracker_kept_frames: int = parameter(30, 'For so many frames an object that is not seen is '
                                         'remembered, and gets its number again.',
                                         low=1, high=10000)


@dataclasses.dataclass(frozen=True)
class ExecutorSettings:
    """The executor node."""

    PRESETS: ClassVar[Presets] = _PRESETS

    preset: str = parameter('none', PRESET + 'latency: no frame waits for others to run with; '
                            'throughput: more side by side; energy, accuracy: a cohort that sets '
                            'a Jetson, and gives up the other first.',
                            choices=('none', *_PRESETS))
    autostart: bool = parameter(True, AUTOSTART)
    instances: Dict[str, ExecutorInstanceSettings] = named(ExecutorInstanceSettings,
                                                           'instance_names', 'Network instances.')
    model_directories: Tuple[str, ...] = parameter((), MODEL_DIRECTORIES)
    strategy: str = parameter('', 'Strategy file of `s3dnn plan`: sets priority and model of '
                              'every instance, which must have the names of the tasks. While '
                              'the node is active, other models are loaded first; if one cannot '
                              'be loaded, everything stays. Empty: all stay as they are.',
                              live=True)
    engine: EngineSettings = section(EngineSettings, 'engine_')
    warmup_runs: int = parameter(1, 'Runs of each network before the node is ready.',
                                 low=0, high=100)
    scheduling: SchedulingSettings = section(SchedulingSettings)
    transport: str = parameter('shared_memory', "As the governor's. inline: subscriptions of "
                               'batches are reliable, since what comes from another host may get '
                               'lost. On one host, to send again what is late anyway would only '
                               'hold up what comes behind it.',
                               choices=('shared_memory', 'inline'))
    cpu_workers: int = parameter(1, 'Threads for the work before and behind the network: copies '
                                 'to the device, decoding and publication.', low=1, high=64)
    cohort: CohortSettings = section(CohortSettings, 'cohort_')
    board: BoardSettings = section(BoardSettings)
    output: OutputSettings = section(OutputSettings)
    recording: RecordingSettings = section(RecordingSettings, 'recording_')
    stats_period_s: float = parameter(1.0, STATS_PERIOD_S, low=0.05, high=60.0)
    cameras: Dict[str, CameraSettings] = named(CameraSettings, 'camera_names',
                                               'Cameras; read for the overlay alone.')

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        check_cameras(self.cameras)
        for name, instance in self.instances.items():
            require_model(name, instance)
        if self.cohort.enabled and self.scheduling.scheduler not in COHORT_SCHEDULERS:
            raise ParameterError('scheduler', self.scheduling.scheduler, 'a cohort decides '
                                 'between segments, so it takes one of '
                                 + ', '.join(COHORT_SCHEDULERS))
        if self.board.is_set and not self.cohort.enabled:
            raise ParameterError('platform', self.board.platform, 'only a cohort sets the board: '
                                 'set cohort to true, or platform to none')
        if self.board.is_set and self.cohort.horizon == 'slack':
            raise ParameterError('cohort_horizon', self.cohort.horizon, 'by its slack nobody sees '
                                 'what others take of the board, and it would be set too slow: '
                                 'take deadline, or set platform to none')
        if self.engine.units and (self.cohort.enabled or self.board.is_set):
            raise ParameterError('engine', self.engine.name, 'a cohort decides between segments, '
                                 'which a batch on several units does not have: take another '
                                 'engine, or set cohort to false and platform to none')
        self.board.check()
        self.engine.check()

    @property
    def multiprocessors(self):
        """Return what the engine is made with: multiprocessors, or several numbers of them."""
        if self.board.platform != 'sm_partition':
            return self.engine.sms
        return [int(count) for count in self.board.partitions]
