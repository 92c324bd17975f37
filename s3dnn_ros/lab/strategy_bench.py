"""How good the search for strategies is, in virtual time on a simulated device.

Beside trying everything, beside random search, on a workload too large to try everything, and
beside strategies that need no search. Nothing here is a measurement of a device.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import math
import time
from typing import Callable, Dict, List, Sequence

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.option_checks import at_least_one
from s3dnn_ros.bench.strategies_results import FORMAT
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.made_workload import made_workload
from s3dnn_ros.lab.strategy_trial import Trial, parallel
from s3dnn_ros.strategy.evolution import random_strategy
from s3dnn_ros.strategy.libraries import library
from s3dnn_ros.strategy.proxy import proxy_error
from s3dnn_ros.strategy.rivals import RIVALS, exact_rate_monotonic, load
from s3dnn_ros.strategy.search import confirmed, search
from s3dnn_ros.strategy.strategy import (
    Measure,
    Measured,
    Measurement,
    Strategy,
    best_first,
    is_feasible,
)
from s3dnn_ros.strategy.workload import Workload, load_workload

_LOG = logging.getLogger(__name__)

PARTS = ('exhaustive', 'large', 'rivals')
# A search is as good as trying everything within this share of the least loss.
NEAR = 0.02
# What the trials that are told take longer than those of the search.
CONFIRMED_TIMES = 4
# Proxy and search were chosen on the larger workloads before this one.
FIRST_LARGE_SEED = 10
# So many strategies at random tell how hard a large workload is.
RANDOM = 100
# How results name what is not in RIVALS.
ON_STREAMS, SEARCHED = 'exact, all at once on streams', 'searched'


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to compare; `speeds` say how many times as many frames come in the part `rivals`."""

    workloads: Sequence[str] = ('seed_4_tasks', 'robot_mix')
    parts: Sequence[str] = PARTS
    seeds: int = 20
    share: float = 0.1
    tasks: int = 8
    variants: int = 10
    large_seeds: int = 5
    budget: int = 300
    speeds: Sequence[float] = (1.0, 1.25)
    seconds: float = 8.0
    policy: str = 'packing'
    jobs: int = -1

    def __post_init__(self):
        """Refuse what cannot be compared; raises ParameterError."""
        at_least_one('--seeds', [self.seeds, self.large_seeds])
        at_least_one('--budget', [self.budget])
        for part in self.parts:
            if part not in PARTS:
                raise ParameterError('--parts', part, f'expected some of {", ".join(PARTS)}')


def run(plan: Plan, save: Callable[[Dict], None] = ignore) -> Dict:
    """Run the bench; returns the results as a dict that JSON can hold."""
    results: Dict = {'format': FORMAT, 'environment': environment(), 'device': 'simulated',
                     'plan': dataclasses.asdict(plan), 'searches': {part: [] for part in PARTS}}
    measures: Dict[str, Callable] = {'exhaustive': _exhaustive, 'large': _large,
                                     'rivals': _rivals}
    for part in plan.parts:
        for row in measures[part](plan):
            results['searches'][part].append(row)
            _LOG.info(f"{part}: {row['name']} is done")
            save(results)
    return results


def _exhaustive(plan):
    """Try every strategy of a workload, then search with some of the measurements."""
    for name in plan.workloads:
        workload = load_workload(name)
        trial = Trial(workload, plan.policy, plan.seconds)
        strategies = every(workload)
        begun_s = time.perf_counter()
        with parallel(trial, plan.jobs) as measure:
            known = dict(zip(strategies, measure(strategies)))
        took_s = time.perf_counter() - begun_s
        best = best_first(workload, known)[0]
        if not is_feasible(workload, best, known[best]):
            raise ParameterError('--workloads', name, 'no strategy of it is feasible')
        least = workload.loss(best.variants)
        budget = int(plan.share * len(strategies))
        joblib = library('joblib')
        runs = joblib.Parallel(plan.jobs)(
            joblib.delayed(_search_known)(workload, known, budget, least, seed)
            for seed in range(plan.seeds))
        yield {'name': name, 'strategies': len(strategies), 'took_s': took_s,
               'feasible': sum(itertools.starmap(functools.partial(is_feasible, workload),
                                                 known.items())),
               'least_loss': least, 'budget': budget, 'runs': runs}


def every(workload: Workload) -> List[Strategy]:
    """Return all strategies of a workload that its storage allows."""
    variants = itertools.product(*(range(len(task.model.variants)) for task in workload.tasks))
    orders = list(itertools.permutations(range(len(workload.tasks))))
    return [Strategy.in_order(chosen, order) for chosen in variants if workload.fits(chosen)
            for order in orders]


def _search_known(workload, known: Measured, budget, least, seed) -> Dict:
    """Search with results that are known, and draw at random beside it."""
    begun_s = time.perf_counter()
    found = search(workload, _look_up(known), budget, seed, {})
    took_s = time.perf_counter() - begun_s
    chance = np.random.default_rng(seed)
    drawn: Measured = {}
    while len(drawn) < budget:
        strategy = random_strategy(workload, chance)
        drawn[strategy] = known[strategy]
    error = proxy_error(workload, found, seed)
    return {'seed': seed, 'took_s': took_s, 'measured': len(found),
            **_outcome(workload, found, least),
            'random': _outcome(workload, drawn, least),
            'proxy_error': error.proxy, 'constant_error': error.constant}


