"""From a run's outputs to results: slots given back, boxes decoded and published, all counted."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import threading
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from s3dnn_ros.counters import Counters, Percentiles
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.runtime.admission import Admission
from s3dnn_ros.runtime.invalid_outputs import not_finite
from s3dnn_ros.runtime.job import Instance, Job, Request
from s3dnn_ros.runtime.recorder import Recorder, Stage
from s3dnn_ros.runtime.subtasks import BEHIND, SubTask, SubTaskPool
from s3dnn_ros.runtime.tracks import Tracks
from s3dnn_ros.transport.frames import FrameInfo

_LOG = logging.getLogger(__name__)
# Runs of an instance whose times its percentiles are of.
_KEPT_RUNS = 256


@dataclasses.dataclass(frozen=True)
class FrameResult:
    """What one network saw in one frame; times in seconds on the executor's clock.

    `boxes` are in source pixels; `tracks` has the number of each one's object, 0 for none.
    `unit` ran the frame, where the engine has several.
    """

    frame: FrameInfo
    instance: str
    model: str
    labels: Tuple[str, ...]
    boxes: Boxes
    tracks: Tuple[int, ...]
    batch: int
    sent_s: float
    arrived_s: float
    started_s: float
    ended_s: float
    variants: Tuple[int, ...] = ()
    configuration: str = ''
    unit: str = ''


@dataclasses.dataclass(frozen=True)
class InstanceCount:
    """One instance's counters; part of ExecutorStats.msg."""

    instance: str
    model: str
    batches: int
    errors: int
    engine_ms: Percentiles


class _Record:
    def __init__(self):
        self.batches = self.errors = 0
        self.engine_ms = collections.deque(maxlen=_KEPT_RUNS)


