"""Power and energy on ~/stats: of the board and of each instance, or NaN."""

import math

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.nodes import executor_node

pytestmark = pytest.mark.ros


class FakeMeter:
    """Uses 500 mJ between two questions; once `broken`, it cannot be read."""

    period_s = 0.1

    def __init__(self):
        self.used_mj = 0.0
        self.broken = self.closed = False

    def energy_mj(self):
        if self.broken:
            raise PlatformError('sensor', 'is gone')
        self.used_mj += 500.0
        return self.used_mj

    def power_mw(self):
        return 5000.0

    def close(self):
        self.closed = True


@pytest.fixture(name='meter')
def _meter(monkeypatch):
    """Return the only meter that there is."""
    meter = FakeMeter()
    monkeypatch.setattr(executor_node, 'find_meter', lambda gpu: meter)
    return meter


def told(world, condition):
    """Wait for the executor's counters to fulfil a condition; return them."""
    return world.wait_for(lambda: 'executor' in world.stats and condition(world.stats['executor'])
                          and world.stats['executor'])


def test_energy_goes_to_the_instance_that_ran(world, meter, gate):
    _, executor = world.system()
    told(world, lambda stats: stats.energy_j > 0.5)
    gate.shut()
    stamp_ns = world.send('front')
    stats = told(world, lambda stats: stats.energy_j_of_instances[0] > 1.0)
    gate.open()
    world.result('front', stamp_ns)
    assert stats.power_mw == 5000.0
    assert stats.energy_j_of_instances[0] < stats.energy_j
    world.remove(executor)
    assert meter.closed


def test_a_meter_that_fails_is_told_once_and_everything_goes_on(world, meter):
    world.system()
    told(world, lambda stats: stats.energy_j > 0.5)
    meter.broken = True
    stats = told(world, lambda stats: math.isnan(stats.power_mw))
    assert stats.energy_j > 0.5
    world.round_trip('front')
    assert world.wait_for(lambda: world.said('nobody can tell power', 'is gone'))
    assert sum('is gone' in text for text in world.logs) == 1


@pytest.mark.parametrize('power', ['auto', 'none'])
def test_where_nobody_can_tell_there_is_no_number(world, monkeypatch, power):
    asked = []
    monkeypatch.setattr(executor_node, 'find_meter', lambda gpu: asked.append(gpu))
    world.executor(power=power)
    stats = told(world, lambda stats: stats.node)
    assert math.isnan(stats.power_mw) and math.isnan(stats.energy_j)
    assert [math.isnan(energy_j) for energy_j in stats.energy_j_of_instances] == [True]
    assert asked == ([None] if power == 'auto' else [])


def test_a_meter_is_given_back_if_nothing_can_run(world, meter, tmp_path):
    executor = world.executor(start=False, instances={
        world.instance: {'profile': str(tmp_path / 'missing.json')}})
    assert executor.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert meter.closed
