"""The shipped core and cohort on a simulated board: coordinators and rivals decide there."""

import dataclasses

import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import CONTENDERS, OTHERS, ContenderChooser, contenders
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.board_tables import BoardTables
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.virtual_executor import VirtualExecutor

BOARD = load_board('tx2')
ROOFLINE = Roofline(BOARD)
# two networks of different size, whose layers ask for arithmetic, bandwidth, or both
NETWORKS = {
    'small': ((Layer(4e8, 1e6, 1e5, 1e5),) * 2,) * 3,
    'large': ((Layer(2e9, 1e6, 1e6, 1e5), Layer(1e6, 4e6, 0.0, 1e6)),) * 4}
VARIANTS = [(1.0, 1.0), (1.5, 0.95), (2.5, 0.8)]
SECONDS = 3.0


@pytest.fixture(scope='module')
def tables():
    space = BOARD.space()
    tables = BoardTables(BOARD, space, ROOFLINE)
    return {name: tables.of(segments, [VARIANTS] * len(segments))
            for name, segments in NETWORKS.items()}


@dataclasses.dataclass
class Outcome:
    """What became of all images, and what the board used."""

    sent: int = 0
    in_time: int = 0
    exact: int = 0
    energy_j: float = 0.0


def live(tables, name, factor=4.0, seed=0, disturbed=0.0):
    """Run both networks side by side; each has this many times its time alone for an image."""
    clock, outcome = VirtualClock(), Outcome()
    platform = SimulatedPlatform(BOARD, clock, NETWORKS)
    (contender,) = contenders([name])
    chooser = ContenderChooser(platform, tables, contender, clock)

    def finished(job):
        outcome.in_time += job.ended_s <= job.urgent.deadline_s
        outcome.exact += not any(job.ran_as())
    executor = VirtualExecutor(
        'edf', {model: ROOFLINE.profile(model, each) for model, each in NETWORKS.items()},
        finished, lambda *_: None, seed, chooser=chooser, clock=clock, board=platform,
        speedups={model: [[gain for gain, _ in VARIANTS]] * len(each)
                  for model, each in NETWORKS.items()})
    executor.engine.disturb(disturbed)
    for model in NETWORKS:
        instance, period_s = executor.add(model), factor * tables[model].least_s

        def release(instance=instance, period_s=period_s):
            outcome.sent += 1
            executor.send(instance, executor.now_s() + period_s)
            executor.at(executor.now_s() + period_s, release)
        release()
    try:
        executor.run_until(SECONDS)
        executor.engine.pass_time()
        outcome.energy_j = sum(platform.energy_j().values())
    finally:
        chooser.close()
    return outcome


@pytest.fixture(scope='module')
def fastest(tables):
    return live(tables, 'Max-N')


def test_the_fastest_configuration_is_in_time_and_exact(fastest):
    assert fastest.in_time >= fastest.sent - 4
    assert fastest.exact == fastest.in_time


@pytest.mark.parametrize('name', ['min_energy', 'balanced', 'max_accuracy'])
def test_the_modes_are_in_time_with_less_energy(tables, fastest, name):
    found = live(tables, name)
    assert found.in_time > 0.97 * found.sent
    assert found.energy_j < 0.85 * fastest.energy_j


def test_who_rests_uses_less_than_who_does_not(tables, fastest):
    assert live(tables, 'race to idle').energy_j < fastest.energy_j


@pytest.mark.parametrize('name', [contender.name for contender in (*CONTENDERS, *OTHERS)])
def test_the_same_seed_gives_the_same_run_whoever_decides(tables, name):
    outcomes = [live(tables, name, seed=seed) for seed in (5, 5, 6)]
    assert outcomes[0] == outcomes[1] != outcomes[2]
    assert outcomes[0].sent > 100


def test_apnet_approximates_where_the_deadline_is_short_and_max_n_is_late(tables):
    planned, exact = (live(tables, name, factor=0.9) for name in ('ApNet', 'Max-N'))
    assert planned.in_time > exact.in_time and planned.exact == 0


def test_another_program_makes_the_modes_hurry(tables):
    calm, disturbed = (live(tables, 'min_energy', disturbed=taken) for taken in (0.0, 0.3))
    assert disturbed.energy_j > calm.energy_j
    assert disturbed.in_time > 0.9 * disturbed.sent
