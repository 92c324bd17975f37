"""From batches to detections: the core with an engine below and decoding behind it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
import math
from typing import Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.capacity import Capacity
from s3dnn_ros.counters import Counters
from s3dnn_ros.errors import PlatformError, RequestError, shown
from s3dnn_ros.profiling.find import cached_tables
from s3dnn_ros.runtime.admission import Admission
from s3dnn_ros.runtime.answers import Answers, FrameResult, InstanceCount
from s3dnn_ros.runtime.cohort_client import BoardContext, CohortClient
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.driver import Driver
from s3dnn_ros.runtime.energy import EnergyAccount, EnergyUse
from s3dnn_ros.runtime.events import (
    Arrival,
    ConfigurationChanged,
    LoadWanted,
    Parameters,
    ParametersChanged,
    ThresholdChanged,
)
from s3dnn_ros.runtime.hold_switch import HoldSwitch
from s3dnn_ros.runtime.instance_loader import InstanceLoader
from s3dnn_ros.runtime.job import Request
from s3dnn_ros.runtime.recorder import Recorder, Stage
from s3dnn_ros.runtime.recording import Recording, Run
from s3dnn_ros.runtime.reloader import Reloader
from s3dnn_ros.runtime.subtasks import BEFORE, SubTask, SubTaskPool
from s3dnn_ros.runtime.tracks import Tracks
from s3dnn_ros.scheduling import make_scheduler
from s3dnn_ros.transport.frames import FrameBatch

_LOG = logging.getLogger(__name__)
ALONE = BoardContext()


def _tracks(settings) -> Dict[str, Tracks]:
    """Return what follows the objects of the instances that want it; raises ParameterError."""
    return {name: Tracks(f'instances.{name}.tracker', instance.tracker_kept_frames)
            for name, instance in settings.instances.items() if instance.tracker == 'sort'}


def _scheduler(settings, engine, is_cohort):
    if settings.scheduler != 'supervised':
        return make_scheduler(settings.scheduler)
    # a cohort chooses at every boundary, and slack changes with every segment
    if engine.gated and settings.overlap and settings.order == 'deadline' and not is_cohort:
        return make_scheduler('gated', capacity=settings.capacity, share=settings.share,
                              lead_s=engine.lead_s)
    options = {'capacity': settings.capacity, 'share': settings.share, 'order': settings.order}
    # one after another, an engine would lose the order
    if settings.overlap and engine.parallel:
        return make_scheduler('overlapping', levels=engine.levels, **options)
    # the core hands a successor over with the completion, or never
    return make_scheduler('supervised', successor_wait_s=0.0, **options)


class Executor:
    """Runs batches of all instances; knows no ROS.

    Parameters
    ----------
    settings : ExecutorSettings
    specs : mapping of instance name to ModelSpec
    engine : Engine
    clock : Clock
    publish : callable
        Called in a worker thread with a FrameResult; returns when it was
        published, in seconds.
    lost : callable
        Called with a sentence, by any thread, when the engine can run nothing any more in this
        process.
    board_context : BoardContext
        What it shares its board with, and what tells the board's energy.
    tell : callable
        Called in the core's thread with a Capacity; returns at once.
    process : str
        Names this executor to its front ends, and another one after a restart.

    Attributes
    ----------
    cohort_client : CohortClient or None
        With the cohort, if settings want it.
    recorder : Recorder
        What became of every request, stage by stage.

    """

    def __init__(self, settings, specs: Mapping[str, object], engine, clock,
                 publish: Callable[[FrameResult], float],
                 lost: Optional[Callable[[str], None]] = None,
                 board_context: BoardContext = ALONE,
                 tell: Callable[[Capacity], None] = ignore, process=''):
        self.engine = engine
        self.cohort_client: Optional[CohortClient] = None
        self._clock = clock
        self.recorder = Recorder(settings.recording.rows)
        self._lost = lost or _LOG.error
        self._once = OnceLogger(_LOG)
        # one thread of their own: other networks go on, also with decoding
        self._restarts = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-restart')
        tracks = _tracks(settings)
        # where nothing can come between them, segments only cost time
        self._is_alone = len(specs) == 1 and not engine.parallel and not settings.cohort.enabled
        scheduler = _scheduler(settings.scheduling, engine, settings.cohort.enabled)
        self._loader = InstanceLoader(engine, clock, lambda: self._core.chooser,
                                      self._restarts.submit, self._is_lost, self._quiet,
                                      int(scheduler.holds))
        self._instances = self._loader.load(specs, settings, self._is_alone)
        # one pool for each: nothing urgent is staged behind the boxes of something else
        self._stagers = SubTaskPool(settings.cpu_workers, 's3dnn-stage', clock)
        workers = SubTaskPool(settings.cpu_workers, 's3dnn-cpu', clock)
        self._admission = Admission(self._instances, not engine.parallel,
                                    scheduler.whole_networks, process, workers, tell)
        self._answers = Answers(self._instances, workers, publish, self._admission,
                                self.recorder, clock, tracks)
        dropped = self._answers.dropped
        self._core = Core(scheduler, engine, self._finished, dropped, _LOG.error,
                          tell=self._admission.tell, recorder=self.recorder)
        self._driver = Driver(self._core, engine, clock, dropped, _LOG.error)
        self._holds = (HoldSwitch(self._driver.post, engine.allow_arming) if engine.gated
                       else None)
        self._reloader = Reloader(self._instances, self._load_anew, self.tell_capacity,
                                  self._quiet)
        if settings.cohort.enabled:
            self.cohort_client = CohortClient(
                settings, self._loader.profiles, self._loader.accuracy, board_context,
                functools.partial(self._driver.post, ConfigurationChanged()),
                sorted({spec.name for spec in specs.values()}),
                functools.partial(cached_tables, engine=engine.name, device=engine.device,
                                  score=settings.cohort.score), self._restarts.submit,
                # a segment has two stamps for each boundary
                1 + settings.recording.rows // 2)
            self._core.chooser = self.cohort_client.chooser
        self._energy = board_context.meter and EnergyAccount(
            board_context.meter, specs,
            lambda: self.recorder.busy_s_of_instances(clock.now_s()))
        self.configure(settings)
        self._driver.start()
        if engine.gated:
            engine.allow_arming(True)
        if self._energy:
            self._energy.start()

    def configure(self, settings):
        """Take over changed settings; those that are not live must be the same."""
        scheduling = settings.scheduling
        self._driver.post(ParametersChanged(Parameters(
            scheduling.max_queue, scheduling.late_policy, scheduling.fusion,
            scheduling.max_batch)))
        self._admission.drops_late = scheduling.late_policy == 'drop'
        if settings.engine.units:
            self.engine.pin(settings.engine.pinned_names)
        if scheduling.scheduler == 'packing':
            self._driver.post(ThresholdChanged(scheduling.packing_threshold))
            self._warn_of_equals(settings.instances.values())
        if self.cohort_client:
            self.cohort_client.configure(settings)
        for name, instance in self._instances.items():
            instance.settings = settings.instances[name]
        self.counters.know([(camera, name) for camera in settings.cameras
                            for name in self._instances])

    def accept(self, batch: FrameBatch):
        """Take a batch in; any thread."""
        now_s = self._clock.now_s()
        instance, sentence = self._instance_for(batch)
        reason = 'request'
        if not sentence:
            reason, sentence = 'engine', self._restarting(instance)
        if sentence:
            batch.release()
            self.accept_refused(batch, reason, sentence)
            return
        for frame in batch.frames:
            self.counters.arrived(frame.camera, batch.instance)
        request = Request(instance, batch, now_s)
        self.recorder.stamp(Stage.ARRIVED, request, now_s)
        self._admission.arrived(request)
        if not instance.queue.network.stages or (
                isinstance(batch.pixels, np.ndarray) and self.engine.reads(batch.pixels)):
            # to read what lies in shared memory takes less than to wake another thread
            self._stage(request)
            return
        try:
            self._stagers.submit(SubTask(request, BEFORE,
                                         functools.partial(self._stage, request)))
        except RuntimeError:
            # the pool is closed, and the core before it
            self._answers.dropped(request, 'shutdown', '')

    def reload(self, specs, settings, done: Callable[[Optional[Exception]], None]):
        """Have instances run on networks that are loaded anew, all of them or none.

        The old ones serve until then. `done` is called in another thread, with None, or with an
        error if the old ones stay. Not in a cohort, whose tables are those of the first models.
        """
        self._reloader.begin(specs, settings, done)

    def tell_capacity(self):
        """Tell what can be taken, soon; any thread."""
        self._driver.post(LoadWanted())

    def accept_refused(self, batch: FrameBatch, reason, sentence):
        """Count a batch whose pixels could not be read."""
        for frame in batch.frames:
            self.counters.arrived(frame.camera, batch.instance)
        self._answers.refuse(batch.frames, batch.instance, reason, sentence)

    def snapshot(self) -> Tuple[Tuple[InstanceCount, ...], float]:
        """Return the instances' counters and the engine's busy seconds so far."""
        return self._answers.counts(), self.recorder.busy_s(self._clock.now_s())

    @property
    def counters(self) -> Counters:
        """Return what became of all frames."""
        return self._answers.counters

    @property
    def notes(self) -> List[str]:
        """Return what the user may want to know of what was loaded last."""
        return self._loader.notes

    @property
    def energy(self) -> EnergyUse:
        """Return what is drawn, and was used since the models were loaded."""
        return self._energy.use if self._energy else EnergyUse()

    def recording(self, settings, environment: Mapping, command='') -> Recording:
        """Return what happened lately; any thread.

        `environment` and `command` are as in a recording's `Run`.
        """
        client, energy = self.cohort_client, self.energy
        policy = settings.scheduling.scheduler
        if client:
            policy += f', cohort {settings.cohort.mode}'
        known = math.isfinite(energy.energy_mj)
        run = Run(self.engine.device, self.engine.name == 'simulated', policy, environment,
                  command, None, energy.energy_mj / 1e3 if known else None,
                  {name: used_mj / 1e3 for name, used_mj in energy.of_instances_mj.items()})
        models = {name: each.spec.name for name, each in self._instances.items()}
        return Recording.of(run, models, self.recorder,
                            client.chooser.boundaries.copy() if client else (),
                            client.configurations if client else ())

    def troubles(self) -> Dict[str, str]:
        """Return for every instance why it takes no requests now, or an empty string."""
        return {name: self._restarting(instance) for name, instance in self._instances.items()}

    def close(self):
        """Finish what runs, drop what waits, free everything."""
        self._driver.stop()
        if self._energy:
            self._energy.close()
        if self.cohort_client:
            try:
                self.cohort_client.close()
            except PlatformError as error:
                _LOG.warning(str(error))
        self._restarts.shutdown(wait=True)
        self._reloader.close()
        self._stagers.shutdown()
        self._answers.close()
        self.engine.close()

    def _warn_of_equals(self, instances):
        if len(instances) > 1 and len({instance.priority for instance in instances}) == 1:
            self._once.warning('equals', 'scheduler packing runs nothing side by side, as all '
                               'instances have the same priority; give each its own '
                               'instances.NAME.priority')

    def _load_anew(self, specs, settings):
        """Return new instances, proven by a run, while others serve."""
        try:
            return self._loader.load(specs, dataclasses.replace(
                settings, warmup_runs=max(1, settings.warmup_runs)), self._is_alone)
        except Exception:
            self._is_lost()
            raise

    def _quiet(self):
        """Return the context in which memory of the device is taken and given back."""
        return self._holds.off() if self._holds else contextlib.nullcontext()

    def _is_lost(self):
        """Tell whether the engine can run nothing any more; if so, say it."""
        reason = self.engine.lost()
        if reason:
            self._lost(f'engine {self.engine.name} on {self.engine.device} is lost: {reason}')
        return bool(reason)

    def _stage(self, request):
        pixels = request.batch.pixels
        try:
            if not isinstance(pixels, np.ndarray):
                # to where the device reads them, so that they are copied once
                pixels = pixels.read(self.engine.frame_memory)
            request.staged = request.instance.queue.network.stage(pixels)
        except RequestError as error:
            self._answers.refused(request, 'request', str(error))
        except Exception as error:
            # whatever the device's driver raises, this batch cannot run and the next may
            self._answers.refused(request, 'engine', str(error))
            self._is_lost()
        else:
            self._driver.post(Arrival(request))

    def _restarting(self, instance):
        sentence = instance.recovery.refusal()
        return sentence and f"instance '{instance.name}': {sentence}"

    def _instance_for(self, batch):
        """Return the instance that a batch is meant for, and why it cannot run, or ''."""
        instance, former = self._instances.get(batch.instance), self._reloader.former(
            batch.instance)
        sentence = self._mismatch(batch, instance)
        if sentence and former and not self._mismatch(batch, former):
            return former, ''
        return instance, sentence

    def _mismatch(self, batch, instance):
        """Return why the batch cannot run, or an empty string."""
        reason = self._reason_against(batch, instance)
        return reason and (f'front end {shown(batch.front_end)} asks for instance '
                           f'{shown(batch.instance)}{reason}')

    def _reason_against(self, batch, instance):
        if not batch.frames:
            return ' without frames'
        if instance is None:
            return '; this executor has ' + ', '.join(self._instances)
        spec = instance.spec
        if batch.model != spec.name:
            return f" with model {shown(batch.model)}, which runs '{spec.name}' here"
        shape = (len(batch.frames), spec.height, spec.width, 3)
        if batch.pixels.shape != shape:
            return f' with pixels of shape {batch.pixels.shape}; {shape} was expected'
        most = min(instance.queue.network.largest, spec.max_batch or len(batch.frames))
        if len(batch.frames) > most:
            return (f' with {len(batch.frames)} frames; it takes {most} at most (max_batch of '
                    'executor and model)')
        return ''

    def _finished(self, job):
        # by the time that it is decoded, the board may be set otherwise
        configuration = self.cohort_client.configuration if self.cohort_client else ''
        if job.error:
            self._is_lost()
        elif not job.untypical:
            job.queue.ran(job.batch, job.ended_s - job.started_s)
        self._answers.finished(job, configuration)
        job.requests[0].instance.recovery.ended(job)
