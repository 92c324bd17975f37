"""Genomes: children are strategies of the workload, whatever their parents are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.strategy.evolution import (
    GENERATIONS,
    POPULATION,
    crossed,
    evolve,
    genome_of,
    mutated,
    order_crossover,
    random_strategy,
    strategy_of,
)
from s3dnn_ros.strategy.strategy import Strategy, is_of

TASKS, VARIANTS = 5, 3


@st.composite
def genomes(draw):
    variants = draw(st.lists(st.integers(0, VARIANTS - 1), min_size=TASKS, max_size=TASKS))
    return np.array([*variants, *draw(st.permutations(range(TASKS)))])


@given(genomes())
def test_a_genome_and_its_strategy_say_the_same(genome):
    assert genome_of(strategy_of(genome)) == list(genome)


@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(0, 6), st.integers(0, 6))
def test_order_crossover_keeps_a_part_of_one_and_the_order_of_the_other(first, second, one, two):
    begin, end = sorted((one, two))
    child = order_crossover(first, second, begin, end)
    assert sorted(child) == list(range(6))
    assert child[begin:end] == first[begin:end]
    others = [task for task in child if task not in first[begin:end]]
    assert others == [task for task in second if task in others]


@given(genomes(), genomes(), st.integers(0, 1000))
def test_a_child_has_each_variant_from_a_parent(first, second, seed):
    child = crossed(first, second, np.random.default_rng(seed))
    for variant, one, two in zip(child[:TASKS], first, second):
        assert variant in (one, two)
    assert sorted(child[TASKS:]) == list(range(TASKS))


@given(genomes(), st.integers(0, 1000))
def test_a_mutation_moves_variants_by_one_and_swaps_two_tasks(genome, seed):
    child = mutated(genome, [VARIANTS - 1] * TASKS, np.random.default_rng(seed))
    assert np.abs(child[:TASKS] - genome[:TASKS]).max() <= 1
    assert child[:TASKS].min() >= 0 and child[:TASKS].max() < VARIANTS
    assert sorted(child[TASKS:]) == list(range(TASKS))
    assert (child[TASKS:] != genome[TASKS:]).sum() in (0, 2)


@given(st.integers(0, 1000), st.floats(147.0, 400.0))
def test_random_strategies_keep_the_storage_limit(make_workload, seed, storage_limit_mb):
    workload = make_workload(storage_limit_mb=storage_limit_mb)
    strategy = random_strategy(workload, np.random.default_rng(seed))
    assert is_of(workload, strategy) and workload.fits(strategy.variants)


def test_evolution_is_repeatable_and_improves_on_its_parents(make_workload):
    pytest.importorskip('pymoo')
    workload = make_workload(tasks=4, variants=5, storage_limit_mb=380.0)

    def predict(strategies):
        # the most important task must be the last one, and variants must be 1
        return np.array([[float(index != 1) + (strategy.order[0] != 3)
                          for index in strategy.variants] for strategy in strategies])

    parents = [Strategy((4, 4, 4, 4), (4, 3, 2, 1))]
    found = evolve(workload, predict, parents, 3)
    assert found.keys() == evolve(workload, predict, parents, 3).keys()
    assert parents[0] in found and len(found) <= POPULATION * GENERATIONS
    assert all(is_of(workload, strategy) and workload.fits(strategy.variants)
               for strategy in found)
    best = min(found, key=lambda strategy: workload.excess(found[strategy]))
    assert best.variants == (1, 1, 1, 1) and best.order[0] == 3
