"""Strategies that need no search; the search starts from them, too."""

from __future__ import annotations

from typing import Callable, Dict

from s3dnn_ros.strategy.strategy import Strategy
from s3dnn_ros.strategy.workload import Workload


def exact_rate_monotonic(workload: Workload) -> Strategy:
    """Return exact models; the shorter the period, the more important."""
    return Strategy.in_order([0] * len(workload.tasks), _by_period(workload))


def smallest_rate_monotonic(workload: Workload) -> Strategy:
    """Return the last variant of every task; the shorter the period, the more important."""
    return Strategy.in_order([len(task.model.variants) - 1 for task in workload.tasks],
                             _by_period(workload))


def greedy_by_laxity(workload: Workload) -> Strategy:
    """Return smaller variants where time is scarce, until the device can carry them (DERIVED).

    While tasks ask for more than all of the device, or take more storage than there is, the one
    with the least laxity, deadline less time alone, takes its next variant. The less laxity, the
    more important.
    """
    tasks = workload.tasks
    variants = [0] * len(tasks)

    def laxity_s(task):
        return tasks[task].deadline_s - tasks[task].model.variants[variants[task]].alone_s

    while load(workload, variants) > 1.0 or not workload.fits(variants):
        smaller = [task for task in range(len(tasks))
                   if variants[task] + 1 < len(tasks[task].model.variants)]
        if not smaller:
            break
        variants[min(smaller, key=laxity_s)] += 1
    return Strategy.in_order(variants, sorted(range(len(tasks)), key=laxity_s))


def load(workload: Workload, variants) -> float:
    """Return the share of the device's time that tasks ask for, one at a time."""
    return sum(variant.device_s / task.period_s
               for task, variant in zip(workload.tasks, workload.chosen(variants)))


RIVALS: Dict[str, Callable[[Workload], Strategy]] = {
    'exact, rate-monotonic': exact_rate_monotonic,
    'smallest, rate-monotonic': smallest_rate_monotonic,
    'greedy by laxity': greedy_by_laxity,
}


def _by_period(workload):
    return sorted(range(len(workload.tasks)), key=lambda task: workload.tasks[task].period_s)
