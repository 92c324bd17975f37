"""A planned strategy beside others on one engine, where exact networks ask for too much.

The search runs in virtual time with times that were measured on the engine; its best strategy is
confirmed there. Then all run there in turns: the shipped core, schedulers and sub-tasks, real
networks, and JPEGs to decode.
"""

from __future__ import annotations

import dataclasses
import gc
import logging
from typing import Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.engine_strategies_results import FORMAT, MADE
from s3dnn_ros.bench.engine_trial import EngineTrial
from s3dnn_ros.bench.engine_workload import workload_on
from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.bench.networks import ready
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.scaled_variants import ScaledVariants, scaled_variants
from s3dnn_ros.bench.task_models import TaskModels, TaskSetup, load_task_models
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.strategy_bench import faster
from s3dnn_ros.lab.strategy_trial import Trial, parallel
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.strategy.rivals import RIVALS, exact_rate_monotonic, load
from s3dnn_ros.strategy.search import confirmed, search
from s3dnn_ros.strategy.strategy import (
    Measured,
    Measurement,
    Strategy,
    best_first,
    is_feasible,
)
from s3dnn_ros.strategy.workload import ScaledModel, Task, Variant, Workload

_LOG = logging.getLogger(__name__)

# What the two tasks of a model take of its part of the device; a task's deadline is its period.
PARTS = (0.6, 0.4)
PLANNED, STREAMS = 'planned', 'exact, unscheduled streams'
# Seeds of the runs that confirm; those of the comparison begin with 0.
CONFIRMING_SEED = 1000
# Frames of the slowest task, for which each strategy is tried in virtual time.
VIRTUAL_FRAMES = 60
# An engine takes longer than its times alone: where no strategy is confirmed on it, the search is
# done again with so many times as many frames, each due so much sooner.
HEADROOMS = (1.0, 1.1, 1.2, 1.3)
# So many strategies of each search may fail on the engine.
TRIED = 2


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to compare; `loads` are what exact networks ask of the device.

    `variants` beside each exact network take down to `smallest` of its multiply-adds. A search
    tries `budget` strategies. With `workloads`, files as for `s3dnn plan`, their tasks come
    so often instead, with the variants and losses that they name.
    """

    workloads: Sequence[str] = ()
    models: Sequence[str] = ('resnet50', 'googlenet', 'alexnet')
    loads: Sequence[float] = (1.25, 1.5)
    variants: int = 4
    smallest: float = 0.25
    tolerated: float = 0.05
    policy: str = 'packing'
    cpus: int = 1
    width: int = 320
    height: int = 240
    target_ms: float = 2.0
    budget: int = 100
    runs: int = 3
    seconds: float = 10.0

    def __post_init__(self):
        """Refuse what cannot be compared; raises ParameterError."""
        at_least_one('--runs', [self.runs])
        at_least_one('--budget', [self.budget])
        at_least_one('--variants', [self.variants])
        above_zero('--loads', self.loads)
        if not 0.0 < self.smallest < 1.0:
            raise ParameterError('--smallest', self.smallest, 'expected a share below 1')


def run(engine, clock, plan: Plan, save: Callable[[Dict], None] = ignore, jobs: int = -1) -> Dict:
    """Run the bench; returns the results as a dict that JSON can hold.

    `save` gets them after every run; `jobs` processes search.
    """
    results: Dict = {'format': FORMAT, 'environment': environment(), **engine_record(engine),
                     'plan': dataclasses.asdict(plan), 'models': {}, 'strategies_on_engine': []}
    for source, (exact, models) in _workloads(engine, clock, plan):
        results['models'][source] = {
            task.model.name: [_record(task.model, variant) for variant in task.model.variants]
            for task in exact.tasks}
        # a garbage collection would walk all that was loaded, and take 100 ms for it
        gc.freeze()
        for asked in plan.loads:
            workload = faster(exact, asked / load(exact, [0] * len(exact.tasks)))
            trial = EngineTrial(workload, models, plan.policy, plan.seconds, cpus=plan.cpus)
            row, contenders = _planned(trial, plan, jobs)
            results['strategies_on_engine'].append({'workload': source, 'load': asked, **row})
            for seed in range(plan.runs):
                # in turns, so that what else the computer does is alike for all
                for name, (strategy, policy) in contenders.items():
                    measured = _run(dataclasses.replace(trial, policy=policy, seeds=(seed,)),
                                    strategy)
                    row['contenders'][name]['runs'].append(measured)
                    _LOG.info(f'load {asked:g}, run {seed + 1} of {plan.runs}, {name}: missed '
                              f"{measured['missed']:.1%}")
                    save(results)
    return results


def _run(trial: EngineTrial, strategy: Strategy) -> Dict:
    measurement = trial(strategy)
    return {'missed': missed_share(trial.workload, measurement), 'tasks': measurement.missed,
            'response_ms': measurement.response_ms}


def _workloads(engine, clock, plan: Plan) -> Iterator[Tuple[str, Tuple[Workload, TaskModels]]]:
    """Give workloads with times of the engine, each with its name for the tables."""
    setup = TaskSetup(plan.width, plan.height, plan.target_ms)
    for source in plan.workloads:
        yield source, workload_on(engine, clock, source, setup, anew=True)
    if not plan.workloads:
        yield MADE, _made(engine, clock, plan, setup)


def _made(engine, clock, plan: Plan, setup: TaskSetup) -> Tuple[Workload, TaskModels]:
    """Return a workload of variants that are not trained, and its models."""
    ready(plan.models)
    scaled = {name: scaled_variants(load_spec(name), plan.variants, plan.smallest)
              for name in plan.models}
    models = load_task_models(
        engine, clock, {model: len(PARTS) for one in scaled.values() for model in one.models},
        setup)
    known = [_scaled_model(name, variants, models) for name, variants in scaled.items()]
    return workload_of(known, engine.device, plan.tolerated), models


def _scaled_model(name, scaled: ScaledVariants, models: TaskModels) -> ScaledModel:
    """Return a model's variants with the times of the engine."""
    variants = []
    for model, loss, size_mb in zip(scaled.models, scaled.losses, scaled.sizes_mb):
        times = models.times(model)
        variants.append(Variant(times.before_s, times.device_s, times.behind_s,
                                times.utilization, loss, size_mb, model))
    return ScaledModel(name, 1.0, tuple(variants))


