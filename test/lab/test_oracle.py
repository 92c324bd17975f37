"""The search for an offline limit, on simulated boards and by itself."""

import dataclasses
import functools
import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import ContenderChooser
from s3dnn_ros.cohort import ModelTables, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals.oracle import Costs
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.board_tables import BoardTables
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.oracle import Asked, OraclePlan, Outcome, search
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.virtual_executor import VirtualExecutor

TX2 = load_board('tx2')


def small_board():
    """Return a TX2 with one core and few steps of its clocks."""
    steps = {'gpu': (318.75, 624.75, 930.75, 1300.5), 'memory': (1331.2, 1866.0), 'cpu': (2035.2,)}
    return dataclasses.replace(
        TX2, clusters={'a57': (0,)},
        clocks={name: dataclasses.replace(clock, neuos_mhz=steps[name])
                for name, clock in TX2.clocks.items()})


BOARD = small_board()
SPACE = BOARD.space()
ROOFLINE = Roofline(BOARD)
# of arithmetic, and of bandwidth
NETWORKS = {'dense': ((Layer(4e9, 1e6, 1e5, 1e5),) * 2,) * 2,
            'mixed': ((Layer(4e9, 1e6, 1e5, 1e5),), (Layer(1e6, 2e7, 0.0, 1e6),) * 2)}
BOARD_TABLES = BoardTables(BOARD, SPACE, ROOFLINE)
TABLES = {name: BOARD_TABLES.of(segments) for name, segments in NETWORKS.items()}
COSTS = {name: BOARD_TABLES.costs(segments) for name, segments in NETWORKS.items()}


# with a fast variant of each layer
APPROXIMATE = {name: BOARD_TABLES.of(segments, [[(1.0, 1.0), (1.5, 0.99)]] * 2)
               for name, segments in NETWORKS.items()}


def simulate(names, factor, contender, seeds=(0,), seconds=1.0, tables=TABLES, copies=1):
    """Run networks side by side; each has `factor` times its time alone for an image."""
    missed, energy_j = 0, 0.0
    instances = {instance: name for name in names for instance in instances_of(name, copies)}
    for seed in seeds:
        clock, answers = VirtualClock(), []
        segments = {instance: NETWORKS[name] for instance, name in instances.items()}
        platform = SimulatedPlatform(BOARD, clock, segments)
        chooser = ContenderChooser(platform, {instance: tables[name] for instance, name in
                                              instances.items()}, contender, clock)
        executor = VirtualExecutor(
            'edf', {instance: ROOFLINE.profile(instance, each)
                    for instance, each in segments.items()},
            lambda job, answers=answers: answers.append(job.ended_s > job.urgent.deadline_s),
            lambda *_, answers=answers: answers.append(True), seed, chooser=chooser,
            clock=clock, board=platform,
            speedups={instance: [table.speedup for table in tables[name].accuracy]
                      for instance, name in instances.items()})
        for instance, name in instances.items():
            ask(executor, executor.add(instance), factor * tables[name].least_s)
        try:
            executor.run_until(seconds)
            executor.engine.pass_time()
            energy_j += sum(platform.energy_j().values())
        finally:
            chooser.close()
        missed += sum(answers)
    return Outcome(missed, energy_j)


def ask(executor, instance, period_s):
    def release():
        executor.send(instance, executor.now_s() + period_s)
        executor.at(executor.now_s() + period_s, release)
    executor.at(executor.now_s(), release)


def instances_of(name, copies):
    return [f'{name} {number}' for number in range(copies)]


def asked_of(names, factor, tables=TABLES, copies=1):
    return {name: Asked(instances_of(name, copies), tables[name], COSTS[name],
                        *(factor * tables[name].least_s,) * 2) for name in names}


def exact_plan(configurations, rests):
    return OraclePlan(configurations, {name: (0,) * len(rows)
                                       for name, rows in configurations.items()}, rests)


@pytest.fixture(scope='module')
def found():
    """Return what the search finds for both networks, what was asked, and the experiment."""
    names, factor = tuple(NETWORKS), 4.0
    asked, run = asked_of(names, factor), functools.partial(simulate, names, factor)
    return search(run, asked, budget=40), asked, run


