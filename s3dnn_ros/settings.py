"""Every parameter of every node, once: type, default, range and description."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import Any, Dict, Mapping, Tuple

from s3dnn_ros.cohort import HORIZONS, MODES
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.parameters import declarations, name_lists, named, parameter
from s3dnn_ros.platforms.jetson import KNOBS
from s3dnn_ros.scheduling import POLICIES
from s3dnn_ros.scheduling.supervised import ORDERS, SHARES

QOS_NAMES = ('sensor_data', 'reliable', 'best_effort', 'system_default')
# in the order `auto` tries them; tensorrt comes first once it has run on a GPU
# the first that works is taken
ENGINES = ('tensorrt', 'torch', 'onnxruntime')
# of the engine tensorrt
PRECISIONS = ('fp16', 'fp32', 'int8')
# what a coarser variant of a segment is worth: as measured, or NeuOS's points
SCORES = ('fidelity', 'points')
# those that submit segment by segment
COHORT_SCHEDULERS = ('supervised', 'edf')
_TOPIC = re.compile(r'(~/|/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z')
# declared by rclpy itself
_FOREIGN = ('use_sim_time', 'start_type_description_service')
_PROFILE = ('Measured times of the model, by which its frames are fused and scheduled. auto: the '
            'one in the cache that fits model and engine, if there is one; empty: none; else the '
            'path of a file that `s3dnn profile` wrote.')


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

    def topic_of(self, camera):
        """Return the topic to subscribe to for the camera of this name."""
        if self.topic:
            return self.topic
        suffix = '/compressed' if self.transport == 'compressed' else ''
        return f'{camera}/image_raw{suffix}'


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
    profile: str = parameter('auto', _PROFILE)


@dataclasses.dataclass(frozen=True)
class GovernorSettings:
    """The governor node."""

    autostart: bool = parameter(True, 'Configure and activate without waiting for a lifecycle '
                                'manager.')
    cameras: Dict[str, CameraSettings] = named(CameraSettings, 'camera_names', 'Cameras.')
    groups: Dict[str, GroupSettings] = named(GroupSettings, 'group_names',
                                             'Synchronisation groups.')
    instances: Dict[str, InstanceSettings] = named(InstanceSettings, 'instance_names',
                                                   'Network instances.')
    model_directories: Tuple[str, ...] = parameter((), 'Directories searched for model '
                                                   "descriptions before the package's own.")
    engine: str = parameter('auto', 'Inference engine of the executor, whose profiles are read. '
                            'auto: the newest profile of any engine.',
                            choices=('auto', *ENGINES))
    transport: str = parameter('shared_memory', 'How pixels reach the executor: shared_memory on '
                               'one host, inline to another.',
                               choices=('shared_memory', 'inline'))
    ring_slots: int = parameter(8, 'Batches that may be under way at once, per instance; beyond '
                                'that only the newest frame of each camera waits.',
                                low=1, high=64)
    slot_lease_ms: float = parameter(2000.0, 'After this time a batch that no executor finished '
                                     'counts as lost and its slot is used again.',
                                     low=10.0, high=60000.0, live=True)
    max_image_side: int = parameter(8192, 'Images wider or higher than this are refused.',
                                    low=1, high=65536, live=True)
    stats_period_s: float = parameter(1.0, 'Period of the counters on ~/stats and /diagnostics.',
                                      low=0.05, high=60.0)

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        for name, camera in self.cameras.items():
            if camera.topic and not _TOPIC.match(camera.topic):
                raise ParameterError(f'cameras.{name}.topic', camera.topic,
                                     'expected a topic name: words of letters, digits and '
                                     'underscores, no digit first, with / between them')
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
            _require_model(name, instance)
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
    profile: str = parameter('auto', _PROFILE)


@dataclasses.dataclass(frozen=True)
class ExecutorSettings:
    """The executor node."""

    autostart: bool = parameter(True, 'Configure and activate without waiting for a lifecycle '
                                'manager.')
    instances: Dict[str, ExecutorInstanceSettings] = named(ExecutorInstanceSettings,
                                                           'instance_names', 'Network instances.')
    model_directories: Tuple[str, ...] = parameter((), 'Directories searched for model '
                                                   "descriptions before the package's own.")
    engine: str = parameter('auto', 'Inference engine. auto: the first that works here.',
                            choices=('auto', *ENGINES))
    engine_precision: str = parameter('fp16', 'tensorrt, torch: in what networks are computed. '
                                      'int8, for tensorrt alone, takes `s3dnn build MODEL '
                                      '--precision int8` beforehand, which calibrates on images.',
                                      choices=PRECISIONS)
    engine_dla: int = parameter(-1, 'tensorrt: the core of the deep learning accelerator (DLA) of '
                                'a Xavier or Orin to run on, with the GPU for layers that it does '
                                'not take. -1: the GPU alone.', low=-1, high=3)
    engine_workspace_mb: int = parameter(0, 'tensorrt: most scratch memory of a segment. 0: what '
                                         'TensorRT thinks best; 1024 before 8.4.',
                                         low=0, high=65536)
    engine_optimum: int = parameter(0, 'tensorrt: the batch for which kernels are chosen; others '
                                    'run, too. 0: the largest.', low=0, high=64)
    engine_optimization_level: int = parameter(
        -1, 'tensorrt, 8.6 and later: how much it tries to make a network quick, from 0, which '
        'takes what it finds first, to 5; the higher, the longer a build takes. -1: its own, 3.',
        low=-1, high=5)
    engine_build_limit_s: float = parameter(1800.0, 'tensorrt: a segment that takes longer to '
                                            'build runs on the CPU.', low=1.0, high=86400.0)
    engine_graphs: bool = parameter(True, 'tensorrt: run segments as CUDA graphs, which start '
                                    'quicker and take more memory.')
    engine_sms: int = parameter(0, 'tensorrt, torch: streaming multiprocessors of a discrete GPU '
                                'to take for itself, rounded up to what the GPU can split off. 0: '
                                'all of them.', low=0, high=1024)
    engine_threads: int = parameter(0, 'CPU threads of one network run. 0: one per core.',
                                    low=0, high=256)
    warmup_runs: int = parameter(1, 'Runs of each network before the node is ready.',
                                 low=0, high=100)
    scheduler: str = parameter('supervised', 'Scheduling policy. supervised: the most urgent '
                               'first, small segments side by side (S3DNN); edf: earliest '
                               'deadline first; fifo: in order of arrival; streams: everything at '
                               'once, as CUDA does by itself.', choices=tuple(POLICIES))
    capacity: float = parameter(1.0, 'supervised: how much of the device may be taken at once. 1 '
                                'suits embedded GPUs; large ones, which a network alone leaves '
                                'idle between its kernels, carry more by tb_ratio: 3 on an H200.',
                                low=0.1, high=16.0)
    share: str = parameter('tb_ratio', 'supervised: what a run takes of it, by its profile. '
                           'tb_ratio: its thread blocks over those the device holds (S3DNN), '
                           'or as measured where the engine, as tensorrt, does not tell them; '
                           'utilization: as measured with others beside it.', choices=SHARES)
    order: str = parameter('deadline', 'supervised: what goes first, the least slack (S3DNN) or '
                           'the earliest deadline, with which jobs of like slack do not take '
                           'turns.', choices=ORDERS)
    overlap: bool = parameter(True, 'supervised: run more than that side by side where all of '
                              'it has the slack, however the GPU shares itself out.')
    fusion: bool = parameter(True, 'Run requests for one model as one batch, of whichever '
                             'instance or front end they are, as long as the earliest deadline '
                             'holds by the profile; without a profile each runs alone.',
                             live=True)
    max_batch: int = parameter(8, 'Most images of one model that run together; a larger batch of '
                               'a governor (instances.NAME.max_batch there) is refused.',
                               low=1, high=64)
    transport: str = parameter('shared_memory', "As the governor's. inline: subscriptions of "
                               'batches are reliable, since what comes from another host may get '
                               'lost. On one host, to send again what is late anyway would only '
                               'hold up what comes behind it.',
                               choices=('shared_memory', 'inline'))
    max_queue: int = parameter(32, 'Batches that may wait in the executor; the oldest one beyond '
                               'that is dropped.', low=1, high=1000, live=True)
    late_policy: str = parameter('drop', 'What happens to a batch that can no longer meet its '
                                 'deadline because it waited: drop it for a newer one, or run '
                                 'it late, after those that can be in time. Governors follow it, '
                                 'too. A camera whose frames are always too late when they '
                                 'come has its turns all the same.',
                                 choices=('run', 'drop'), live=True)
    cpu_workers: int = parameter(1, 'Threads for the work before and behind the network: copies '
                                 'to the device, decoding and publication.', low=1, high=64)
    cohort: bool = parameter(False, 'Coordinate with all instances on this board at every segment '
                             'boundary (NeuOS): each tells how far it is ahead of its schedule '
                             'on cohort/states. Takes profiles, and the scheduler supervised or '
                             'edf.')
    cohort_mode: str = parameter('balanced', 'What the cohort gives up when it is behind: '
                                 'max_accuracy: energy; min_energy: accuracy; balanced: some of '
                                 'both.', choices=tuple(MODES), live=True)
    cohort_horizon: str = parameter('deadline', 'In what time an instance makes up for what it is '
                                    'behind of a plan that fills its deadline: the whole deadline '
                                    '(NeuOS), what is remaining of it, or the next segment. '
                                    'slack: it is behind only if it would be late, run on as '
                                    'profiled; with platform none.', choices=HORIZONS, live=True)
    cohort_threshold: float = parameter(-1.0, 'balanced: up to so much behind, on average, the '
                                        'middle of the cohort chooses, beyond it those that are '
                                        'most behind. Below 0: the spread of the cohort.',
                                        low=-1.0, high=100.0, live=True)
    cohort_margin: float = parameter(0.1, 'Share of every deadline that the cohort keeps free: '
                                     'who would not be in time if what usually comes came, '
                                     'asks for more speed than by its plan alone. Late jobs add '
                                     'to it for a while. Below 0: the plan alone (NeuOS).',
                                     low=-1.0, high=0.9, live=True)
    cohort_score: str = parameter('fidelity', 'What a low-rank variant of a segment counts: its '
                                  'measured fidelity to the exact network, or one point less '
                                  'for each low-rank layer (NeuOS). `s3dnn models lowrank` makes '
                                  'variants; without, all runs exact.', choices=SCORES)
    cohort_lease_ms: float = parameter(1000.0, 'An instance that is silent for longer is no '
                                       'member any more.', low=10.0, high=60000.0)
    platform: str = parameter('none', 'Who sets the configuration of the board for the cohort. '
                              'none: nobody; follow: another process; jetson: this node, clocks '
                              'and cores; sm_partition: this node, multiprocessors of a discrete '
                              'GPU; auto: jetson where there is one, else none. Profiles have to '
                              'hold its configurations.',
                              choices=('none', 'follow', 'auto', 'jetson', 'sm_partition'))
    platform_knobs: Tuple[str, ...] = parameter(('gpu', 'emc'), 'jetson: what is set, of gpu, '
                                                'emc, cpu and cores; as profiled.')
    platform_steps: int = parameter(0, 'jetson: so many values of each knob; 0: all; as '
                                    'profiled.', low=0, high=100)
    platform_partitions: Tuple[str, ...] = parameter((), 'sm_partition: how many multiprocessors, '
                                                     'ascending; 0, as the last, for all; as '
                                                     'profiled.')
    power: str = parameter('auto', 'What tells power and energy in ~/stats. auto: the sensors of '
                           'a Jetson, or the energy counter of the NVIDIA GPU that the engine '
                           'runs on (with nvidia-ml-py), if there are; none: nothing.',
                           choices=('auto', 'none'))
    output: str = parameter('native', 'Result messages: s3dnn_ros/Detections (native), '
                            'vision_msgs/Detection2DArray (vision_msgs), or both.',
                            choices=('native', 'vision_msgs', 'both'))
    overlay: bool = parameter(True, 'Offer an image with boxes on overlay/<camera>; it is drawn '
                              'only while somebody subscribes.', live=True)
    overlay_max_rate_hz: float = parameter(10.0, 'Most overlay images per second and camera.',
                                           low=0.1, high=120.0, live=True)
    stats_period_s: float = parameter(1.0, 'Period of the counters on ~/stats and /diagnostics.',
                                      low=0.05, high=60.0)
    cameras: Dict[str, CameraSettings] = named(CameraSettings, 'camera_names',
                                               'Cameras; read for the overlay alone.')

    def check(self):
        """Refuse combinations that cannot work; raises ParameterError."""
        for name, instance in self.instances.items():
            _require_model(name, instance)
        if self.cohort and self.scheduler not in COHORT_SCHEDULERS:
            raise ParameterError('scheduler', self.scheduler, 'a cohort decides between segments, '
                                 'so it takes one of ' + ', '.join(COHORT_SCHEDULERS))
        if self.platform != 'none' and not self.cohort:
            raise ParameterError('platform', self.platform, 'only a cohort sets the board: set '
                                 'cohort to true, or platform to none')
        if self.platform != 'none' and self.cohort_horizon == 'slack':
            raise ParameterError('cohort_horizon', self.cohort_horizon, 'by its slack nobody sees '
                                 'what others take of the board, and it would be set too slow: '
                                 'take deadline, or set platform to none')
        if self.platform == 'sm_partition' and not self.platform_partitions:
            raise ParameterError('platform_partitions', [], "name some, for example ['8', '16', "
                                 "'0']")
        for knob in self.platform_knobs:
            if knob not in KNOBS:
                raise ParameterError('platform_knobs', list(self.platform_knobs),
                                     'expected some of ' + ', '.join(KNOBS))
        for count in self.platform_partitions:
            if not count.isdigit():
                raise ParameterError('platform_partitions', list(self.platform_partitions),
                                     'expected whole numbers')

    @property
    def partitions(self):
        """Return what the engine is made with: multiprocessors, or several numbers of them."""
        if self.platform != 'sm_partition':
            return self.engine_sms
        return [int(count) for count in self.platform_partitions]


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

    autostart: bool = parameter(True, 'Configure and activate without waiting for a lifecycle '
                                'manager.')
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


@dataclasses.dataclass(frozen=True)
class MonitorSettings:
    """The monitor node: a live table, and a report at the end."""

    autostart: bool = parameter(True, 'Configure and activate without waiting for a lifecycle '
                                'manager.')
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


NODES = {
    'governor': GovernorSettings,
    'executor': ExecutorSettings,
    'replay': ReplaySettings,
    'monitor': MonitorSettings,
}


def unknown_names(values: Mapping[str, Any]) -> Dict[str, str]:
    """Return the given names that no node of this package knows, each with the nearest one."""
    known = set(_FOREIGN)
    others = instances_of_others(values)
    for kind in NODES.values():
        lists = list(name_lists(kind))
        known.update(item.name for item in lists)
        # a list of another type is for read() to refuse
        given = {item.name: values[item.name] for item in lists
                 if isinstance(values.get(item.name), (list, tuple))}
        if 'instance_names' in given:
            given['instance_names'] = [*given['instance_names'], *others]
        known.update(item.name for item in declarations(kind, given))
    return {
        name: next(iter(difflib.get_close_matches(name, sorted(known), 1, 0.0)), '')
        for name in values
        if name not in known and not name.startswith('qos_overrides.')
    }


def kinds_with(name: str) -> Tuple[str, ...]:
    """Return the nodes that have such a parameter, whatever names their lists hold."""
    used = name.split('.')[1:2]
    return tuple(node for node, kind in NODES.items()
                 if name in _names_of(kind, dict.fromkeys(_lists_of(kind), used)))


def nearest_name(name: str, values: Mapping[str, Any]) -> str:
    """Return the most similar name of a parameter; `values` hold the lists of names."""
    known = {*_FOREIGN, *values}
    for kind in NODES.values():
        known |= _names_of(kind, {item: values.get(item, ()) for item in _lists_of(kind)})
    return difflib.get_close_matches(name, sorted(known), 1, 0.0)[0]


def instances_of_others(values: Mapping[str, Any]) -> Tuple[str, ...]:
    """Return instances that have parameters and are not in `instance_names`, where that is given.

    In a file for several executors they are those of the others; else somebody misspelt one.
    """
    own = values.get('instance_names')
    if not isinstance(own, (list, tuple)):
        return ()
    found = {name.split('.')[1] for name in values if name.startswith('instances.')}
    return tuple(sorted(found - set(own)))


def _lists_of(kind):
    return {item.name for item in name_lists(kind)}


def _names_of(kind, lists):
    return _lists_of(kind) | {item.name for item in declarations(kind, lists)}


def _require_known(parameter_name, used, known, known_name):
    for name in used:
        if name not in known:
            raise ParameterError(parameter_name, list(used),
                                 f"'{name}' is not in {known_name} "
                                 f"({', '.join(known) or 'which is empty'})")


def _require_model(name, instance):
    if not instance.model:
        raise ParameterError(f'instances.{name}.model', '',
                             'name a model; `s3dnn models list` shows those there are')
