"""What the device draws while nothing runs."""

import contextlib
from types import SimpleNamespace

import pytest

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench import energy_log, idle_power


class FakeMeter:
    """Draws 5 W, and 6 W while lanes are armed, by a clock; steps at every reading."""

    def __init__(self, clock):
        self.armed = False
        self._clock = clock
        self._read_s = clock.now_s()
        self._used_mj = 0.0

    def energy_mj(self):
        now_s = self._clock.now_s()
        self._used_mj += 1e3 * (6.0 if self.armed else 5.0) * (now_s - self._read_s)
        self._read_s = now_s
        return self._used_mj


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(energy_log, 'PERIOD_S', 0.005)
    monkeypatch.setattr(idle_power, 'SETTLE_S', 0.05)
    clock, said, rows = SystemClock(), [], []
    meter = FakeMeter(clock)

    @contextlib.contextmanager
    def armed():
        meter.armed = True
        yield
        meter.armed = False

    def run(gated, meter=meter):
        prepared = SimpleNamespace(engine=SimpleNamespace(gated=gated),
                                   rig=SimpleNamespace(armed=armed))
        idle_power.idle_power(prepared, meter, clock, 2, 0.15, rows, said.append)
        return rows, said

    return run


def test_armed_lanes_and_others_take_turns(bench):
    (launched, armed), said = bench(gated=True)
    assert launched['lanes'] == 'launched' and launched['power_w'] == pytest.approx([5.0] * 2, .01)
    assert armed['lanes'] == 'armed' and armed['power_w'] == pytest.approx([6.0] * 2, .01)
    assert len(said) == 2 and said[0].startswith('idle, lanes launched: 5.0')


def test_an_engine_without_gates_has_no_armed_lanes(bench):
    (launched,), _ = bench(gated=False)
    assert launched['lanes'] == 'launched' and len(launched['power_w']) == 2


def test_without_a_meter_there_is_no_row(bench):
    assert bench(gated=True, meter=None) == ([], ['idle power: nobody can tell it here'])


def test_a_meter_that_stands_is_told(bench):
    rows, (sentence,) = bench(gated=True, meter=SimpleNamespace(energy_mj=float))
    assert not rows and '--seconds' in sentence
