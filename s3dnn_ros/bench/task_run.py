"""Periodic tasks with real work on the CPU before and behind their networks, for one run.

Core, schedulers, engine and the pool of sub-tasks are the shipped ones. Images come as JPEG.
"""

from __future__ import annotations

import dataclasses
import functools
import queue
import sys
import time
import types
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.base.clock import SWITCH_INTERVAL_S, sharpen_timers
from s3dnn_ros.bench.arrivals import times
from s3dnn_ros.bench.load import SETTLE_S, TRACED_ROWS, Policy
from s3dnn_ros.bench.record import Answer, Offered, Record, spans_of
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.profiling import cpu_work
from s3dnn_ros.runtime.events import Arrival
from s3dnn_ros.runtime.job import Instance, Job, Request
from s3dnn_ros.runtime.subtasks import BEFORE, BEHIND, SubTask, SubTaskPool
from s3dnn_ros.runtime.variant_chooser import EXACT
from s3dnn_ros.settings.executor import ExecutorInstanceSettings
from s3dnn_ros.transport.frames import FrameBatch, FrameInfo, Transform

_THRESHOLDS = ExecutorInstanceSettings()
_IDENTITY = Transform(1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Task:
    """A model that runs periodically; each image is to be answered in `deadline_s`."""

    name: str
    model: str
    period_s: float
    deadline_s: float
    phase_s: float
    priority: int


@dataclasses.dataclass(frozen=True)
class Contender:
    """Who decides, under a name for the tables.

    With `whole` one task runs at a time, its work on the CPU included. Without `ranked` all tasks
    have the same priority.
    """

    name: str
    policy: Policy
    whole: bool = False
    ranked: bool = True


class CpuWork(cpu_work.CpuWork):
    """What a model's images need on the CPU; `jpeg` is such an image.

    Parameters
    ----------
    spec : ModelSpec
    network : Network
    jpeg : bytes

    """

    def __init__(self, spec, network, jpeg: bytes):
        super().__init__(spec, network, functools.partial(decode_compressed, jpeg), _THRESHOLDS)


class TaskRun:
    """One contender under one load, once.

    What is late is dropped before each sub-task, whoever decides.

    Parameters
    ----------
    rig : Rig
    works : mapping of model name to CpuWork
    tasks : sequence of Task
    contender : Contender
    workers : int
        Threads for the work on the CPU, where tasks do not run whole.

    """

    def __init__(self, rig, works: Mapping[str, CpuWork], tasks: Sequence[Task],
                 contender: Contender, workers: int):
        self._rig = rig
        self._works = works
        self._tasks = tasks
        self._run = self._run_whole if contender.whole else self._run_split
        queues = {model: rig.queue(model, EXACT) for model in works}
        self._instances = {task.name: Instance(
            task.name, types.SimpleNamespace(name=task.model), queues[task.model], None,
            types.SimpleNamespace(priority=task.priority if contender.ranked else 0))
            for task in tasks}
        self._pool = SubTaskPool(1 if contender.whole else workers, 's3dnn-bench', rig)
        self._failures: List[str] = []
        self._core, self._driver = rig.drive(
            rig.scheduler(contender.policy), self._finished, self._dropped,
            self._failures.append, False, EXACT, TRACED_ROWS, queue.SimpleQueue())
        # of every request on its way: what is called with its job, None if it was dropped
        self._ended: Dict[int, Callable[[Optional[Job]], None]] = {}
        self._asked: Dict[int, Tuple[str, float]] = {}
        self._offered: List[Offered] = []
        self._answers: List[Answer] = []

    def record(self, seconds: float) -> Record:
        """Let the tasks come, from now on; return what happened.

        Raises RuntimeError if the core, the engine or work on the CPU failed.
        """
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        sharpen_timers()
        started_s = self._rig.now_s()
        begin_s, end_s = started_s + SETTLE_S, started_s + SETTLE_S + seconds
        # the load goes on until the last of the window have got their chance
        last_s = end_s + max(task.deadline_s for task in self._tasks)
        with self._rig.armed():
            self._driver.start()
            for due_s, place in times([(task.phase_s, task.period_s) for task in self._tasks],
                                      started_s, last_s):
                time.sleep(max(0.0, due_s - self._rig.now_s()))
                self._arrive(self._tasks[place])
            self._driver.stop()
            self._pool.shutdown()
        if self._failures:
            raise RuntimeError(self._failures[0])
        recorder = self._core.recorder
        return Record(begin_s, end_s, {task.name: task.model for task in self._tasks},
                      self._offered, self._answers, spans_of(recorder.stamps(), self._asked),
                      (), 0.0, None)

    def _arrive(self, task):
        now_s = self._rig.now_s()
        frame = FrameInfo(task.name, '', 0, 0, 1, 1, _IDENTITY, now_s, now_s + task.deadline_s)
        batch = FrameBatch('bench', 0, task.name, task.model, (frame,), now_s, None, _keep)
        request = Request(self._instances[task.name], batch, now_s)
        self._asked[request.number] = task.name, request.deadline_s
        self._offered.append(Offered(task.name, now_s, request.deadline_s))
        self._pool.submit(SubTask(request, BEFORE, functools.partial(self._run, request)))

    def _run_split(self, request):
        """Do what is before the network; whoever hears of its end has the rest done."""
        def ended(job):
            if job is not None:
                self._pool.submit(SubTask(request, BEHIND, functools.partial(
                    self._behind, request, job)))

        self._before(request, ended)

    def _run_whole(self, request):
        """Do all that a task needs; nothing else runs meanwhile."""
        ended: queue.SimpleQueue = queue.SimpleQueue()
        self._before(request, ended.put)
        job = ended.get()
        if job is not None:
            self._behind(request, job)

    def _before(self, request, ended: Callable[[Optional[Job]], None]):
        """Do a request's first sub-task and hand it to the core; `ended` is called once."""
        if self._is_late(request):
            ended(None)
            return
        request.staged = self._tried(self._works[request.instance.spec.name].before)
        if request.staged is None:
            ended(None)
            return
        self._ended[request.number] = ended
        self._driver.post(Arrival(request))

    def _behind(self, request, job):
        if self._is_late(request):
            return
        self._tried(self._works[request.instance.spec.name].behind, job.outputs)
        self._answers.append(Answer(request.instance.name, request.arrived_s, self._rig.now_s(),
                                    request.deadline_s, 1))

    def _finished(self, job):
        if job.error:
            self._failures.append(job.error)
        for request in job.requests:
            self._ended.pop(request.number)(None if job.error else job)

    def _dropped(self, request, reason, sentence):
        self._ended.pop(request.number)(None)

    def _is_late(self, request):
        return self._rig.now_s() > request.deadline_s

    def _tried(self, step, *arguments):
        """Return what work on the CPU gives; if it raises, None, and the run is worth nothing."""
        try:
            return step(*arguments)
        except Exception as error:
            self._failures.append(str(error) or repr(error))
            return None


def _keep():
    return True
