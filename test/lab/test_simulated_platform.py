"""A simulated board: when its clocks change, what it uses, and how warm it gets."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.lab.board import CPU, GPU, Activity
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform

BOARD = load_board('tx2')
SPACE = BOARD.space()
DENSE, WIDE = Layer(1e9, 1e4, 0.0, 1e6), Layer(1e3, 1e7, 0.0, 1e6)
NETWORKS = {'net': ((DENSE,), (WIDE,))}
INDICES = st.integers(0, len(SPACE) - 1)


class Bench:
    """A platform, its clock, and time that passes as an engine lets it."""

    def __init__(self, board=BOARD):
        self.clock = VirtualClock()
        self.platform = SimulatedPlatform(board, self.clock, NETWORKS)

    def run(self, seconds, device=0.0, memory=0.0):
        end_s = self.clock.now_s() + seconds
        while True:
            next_s = min(end_s, max(self.clock.now_s(), self.platform.next_change_s()))
            self.pass_until(next_s, device, memory)
            if not self.platform.change_due(next_s) and next_s >= end_s:
                return

    def pass_until(self, time_s, device, memory):
        passed_s = time_s - self.clock.now_s()
        self.clock.advance(passed_s)
        if passed_s:
            self.platform.passed(passed_s, device, memory)


def set_to(index):
    return BOARD.settings(SPACE.settings(index))


@given(st.lists(INDICES, min_size=1, max_size=5))
def test_the_last_configuration_is_in_force_after_all_delays(indices):
    bench = Bench()
    for index in indices:
        bench.platform.apply(index)
        bench.run(0.001)
    assert bench.platform.current == indices[-1]
    bench.run(0.1)
    found, wanted = bench.platform.settings, set_to(indices[-1])
    assert found[:2] == wanted[:2] and bench.platform.next_change_s() == math.inf
    for one, other in zip(found.cpus, wanted.cpus):
        assert one[1] == other[1] and (one == other or not one[1])


def test_each_clock_changes_after_its_own_delay_and_the_host_pays():
    bench, slow = Bench(), SPACE.index_of({
        'gpu': 140250000, 'emc': 204000000, 'a57': 345600, 'a57 cores': 4, 'denver': (0, 0)})
    took_s = bench.platform.apply(slow)
    changed = 5     # GPU, memory, the A57 cluster, and two cores of the other
    assert took_s == pytest.approx(changed * 1e-4) == bench.platform.transition_s
    assert bench.platform.apply(slow) == 0.0 and bench.platform.transitions == 1
    # what is launched waits for the thread that writes
    assert bench.platform.launch(0.0) == pytest.approx(
        took_s + BOARD.launch_s + BOARD.decision_s)
    highest = BOARD.highest
    for clock_ms, gpu_mhz, memory_mhz, cpu_mhz in (
            (1.4, highest.gpu_mhz, highest.memory_mhz, highest.cpu_mhz),
            (1.6, highest.gpu_mhz, highest.memory_mhz, 345.6),
            (5.6, 140.25, highest.memory_mhz, 345.6), (8.6, 140.25, 204.0, 345.6)):
        bench.run(1e-3 * clock_ms - bench.clock.now_s())
        found = bench.platform.settings
        assert (found.gpu_mhz, found.memory_mhz, found.cpu_mhz) == (gpu_mhz, memory_mhz, cpu_mhz)


def test_an_unknown_configuration():
    with pytest.raises(IndexError, match='there are 0 to 11759'):
        Bench().platform.apply(11760)


@given(INDICES)
def test_arithmetic_slows_down_with_the_gpu_and_traffic_with_the_memory(index):
    bench = Bench()
    assert bench.platform.pace('net', 0, 1)[0] == bench.platform.pace('net', 1, 1)[0] == 1.0
    bench.platform.apply(index)
    bench.run(0.1)
    found, highest = set_to(index), BOARD.highest
    dense, traffic = bench.platform.pace('net', 0, 1)
    assert dense == pytest.approx(found.gpu_mhz / highest.gpu_mhz, rel=0.02) and traffic < 0.1
    wide, traffic = bench.platform.pace('net', 1, 1)
    assert 0.0 < traffic <= 1.0
    assert wide >= min(found.gpu_mhz / highest.gpu_mhz, found.memory_mhz / highest.memory_mhz)
    assert wide <= max(found.gpu_mhz / highest.gpu_mhz, found.memory_mhz / highest.memory_mhz)


@given(INDICES, st.integers(1, 5))
def test_the_host_launches_one_after_the_other_as_fast_as_its_fastest_core(index, count):
    bench = Bench()
    bench.platform.apply(index)
    bench.run(0.1)
    now_s, highest_mhz = bench.clock.now_s(), BOARD.clocks[CPU].steps_mhz[-1]
    ready_s = [bench.platform.launch(now_s) for _ in range(count)]
    one_s = (BOARD.launch_s + BOARD.decision_s) * highest_mhz / set_to(index).cpu_mhz
    assert ready_s == pytest.approx([now_s + one_s * (number + 1) for number in range(count)])


USE = st.tuples(INDICES, st.floats(0.001, 5.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))


@given(st.lists(USE, min_size=1, max_size=4))
def test_energy_is_power_times_time_rail_by_rail(uses):
    bench = Bench()
    expected = dict.fromkeys(BOARD.rails, 0.0)
    for index, seconds, device, memory in uses:
        bench.platform.apply(index)
        bench.run(0.05)                 # idle, while the clocks change
        before = bench.platform.energy_j()
        bench.run(seconds, device, memory)
        after = bench.platform.energy_j()
        power_w = BOARD.power_w(bench.platform.settings,
                                Activity(device, memory, 1.0 if device else 0.0))
        for rail in expected:
            assert after[rail] - before[rail] == pytest.approx(seconds * power_w[rail])
        assert bench.platform.rails_mw() == pytest.approx(
            {rail: 1e3 * watts for rail, watts in power_w.items()})
        assert bench.platform.power_mw() == pytest.approx(1e3 * sum(power_w.values()))


@given(st.floats(0.0, 1.0), st.integers(1, 50))
def test_it_warms_towards_what_its_power_keeps_up_however_time_is_cut(device, pieces):
    bench, thermal = Bench(), BOARD.thermal
    for _ in range(pieces):
        bench.run(thermal.time_constant_s / pieces, device)
    power_w = 1e-3 * bench.platform.power_mw()
    assert bench.platform.temperature_c == pytest.approx(
        thermal.ambient_c + (1.0 - math.exp(-1.0)) * thermal.degrees_per_w * power_w)


def test_too_warm_a_gpu_slows_down_until_it_is_cool_enough():
    thermal = dataclasses.replace(BOARD.thermal, throttle_c=58.0, release_c=55.0)
    bench = Bench(dataclasses.replace(BOARD, thermal=thermal))
    highest = BOARD.clocks[GPU].steps_mhz[-1]
    seen = []
    for _ in range(4000):
        bench.run(0.1, 1.0, 1.0)
        seen.append((bench.platform.throttled, bench.platform.settings.gpu_mhz,
                     bench.platform.temperature_c))
    assert {(throttled, mhz) for throttled, mhz, _ in seen} == {
        (False, highest), (True, thermal.throttled_gpu_mhz)}
    assert max(warm for *_, warm in seen) < 58.2
    hot = next(index for index, (throttled, *_) in enumerate(seen) if throttled)
    assert 54.8 < min(warm for *_, warm in seen[hot:]) < 55.2


def test_it_is_given_back_as_it_was():
    bench = Bench()
    bench.platform.apply(0)
    bench.run(0.1)
    bench.platform.close()
    bench.run(0.1)
    assert bench.platform.settings == BOARD.highest and bench.platform.current is None
