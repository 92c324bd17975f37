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
from s3dnn_ros.lab.virtual_executor import PARAMETERS, VirtualExecutor
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

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


SLOW = ProfileTable('net', '', 'simulated', 'simulated', 'default', {}, tuple(
    ProfileRow(segment, batch, time_ms, time_ms, time_ms, 1.0)
    for segment in range(2) for batch, time_ms in ((1, 5.0), (2, 9.5))))


def responses(sent, policy='edf', max_batch=1, **options):
    """Return when frames end that are sent to instances of one network, by (time, deadline)."""
    ended = {}

    def finished(job):
        ended.update((request.number, job.ended_s) for request in job.requests)
    parameters = dataclasses.replace(PARAMETERS, fusion=max_batch > 1, max_batch=max_batch)
    executor = VirtualExecutor(policy, {'net': SLOW}, finished, lambda *_: None, 0, 0.0,
                               parameters=parameters, **options)
    requests = {}
    for number, (time_s, deadline_s) in enumerate(sent):
        instance = executor.add(f'video_{number}', model='net')

        def send(number=number, instance=instance, deadline_s=deadline_s):
            requests[number] = executor.send(instance, deadline_s)
        executor.at(time_s, send)
    executor.run_until(1.0)
    return [ended.get(requests[number].number) for number in range(len(sent))]


@pytest.mark.parametrize('policy', ['edf', 'fifo', 'overlapping', 'supervised'])
def test_requests_for_a_shared_network_are_fused(policy):
    sent = [(0.0, 1.0), (0.001, 1.0), (0.001, 1.0)]
    apart, fused = (responses(sent, policy, max_batch=most) for most in (1, 2))
    assert max(apart) == pytest.approx(0.030)
    assert max(fused) <= 0.030 and fused[1] == fused[2] < max(apart)


@pytest.mark.parametrize('lead_s', [0.0, 0.001])
def test_a_batch_is_looked_at_again_before_it_starts(lead_s):
    # both would be in time as one batch when they come, but not once the first one has ended
    ends_s = responses([(0.0, 0.012), (0.001, 0.025), (0.001, 0.040)], max_batch=2, lead_s=lead_s)
    assert ends_s[0] <= 0.012 and ends_s[1] <= 0.025 < ends_s[2] <= 0.031


def test_frames_that_come_together_are_one_batch_and_may_run_late():
    jobs = []
    executor = VirtualExecutor('fifo', {'net': SLOW}, jobs.append, lambda *_: None, 0, 0.0)
    instance = executor.add('video', model='net')
    executor.send(instance, -1.0, frames=2)
    executor.send(instance, -1.0, frames=2, run_late=True)
    executor.run_until(1.0)
    assert [(job.frames, job.ended_s) for job in jobs] == [(2, pytest.approx(0.019))]
