"""Units whose engines are fakes."""

import threading
import types

import numpy as np
import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.units.split_network import SplitNetwork
from s3dnn_ros.units.unit import Unit

LIMIT_S = 0.02      # after which a fake that hangs is given up
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
    closed = False

    def close(self):
        self.closed = True


@pytest.fixture(scope='session')
def fake_units():
    """Return a builder of a SplitNetwork on fake units; all that hangs ends with the test."""
    networks = []

    def build(*names, largest=1000, limit_s=LIMIT_S):
        def load(unit):
            network = FakeUnitNetwork(largest)
            networks.append(network)
            return network
        units = [Unit(name, FakeUnitEngine) for name in names]
        return types.SimpleNamespace(
            units=units, network=SplitNetwork(units, load, VirtualClock(), limit_s))

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
