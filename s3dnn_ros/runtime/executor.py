"""From batches to detections: the core with an engine below and decoding behind it."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import threading
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.capacity import Capacity
from s3dnn_ros.cohort import SpeedupAccuracyTable
from s3dnn_ros.counters import Counters, Percentiles
from s3dnn_ros.errors import (
    EngineError,
    ModelError,
    PlatformError,
    S3dnnError,
)
from s3dnn_ros.frames import FrameBatch, FrameInfo
from s3dnn_ros.models.decoders import make_decoder
from s3dnn_ros.profiling.find import cached_tables, find_table
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.runtime.admission import Admission
from s3dnn_ros.runtime.coordination import Coordination, Surroundings
from s3dnn_ros.runtime.core import (
    Arrival,
    ConfigurationChanged,
    Core,
    LoadWanted,
    Parameters,
    ParametersChanged,
)
from s3dnn_ros.runtime.driver import Driver
from s3dnn_ros.runtime.energy import EnergyAccount, EnergyUse
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.outputs import not_finite
from s3dnn_ros.runtime.prepared import cut_again, cut_anew, prepare
from s3dnn_ros.runtime.recovery import Recovery
from s3dnn_ros.runtime.reloader import Reloader
from s3dnn_ros.runtime.worker_pool import WorkerPool
from s3dnn_ros.scheduling import make_scheduler

ALONE = Surroundings()


def _nobody(capacity):
    """Tell no front end."""


@dataclasses.dataclass(frozen=True)
class FrameResult:
    """What one network saw in one frame; times in seconds on the executor's clock.

    `xyxy` is float32 (n, 4) in source pixels, best score first.
    """

    frame: FrameInfo
    instance: str
    model: str
    labels: Tuple[str, ...]
    xyxy: object
    scores: object
    class_ids: object
    batch: int
    sent_s: float
    arrived_s: float
    started_s: float
    ended_s: float
    variants: Tuple[int, ...] = ()
    configuration: str = ''


@dataclasses.dataclass(frozen=True)
class InstanceCount:
    """One instance's counters; part of ExecutorStats.msg."""

    instance: str
    model: str
    batches: int
    errors: int
    engine_ms: Percentiles


def _network_of(spec):
    """Return what makes two models the same network: the file and what its images become."""
    return (spec.onnx, spec.width, spec.height, spec.colour, spec.mean, spec.std,
            spec.max_batch)


def _black_image(spec):
    return np.zeros((1, spec.height, spec.width, 3), np.uint8)


def _scheduler(settings, engine):
    options = {'supervised': {'capacity': settings.capacity, 'share': settings.share,
                              'order': settings.order,
                              # one after another, an engine would lose the order
                              'overlap': settings.overlap and engine.parallel,
                              'levels': engine.levels,
                              # the core hands a successor over with the completion, or never
                              'successor_wait_s': 0.0}}
    return make_scheduler(settings.scheduler, **options.get(settings.scheduler, {}))


