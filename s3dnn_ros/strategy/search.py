"""The search for a strategy: measure, fit the proxy, evolve on it, measure the best, and again."""

from __future__ import annotations

import math
from typing import Callable, List, Tuple

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.strategy.evolution import evolve, random_strategy
from s3dnn_ros.strategy.proxy import Proxy
from s3dnn_ros.strategy.rivals import RIVALS
from s3dnn_ros.strategy.strategy import (
    Measure,
    Measured,
    Measurement,
    Strategy,
    best_first,
    is_feasible,
)
from s3dnn_ros.strategy.workload import Workload

# Measured before the first fit, and in every round behind it.
FIRST, EACH = 48, 16
# Of the best measured strategies, that the evolution starts from.
PARENTS = 24
# So many of the best may fail when they are measured again.
MOST_CONFIRMED = 50


def search(workload: Workload, measure: Measure, budget: int, seed: int, measured: Measured,
           told: Callable[[Measured], None] = ignore) -> Measured:
    """Return what was measured of strategies, until there are as many as the budget says.

    What was measured before counts, too. A search that goes on finds what it would have found
    without the break, if that came between two rounds. It ends early when nothing is left to try.

    Parameters
    ----------
    workload : Workload
    measure : callable
    budget : int
        Strategies to measure in all.
    seed : int
    measured : dict of Strategy to Measurement
        What is known; it is not changed.
    told : callable
        Called with all that is known by then, after every round.

    """
    measured = dict(measured)
    while len(measured) < budget:
        chance = np.random.default_rng((seed, len(measured)))
        if len(measured) < FIRST:
            chosen, most = _first(workload, chance), FIRST - len(measured)
        else:
            chosen, most = _next(workload, measured, chance), EACH
        new = [strategy for strategy in dict.fromkeys(chosen) if strategy not in measured]
        if not new:
            break
        new = new[:min(most, budget - len(measured))]
        measured.update(zip(new, measure(new)))
        told(measured)
    return measured


def confirmed(workload: Workload, measured: Measured, measure: Measure
              ) -> Tuple[Strategy, Measurement]:
    """Return the best strategy as it was measured once more, with `measure`.

    The first in order of loss that is feasible then, too, of those that were; if there is none,
    the one that exceeds least what the tasks tolerate.
    """
    again: Measured = {}
    for strategy in best_first(workload, measured)[:MOST_CONFIRMED]:
        [again[strategy]] = measure([strategy])
        if is_feasible(workload, strategy, again[strategy]):
            return strategy, again[strategy]
        if not is_feasible(workload, strategy, measured[strategy]):
            break
    strategy = best_first(workload, again)[0]
    return strategy, again[strategy]


def _first(workload, chance) -> List[Strategy]:
    """Return what needs no search, if there is storage for it, and random strategies."""
    simple = [make(workload) for make in RIVALS.values()]
    return [*(strategy for strategy in simple if workload.fits(strategy.variants)),
            *(random_strategy(workload, chance) for _ in range(2 * FIRST))]


def _next(workload, measured, chance) -> List[Strategy]:
    """Return strategies that may be better than all that were measured, the best first.

    Of those with less loss than the best feasible one, or of all if none is, those come first
    that exceed least what the tasks tolerate, as the proxy has it (DERIVED).
    """
    seed = int(chance.integers(2 ** 31))
    proxy = Proxy(workload, seed)
    proxy.fit(measured)
    best, *_ = parents = best_first(workload, measured)[:PARENTS]
    found = evolve(workload, proxy.predict, parents, seed)
    worth = math.inf
    if is_feasible(workload, best, measured[best]):
        worth = workload.loss(best.variants)

    def rank(strategy):
        loss = workload.loss(strategy.variants)
        return loss >= worth, workload.excess(found[strategy]), loss

    return [*sorted(found, key=rank), *(random_strategy(workload, chance) for _ in range(EACH))]
