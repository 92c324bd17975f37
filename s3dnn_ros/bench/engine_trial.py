"""What a strategy misses on an engine: its tasks on the shipped core, scheduler and sub-tasks."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import random
from typing import Dict, List, Sequence

from s3dnn_ros.bench.load import STREAMS, Policy
from s3dnn_ros.bench.record import Record
from s3dnn_ros.bench.task_models import TaskModels
from s3dnn_ros.bench.task_run import Contender, Task, TaskRun
from s3dnn_ros.strategy.strategy import Measurement, Strategy
from s3dnn_ros.strategy.trials import check_trial, longer
from s3dnn_ros.strategy.workload import Workload


@dataclasses.dataclass(frozen=True)
class EngineTrial:
    """How strategies of a workload are tried on an engine; calling it with one measures it.

    What comes late is not done, as in the executor. Calls raise RuntimeError if the core, the
    engine or the work on the CPU fails. One strategy at a time: they share the engine.

    Parameters
    ----------
    workload : Workload
        Each of its variants names a model.
    models : TaskModels
        All of them.
    policy : str
        One of POLICIES; with `streams` tasks have no priorities.
    seconds : float
        For one strategy, in all runs together, without the time in which a run settles.
    seeds : sequence of int
        A run for each: it says when tasks begin.
    cpus : int
        Threads for the work before and behind networks.

    """

    workload: Workload
    models: TaskModels = dataclasses.field(repr=False)
    policy: str = 'packing'
    seconds: float = 8.0
    seeds: Sequence[int] = (0,)
    cpus: int = 1

    def __post_init__(self):
        """Refuse what cannot be tried; raises ParameterError."""
        check_trial(self)

    def __call__(self, strategy: Strategy) -> Measurement:
        """Return what each task misses, and when its results come."""
        frames = {task.name: 0 for task in self.workload.tasks}
        responses_s: Dict[str, List[float]] = {name: [] for name in frames}
        for seed in self.seeds:
            offered, answers = self._run(strategy, seed).of_window()
            for frame in offered:
                frames[frame.client] += 1
            for answer in answers:
                responses_s[answer.client].append(answer.ended_s - answer.stamp_s)
        return Measurement.of(self.workload, list(frames.values()), list(responses_s.values()))

    def confirming(self, times: int) -> EngineTrial:
        """Return a trial with other seeds that takes so many times as long."""
        return longer(self, times)

    @property
    def key(self) -> str:
        """Return what stands for all that results depend on besides the strategy."""
        engine = self.models.prepared.engine
        return hashlib.sha256(repr((self, self.models.setup, engine.device,
                                    sorted(engine.versions.items()))).encode()).hexdigest()

    def _run(self, strategy, seed) -> Record:
        chance = random.Random(seed)
        tasks = [
            Task(task.name, variant.model, task.period_s, task.deadline_s,
                 chance.uniform(0.0, task.period_s), priority)
            for task, variant, priority in zip(self.workload.tasks,
                                               self.workload.chosen(strategy.variants),
                                               strategy.priorities)]
        works = {task.model: self.models.works[task.model] for task in tasks}
        contender = Contender('strategy', Policy(self.policy, self.policy))
        if self.policy == STREAMS.scheduler:
            contender = Contender('streams', STREAMS, ranked=False)
        run = TaskRun(self.models.prepared.rig, works, tasks, contender, self.cpus)
        # what the run before left behind is not collected during this one
        gc.collect()
        return run.record(self.seconds / len(self.seeds))
