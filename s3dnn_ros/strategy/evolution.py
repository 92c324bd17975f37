"""NSGA-II by pymoo, over the variant of every task and the order of their priorities."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence

import numpy as np

from s3dnn_ros.strategy.libraries import library
from s3dnn_ros.strategy.strategy import Strategy
from s3dnn_ros.strategy.workload import Workload

POPULATION, GENERATIONS = 64, 25
# How often a child's variant moves, and how often two of its priorities are swapped.
MOVE, SWAP = 0.3, 0.5

# Predicts miss rates of strategies, a row for each.
Predict = Callable[[Sequence[Strategy]], np.ndarray]


def evolve(workload: Workload, predict: Predict, parents: Sequence[Strategy], seed: int
           ) -> Dict[Strategy, np.ndarray]:
    """Return all strategies of all generations, with the miss rates that were predicted.

    The objectives are the loss of Eq. 1, and by how much the predicted miss rates exceed what the
    tasks tolerate, in all; the storage limit is a constraint. The same seed gives the same result.

    Parameters
    ----------
    workload : Workload
    predict : callable
    parents : sequence of Strategy
        They are in the first generation; random ones fill it up.
    seed : int

    """
    chance = np.random.default_rng(seed)
    library('pymoo.config').Config.warnings['not_compiled'] = False
    genomes = [genome_of(strategy) for strategy in parents[:POPULATION]]
    genomes += [genome_of(random_strategy(workload, chance))
                for _ in range(POPULATION - len(genomes))]
    nsga2 = library('pymoo.algorithms.moo.nsga2').NSGA2(
        POPULATION, sampling=np.array(genomes), crossover=_crossover(chance),
        mutation=_mutation(workload, chance), eliminate_duplicates=True)
    found: Dict[Strategy, np.ndarray] = {}
    library('pymoo.optimize').minimize(
        _problem(workload, predict, found), nsga2, ('n_gen', GENERATIONS), seed=seed)
    return found


def random_strategy(workload: Workload, chance: np.random.Generator) -> Strategy:
    """Return a strategy that keeps the storage limit, with variants and priorities at random.

    Variants that take too much are moved towards those that take least.
    """
    variants = [int(chance.integers(len(task.model.variants))) for task in workload.tasks]
    order = chance.permutation(len(variants))
    for task in chance.permutation(len(variants)):
        if workload.fits(variants):
            break
        # of one model all: a file that another task needs is not saved
        variants = [least if workload.tasks[index].model is workload.tasks[task].model else variant
                    for index, (variant, least) in enumerate(zip(variants,
                                                                 workload.least_storage))]
    return Strategy.in_order(variants, order)


def genome_of(strategy: Strategy) -> List[int]:
    """Return the variants, and behind them the order of the tasks."""
    return [*strategy.variants, *strategy.order]


def strategy_of(genome: Sequence[int]) -> Strategy:
    """Return the strategy of a genome."""
    count = len(genome) // 2
    return Strategy.in_order(genome[:count], list(map(int, genome[count:])))


def order_crossover(first: Sequence[int], second: Sequence[int], begin: int, end: int
                    ) -> List[int]:
    """Return a permutation with the first's part from begin to end, the rest as in the second."""
    kept = list(first[begin:end])
    others = [task for task in second if task not in kept]
    return [*others[:begin], *kept, *others[begin:]]


def crossed(first: np.ndarray, second: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Return a child: each variant of one parent or the other, and an order of both."""
    count = len(first) // 2
    variants = np.where(chance.random(count) < 0.5, first[:count], second[:count])
    begin, end = sorted(chance.integers(0, count + 1, 2))
    return np.array([*variants, *order_crossover(first[count:], second[count:], begin, end)])


def mutated(genome: np.ndarray, largest: Sequence[int], chance: np.random.Generator
            ) -> np.ndarray:
    """Return a genome some of whose variants moved by 1, with two tasks swapped at times.

    `largest` is the index of each task's last variant.
    """
    count = len(genome) // 2
    steps = np.where(chance.random(count) < MOVE, chance.choice((-1, 1), count), 0)
    child = np.array([*np.clip(genome[:count] + steps, 0, largest), *genome[count:]])
    if chance.random() < SWAP:
        swapped = count + chance.integers(0, count, 2)
        child[swapped] = child[swapped[::-1]]
    return child


def _problem(workload, predict, found):
    class Search(library('pymoo.core.problem').Problem):
        def __init__(self):
            super().__init__(n_var=2 * len(workload.tasks), n_obj=2, n_ieq_constr=1)

        def _evaluate(self, genomes, out, *_, **__):
            strategies = [strategy_of(genome) for genome in genomes]
            missed = predict(strategies)
            found.update((strategy, rates) for strategy, rates in zip(strategies, missed)
                         if workload.fits(strategy.variants))
            out['F'] = np.array([
                (workload.loss(strategy.variants), workload.excess(rates))
                for strategy, rates in zip(strategies, missed)])
            out['G'] = np.array([[workload.storage_mb(strategy.variants)
                                  - workload.storage_limit_mb] for strategy in strategies])

    return Search()


def _crossover(chance):
    class Crossover(library('pymoo.core.crossover').Crossover):
        def __init__(self):
            super().__init__(2, 2)

        def _do(self, _, parents, *__, **___):
            first, second = parents
            return np.array([[crossed(*pair, chance) for pair in zip(first, second)],
                             [crossed(*pair, chance) for pair in zip(second, first)]])

    return Crossover()


def _mutation(workload, chance):
    largest = [len(task.model.variants) - 1 for task in workload.tasks]

    class Mutation(library('pymoo.core.mutation').Mutation):
        def _do(self, _, genomes, *__, **___):
            return np.array([mutated(genome, largest, chance) for genome in genomes])

    return Mutation()