class _InstanceRecord:
    def __init__(self):
        self.batches = self.errors = 0
        self.engine_ms = collections.deque(maxlen=256)


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
    report : callable
        Called with a sentence when something went wrong that has an owner.
    lost : callable
        Called with a sentence, by any thread, when the engine can run nothing any more in this
        process.
    surroundings : Surroundings
        What it shares its board with, and what tells the board's energy.
    tell : callable
        Called in the core's thread with a Capacity; returns at once.
    process : str
        Names this executor to its front ends, and another one after a restart.

    Attributes
    ----------
    coordination : Coordination or None
        With the cohort, if settings want it.

    """

    def __init__(self, settings, specs: Mapping[str, object], engine, clock,
                 publish: Callable[[FrameResult], float], report: Callable[[str], None],
                 lost: Optional[Callable[[str], None]] = None,
                 surroundings: Surroundings = ALONE,
                 tell: Callable[[Capacity], None] = _nobody, process=''):
        self.engine = engine
        self.counters = Counters()
        self.notes: List[str] = []      # what the user may want to know, once loaded
        self._clock = clock
        self._publish = publish
        self._report = report
        self._lost = lost or report
        self._lock = threading.Lock()
        self._records = {name: _InstanceRecord() for name in specs}
        self._profiles: Dict[str, ProfileTable] = {}      # by model
        self._accuracy: Dict[str, Sequence[SpeedupAccuracyTable]] = {}
        self.coordination: Optional[Coordination] = None
        # one thread of their own: other networks go on, also with decoding
        self._restarts = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-restart')
        # where nothing can come between them, segments only cost time
        self._is_alone = len(specs) == 1 and not engine.parallel and not settings.cohort
        self._instances = self._load_all(specs, settings)
        # one pool for each: nothing urgent is staged behind the boxes of something else
        self._stagers = WorkerPool(settings.cpu_workers, 's3dnn-stage')
        self._workers = WorkerPool(settings.cpu_workers, 's3dnn-cpu')
        scheduler = _scheduler(settings, engine)
        self._admission = Admission(self._instances, not engine.parallel,
                                    scheduler.whole_networks, process, tell)
        self._core = Core(scheduler, engine, self._finished, self._dropped, report,
                          tell=self._admission.tell)
        self._driver = Driver(self._core, engine, clock, self._dropped, report)
        self._reloader = Reloader(self._instances, self._load_anew, self.tell_capacity)
        if settings.cohort:
            self.coordination = Coordination(
                settings, self._profiles, self._accuracy, surroundings, report,
                functools.partial(self._driver.post, ConfigurationChanged()),
                sorted({spec.name for spec in specs.values()}),
                functools.partial(cached_tables, engine=engine.name, device=engine.device,
                                  score=settings.cohort_score), self._restarts.submit)
            self._core.steering = self.coordination.steering
        self._energy = surroundings.meter and EnergyAccount(
            surroundings.meter, specs,
            lambda: self._core.busy_s_of_instances(clock.now_s()), report)
        self.configure(settings)
        self._driver.start()
        if self._energy:
            self._energy.start()

    def configure(self, settings):
        """Take over changed settings; those that are not live must be the same."""
        self._driver.post(ParametersChanged(Parameters(
            settings.max_queue, settings.late_policy, settings.fusion, settings.max_batch)))
        self._admission.drops_late = settings.late_policy == 'drop'
        if self.coordination:
            self.coordination.configure(settings)
        for name, instance in self._instances.items():
            instance.settings = settings.instances[name]

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
        self._admission.arrived(request)
        if not instance.queue.network.stages:
            self._stage(request)
            return
        try:
            self._stagers.submit(request, self._stage, request)
        except RuntimeError:
            # the pool is closed, and the core before it
            self._dropped(request, 'shutdown', '')

    def reload(self, specs, settings, done: Callable[[Optional[Exception]], None]):
        """Have instances run on networks that are loaded anew, all of them of one model.

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
        self._refuse(batch.frames, batch.instance, reason, sentence)

    def snapshot(self) -> Tuple[Tuple[InstanceCount, ...], float]:
        """Return the instances' counters and the engine's busy seconds so far."""
        with self._lock:
            return tuple(
                InstanceCount(name, self._instances[name].spec.name, record.batches,
                              record.errors, Percentiles.of(record.engine_ms))
                for name, record in self._records.items()), self._core.busy_s

    @property
    def energy(self) -> EnergyUse:
        """Return what is drawn, and was used since the models were loaded."""
        return self._energy.use if self._energy else EnergyUse()

    def troubles(self) -> Dict[str, str]:
        """Return for every instance why it takes no requests now, or an empty string."""
        return {name: self._restarting(instance) for name, instance in self._instances.items()}

    def close(self):
        """Finish what runs, drop what waits, free everything."""
        self._driver.stop()
        if self._energy:
            self._energy.close()
        if self.coordination:
            try:
                self.coordination.close()
            except PlatformError as error:
                self._report(str(error))
        self._restarts.shutdown(wait=True)
        self._reloader.close()
        self._stagers.shutdown()
        self._workers.shutdown()
        self.engine.close()

    def _load_all(self, specs, settings) -> Dict[str, Instance]:
        queues: Dict[object, Tuple[ModelQueue, Recovery]] = {}     # by _network_of
        return {name: self._load(name, specs, settings, queues) for name in specs}

    def _load_anew(self, specs, settings):
        """Return new instances, proven by a run, while others serve."""
        self.notes = []
        try:
            return self._load_all(specs, dataclasses.replace(
                settings, warmup_runs=max(1, settings.warmup_runs)))
        except Exception:
            self._is_lost()
            raise

    def _load(self, name, specs, settings, queues):
        spec = specs[name]
        key = _network_of(spec)
        if key not in queues:
            # as many lanes as there are instances to ask for one
            lanes = sum(_network_of(other) == key for other in specs.values())
            queues[key] = self._open_queue(name, spec, settings, lanes)
        queue, recovery = queues[key]
        decoder = make_decoder(spec.decoder, spec.width, spec.height, **spec.decoder_options)
        try:
            decoder.check(queue.network.output_shapes)
            self._warm_up(queue, decoder, spec, settings.warmup_runs)
        except S3dnnError:
            raise
        except Exception as error:
            raise EngineError(name, f'{spec.onnx} does not run: {error}') from error
        return Instance(name, spec, queue, decoder, settings.instances[name], recovery)

    def _open_queue(self, name, spec, settings, lanes):
        table, reason = find_table(settings.instances[name].profile, spec, self.engine.name,
                                   self.engine.device)
        if table is not None and self._is_alone:
            table = table.whole()
        approximates = settings.cohort and table is not None
        pieces = (prepare if self.engine.loads_bytes and not approximates else cut_anew)(
            spec, table, reason)
        self.notes.append(pieces.note)
        variants = []
        if approximates:
            # it needs the package onnx, whose import takes long
            from s3dnn_ros.runtime.pieces import coarser
            variants, self._accuracy[spec.name], note = coarser(
                spec, self.engine, pieces.cuts, pieces.segments, settings.cohort_score,
                [row.name for row in table.configurations if settings.platform != 'none'])
            self.notes.append(note)
            if len(pieces.segments) == 1:
                self.notes.append(f'{spec.name}: one segment, so that the cohort hears nothing of '
                                  'how it goes; cut it finer: `s3dnn profile '
                                  f'{spec.name} --target-ms …`')
        load = functools.partial(self.engine.load, name, outputs=list(pieces.outputs), spec=spec,
                                 lanes=lanes, coarser=variants,
                                 max_batch=min(settings.max_batch, spec.max_batch or 64))
        network = load(pieces.models)
        if network.batch and not 0 < spec.max_batch <= network.batch:
            raise ModelError(spec.onnx, f'takes batches of {network.batch} at most; state '
                             f'max_batch: {network.batch} in {spec.name}.yaml, or export it with '
                             'a free batch')
        if network.note:
            self.notes.append(network.note)
        if table is not None:
            self._profiles[spec.name] = table
        queue = ModelQueue(network, Expectation(
            network.segments, table, scale=lambda: self._core.steering.scale(spec.name),
            least=lambda: self._core.steering.least(spec.name)))
        return queue, Recovery(
            name, queue, functools.partial(self._load_again, load, spec, pieces.cuts),
            self._restarts.submit, self._clock, self._report, self._is_lost)

    def _load_again(self, load, spec, cuts):
        """Return a network in the same segments, proven by a run; its file is read again."""
        network = load(cut_again(spec, cuts))
        network.run(_black_image(spec))
        if network.note:
            self._report(network.note)
        return network

    def _is_lost(self):
        """Tell whether the engine can run nothing any more; if so, say it."""
        reason = self.engine.lost()
        if reason:
            self._lost(f'engine {self.engine.name} on {self.engine.device} is lost: {reason}')
        return bool(reason)

    def _warm_up(self, queue, decoder, spec, runs):
        network = queue.network
        for run in range(runs):
            started_s = self._clock.now_s()
            outputs = network.run(_black_image(spec))
            if run == runs - 1:
                queue.ran(network.padded(1), self._clock.now_s() - started_s)
            decoder.decode(outputs, 0.5, 0.5, 1)
        # a variant that cannot run must not be found out on the road
        for variant in range(1, max(network.variants)):
            network.run(_black_image(spec), [min(variant, count - 1)
                                             for count in network.variants])

    def _stage(self, request):
        try:
            request.staged = request.instance.queue.network.stage(request.batch.pixels)
        except Exception as error:
            # whatever the device's driver raises, this batch cannot run and the next may
            request.batch.release()
            self._refuse(request.batch.frames, request.instance.name, 'engine',
                         f"instance '{request.instance.name}': {error}")
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
        asks = f"front end '{batch.front_end}' asks for instance '{batch.instance}'"
        if not batch.frames:
            return f'{asks} without frames'
        if instance is None:
            return f'{asks}; this executor has ' + ', '.join(self._instances)
        spec = instance.spec
        if batch.model != spec.name:
            return f"{asks} with model '{batch.model}', which runs '{spec.name}' here"
        shape = (len(batch.frames), spec.height, spec.width, 3)
        if batch.pixels.shape != shape:
            return f'{asks} with pixels of shape {batch.pixels.shape}; {shape} was expected'
        most = min(instance.queue.network.largest, spec.max_batch or len(batch.frames))
        if len(batch.frames) > most:
            return (f'{asks} with {len(batch.frames)} frames; it takes {most} at most '
                    '(max_batch of executor and model)')
        return ''

    def _refuse(self, frames, instance, reason, sentence):
        for frame in frames:
            self.counters.dropped(frame.camera, instance, reason=reason, sentence=sentence)
        self._report(sentence)

    def _dropped(self, request, reason, sentence):
        request.batch.release()
        name = request.instance.name
        for frame in request.batch.frames:
            self.counters.dropped(frame.camera, name, reason=reason,
                                  sentence=sentence and f"instance '{name}': {sentence}")

    def _finished(self, job):
        # by the time that it is decoded, the board may be set otherwise
        configuration = self.coordination.configuration if self.coordination else ''
        if job.error:
            self._is_lost()
        else:
            job.queue.ran(job.batch, job.ended_s - job.started_s)
        with self._lock:
            for name in job.instances:
                record = self._records[name]
                record.batches += not job.error
                record.errors += bool(job.error)
                if not job.error:
                    record.engine_ms.append(1e3 * (job.ended_s - job.started_s))
        first = 0
        for request in job.requests:
            try:
                self._answer(request, job, first, configuration)
            except Exception as error:
                # a slot that cannot be given back must not cost the other requests theirs
                name = request.instance.name
                self._refuse(request.batch.frames, name, 'lease',
                             f"instance '{name}': the batch cannot be given back: {error}")
            first += request.frames
        job.requests[0].instance.recovery.ended(job)

    def _answer(self, request, job, first, configuration):
        """Send a request on to decoding; its images are in the outputs from `first` on."""
        intact = request.batch.release()
        name = request.instance.name
        if job.error:
            self._refuse(request.batch.frames, name, 'engine',
                         str(EngineError(name, f'the engine failed: {job.error}')))
        elif not intact:
            self._refuse(request.batch.frames, name, 'lease',
                         f"instance '{name}': the batch was taken back while it ran; "
                         'slot_lease_ms is shorter than the engine needs')
        else:
            self._workers.submit(request, self._decode, request, job, first, configuration)

    def _without(self, bad, frames, outputs, instance):
        """Refuse the frames whose outputs are no numbers; return the others and their outputs."""
        for index, output in bad.items():
            self._refuse([frames[index]], instance.name, 'nan', (
                f"instance '{instance.name}': output '{output}' holds NaN or infinity; try this "
                f'image with `s3dnn models check {instance.spec.name}`'))
        good = [index for index in range(len(frames)) if index not in bad]
        return ([frames[index] for index in good],
                {name: array[good] for name, array in outputs.items()})

    def _decode(self, request, job, first, configuration):
        instance, frames = request.instance, request.batch.frames
        settings, spec = instance.settings, instance.spec
        done = 0
        try:
            outputs = {name: array[first:first + request.frames]
                       for name, array in job.outputs.items()}
            bad = not_finite(outputs)
            if bad:
                frames, outputs = self._without(bad, frames, outputs, instance)
                if not frames:
                    return
            found = instance.decoder.decode(outputs, settings.score_threshold,
                                            settings.iou_threshold, settings.max_detections)
            if len(found) != len(frames):
                raise ModelError(spec.onnx, f'gave {len(found)} results for {len(frames)} frames')
            for frame, boxes in zip(frames, found):
                published_s = self._publish(FrameResult(
                    frame, instance.name, spec.name, spec.labels,
                    frame.transform.to_source(boxes.xyxy, frame.width, frame.height),
                    boxes.scores, boxes.class_ids, job.frames, request.batch.sent_s,
                    request.arrived_s, job.started_s, job.ended_s, job.ran_as(), configuration))
                self._admission.published(instance.name, published_s - job.ended_s)
                self.counters.published(frame.camera, instance.name,
                                        latency_s=published_s - frame.taken_s,
                                        missed=published_s > frame.deadline_s)
                done += 1
        except Exception as error:
            # a worker's exception would vanish in its future, and the frames with it
            self._refuse(frames[done:], instance.name, 'decoder',
                         f"instance '{instance.name}': results cannot be decoded or "
                         f'published: {error}')
