"""RT-mDL's scheduling beside others: tasks that are split, and packed, under the same load.

Every task has work on the CPU before and behind its network. All contenders run in one process,
on the same networks and images.
"""

from __future__ import annotations

import dataclasses
import gc
import logging
import random
from typing import Dict, List, Mapping, Sequence

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.bench.load import STREAMS, Policy
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.packing_results import FORMAT
from s3dnn_ros.bench.record import Record, Span
from s3dnn_ros.bench.task_models import TaskSetup, load_task_models
from s3dnn_ros.bench.task_run import Contender, Task, TaskRun
from s3dnn_ros.strategy.workload import ModelTimes

_LOG = logging.getLogger(__name__)

MODELS = ('squeezenet_1_1', 'nanodet_g')
LOADS = (0.5, 0.7, 0.9, 1.1)
# What the two tasks of a model take of its part of the device; their deadlines are their periods.
PARTS = (0.6, 0.4)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much to measure; two tasks of each model, whose images have this size."""

    models: Sequence[str] = MODELS
    loads: Sequence[float] = LOADS
    threshold: float = 1.0
    workers: int = 1
    width: int = 1280
    height: int = 720
    runs: int = 3
    seconds: float = 10.0
    target_ms: float = 2.0

    def __post_init__(self):
        """Refuse too little to measure; raises ParameterError."""
        at_least_one('--runs', [self.runs])
        at_least_one('--cpu-workers', [self.workers])
        above_zero('--seconds', [self.seconds])
        above_zero('--loads', self.loads)
        above_zero('--threshold', [self.threshold])
        above_zero('--target-ms', [self.target_ms])


def contenders(threshold: float) -> Sequence[Contender]:
    """Return who is compared, packing with this threshold."""
    def packing(limit):
        return Policy('packing', 'packing', options=(('threshold', limit),))

    return (Contender('packing', packing(threshold)),
            Contender('nothing packed', packing(0.0)),
            Contender('whole tasks', packing(0.0), whole=True),
            Contender('edf', Policy('edf', 'edf'), ranked=False),
            Contender('streams', STREAMS, ranked=False))


def run(engine, clock, plan: Plan, save=ignore) -> Dict:
    """Run the bench; returns the results as a dict that JSON can hold.

    `save` gets them after every run.
    """
    results: Dict = {'format': FORMAT, 'environment': environment(), **engine_record(engine),
                     'plan': dataclasses.asdict(plan), 'models': {}, 'packing': []}
    models = load_task_models(engine, clock, dict.fromkeys(plan.models, len(PARTS)),
                              TaskSetup(plan.width, plan.height, plan.target_ms))
    prepared = models.prepared
    results['models'] = {name: _times_ms(models.times(name)) for name in plan.models}
    _LOG.info(f"alone: {results['models']}")
    # a garbage collection would walk all that was loaded, and take 100 ms for it
    gc.freeze()
    who = contenders(plan.threshold)
    for load in plan.loads:
        row = {'load': load, 'contenders': {contender.name: [] for contender in who},
               **_demand(results['models'], load, plan.workers)}
        results['packing'].append(row)
        for seed in range(plan.runs):
            # in turns, so that what else the computer does is alike for all
            for contender in who:
                record = TaskRun(prepared.rig, models.works, _tasks(row['tasks'], seed), contender,
                                 plan.workers).record(plan.seconds)
                figures = _figures(record, prepared.alone_s)
                row['contenders'][contender.name].append(figures)
                _LOG.info(f'load {load:.0%}, run {seed + 1} of {plan.runs}, {contender.name}: '
                          f"missed {figures['missed_share']:.1%}, side by side "
                          f"{figures['beside_share']:.0%}")
                save(results)
    return results


def _times_ms(times: ModelTimes) -> Dict[str, float]:
    return {'before_ms': 1e3 * times.before_s, 'device_ms': 1e3 * times.device_s,
            'behind_ms': 1e3 * times.behind_s, 'utilization': times.utilization}


def _demand(models: Mapping[str, Mapping[str, float]], load, workers) -> Dict:
    """Return tasks that ask for so much of the device or the CPU, whichever is busier.

    All models ask for the same part of the device. The shorter a task's period, the higher its
    priority (rate-monotonic).
    """
    tasks = [{'name': f'{name}_{index}', 'model': name,
              'period_ms': one['device_ms'] * len(models) / part}
             for name, one in models.items() for index, part in enumerate(PARTS)]
    cpu_load = sum((models[task['model']]['before_ms'] + models[task['model']]['behind_ms'])
                   / task['period_ms'] for task in tasks) / workers
    longer = max(1.0, cpu_load) / load
    for task in tasks:
        task['period_ms'] *= longer
    for priority, task in enumerate(sorted(tasks, key=lambda task: -task['period_ms'])):
        task['priority'] = priority
    return {'tasks': tasks, 'device_load': 1.0 / longer, 'cpu_load': cpu_load / longer}


def _tasks(tasks: Sequence[Mapping], seed) -> List[Task]:
    """Return tasks that come first at any moment of their period."""
    chance = random.Random(seed)
    return [Task(task['name'], task['model'], task['period_ms'] / 1e3, task['period_ms'] / 1e3,
                 chance.uniform(0.0, task['period_ms'] / 1e3), task['priority'])
            for task in tasks]


def _figures(record: Record, alone_s) -> Dict:
    """Return what a run showed, of all tasks and of each."""
    def shown(names):
        measured = dataclasses.replace(
            record, models={name: record.models[name] for name in names},
            offered=[one for one in record.offered if one.client in names],
            answers=[one for one in record.answers if one.client in names]).measured(alone_s)
        return {'missed_share': measured.missed_share, 'response_ms': measured.response_ms}

    return {**shown(list(record.models)),
            'beside_share': beside_share(record.spans, record.begin_s, record.end_s),
            'tasks': {name: shown([name]) for name in record.models}}


def beside_share(spans: Sequence[Span], begin_s: float, end_s: float) -> float:
    """Return in which part of a time the device had several segments, or whole networks."""
    changes = sorted(change for span in spans
                     for change in ((min(max(span.submitted_s, begin_s), end_s), 1),
                                    (min(max(span.completed_s, begin_s), end_s), -1)))
    beside_s, running, since_s = 0.0, 0, begin_s
    for now_s, change in changes:
        if running > 1:
            beside_s += now_s - since_s
        running, since_s = running + change, now_s
    return beside_s / (end_s - begin_s)
