"""From batches to detections: the loop with an engine below and decoding behind it."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import threading
from typing import Callable, Mapping, Tuple

import numpy as np

from s3dnn_ros.counters import Counters, Percentiles
from s3dnn_ros.errors import EngineError, ModelError, S3dnnError
from s3dnn_ros.frames import FrameBatch, FrameInfo
from s3dnn_ros.models.decoders import make_decoder
from s3dnn_ros.models.graph import load_graph
from s3dnn_ros.runtime.instance import Instance, Job
from s3dnn_ros.runtime.loop import Loop
from s3dnn_ros.scheduling import make_scheduler

NS_PER_S = 1_000_000_000


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


@dataclasses.dataclass(frozen=True)
class InstanceCount:
    """One instance's counters; part of ExecutorStats.msg."""

    instance: str
    model: str
    batches: int
    errors: int
    engine_ms: Percentiles


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

    """

    def __init__(self, settings, specs: Mapping[str, object], engine, clock,
                 publish: Callable[[FrameResult], float], report: Callable[[str], None]):
        self.engine = engine
        self.counters = Counters()
        self._clock = clock
        self._publish = publish
        self._report = report
        self._lock = threading.Lock()
        self._records = {name: _InstanceRecord() for name in specs}
        self._busy_s = 0.0
        self._instances = {name: self._load(name, spec, settings)
                           for name, spec in specs.items()}
        self._workers = concurrent.futures.ThreadPoolExecutor(settings.cpu_workers, 's3dnn-post')
        self._loop = Loop(make_scheduler(settings.scheduler), engine, clock, self._finished,
                          self._dropped, report)
        self.configure(settings)
        self._loop.start()

    def configure(self, settings):
        """Take over changed settings; those that are not live must be the same."""
        self._loop.max_queue = settings.max_queue
        self._loop.late_policy = settings.late_policy
        for name, instance in self._instances.items():
            instance.settings = settings.instances[name]

    def accept(self, batch: FrameBatch):
        """Take a batch in; any thread."""
        now_s = self._clock.now_s()
        instance = self._instances.get(batch.instance)
        sentence = self._mismatch(batch, instance)
        if sentence:
            batch.release()
            self.accept_refused(batch, 'request', sentence)
            return
        for frame in batch.frames:
            self.counters.arrived(frame.camera, batch.instance)
        self._loop.admit(Job(instance, batch, now_s))

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
                for name, record in self._records.items()), self._busy_s

    def close(self):
        """Finish what runs, drop what waits, free everything."""
        self._loop.stop()
        self._workers.shutdown(wait=True)
        self.engine.close()

    def _load(self, name, spec, settings):
        network = self.engine.load(name, load_graph(spec), spec)
        if network.batch and not 0 < spec.max_batch <= network.batch:
            raise ModelError(spec.onnx, f'takes batches of {network.batch} at most; state '
                             f'max_batch: {network.batch} in {spec.name}.yaml, or export it with '
                             'a free batch')
        decoder = make_decoder(spec.decoder, spec.width, spec.height, **spec.decoder_options)
        instance = Instance(name, spec, network, decoder, settings.instances[name])
        try:
            decoder.check(network.output_shapes)
            self._warm_up(instance, settings.warmup_runs)
        except S3dnnError:
            raise
        except Exception as error:
            raise EngineError(name, f'{spec.onnx} does not run: {error}') from error
        return instance

    def _warm_up(self, instance, runs):
        image = np.zeros((1, instance.spec.height, instance.spec.width, 3), np.uint8)
        for _ in range(runs):
            outputs = instance.network.run(image)
            instance.decoder.decode(outputs, 0.5, 0.5, 1)

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
        if spec.max_batch and len(batch.frames) > spec.max_batch:
            return f'{asks} with {len(batch.frames)} frames; it takes {spec.max_batch} at most'
        return ''

    def _refuse(self, frames, instance, reason, sentence):
        for frame in frames:
            self.counters.dropped(frame.camera, instance, reason=reason, sentence=sentence)
        self._report(sentence)

    def _dropped(self, job, reason, sentence):
        job.batch.release()
        name = job.instance.name
        for frame in job.batch.frames:
            self.counters.dropped(frame.camera, name, reason=reason,
                                  sentence=sentence and f"instance '{name}': {sentence}")

    def _finished(self, job):
        intact = job.batch.release()
        run, name = job.run, job.instance.name
        with self._lock:
            record = self._records[name]
            record.batches += not run.error
            record.errors += bool(run.error)
            record.engine_ms.append(1e3 * (run.ended_s - run.started_s))
            self._busy_s += run.ended_s - run.started_s
        if run.error:
            self._refuse(job.batch.frames, name, 'engine',
                         str(EngineError(name, f'the engine failed: {run.error}')))
        elif not intact:
            self._refuse(job.batch.frames, name, 'lease',
                         f"instance '{name}': the batch was taken back while it ran; "
                         'slot_lease_ms is shorter than the engine needs')
        else:
            self._workers.submit(self._decode, job)

    def _decode(self, job):
        instance, frames, run = job.instance, job.batch.frames, job.run
        settings, spec = instance.settings, instance.spec
        done = 0
        try:
            found = instance.decoder.decode(run.outputs, settings.score_threshold,
                                            settings.iou_threshold, settings.max_detections)
            if len(found) != len(frames):
                raise ModelError(spec.onnx, f'gave {len(found)} results for {len(frames)} frames')
            for frame, boxes in zip(frames, found):
                published_s = self._publish(FrameResult(
                    frame, instance.name, spec.name, spec.labels,
                    frame.transform.to_source(boxes.xyxy, frame.width, frame.height),
                    boxes.scores, boxes.class_ids, len(frames), job.batch.sent_s,
                    job.arrived_s, run.started_s, run.ended_s))
                self.counters.published(frame.camera, instance.name,
                                        latency_s=published_s - frame.stamp_ns / NS_PER_S,
                                        missed=published_s > frame.deadline_s)
                done += 1
        except Exception as error:
            # a worker's exception would vanish in its future, and the frames with it
            self._refuse(frames[done:], instance.name, 'decoder',
                         f"instance '{instance.name}': results cannot be decoded or "
                         f'published: {error}')
