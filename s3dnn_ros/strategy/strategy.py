"""A strategy: the variant and the priority of every task, and what was measured of it."""

from __future__ import annotations

import dataclasses
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.strategy.workload import Workload

# Of the time from a frame to its result.
PERCENTILE = 95


@dataclasses.dataclass(frozen=True)
class Strategy:
    """RT-mDL's strategy s, in the order of the workload's tasks.

    `variants` are indices, 0 the exact one; `priorities` are the numbers from 1 on, each once,
    the largest the most important.
    """

    variants: Tuple[int, ...]
    priorities: Tuple[int, ...]

    @classmethod
    def in_order(cls, variants: Sequence[int], order: Sequence[int]) -> Strategy:
        """Return the strategy whose tasks have this order, the most important first."""
        priorities = [0] * len(order)
        for rank, task in enumerate(order):
            priorities[task] = len(order) - rank
        return cls(tuple(map(int, variants)), tuple(priorities))

    @property
    def order(self) -> Tuple[int, ...]:
        """Return the indices of the tasks, the most important first."""
        return tuple(sorted(range(len(self.priorities)), key=lambda task: -self.priorities[task]))


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was measured of a strategy, for every task.

    `missed` is the share of frames without a result in time (MIS_i), `response_ms` the 95th
    percentile of the time from a frame to its result; None where no frame had a result.
    """

    missed: Tuple[float, ...]
    response_ms: Tuple[Optional[float], ...]

    @classmethod
    def of(cls, workload: Workload, frames: Sequence[int],
           responses_s: Sequence[Sequence[float]]) -> Measurement:
        """Return the measurement of tasks with so many frames, some of which had results.

        `responses_s` has for each task the times from a frame to its result; 1 frame at least.
        """
        in_time = [sum(time_s <= task.deadline_s for time_s in times_s)
                   for task, times_s in zip(workload.tasks, responses_s)]
        return cls(tuple((asked - count) / asked for asked, count in zip(frames, in_time)),
                   tuple(1e3 * float(np.percentile(times_s, PERCENTILE)) if times_s else None
                         for times_s in responses_s))


Measured = Dict[Strategy, Measurement]
# Measures strategies, in their order.
Measure = Callable[[Sequence[Strategy]], Iterable[Measurement]]


def best_first(workload: Workload, measured: Measured) -> List[Strategy]:
    """Return strategies in order of what the tasks miss too much, then of loss."""
    return sorted(measured, key=lambda strategy: (
        workload.excess(measured[strategy].missed), workload.loss(strategy.variants),
        strategy.variants, strategy.priorities))


def is_feasible(workload: Workload, strategy: Strategy, measurement: Measurement) -> bool:
    """Tell whether a strategy keeps the constraints of Eq. 1."""
    return not workload.excess(measurement.missed) and workload.fits(strategy.variants)


def is_of(workload: Workload, strategy: Strategy) -> bool:
    """Tell whether a strategy gives every task a variant that it has, and another priority."""
    count = len(workload.tasks)
    return (len(strategy.variants) == count
            and all(index < len(task.model.variants)
                    for index, task in zip(strategy.variants, workload.tasks))
            and sorted(strategy.priorities) == list(range(1, count + 1)))
