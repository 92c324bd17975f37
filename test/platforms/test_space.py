"""Configurations are computed when asked for; index and values belong together."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.platforms.space import Axis, Choice, ConfigurationSpace, thin


def make_space(sizes):
    return ConfigurationSpace(
        Axis(f'axis{place}', (f'knob{place}',),
             tuple(Choice(10 * value, str(value), (value,)) for value in range(size)))
        for place, size in enumerate(sizes))


@given(st.lists(st.integers(1, 9), max_size=6), st.data())
def test_index_and_values_round_trip(sizes, data):
    space = make_space(sizes)
    index = data.draw(st.integers(0, len(space) - 1))
    configuration = space[index]
    assert configuration.index == index
    assert space.index_of(dict(configuration.values)) == index
    assert [10 * value for value in space.settings(index).values()] == [
        value for _, value in configuration.values]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_all_configurations_differ_and_run_from_slow_to_fast(sizes):
    configurations = list(make_space(sizes))
    values = [tuple(value for _, value in configuration.values)
              for configuration in configurations]
    assert values == sorted(set(values))
    assert len({configuration.name for configuration in configurations}) == len(values)


def test_a_sequence():
    space = make_space((2, 3))
    assert space[-1] == space[5]
    assert [one.index for one in space[1:6:2]] == [1, 3, 5]
    for index in (6, -7):
        with pytest.raises(IndexError, match='there are 0 to 5'):
            space[index]
    with pytest.raises(ValueError, match="'axis1' cannot be 25"):
        space.index_of({'axis0': 0, 'axis1': 25})


def test_a_huge_space_costs_nothing():
    begin_s = time.process_time()
    space = make_space((1000,) * 6)
    assert space[10 ** 18 - 1].values[0] == ('axis0', 9990)
    assert time.process_time() - begin_s < 1.0


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30, unique=True), st.integers(1, 40))
def test_a_number_of_steps_keeps_the_ends(values, count):
    values = tuple(sorted(values))
    chosen = thin('gpu_steps', values, count)
    assert len(chosen) == min(count, len(values))
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(values)
    assert chosen[-1] == values[-1]
    assert chosen[0] == values[0] or count == 1


def test_a_list_of_steps_takes_the_nearest_above():
    assert thin('gpu_steps', (10, 20, 30), (11, 12, 30, 99)) == (20, 30)
    assert thin('gpu_steps', (10, 20, 30), None) == (10, 20, 30)


@pytest.mark.parametrize('steps', [0, -1, ()])
def test_no_steps_at_all(steps):
    with pytest.raises(ParameterError, match='gpu_steps'):
        thin('gpu_steps', (10, 20), steps)


@pytest.mark.parametrize(('name', 'emc_hz'), [
    ('tx2', (204000000, 800000000, 1331200000, 1866000000)), ('agx', (2133000000,))])
def test_a_simulated_board_has_the_configurations_of_a_real_one(name, emc_hz, make_platform):
    simulated = load_board({'agx': 'agx_xavier'}.get(name, name)).space()
    real = make_platform(name, emc_steps=emc_hz).configurations
    assert len(simulated) == len(real)
    for index in (0, 1, 77, 5000, len(real) - 1):
        assert simulated[index] == real[index]