def _look_up(known: Measured):
    return lambda strategies: [known[strategy] for strategy in strategies]


def _outcome(workload, measured: Measured, least) -> Dict:
    """Return the loss of the best feasible strategy, and how many were measured until it was near.

    None where none is feasible, or near.
    """
    losses = [workload.loss(strategy.variants) if is_feasible(workload, strategy, measurement)
              else math.inf for strategy, measurement in measured.items()]
    near = [number for number, loss in enumerate(losses, 1) if loss <= (1.0 + NEAR) * least]
    loss = min(losses)
    return {'loss': None if loss == math.inf else loss, 'near_after': near[0] if near else None}


def _large(plan):
    """Search where nobody can try everything: how soon there is a feasible strategy."""
    for seed in range(FIRST_LARGE_SEED, FIRST_LARGE_SEED + plan.large_seeds):
        workload, hidden = made_workload(plan.tasks, plan.variants, seed, plan.policy,
                                         plan.seconds)
        trial = Trial(workload, plan.policy, plan.seconds)
        again = trial.confirming(CONFIRMED_TIMES)
        chance = np.random.default_rng(seed)
        drawn = [random_strategy(workload, chance) for _ in range(RANDOM)]
        rivals = {label: make(workload) for label, make in RIVALS.items()}
        rivals['hidden'] = hidden
        first: List[Dict] = []
        with parallel(trial, plan.jobs) as measure:
            lucky = sum(map(functools.partial(is_feasible, workload), drawn, measure(drawn)))
            begun_s = time.perf_counter()

            def told(measured, workload=workload, first=first, begun_s=begun_s):
                best = best_first(workload, measured)[0]
                if not first and is_feasible(workload, best, measured[best]):
                    first.append({'seconds': time.perf_counter() - begun_s,
                                  'measured': len(measured)})

            measured = search(workload, measure, plan.budget, seed, {}, told)
            took_s = time.perf_counter() - begun_s
        strategy, measurement = _confirmed(trial, measured)
        error = proxy_error(workload, measured, seed)
        yield {'name': f'{plan.tasks} tasks, {plan.variants} variants, seed {seed}',
               'load': load(workload, [0] * plan.tasks), 'measured': len(measured),
               'random': {'measured': RANDOM, 'feasible': lucky},
               'took_s': took_s, 'first': first[0] if first else None,
               'rivals': {**{label: _told(workload, made, again(made))
                             for label, made in rivals.items()},
                          SEARCHED: _told(workload, strategy, measurement)},
               'proxy_error': error.proxy, 'constant_error': error.constant}


def _rivals(plan):
    """Compare with strategies that need no search, and with all at once on streams."""
    for name, speed in itertools.product(plan.workloads, plan.speeds):
        workload = faster(load_workload(name), speed)
        trial = Trial(workload, plan.policy, plan.seconds)
        with parallel(trial, plan.jobs) as measure:
            found = beside_rivals(trial, measure, plan.budget, 0)
        yield {'name': f'{name}, {speed:g} times the frames', 'rivals': found,
               'load': load(workload, [0] * len(workload.tasks))}


def beside_rivals(trial: Trial, measure: Measure, budget: int, seed: int) -> Dict[str, Dict]:
    """Return what results say of strategies without a search and of the one that is found.

    Parameters
    ----------
    trial : Trial
        Of the search; what is told comes from longer trials with other seeds.
    measure : callable
        Has strategies tried by this trial.
    budget : int
        Strategies that the search measures.
    seed : int
        Of the search.

    """
    workload, again = trial.workload, trial.confirming(CONFIRMED_TIMES)
    strategy, measurement = _confirmed(trial, search(workload, measure, budget, seed, {}))
    exact = exact_rate_monotonic(workload)
    found = {label: _told(workload, made, again(made)) for label, made in (
        (label, make(workload)) for label, make in RIVALS.items())}
    found[ON_STREAMS] = _told(workload, exact, dataclasses.replace(again, policy='streams')(exact))
    found[SEARCHED] = _told(workload, strategy, measurement)
    return found


def _confirmed(trial, measured):
    """Return the best strategy, and what a longer trial with other seeds says of it."""
    again = trial.confirming(CONFIRMED_TIMES)
    return confirmed(trial.workload, measured, lambda strategies: list(map(again, strategies)))


def _told(workload, strategy: Strategy, measurement: Measurement) -> Dict:
    """Return what results say of a strategy; `missed` is the share of all tasks' frames."""
    rates_hz = [1.0 / task.period_s for task in workload.tasks]
    return {'variants': strategy.variants, 'priorities': strategy.priorities,
            'missed': sum(map(float.__mul__, measurement.missed, rates_hz)) / sum(rates_hz),
            'missed_by_task': measurement.missed,
            'excess': workload.excess(measurement.missed),
            'mean_loss': workload.loss(strategy.variants) / len(workload.tasks),
            'storage_mb': workload.storage_mb(strategy.variants),
            'fits': workload.fits(strategy.variants),
            'feasible': is_feasible(workload, strategy, measurement)}


def faster(workload: Workload, speed: float) -> Workload:
    """Return a workload with so many times as many frames, and deadlines as much shorter."""
    return dataclasses.replace(workload, tasks=tuple(
        dataclasses.replace(task, period_s=task.period_s / speed,
                            deadline_s=task.deadline_s / speed) for task in workload.tasks))
