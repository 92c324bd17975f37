"""What a strategy misses: its tasks in virtual time, on the shipped core and a simulated device.

Before and behind the network, a frame needs a processor. Processors have a queue of their own, in
the order of the executor's: by priority, then by deadline; what has begun is not interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import heapq
import itertools
import random
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.lab.virtual_executor import JITTER, VirtualExecutor
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.runtime.job import Instance
from s3dnn_ros.runtime.subtasks import BEFORE, BEHIND, SubTask, most_urgent_first
from s3dnn_ros.strategy.libraries import library
from s3dnn_ros.strategy.strategy import Measure, Measurement, Strategy
from s3dnn_ros.strategy.trials import check_trial, longer
from s3dnn_ros.strategy.workload import Variant, Workload


@dataclasses.dataclass(frozen=True)
class Trial:
    """How strategies of a workload are tried; calling it with one measures it.

    The same strategy has the same result every time.

    Parameters
    ----------
    workload : Workload
    policy : str
        One of POLICIES.
    seconds : float
        Of virtual time for one strategy, in all runs together.
    seeds : sequence of int
        A run for each: it says when tasks begin, and how long everything takes.
    cpus : int
        Processors for the work before and behind networks.
    segment_ms : float
        Networks are cut into segments of about this time; a scheduler decides between two.
    jitter : float
        Everything takes up to this part longer than the workload says.

    """

    workload: Workload
    policy: str = 'packing'
    seconds: float = 8.0
    seeds: Sequence[int] = (0, 1, 2, 3)
    cpus: int = 1
    segment_ms: float = 5.0
    jitter: float = JITTER

    def __post_init__(self):
        """Refuse what cannot be tried; raises ParameterError."""
        check_trial(self)

    def __call__(self, strategy: Strategy) -> Measurement:
        """Return what each task misses, and when its results come."""
        runs = [self._run(strategy, seed) for seed in self.seeds]
        together = list(zip(*runs))
        return Measurement.of(
            self.workload, [sum(client.frames for client in clients) for clients in together],
            [[time_s for client in clients for time_s in client.responses_s]
             for clients in together])

    def confirming(self, times: int) -> Trial:
        """Return a trial with other seeds that takes so many times as long."""
        return longer(self, times)

    @property
    def key(self) -> str:
        """Return what stands for all that results depend on besides the strategy."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def _run(self, strategy, seed) -> List[_Client]:
        return _Run(self, strategy, seed).clients


@contextlib.contextmanager
def parallel(trial: Trial, jobs: int) -> Iterator[Measure]:
    """Give what measures several strategies at once, in so many processes; -1: one a core.

    Raises StrategyError without joblib.
    """
    with library('joblib').Parallel(jobs) as workers:
        yield measuring(trial, workers)


def measuring(trial: Trial, workers) -> Measure:
    """Return what has strategies measured by the workers of a joblib.Parallel."""
    return lambda strategies: workers(library('joblib').delayed(trial)(strategy)
                                      for strategy in strategies)


@dataclasses.dataclass
class _Client:
    """A task's frames: how many there were, and when the results of some came."""

    instance: Instance
    variant: Variant
    period_s: float
    deadline_s: float
    frames: int = 0
    responses_s: List[float] = dataclasses.field(default_factory=list)
    waiting: Optional[_Frame] = None        # the newest, for a processor


@dataclasses.dataclass(eq=False)
class _Frame:
    """A frame from its release on; it is a processor's Urgency, too."""

    client: _Client
    released_s: float
    priority: int
    deadline_s: float


class _Run:
    """One run with one seed."""

    def __init__(self, trial: Trial, strategy: Strategy, seed: int):
        self._end_s = trial.seconds / len(trial.seeds)
        self._jitter = trial.jitter
        self._chance = random.Random(seed)
        workload = trial.workload
        variants = workload.chosen(strategy.variants)
        profiles = {task.name: _profile(task.name, variant, trial.segment_ms)
                    for task, variant in zip(workload.tasks, variants)}
        self._executor = VirtualExecutor(trial.policy, profiles, self._finished, ignore, seed,
                                         trial.jitter)
        self._frames: Dict[int, _Frame] = {}        # by the number of the request on the device
        self._cpus = _Processors(self._executor, trial.cpus)
        self.clients = [
            _Client(self._executor.add(task.name, priority), variant, task.period_s,
                    task.deadline_s)
            for task, variant, priority in zip(workload.tasks, variants, strategy.priorities)]
        for client in self.clients:
            self._executor.at(self._chance.uniform(0.0, client.period_s),
                              functools.partial(self._release, client))
        # what has no result by then is late
        self._executor.run_until(self._end_s + max(client.deadline_s for client in self.clients))

    def _release(self, client):
        now_s = self._executor.now_s()
        if now_s >= self._end_s:
            return
        client.frames += 1
        frame = _Frame(client, now_s, client.instance.settings.priority,
                       now_s + client.deadline_s)
        is_alone = client.waiting is None
        # as the governor has it: of frames that wait the newest
        client.waiting = frame
        if is_alone:
            self._cpus.submit(SubTask(frame, BEFORE, functools.partial(self._begin, client)))
        self._executor.at(now_s + client.period_s, functools.partial(self._release, client))

    def _begin(self, client):
        """Begin the work before the network; return its time and what is done then."""
        frame, client.waiting = client.waiting, None
        return self._longer_s(client.variant.before_s), functools.partial(self._send, frame)

    def _send(self, frame):
        request = self._executor.send(frame.client.instance, frame.deadline_s)
        self._frames[request.number] = frame

    def _finished(self, job):
        for request in job.requests:
            frame = self._frames.pop(request.number)
            self._cpus.submit(SubTask(frame, BEHIND, functools.partial(self._end, frame)))

    def _end(self, frame):
        """Begin the work behind the network; return its time and what is done then."""
        return (self._longer_s(frame.client.variant.behind_s),
                functools.partial(self._answer, frame))

    def _answer(self, frame):
        frame.client.responses_s.append(self._executor.now_s() - frame.released_s)

    def _longer_s(self, time_s):
        return time_s * (1.0 + self._chance.uniform(0.0, self._jitter))


class _Processors:
    """Runs sub-tasks in virtual time, the most urgent first.

    The `run` of a sub-task returns how long it takes, and what is to be called then.
    """

    def __init__(self, executor: VirtualExecutor, count: int):
        self._executor = executor
        self._free = count
        self._waiting: List = []        # a heap
        self._numbers = itertools.count()

    def submit(self, subtask: SubTask):
        """Have a sub-task run."""
        heapq.heappush(self._waiting, (most_urgent_first(subtask), next(self._numbers),
                                       subtask.run))
        self._start()

    def _start(self):
        while self._free and self._waiting:
            self._free -= 1
            time_s, done = heapq.heappop(self._waiting)[-1]()
            self._executor.at(self._executor.now_s() + time_s,
                              functools.partial(self._ended, done))

    def _ended(self, done: Callable[[], None]):
        self._free += 1
        done()
        self._start()


def _profile(name, variant, segment_ms) -> ProfileTable:
    segments = max(1, round(1e3 * variant.device_s / segment_ms))
    time_ms = 1e3 * variant.device_s / segments
    return ProfileTable(name, '', 'simulated', 'simulated', 'default', {}, tuple(
        ProfileRow(segment, 1, time_ms, time_ms, time_ms, variant.utilization,
                   variant.utilization) for segment in range(segments)))
