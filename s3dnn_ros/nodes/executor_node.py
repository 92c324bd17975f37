"""The executor: batches in, detections out."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import threading

from diagnostic_msgs.msg import DiagnosticStatus

from s3dnn_ros import capacity
from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import StrategyError
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.msg import Capacity, ExecutorStats
from s3dnn_ros.nodes.batch_source import BatchSource
from s3dnn_ros.nodes.camera_follower import CameraFollower
from s3dnn_ros.nodes.cohort_topics import CohortTopics
from s3dnn_ros.nodes.log_handler import NodeLogHandler
from s3dnn_ros.nodes.messages import capacity_msg, diagnostic, executor_stats, s_of
from s3dnn_ros.nodes.model_change import ModelChange
from s3dnn_ros.nodes.model_service import ModelService
from s3dnn_ros.nodes.newest_publisher import NewestPublisher
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.overlay import Overlay
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.nodes.recording_service import RecordingService
from s3dnn_ros.nodes.result_topics import ResultTopics, check_messages
from s3dnn_ros.nodes.running import run
from s3dnn_ros.nodes.strategy_parameter import StrategyParameter
from s3dnn_ros.platforms import board_here, find_meter, make_platform
from s3dnn_ros.runtime.cohort_client import BoardContext
from s3dnn_ros.runtime.executor import Executor
from s3dnn_ros.strategy.use import expect_device
from s3dnn_ros.transport.frames import FrameBatch as Frames
from s3dnn_ros.transport.slots import zeros
from s3dnn_ros.units.engine import UnitsEngine
from s3dnn_ros.units.open import open_units

_NUMBERS = itertools.count(1)
# those that work for this node alone
ROOMS = tuple(f's3dnn_ros.{room}'
              for room in ('cohort', 'engines', 'platforms', 'runtime', 'units'))


class ExecutorNode(S3dnnNode):
    """Runs the batches of all front ends and publishes what the networks saw."""

    def __init__(self, **options):
        super().__init__('executor', **options)
        # for a governor in the same process: whether we take batches, what we can take and since
        # when, and what is called when that has changed, in any thread
        self.listening = False
        self.told = None
        self.on_capacity = ignore
        self._telling = threading.Lock()    # nothing follows the word that we take nothing
        self._process = ''          # what the capacity tells: another one after every start
        self._runtime = None
        self._source = None         # of batches
        self._results = None
        self._overlay = None
        self._cohort_topics = None
        self._capacity = None       # its publisher, and the thread that publishes
        self._capacity_publisher = None
        self._front_ends = CameraFollower(
            self, ('topic', 'transport', 'qos', 'depth', 'value_range'))
        self._stats = None
        self._last_busy = (0.0, 0.0)
        self._log_handler = NodeLogHandler(self, ROOMS)
        self._model_change = ModelChange(self, lambda: self._runtime)
        self._model_service = ModelService(self, self._model_change)
        self._strategy = StrategyParameter(self, self._model_change)
        self._recording_service = RecordingService(self, lambda: self._runtime)

    def start(self, settings):
        """Load and warm every model, and create the publishers."""
        self._log_handler.attach()
        check_messages(settings.output.messages)
        plan = self._strategy.configure(settings)
        settings = self.settings
        specs = self._specs(settings)
        self._process = f'{self.get_fully_qualified_name()}/{os.getpid()}/{next(_NUMBERS)}'
        # front ends are found while the models are loaded: the first batches would be lost else
        self._source = BatchSource(
            self, settings.instances, settings.transport, self._is_ours,
            lambda *batch: self._results.objection(*batch), self.accept,
            lambda *refusal: self._runtime.accept_refused(*refusal))
        self._capacity = self.create_publisher(Capacity, 'capacity', qos('latched', 1))
        engine, reason = self._engine(settings)
        self.get_logger().info(f'engine {engine.name} on {engine.device} ({reason})')
        try:
            if plan is not None:
                expect_device(plan, settings.strategy, engine.device)
        except StrategyError:
            engine.close()
            raise
        self._overlay = Overlay(self, settings)
        self._results = ResultTopics(self, settings.output.messages, settings.instances)
        board_context = self._board_context(settings, engine)
        self._capacity_publisher = NewestPublisher(self._tell, self.complain)
        try:
            self._runtime = Executor(settings, specs, engine, self.clock_s, self._publish,
                                     self._give_up, board_context,
                                     self._say, self._process)
        except BaseException:
            board_context.close()
            raise
        if self._cohort_topics is not None:
            self._cohort_topics.join(self._runtime.cohort_client,
                                     settings.board.platform == 'follow')
        for note in self._runtime.notes:
            self.get_logger().info(note)
        for camera in settings.cameras:
            self._results.open(camera)
        self._front_ends.open()
        self._stats = self.create_publisher(ExecutorStats, '~/stats', 10)
        self._last_busy = (self.clock_s.now_s(), 0.0)
        self.get_logger().info('ready: ' + ', '.join(
            f'{name} runs {spec.name}' for name, spec in specs.items()))

    def apply(self, settings):
        """Take over live parameters."""
        self._strategy.follow(settings, self._runtime.engine.device)
        self._runtime.configure(settings)
        self._overlay.configure(settings)
        for camera in settings.cameras:
            self._results.open(camera)

    def activate(self):
        """Listen for batches."""
        self.listening = True
        self._runtime.tell_capacity()

    def deactivate(self):
        """Take no more batches."""
        if self.listening:
            with self._telling:
                self.listening = False
            # at once: before the core gets to it, a successor may be there
            self._tell((capacity.Capacity(self._process, False, False, ()),
                        self.clock_s.now_s()))

    def stop(self):
        """Finish what runs, free the models and the publishers."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None
        for part in filter(None, (self._capacity_publisher, self._cohort_topics, self._overlay,
                                  self._source, self._results)):
            part.close()
        self._capacity_publisher = self._cohort_topics = self._overlay = None
        self._source = self._results = None
        self._front_ends.close()
        for publisher in filter(None, (self._stats, self._capacity)):
            self.destroy_publisher(publisher)
        self._stats = self._capacity = None
        self._log_handler.detach()

    def frame_memory(self, size):
        """Return so many bytes for pixels, where the device reads them if it is known yet."""
        return zeros(size) if self._runtime is None else self._runtime.engine.frame_memory(size)

    def accept(self, batch: Frames):
        """Take a batch from a governor in this process."""
        for frame in batch.frames:
            self._results.watch(frame.camera, batch.instance)
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

    def _engine(self, settings):
        """Return the engine, and why it is this one."""
        wanted = settings.engine
        if wanted.units:
            tables = {name: instance.table for name, instance in settings.instances.items()
                      if instance.table}
            return UnitsEngine(open_units(wanted.units, self.clock_s, wanted.build_options()),
                               self.clock_s, tables), 'as wanted'
        return make_engine(wanted.name, self.clock_s, wanted.threads, settings.multiprocessors,
                           wanted.build_options(), wanted.gates)

    @staticmethod
    def _specs(settings):
        return {name: load_spec(instance.model, settings.model_directories)
                for name, instance in settings.instances.items()}

    def _board_context(self, settings, engine):
        """Return what the executor shares its board with; opens the publishers of the cohort."""
        if not settings.cohort.enabled:
            return BoardContext(meter=self._meter(settings, engine))
        topics = self._cohort_topics = CohortTopics(self, board_here(engine.gpu), self._process)
        platform = self._platform(settings, engine)
        if platform:
            self.get_logger().info(f'platform {platform.name}: {len(platform.configurations)} '
                                   'configurations, which this node sets')
        return BoardContext(topics.board, self._process, platform, topics.say, topics.applied,
                            self._meter(settings, engine))

    def _meter(self, settings, engine):
        return find_meter(engine.gpu) if settings.board.power == 'auto' else None

    def _platform(self, settings, engine):
        """Return the board, if this node is to set it."""
        if settings.board.platform in ('none', 'follow'):
            return None
        if settings.board.platform == 'sm_partition':
            return make_platform('sm_partition', engine=engine)
        steps = dict.fromkeys(('cpu_steps', 'gpu_steps', 'emc_steps', 'core_steps'),
                              settings.board.steps or None)
        platform = make_platform(settings.board.platform, knobs=settings.board.knobs, **steps)
        return None if platform.name == 'null' else platform

    def _say(self, told):
        self._capacity_publisher.say((told, self.clock_s.now_s()))

    def _tell(self, said):
        told, told_s = said
        with self._telling:
            if not self.listening:
                told = dataclasses.replace(told, instances=())
            self.told = told, told_s
            self.on_capacity()
            self._capacity.publish(capacity_msg(told, told_s))

    def _give_up(self, sentence):
        """End the process: only a new one can use the device again."""
        self.get_logger().fatal(f'{sentence}; this process ends, and a new one may go on')
        # at once: PyTorch aborts the process when it frees memory of a device that is lost
        os._exit(1)

    def _is_ours(self, msg):
        return self.listening and msg.executor in ('', self._process)

    def _publish(self, result):
        published_s = self._results.publish(result)
        self._overlay.show(result)
        return published_s


def main():
    """Run the executor alone."""
    return sys.exit(run(lambda *_: ExecutorNode()))
