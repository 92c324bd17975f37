"""Units whose engines are fakes."""

import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.units.split_network import SplitNetwork
from s3dnn_ros.units.unit import Unit

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).resolve().parent))

WAIT_S = 30.0       # for what comes at once; a test that waits so long has failed


class FakeUnitNetwork:
    """Gives the first value of every image; raises if it is `broken`, waits until it `may_run`."""

    def __init__(self, largest=1000):
        self.largest = largest
        self.broken = ''
        self.may_run = threading.Event()
        self.may_run.set()
        self.batches = []
        self.threads = set()

    def run(self, pixels):
        self.batches.append(pixels)
        self.threads.add(threading.current_thread())
        assert self.may_run.wait(WAIT_S)
        if self.broken:
            raise RuntimeError(self.broken)
        assert len(pixels) <= self.largest
        values = pixels.reshape(len(pixels), -1)[:, 0]
        return {'value': values.astype(np.float32), 'row': values[:, np.newaxis] * np.ones(3)}


class FakeUnitEngine:
    """Gives networks that hold `largest` images at once; `loaded` has all that were loaded."""

    def __init__(self, loaded, largest):
        self.loaded, self.largest = loaded, largest
        self.closed = False

    def load(self, instance, segments, outputs, spec):
        self.loaded.append(FakeUnitNetwork(self.largest))
        return self.loaded[-1]

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def _no_unit_stays(monkeypatch):
    """Close all units of a test behind it: other tests look for threads that stay."""
    made, begin = [], Unit._begin

    def noted(unit):
        made.append(unit)
        begin(unit)

    monkeypatch.setattr(Unit, '_begin', noted)
    yield
    for unit in made:
        if hasattr(unit, 'engine'):
            unit.close(wait_s=0.0)


@pytest.fixture(scope='session')
def fake_units():
    """Return a builder of a SplitNetwork on fake units; all that hangs ends with the test."""
    networks = []

    def build(*names, largest=1000, limit_s=WAIT_S):
        units = [Unit(name, lambda: FakeUnitEngine(networks, largest)) for name in names]
        return types.SimpleNamespace(units=units, network=SplitNetwork(
            units, lambda unit: unit.load('net', [], [], None), VirtualClock(), limit_s))

    yield build
    for network in networks:
        network.may_run.set()


@pytest.fixture(scope='session')
def images():
    """Return a builder of a batch whose images have the values 0, 1, 2 …"""
    def build(count):
        return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones(
            (1, 2, 2, 3), np.uint8)
    return build
