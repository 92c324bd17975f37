"""The search for an offline limit, on simulated boards and by itself."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import ContenderChooser
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


def simulate(names, factor, contender, seeds=(0,), seconds=1.0):
    """Run networks side by side; each has `factor` times its time alone for an image."""
    missed, energy_j = 0, 0.0
    for seed in seeds:
        clock, answers = VirtualClock(), []
        platform = SimulatedPlatform(BOARD, clock, NETWORKS)
        chooser = ContenderChooser(platform, TABLES, contender, clock)
        executor = VirtualExecutor(
            'edf', {name: ROOFLINE.profile(name, NETWORKS[name]) for name in names},
            lambda job, answers=answers: answers.append(job.ended_s > job.urgent.deadline_s),
            lambda *_, answers=answers: answers.append(True), seed, chooser=chooser,
            clock=clock, board=platform)
        for name in names:
            ask(executor, executor.add(name), factor * TABLES[name].least_s)
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


def asked_of(names, factor):
    return {name: Asked(COSTS[name], factor * TABLES[name].least_s) for name in names}


@pytest.fixture(scope='module')
def found():
    """Return what the search finds for both networks, and the experiment."""
    names, factor = tuple(NETWORKS), 4.0
    run = functools.partial(simulate, names, factor)
    return search(run, asked_of(names, factor), budget=60), run


def test_costs_are_those_of_the_tables():
    for name, costs in COSTS.items():
        assert costs.time_s.sum(axis=0) == pytest.approx(np.array(TABLES[name].network_s))
        for power, time_s in zip(TABLES[name].power, costs.time_s):
            assert time_s.max() / time_s == pytest.approx(np.array(power.speedup))
        assert costs.energy_j.min() > 0.0


def test_no_single_configuration_is_better(found):
    (plan, outcome, _), run = found
    assert outcome.missed == 0
    for row, rests in itertools.product(range(len(SPACE)), (False, True)):
        single = OraclePlan(dict.fromkeys(NETWORKS, (row, row)), rests)
        assert outcome <= run(single.contender())
    assert run(plan.contender()) == outcome


def test_it_is_near_the_best_of_all_plans_of_a_single_instance():
    names, factor = ('mixed',), 2.5
    run = functools.partial(simulate, names, factor, seconds=0.5)
    best = min(run(OraclePlan({'mixed': plan}, rests).contender())
               for plan in itertools.product(range(len(SPACE)), repeat=2)
               for rests in (False, True))
    found = search(run, asked_of(names, factor), budget=60)
    assert found.outcome.missed == best.missed
    assert best.energy_j <= found.outcome.energy_j < 1.02 * best.energy_j


def test_where_nothing_helps_it_says_how_many_are_late():
    names, factor = tuple(NETWORKS), 0.8
    found = search(functools.partial(simulate, names, factor, seconds=0.3),
                   asked_of(names, factor), budget=5)
    assert found.outcome.missed > 0


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_where_layers_do_not_disturb_each_other_it_finds_the_best(seed):
    chance = np.random.default_rng(seed)
    costs = Costs(chance.uniform(0.1, 1.0, (3, 4)), chance.uniform(0.1, 1.0, (3, 4)))
    deadline_s, runs = 1.3 * costs.time_s.min(axis=1).sum(), []

    def outcome(plan, rests):
        layers = range(3)
        late = costs.time_s[layers, plan].sum() > deadline_s
        return Outcome(int(late), costs.energy_j[layers, plan].sum() + (0.0 if rests else 0.5))

    def experiment(contender):
        runs.append(contender)
        oracle = contender.make(None)
        return outcome(oracle._plan['net'], contender.rests)
    found = search(experiment, {'net': Asked(costs, deadline_s)}, budget=20)
    best = min(outcome(plan, True) for plan in itertools.product(range(4), repeat=3))
    assert found.plan.rests and found.outcome.missed == best.missed
    # but for the tolerance of the plans that it begins with
    assert found.outcome.energy_j <= (1.0 + 1e-3) * best.energy_j
    assert found.runs == len(runs)
