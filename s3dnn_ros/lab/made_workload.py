"""Made-up workloads that are hard to serve, and that a hidden strategy serves."""

from __future__ import annotations

import dataclasses
import random
from typing import NamedTuple

from s3dnn_ros.lab.strategy_trial import Trial
from s3dnn_ros.strategy.strategy import Strategy
from s3dnn_ros.strategy.workload import ScaledModel, Task, Variant, Workload

PERIODS_S = (0.033, 0.05, 0.067, 0.1, 0.133, 0.2, 0.25, 0.333)
# What the hidden strategy asks of the device, if segments run one at a time.
HIDDEN_LOAD = 0.85
# Of the exact model's time, the last variant takes this part.
LEAST = 0.35
# Tasks tolerate so much more than they miss with the hidden strategy.
TOLERATED = (0.01, 0.02, 0.05)
# The storage limit is what the hidden strategy takes, and this.
SPARE_STORAGE = 1.02
# The hidden strategy is measured so many times as long as others.
MEASURED_TIMES = 4


class MadeWorkload(NamedTuple):
    """A workload, and the strategy around which it was made."""

    workload: Workload
    hidden: Strategy


def made_workload(tasks: int, variants: int, seed: int, policy: str, seconds: float
                  ) -> MadeWorkload:
    """Return a workload that can be served, though hardly by chance.

    A hidden strategy says how large everything is. It has variants of the smaller half, and the
    earlier a deadline, the higher the priority. With it the device is busy for 0.85 of the time;
    exact models ask for about 1.9 times the device. Three things bind:

    - Storage: the limit is that of the hidden strategy and 2 %. Variants of even number are
      narrow, and take little storage; those of odd number are shallow, and take much. The hidden
      strategy has both in turn. Of 10 variants the smallest is shallow, so the smallest of all
      tasks mostly take more than there is.
    - Time: deadlines are 0.5 to 1 of the period, so that rate-monotonic priorities are wrong.
    - Misses: a task tolerates 1, 2 or 5 % more than it misses with the hidden strategy.

    Tasks are independent of each other, and times, losses and storage are drawn at random.

    Parameters
    ----------
    tasks, variants : int
    seed : int
    policy : str
        The scheduler with which the hidden strategy is measured.
    seconds : float
        As for Trial; the hidden strategy is measured four times as long.

    """
    chance = random.Random(seed)
    smaller = range(variants // 2, variants)
    chosen = [chance.choice([variant for variant in smaller if variant % 2 == task % 2]
                            or smaller) for task in range(tasks)]
    shares = [chance.uniform(0.7, 1.3) for _ in range(tasks)]
    made = []
    for index, variant in enumerate(chosen):
        period_s = chance.choice(PERIODS_S)
        exact_s = (HIDDEN_LOAD * period_s * shares[index] / sum(shares)
                   / _left(variant, variants))
        model = _model(f'net_{index}', variants, exact_s, period_s, chance)
        made.append(Task(f'task_{index}', model, period_s, chance.uniform(0.5, 1.0) * period_s,
                         1.0))
    workload = Workload(f'made_{seed}', 'simulated', float('inf'), tuple(made))
    hidden = Strategy.in_order(chosen, sorted(range(tasks),
                                              key=lambda task: made[task].deadline_s))
    missed = Trial(workload, policy, seconds).confirming(MEASURED_TIMES)(hidden).missed
    workload = dataclasses.replace(
        workload, storage_limit_mb=SPARE_STORAGE * workload.storage_mb(chosen),
        tasks=tuple(dataclasses.replace(task, tolerated_miss_rate=rate + chance.choice(TOLERATED))
                    for task, rate in zip(made, missed)))
    return MadeWorkload(workload, hidden)


def _left(variant, variants) -> float:
    """Return the part of the exact model's time that a variant takes."""
    return 1.0 - (1.0 - LEAST) * variant / max(1, variants - 1)


def _model(name, variants, exact_s, period_s, chance) -> ScaledModel:
    most_loss, exact_mb = chance.uniform(3.0, 10.0), chance.uniform(20.0, 200.0)
    utilization, before_s = chance.uniform(0.5, 1.0), chance.uniform(0.0, 0.05) * period_s
    rows = []
    for variant in range(variants):
        left = _left(variant, variants)
        rows.append(Variant(
            before_s, left * exact_s, 0.01 * period_s, utilization * (0.5 + 0.5 * left),
            most_loss * ((1.0 - left) / (1.0 - LEAST)) ** 2,
            exact_mb * (left ** 2 if variant % 2 == 0 else left ** 0.5)))
    return ScaledModel(name, 80.0, tuple(rows))
