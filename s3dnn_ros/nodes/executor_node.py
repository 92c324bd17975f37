"""The executor: batches in, detections out."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
import sys
import threading

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.exceptions import InvalidTopicNameException

from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import ParameterError, RingError, StaleSlotError
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.msg import (
    Cameras,
    Capacity,
    CohortDecision,
    Detections,
    ExecutorStats,
    FrameBatch,
    InstanceState,
)
from s3dnn_ros.nodes.detection_2d_topics import Detection2DTopics
from s3dnn_ros.nodes.messages import (
    capacity_msg,
    detections_msg,
    diagnostic,
    executor_stats,
    frames_of,
    instance_state,
    member_state,
    s_of,
    time_msg,
)
from s3dnn_ros.nodes.model_service import ModelService
from s3dnn_ros.nodes.newest_publisher import NewestPublisher
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.overlay import Overlay
from s3dnn_ros.nodes.qos import batch_qos, qos
from s3dnn_ros.nodes.running import run
from s3dnn_ros.nodes.state_publisher import StatePublisher
from s3dnn_ros.platforms import board_here, find_meter, make_platform
from s3dnn_ros.runtime.cohort_client import BoardContext
from s3dnn_ros.runtime.executor import Executor
from s3dnn_ros.transport.frames import FrameBatch as Frames
from s3dnn_ros.transport.ring import SlotReader

try:
    from vision_msgs.msg import Detection2DArray
except ImportError:
    Detection2DArray = None

RESULT_DEPTH = 50
# Front ends come and go; so many of their segments stay attached.
MAX_READERS = 16
_NUMBERS = itertools.count(1)


class ExecutorNode(S3dnnNode):
    """Runs the batches of all front ends and publishes what the networks saw."""

    def __init__(self, **options):
        super().__init__('executor', **options)
        self.listening = False      # for a governor in the same process
        self._process = ''          # what the capacity tells: another one after every start
        self._capacity = None       # its publisher, and the thread that publishes
        self._capacity_publisher = None
        self._runtime = None
        self._overlay = None
        self._batches = []
        self._readers = {}
        self._outputs = {}
        self._outputs_lock = threading.Lock()
        self._arrays = None         # the topics of vision_msgs, where they are wanted
        self._stats = None
        self._last_busy = (0.0, 0.0)
        self._states = None         # of the cohort: publishers, a thread and subscriptions
        self._decisions = None
        self._state_publisher = None
        self._heard = []
        self._cameras_of = {}       # names by front end
        self._model_service = ModelService(self, lambda: self._runtime)

    def start(self, settings):
        """Load and warm every model, and create the publishers."""
        if settings.output.messages != 'native' and Detection2DArray is None:
            raise ParameterError('output', settings.output.messages, 'vision_msgs is not '
                                 'installed; install ros-$ROS_DISTRO-vision-msgs or use native')
        specs = {name: load_spec(instance.model, settings.model_directories)
                 for name, instance in settings.instances.items()}
        self._process = f'{self.get_fully_qualified_name()}/{os.getpid()}/{next(_NUMBERS)}'
        # front ends are found while the models are loaded: the first batches would be lost else
        for name in settings.instances:
            self._batches.append(self.create_subscription(
                FrameBatch, f'batches/{name}', self._on_batch, batch_qos(settings.transport)))
        self._capacity = self.create_publisher(Capacity, 'capacity', qos('latched', 1))
        engine, reason = make_engine(settings.engine.name, self.clock_s, settings.engine.threads,
                                     settings.multiprocessors, settings.engine.build_options,
                                     self.get_logger().info)
        self.get_logger().info(f'engine {engine.name} on {engine.device} ({reason})')
        self._overlay = Overlay(self, settings)
        board_context = self._board_context(settings, engine)
        self._capacity_publisher = NewestPublisher(self._tell, self.complain)
        try:
            self._runtime = Executor(settings, specs, engine, self.clock_s, self._publish,
                                     self.complain, self._give_up, board_context,
                                     self._capacity_publisher.say, self._process)
        except BaseException:
            board_context.close()
            raise
        if settings.cohort.enabled:
            self._join(settings)
        for note in self._runtime.notes:
            self.get_logger().info(note)
        if settings.output.messages != 'native':
            self._arrays = Detection2DTopics(
                lambda topic: self.create_publisher(Detection2DArray, topic,
                                                    qos('reliable', RESULT_DEPTH)),
                self.destroy_publisher, settings.instances)
        for camera in settings.cameras:
            self._outputs_of(camera)
        self._heard.append(self.create_subscription(Cameras, 'cameras', self._on_cameras,
                                                    qos('latched', 10)))
        self._stats = self.create_publisher(ExecutorStats, '~/stats', 10)
        self._last_busy = (self.clock_s.now_s(), 0.0)
        self.get_logger().info('ready: ' + ', '.join(
            f'{name} runs {spec.name}' for name, spec in specs.items()))

    def apply(self, settings):
        """Take over live parameters."""
        self._runtime.configure(settings)
        self._overlay.configure(settings)
        for camera in settings.cameras:
            self._outputs_of(camera)

    def activate(self):
        """Listen for batches."""
        self.listening = True
        self._runtime.tell_capacity()

    def deactivate(self):
        """Take no more batches."""
        if self.listening:
            self.listening = False
            self._runtime.tell_capacity()

    def stop(self):
        """Finish what runs, free the models and the publishers."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None
        for thread in filter(None, (self._state_publisher, self._capacity_publisher)):
            thread.close()
        self._state_publisher = self._capacity_publisher = None
        if self._overlay is not None:
            self._overlay.close()
            self._overlay = None
        for subscriptions in (self._batches, self._heard):
            while subscriptions:
                self.destroy_subscription(subscriptions.pop())
        for publisher in filter(None, (self._stats, self._states, self._decisions,
                                       self._capacity)):
            self.destroy_publisher(publisher)
        self._stats = self._states = self._decisions = self._capacity = None
        for publisher in filter(None, self._outputs.values()):
            self.destroy_publisher(publisher)
        self._outputs = {}
        if self._arrays is not None:
            self._arrays.close()
            self._arrays = None
        self._readers = {}

    def accept(self, batch: Frames):
        """Take a batch from a governor in this process."""
        for frame in batch.frames:
            self._outputs_of(frame.camera)
            if self._arrays is not None:
                self._arrays.watch(frame.camera, batch.instance)
        self._runtime.accept(batch)

    def counts(self):
        """Return the cameras' counters."""
        return self._runtime.counters.snapshot()

    def publish_stats(self, stamp, counts):
        """Publish them with the instances'."""
        instances, busy_s = self._runtime.snapshot()
        now_s = s_of(stamp)
        last_s, last_busy_s = self._last_busy
        share = (busy_s - last_busy_s) / max(now_s - last_s, 1e-6)
        self._last_busy = (now_s, busy_s)
        self._stats.publish(executor_stats(
            self.get_name(), stamp, self._runtime, self.settings.scheduling.scheduler, instances,
            share))

    def statuses(self):
        """Return for every instance whether its network takes requests."""
        return [
            diagnostic(f'{self.get_fully_qualified_name()}: {name}', self._runtime.engine.device,
                       DiagnosticStatus.ERROR if trouble else DiagnosticStatus.OK,
                       trouble or 'its network runs', {})
            for name, trouble in self._runtime.troubles().items()]

    def _board_context(self, settings, engine):
        """Return what the executor shares its board with; opens the publishers of the cohort."""
        if not settings.cohort.enabled:
            return BoardContext(meter=self._meter(settings, engine))
        self._states = self.create_publisher(InstanceState, 'cohort/states', qos('reliable', 100))
        self._decisions = self.create_publisher(CohortDecision, 'cohort/decision',
                                                qos('latched', 1))
        self._state_publisher = StatePublisher(self._say, self.complain)
        platform = self._platform(settings, engine)
        if platform:
            self.get_logger().info(f'platform {platform.name}: {len(platform.configurations)} '
                                   'configurations, which this node sets')
        board = board_here(engine.gpu)
        return BoardContext(board, self._process, platform, self._state_publisher.say,
                            functools.partial(self._applied, board),
                            self._meter(settings, engine))

    def _meter(self, settings, engine):
        return find_meter(engine.gpu, self.complain) if settings.board.power == 'auto' else None

    def _platform(self, settings, engine):
        """Return the board, if this node is to set it."""
        if settings.board.platform in ('none', 'follow'):
            return None
        if settings.board.platform == 'sm_partition':
            return make_platform('sm_partition', engine=engine)
        steps = dict.fromkeys(('cpu_steps', 'gpu_steps', 'emc_steps', 'core_steps'),
                              settings.board.steps or None)
        platform = make_platform(settings.board.platform, knobs=settings.board.knobs,
                                 report=self.complain, **steps)
        return None if platform.name == 'null' else platform

    def _tell(self, capacity):
        if not self.listening:
            capacity = dataclasses.replace(capacity, instances=())
        self._capacity.publish(capacity_msg(capacity, self.clock_s.now_s()))

    def _say(self, state):
        self._states.publish(instance_state(state, self.clock_s.now_s()))

    def _applied(self, board, configuration):
        self._decisions.publish(CohortDecision(
            stamp=time_msg(self.clock_s.now_s()), board=board, process=self._process,
            configuration=configuration.index, name=configuration.name))

    def _join(self, settings):
        """Listen to the other processes on the board."""
        client = self._runtime.cohort_client
        self._heard.append(self.create_subscription(
            InstanceState, 'cohort/states',
            lambda msg: client.cohort.hear(member_state(msg), self.clock_s.now_s()),
            qos('reliable', 100)))
        if settings.board.platform == 'follow':
            self._heard.append(self.create_subscription(
                CohortDecision, 'cohort/decision',
                lambda msg: client.configuration_set(msg.board, msg.configuration, msg.name),
                qos('latched', 1)))

    def _on_cameras(self, msg):
        """Have the cameras that a front end tells of, and of those that it told before no others.

        So results, overlay, diagnostics and parameters follow it, whichever of us starts last.
        """
        told = {camera.name: camera for camera in msg.cameras}
        before = self._cameras_of.get(msg.front_end, set())
        self._cameras_of[msg.front_end] = set(told)
        gone = before.difference(*self._cameras_of.values())
        values = {f'cameras.{camera.name}.{field}': getattr(camera, field)
                  for camera in told.values() for field in ('topic', 'transport', 'qos', 'depth')}
        values['camera_names'] = [name for name in dict.fromkeys([*self.settings.cameras, *told])
                                  if name not in gone]
        self.change(values)

    def _give_up(self, sentence):
        """End the process: only a new one can use the device again."""
        self.get_logger().fatal(f'{sentence}; this process ends, and a new one may go on')
        # at once: PyTorch aborts the process when it frees memory of a device that is lost
        os._exit(1)

    def _on_batch(self, msg):
        if not self.listening or msg.executor not in ('', self._process):
            return
        frames = frames_of(msg)
        pixels, release = np.zeros(0, np.uint8), _intact
        sentence = reason = ''
        try:
            pixels, release = self._pixels(msg)
        except StaleSlotError as error:
            reason, sentence = 'lease', str(error)
        except RingError as error:
            reason, sentence = 'memory', str(error)
        else:
            sentence = self._unanswerable(msg.front_end, frames)
            if sentence:
                reason = 'request'
                release()
        batch = Frames(msg.front_end, msg.sequence, msg.instance, msg.model, frames,
                       s_of(msg.sent), pixels, release, msg.epoch, msg.max_batch, msg.run_late)
        if reason:
            self._runtime.accept_refused(batch, reason, sentence)
        else:
            self.accept(batch)

    def _unanswerable(self, front_end, frames):
        """Return why results could not be published, or an empty string."""
        if not frames:
            return f"front end '{front_end}' sends a batch without frames"
        for frame in frames:
            try:
                self._outputs_of(frame.camera)
            except (InvalidTopicNameException, ValueError):
                return (f"front end '{front_end}' sends frames of a camera named "
                        f'{frame.camera!r}, which cannot be part of a topic name')
        return ''

    def _pixels(self, msg):
        shape = tuple(int(size) for size in msg.shape)
        if not msg.segment:
            pixels = np.frombuffer(msg.data, np.uint8)
            if not pixels.size or pixels.size != math.prod(shape):
                raise RingError(f'an inline batch of shape {shape} carries {pixels.size} bytes')
            return pixels.reshape(shape), _intact
        if msg.segment not in self._readers:
            while len(self._readers) >= MAX_READERS:
                del self._readers[next(iter(self._readers))]
            self._readers[msg.segment] = SlotReader(msg.segment)
        reader = self._readers[msg.segment]
        return (reader.view(msg.slot, msg.ticket, shape),
                functools.partial(reader.release, msg.slot, msg.ticket))

    def _outputs_of(self, camera):
        with self._outputs_lock:
            if camera not in self._outputs:
                self._outputs[camera] = self.create_publisher(
                    Detections, f'detections/{camera}', qos('reliable', RESULT_DEPTH)) \
                    if self.settings.output.messages != 'vision_msgs' else None
                if self._arrays is not None:
                    self._arrays.open(camera)
            return self._outputs[camera]

    def _publish(self, result):
        native = self._outputs_of(result.frame.camera)
        if self._arrays is not None:
            self._arrays.publish(result)
        published_s = self.clock_s.now_s()
        if native is not None:
            native.publish(detections_msg(result, published_s))
        self._overlay.show(result)
        return published_s


def _intact():
    return True


def main():
    """Run the executor alone."""
    return sys.exit(run(lambda *_: ExecutorNode()))
