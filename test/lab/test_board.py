"""Boards: their configurations, modes, and what they draw."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.lab.board import CPU, GPU, MEMORY, Activity, Settings
from s3dnn_ros.lab.board_file import known_boards, load_board

BOARDS = {name: load_board(name) for name in ('tx2', 'agx_xavier')}
SPACES = {(name, steps): board.space(steps) for name, board in BOARDS.items()
          for steps in ('neuos', 'all')}
FULL = Activity(1.0, 1.0, math.inf)
NAMES = st.sampled_from(sorted(BOARDS))
SHARES = st.floats(0.0, 1.0)


def settings(name, index, steps='all'):
    space = SPACES[name, steps]
    return BOARDS[name].settings(space.settings(index % len(space)))


def total_w(name, set_to, activity=FULL):
    return sum(BOARDS[name].power_w(set_to, activity).values())


def test_there_are_the_boards_of_the_paper_and_as_many_configurations_as_it_says():
    assert known_boards() == sorted(BOARDS)
    assert len(SPACES['tx2', 'neuos']) == 11760 and len(SPACES['agx_xavier', 'neuos']) == 51968
    with pytest.raises(ValueError, match="steps is 'some'; expected 'neuos' or 'all'"):
        BOARDS['tx2'].space('some')


@given(NAMES, st.integers(0, 10**9))
def test_every_configuration_is_one_of_steps_and_has_a_core_on(name, index):
    board, found = BOARDS[name], settings(name, index)
    assert found.gpu_mhz in board.clocks[GPU].steps_mhz
    assert found.memory_mhz in board.clocks[MEMORY].steps_mhz
    for (mhz, cores), cpus in zip(found.cpus, board.clusters.values()):
        assert 0 <= cores <= len(cpus)
        assert mhz in board.clocks[CPU].steps_mhz or not cores
    assert found.cpu_mhz > 0.0 and found.cpus[0][1] >= 1


@pytest.mark.parametrize('name', sorted(BOARDS))
def test_the_last_configuration_is_the_highest(name):
    assert settings(name, -1) == BOARDS[name].highest


@given(NAMES, st.integers(0, 10**9), SHARES, SHARES, st.floats(0.0, 8.0))
def test_more_activity_draws_more_and_nothing_more_than_all_at_the_highest(
        name, index, gpu, memory, cores):
    found = settings(name, index)
    power = BOARDS[name].power_w(found, Activity(gpu, memory, cores))
    idle = BOARDS[name].power_w(found, Activity())
    full = BOARDS[name].power_w(found, FULL)
    highest = BOARDS[name].power_w(BOARDS[name].highest, FULL)
    for rail in power:
        assert 0.0 < idle[rail] <= power[rail] * (1 + 1e-9)
        assert power[rail] <= full[rail] * (1 + 1e-9) <= highest[rail] * (1 + 2e-9)


@given(NAMES, st.sampled_from([GPU, MEMORY]), st.integers(0, 10**9))
def test_the_power_of_a_clock_is_that_of_its_rail_alone(name, clock, index):
    board, found = BOARDS[name], settings(name, index)
    lower = found._replace(**{f'{clock}_mhz': board.clocks[clock].steps_mhz[0]})
    before, after = (board.power_w(each, Activity(1.0, 1.0, 1.0)) for each in (found, lower))
    for rail, described in board.rails.items():
        if described.clock == clock:
            assert after[rail] <= before[rail]
        else:
            assert after[rail] == before[rail]


def test_the_fastest_cores_are_those_that_work():
    board = BOARDS['tx2']
    fast = board.clocks[CPU].steps_mhz[-1]
    slow = board.clocks[CPU].steps_mhz[0]
    busy = Activity(0.0, 0.0, 1.0)
    rail = board.rails['VDD_SYS_CPU']
    for cpus in (((fast, 1), (slow, 1)), ((slow, 1), (fast, 1))):
        found = Settings(140.25, 204.0, cpus)
        added = (board.power_w(found, busy)['VDD_SYS_CPU']
                 - board.power_w(found, Activity())['VDD_SYS_CPU'])
        assert added == pytest.approx(rail.dynamic_w * (1.0 - rail.idle) / 6)


@pytest.mark.parametrize(('name', 'mode', 'expected'), [
    ('tx2', 'MAXN', Settings(1300.5, 1866.0, ((2035.2, 4), (2035.2, 2)))),
    ('tx2', 'MAXQ', Settings(854.25, 1331.2, ((1113.6, 4), (0.0, 0)))),
    ('agx_xavier', 'MODE_15W', Settings(675.75, 1331.2, ((1190.4, 2), (1190.4, 2), (1190.4, 0),
                                                         (1190.4, 0))))])
def test_modes_are_configurations(name, mode, expected):
    space = SPACES[name, 'all']
    index = BOARDS[name].mode_index(space, mode)
    assert BOARDS[name].settings(space.settings(index)) == expected


def test_a_mode_below_all_steps_is_the_lowest_one():
    board = BOARDS['agx_xavier']
    # NeuOS left the memory of the Xavier as it is
    found = SPACES['agx_xavier', 'neuos'][board.mode_index(SPACES['agx_xavier', 'neuos'],
                                                           'MODE_15W')]
    assert dict(found.values)['emc'] == 2133000000


@pytest.mark.parametrize(('name', 'mode'), [
    (name, mode) for name, board in BOARDS.items() for mode, each in board.modes.items()
    if each.budget_w])
def test_full_load_is_near_the_budget_of_a_mode_and_usual_load_within(name, mode):
    space, board = SPACES[name, 'all'], BOARDS[name]
    found = board.settings(space.settings(board.mode_index(space, mode)))
    budget_w = board.modes[mode].budget_w
    assert total_w(name, found) == pytest.approx(budget_w, rel=0.2)
    assert total_w(name, found, Activity(1.0, 0.6, 1.0)) < budget_w


@given(st.floats(200.0, 1300.5))
def test_volts_rise_with_the_clock(mhz):
    clock = dataclasses.replace(BOARDS['tx2'].clocks[GPU], volts=(0.5, 1.0))
    low, high = clock.steps_mhz[0], clock.steps_mhz[-1]
    volts = 0.5 + 0.5 * (mhz - low) / (high - low)
    assert clock.volts_squared(mhz) == pytest.approx(volts**2)
    assert clock.dynamic(mhz) == pytest.approx(mhz / high * volts**2)
    assert clock.dynamic(high) == pytest.approx(1.0)
