"""RT-mDL's study in virtual time: the strategy that is found, beside others, at several loads."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Dict, Sequence

from s3dnn_ros.bench.lab_rtmdl_results import FORMAT
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.strategy_bench import beside_rivals, faster
from s3dnn_ros.lab.strategy_trial import Trial
from s3dnn_ros.lab.sweep import Experiment
from s3dnn_ros.strategy.libraries import library
from s3dnn_ros.strategy.rivals import load
from s3dnn_ros.strategy.workload import load_workload

# Runs of a trial; those of two seeds have no run in common, the longer trials' runs included.
RUNS, RUNS_APART = 4, 1000


@dataclasses.dataclass(frozen=True)
class Cell:
    """One search, and the strategies that need none, on a workload with so many times the frames.

    `budget` are the strategies that the search measures, `seconds` the virtual time for each.
    """

    workload: str
    speed: float
    policy: str
    budget: int
    seconds: float
    seed: int

    def trial(self) -> Trial:
        """Return the trial of the search; raises ParameterError if it is too short."""
        first = RUNS_APART * self.seed
        return Trial(faster(load_workload(self.workload), self.speed), self.policy, self.seconds,
                     tuple(range(first, first + RUNS)))

    def run(self) -> Dict:
        """Return what each strategy misses and costs, ready for JSON."""
        trial = self.trial()
        workload = trial.workload
        found = beside_rivals(trial, lambda strategies: list(map(trial, strategies)), self.budget,
                              self.seed)
        return {'load': load(workload, [0] * len(workload.tasks)),
                'tasks': [task.name for task in workload.tasks], 'strategies': found}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to simulate: `speeds` say how many times as many frames come as the workload says."""

    workloads: Sequence[str] = ('seed_4_tasks',)
    speeds: Sequence[float] = (0.8, 1.0, 1.25)
    policy: str = 'packing'
    budget: int = 100
    seconds: float = 8.0
    seeds: int = 3

    def __post_init__(self):
        """Refuse what cannot be simulated; raises ParameterError."""
        above_zero('--speeds', self.speeds)
        at_least_one('--budget', [self.budget])
        at_least_one('--seeds', [self.seeds])
        if not (self.workloads and self.speeds):
            raise ParameterError('--workloads, --speeds', '', 'expected one of each at least')


def experiment(plan: Plan) -> Experiment:
    """Return RT-mDL's study.

    Raises StrategyError without pymoo and scikit-learn, DocumentError for a workload that cannot
    be read, ParameterError for one that cannot be tried in this time.
    """
    for name in ('pymoo', 'sklearn'):
        library(name)
    cells = [Cell(workload, speed, plan.policy, plan.budget, plan.seconds, seed)
             for workload, speed, seed in itertools.product(plan.workloads, plan.speeds,
                                                            range(plan.seeds))]
    for cell in cells:
        cell.trial()
    return Experiment('rtmdl', FORMAT, plan, cells, Cell.run)
