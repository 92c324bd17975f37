"""Power between two moments, from a counter that steps."""

import threading

import pytest

from s3dnn_ros.bench import energy_log
from s3dnn_ros.bench.energy_log import EnergyLog


class Stepping:
    """A counter and a clock that go on together, a step of the counter every 0.1 s, at 5 W."""

    def __init__(self, readings):
        self.reading = 0
        self.done = threading.Event()
        self._readings = readings

    def now_s(self):
        return 0.02 * self.reading

    def energy_mj(self):
        self.reading += 1
        if self.reading >= self._readings:
            self.done.set()
        return 500.0 * (self.reading // 5)


@pytest.fixture(name='counter')
def _counter(monkeypatch):
    monkeypatch.setattr(energy_log, 'PERIOD_S', 0.0)
    return Stepping(200)


@pytest.mark.parametrize('window_s', [(0.0, 4.0), (0.33, 1.97), (1.05, 1.75)])
def test_power_is_exact_although_the_counter_steps(counter, window_s):
    with EnergyLog(counter.energy_mj, counter) as log:
        assert counter.done.wait(10.0)
    assert log.power_w(*window_s) == pytest.approx(5.0)


def test_nobody_knows_what_was_drawn_between_two_steps(counter):
    with EnergyLog(counter.energy_mj, counter) as log:
        assert counter.done.wait(10.0)
    assert log.power_w(1.01, 1.09) is None
    assert log.power_w(1e6, 1e6 + 1.0) is None     # the counter never gets there


def test_a_counter_that_stands_is_unknown_power(counter):
    with EnergyLog(float, counter) as log:
        for _ in range(100):
            counter.energy_mj()
    assert log.power_w(0.0, 10.0) is None