def _record(model: ScaledModel, variant: Variant) -> Dict:
    return {'before_ms': 1e3 * variant.before_s, 'device_ms': 1e3 * variant.device_s,
            'behind_ms': 1e3 * variant.behind_s,
            'utilization': variant.utilization, 'loss': variant.loss / model.accuracy,
            'storage_mb': variant.storage_mb}


def workload_of(models: Sequence[ScaledModel], device: str, tolerated: float) -> Workload:
    """Return two tasks of each model; exact variants ask for the device, all models for as much.

    There is storage for all variants.
    """
    tasks = []
    for model in models:
        for index, part in enumerate(PARTS):
            period_s = model.variants[0].device_s * len(models) / part
            tasks.append(Task(f'{model.name}_{index}', model, period_s, period_s, tolerated))
    storage_mb = sum(variant.storage_mb for model in models for variant in model.variants)
    return Workload(MADE, device, storage_mb, tuple(tasks))


def _planned(trial: EngineTrial, plan: Plan, jobs
             ) -> Tuple[Dict, Mapping[str, Tuple[Strategy, str]]]:
    """Return a row without runs, and what to run under which scheduler, by name."""
    workload = trial.workload
    searched, planned, measurement = _search(trial, plan, jobs)
    contenders = {PLANNED: (planned, plan.policy), **{
        name: (make(workload), plan.policy) for name, make in RIVALS.items()},
        STREAMS: (exact_rate_monotonic(workload), 'streams')}
    cpu_load = sum((task.model.variants[0].before_s + task.model.variants[0].behind_s)
                   / task.period_s for task in workload.tasks) / plan.cpus
    return {'cpu_load': cpu_load, 'searches': searched,
            'confirmed': is_feasible(workload, planned, measurement),
            'tasks': [{'name': task.name, 'period_ms': 1e3 * task.period_s}
                      for task in workload.tasks],
            'contenders': {name: {'variants': strategy.variants,
                                  'priorities': strategy.priorities,
                                  'load': load(workload, strategy.variants),
                                  'mean_loss': workload.loss(strategy.variants)
                                  / len(workload.tasks), 'runs': []}
                           for name, (strategy, _) in contenders.items()}}, contenders


def _search(trial: EngineTrial, plan: Plan, jobs
            ) -> Tuple[List[Dict], Strategy, Measurement]:
    """Return what was searched, and the best strategy with its measurement on the engine.

    Of strategies that are feasible there the first, else the one that exceeds least what the
    tasks tolerate.
    """
    workload = trial.workload
    # when tasks begin matters for a whole run: as many runs as are compared
    on_engine = dataclasses.replace(
        trial, seconds=plan.runs * plan.seconds,
        seeds=tuple(range(CONFIRMING_SEED, CONFIRMING_SEED + plan.runs)))
    tried: Measured = {}
    searched = []
    for headroom in HEADROOMS:
        hurried = faster(workload, headroom)
        longest_s = max(task.period_s for task in hurried.tasks)
        virtual = Trial(hurried, plan.policy, VIRTUAL_FRAMES * longest_s, cpus=plan.cpus,
                        segment_ms=plan.target_ms)
        with parallel(virtual, jobs) as measure:
            measured = search(hurried, measure, plan.budget, 0, {})
        likely = best_first(hurried, measured)[:TRIED]
        strategy, measurement = confirmed(
            workload, {each: measured[each] for each in likely},
            lambda strategies: list(map(on_engine, strategies)))
        tried[strategy] = measurement
        searched.append({'headroom': headroom, 'measured': len(measured),
                         'missed_in_virtual_time': missed_share(hurried, measured[strategy]),
                         'missed': missed_share(workload, measurement)})
        _LOG.info(f'{len(measured)} strategies in virtual time with {headroom:g} times the frames:'
                  f" the best misses {searched[-1]['missed']:.1%} here")
        if is_feasible(workload, strategy, measurement):
            break
    best = best_first(workload, tried)[0]
    return searched, best, tried[best]


def missed_share(workload: Workload, measurement: Measurement) -> float:
    """Return the share of all tasks' frames that is missed."""
    rates_hz = [1.0 / task.period_s for task in workload.tasks]
    return sum(map(float.__mul__, measurement.missed, rates_hz)) / sum(rates_hz)