class Answers:
    """Answers the requests of jobs that ended, in worker threads; counts all frames.

    Parameters
    ----------
    instances : mapping of str to Instance
        Its entries may be replaced.
    workers : SubTaskPool
    publish : callable
        Called in a worker's thread with a FrameResult; returns when it was published, in seconds.
    admission : Admission
        Learns how long results take from a run's end, and what was in time.
    recorder : Recorder
    clock : Clock
    tracks : mapping of str to Tracks, optional
        Of the instances whose objects are followed.

    Attributes
    ----------
    counters : Counters

    """

    def __init__(self, instances: Mapping[str, Instance], workers: SubTaskPool,
                 publish: Callable[[FrameResult], float],
                 admission: Admission, recorder: Recorder, clock,
                 tracks: Optional[Mapping[str, Tracks]] = None):
        self.counters = Counters()
        self._instances = instances
        self._publish = publish
        self._admission = admission
        self._recorder = recorder
        self._tracks = tracks or {}
        self._clock = clock
        self._lock = threading.Lock()
        self._records = {name: _Record() for name in instances}
        self._workers = workers

    def counts(self) -> Tuple[InstanceCount, ...]:
        """Return the instances' counters; any thread."""
        with self._lock:
            return tuple(InstanceCount(name, self._instances[name].spec.name, record.batches,
                                       record.errors, Percentiles.of(record.engine_ms))
                         for name, record in self._records.items())

    def finished(self, job: Job, configuration: str):
        """Answer the requests of a job, which ran in a configuration; the core's thread."""
        took_ms = 1e3 * (job.ended_s - job.started_s)
        with self._lock:
            for name in job.instances:
                record = self._records[name]
                if job.error:
                    record.errors += 1
                else:
                    record.batches += 1
                    record.engine_ms.append(took_ms)
        first = 0
        for request in job.requests:
            try:
                self._answer(request, job, first, configuration)
            except Exception as error:
                # a slot that cannot be given back must not cost the other requests theirs
                self._refuse(request, request.batch.frames, 'lease',
                             f'the batch cannot be given back: {error}')
            first += request.frames

    def refuse(self, frames, instance, reason, sentence):
        """Count frames as dropped, and tell why; any thread."""
        for frame in frames:
            self.counters.dropped(frame.camera, instance, reason=reason, sentence=sentence)
        _LOG.warning(sentence)

    def refused(self, request: Request, reason, sentence):
        """Give a request back that cannot run, count its frames, and tell why; any thread."""
        request.batch.release()
        self._refuse(request, request.batch.frames, reason, sentence)

    def dropped(self, request: Request, reason, sentence):
        """Give a request back that will not run, and count its frames."""
        request.batch.release()
        self._drop(request, reason, sentence)

    def close(self):
        """Finish what is being decoded."""
        self._workers.shutdown()

    def _drop(self, request, reason, sentence):
        self._recorder.stamp(Stage.DROPPED, request, self._clock.now_s())
        name = request.instance.name
        for frame in request.batch.frames:
            if reason == 'late':
                self._admission.settled(name, frame.camera, False)
            self.counters.dropped(frame.camera, name, reason=reason,
                                  sentence=sentence and f"instance '{name}': {sentence}")

    def _answer(self, request, job, first, configuration):
        """Send a request on to decoding; its images are in the outputs from `first` on."""
        frames, intact = request.batch.frames, request.batch.release()
        if job.error:
            self._refuse(request, frames, 'engine', f'the engine failed: {job.error}')
        elif not intact:
            self._refuse(request, frames, 'lease', 'the batch was taken back while it ran; '
                         'slot_lease_ms is shorter than the engine needs')
        else:
            self._workers.submit(SubTask(request, BEHIND, functools.partial(
                self._decode, request, job, first, configuration)))

    def _refuse(self, request, frames, reason, sentence):
        self._recorder.stamp(Stage.DROPPED, request, self._clock.now_s())
        name = request.instance.name
        self.refuse(frames, name, reason, f"instance '{name}': {sentence}")

    def _without(self, bad: Dict[int, str], request) -> List[int]:
        """Refuse the frames whose outputs are no numbers; return the places of the others."""
        frames = request.batch.frames
        for index, output in bad.items():
            self._refuse(request, [frames[index]], 'nan', (
                f"output '{output}' holds NaN or infinity; try this image with "
                f'`s3dnn models check {request.instance.spec.name}`'))
        return [index for index in range(len(frames)) if index not in bad]

    def _decode(self, request, job, first, configuration):
        instance, frames = request.instance, request.batch.frames
        settings, spec = instance.settings, instance.spec
        units = job.units[first:first + request.frames] or ('',) * request.frames
        if self._is_hopeless(request):
            self._drop(request, 'late', 'the deadline was over before a thread was free to decode '
                       'the results')
            return
        done = 0
        try:
            # what nobody reads may be anything
            outputs = {name: job.outputs[name][first:first + request.frames]
                       for name in instance.decoder.reads(job.outputs)}
            bad = not_finite(instance.decoder.scores(outputs))
            if bad:
                good = self._without(bad, request)
                if not good:
                    return
                frames, units = ([every[index] for index in good] for every in (frames, units))
                outputs = {name: array[good] for name, array in outputs.items()}
            found = instance.decoder.decode(outputs, settings.score_threshold,
                                            settings.iou_threshold, settings.max_detections)
            if len(found) != len(frames):
                raise ModelError(spec.onnx, f'gave {len(found)} results for {len(frames)} frames')
            for frame, boxes, unit in zip(frames, found, units):
                boxes = boxes.in_source(frame.transform, frame.width, frame.height)
                published_s = self._publish(FrameResult(
                    frame, instance.name, spec.name, spec.labels, boxes,
                    self._follow(instance.name, frame, boxes), job.frames, request.batch.sent_s,
                    request.arrived_s, job.started_s, job.ended_s, job.ran_as(), configuration,
                    unit))
                self._count(request, frame, published_s, job.ended_s)
                done += 1
        except Exception as error:
            # a worker's exception would vanish in its future, and the frames with it
            self._refuse(request, frames[done:], 'decoder',
                         f'results cannot be decoded or published: {error}')

    def _follow(self, name, frame, boxes) -> Tuple[int, ...]:
        """Return the numbers of the boxes' objects."""
        tracks = self._tracks.get(name)
        if tracks is None:
            return (0,) * len(boxes)
        numbers, change = tracks.follow(frame, boxes)
        self.counters.tracked(frame.camera, name, **dataclasses.asdict(change))
        return numbers

    def _is_hopeless(self, request):
        now_s = self._clock.now_s()
        return (self._admission.drops_late and not request.run_late
                and all(now_s > frame.deadline_s for frame in request.batch.frames))

    def _count(self, request, frame, published_s, ended_s):
        name, missed = request.instance.name, published_s > frame.deadline_s
        self._recorder.stamp(Stage.PUBLISHED, request, published_s)
        self._admission.published(name, published_s - ended_s)
        self._admission.settled(name, frame.camera, not missed)
        self.counters.published(frame.camera, name, latency_s=published_s - frame.taken_s,
                                missed=missed)