def test_costs_are_those_of_the_tables():
    for name, costs in COSTS.items():
        assert costs.time_s.sum(axis=0) == pytest.approx(np.array(TABLES[name].network_s))
        for power, time_s in zip(TABLES[name].power, costs.time_s):
            assert time_s.max() / time_s == pytest.approx(np.array(power.speedup))
        assert costs.energy_j.min() > 0.0


def test_no_single_configuration_is_better(found):
    (plan, outcome, _, searched), asked, run = found
    assert searched and outcome.missed == 0
    for row, rests in itertools.product(range(len(SPACE)), (False, True)):
        single = exact_plan(dict.fromkeys(NETWORKS, (row, row)), rests)
        assert outcome <= run(single.contender(asked))
    assert run(plan.contender(asked)) == outcome


@pytest.mark.parametrize('names, factor, copies', [
    (('mixed',), 2.5, 1), (('mixed',), 4.0, 2), (('dense', 'mixed'), 4.5, 1)])
def test_it_is_near_the_best_of_all_plans(names, factor, copies):
    run = functools.partial(simulate, names, factor, seconds=0.5, copies=copies)
    asked = asked_of(names, factor, copies=copies)
    # with both networks, every other configuration: else there are thousands of plans
    rows = range(0, len(SPACE), len(names))
    best = min(run(exact_plan({name: plan[2 * place:2 * place + 2]
                               for place, name in enumerate(names)}, rests).contender(asked))
               for plan in itertools.product(rows, repeat=2 * len(names))
               for rests in (False, True))
    found = search(run, asked, budget=60)
    assert found.outcome.missed == best.missed == 0
    assert found.outcome.energy_j < 1.02 * best.energy_j
    assert found == search(run, asked, budget=60)


def test_networks_are_approximated_no_more_than_being_in_time_takes():
    names, factor = ('dense',), 0.95
    run = functools.partial(simulate, names, factor, seconds=0.3, tables=APPROXIMATE)
    found = search(run, asked_of(names, factor, APPROXIMATE), budget=10)
    assert found.searched and found.outcome.missed == 0
    assert sorted(found.plan.variants['dense']) == [0, 1]


def test_where_nothing_helps_it_says_how_many_are_late_and_searches_no_more():
    names, factor = tuple(NETWORKS), 0.6
    run = functools.partial(simulate, names, factor, seconds=0.3, tables=APPROXIMATE)
    found = search(run, asked_of(names, factor, APPROXIMATE))
    assert not found.searched and found.outcome.missed > 0
    assert found.runs <= 3


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
def test_where_layers_do_not_disturb_each_other_it_finds_the_best(seed, networks):
    chance = np.random.default_rng(seed)
    costs = {name: Costs(chance.uniform(0.1, 1.0, (3, 4)), chance.uniform(0.1, 1.0, (3, 4)))
             for name in ('one', 'other')[:networks]}
    exact = (SpeedupAccuracyTable((1.0,), (1.0,)),) * 3
    asked = {name: Asked([name], ModelTables(
        (1.0,) * 3, (SpeedupPowerTable((1.0,) * 4, (1.0,) * 4),) * 3, exact, (1.0,) * 4), each,
        1.3 * each.time_s.min(axis=1).sum(), 10.0) for name, each in costs.items()}
    layers, runs = range(3), []

    def outcome(name, plan):
        late = costs[name].time_s[layers, plan].sum() > asked[name].deadline_s
        return Outcome(int(late), costs[name].energy_j[layers, plan].sum())

    def experiment(contender):
        runs.append(contender)
        plans = contender.make(None)._configurations
        missed, energy_j = map(sum, zip(*(outcome(name, plans[name]) for name in asked)))
        return Outcome(missed, energy_j + (0.0 if contender.rests else 0.5))
    # with plans to begin with that are as near as this
    with mock.patch('s3dnn_ros.lab.oracle.TOLERANCE', 1e-3):
        found = search(experiment, asked, budget=20)
    best = [min(outcome(name, plan) for plan in itertools.product(range(4), repeat=3))
            for name in asked]
    assert found.plan.rests and found.outcome.missed == sum(each.missed for each in best) == 0
    assert found.outcome.energy_j <= (1.0 + 1e-3) * sum(each.energy_j for each in best)
    assert found.runs == len(runs)
