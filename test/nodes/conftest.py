"""A small ROS 2 world per test: tiny networks, nodes in this process, and somebody who listens."""

import itertools
import os
import random
import sys
import threading
from pathlib import Path

import pytest

# Nothing outside this machine may hear the tests, or be heard by them.
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 101)))

# importlib mode leaves the tests' directories off sys.path; ros_world and tiny are here
sys.path.insert(0, str(Path(__file__).parent))

_numbers = itertools.count()


@pytest.fixture(scope='session')
def models(tmp_path_factory):
    """Return the directory of the tiny networks and their descriptions."""
    pytest.importorskip('onnx')
    from tiny import write_models

    return write_models(tmp_path_factory.mktemp('models'))


@pytest.fixture
def world(models, tmp_path):
    """Return a World whose nodes end with the test."""
    pytest.importorskip('rclpy', reason='ROS 2 is not here')
    pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')
    pytest.importorskip('onnxruntime')
    from ros_world import World

    with World(models, tmp_path, f'{os.getpid()}_{next(_numbers)}') as made:
        yield made


class Gate:
    """Holds the engine's runs back while it is shut."""

    def __init__(self):
        self._open = threading.Event()
        self._open.set()
        self.waiting = 0

    def shut(self):
        """From now on, runs wait."""
        self._open.clear()

    def open(self):
        """Let them go."""
        self._open.set()

    def pass_through(self):
        """Wait here; called in the engine's thread."""
        self.waiting += 1
        self._open.wait(60.0)
        self.waiting -= 1


@pytest.fixture
def gate(monkeypatch):
    """Return a Gate before every run of a network."""
    from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeNetwork

    made = Gate()
    step = OnnxRuntimeNetwork.step

    def gated(self, segment, tensors, variant):
        made.pass_through()
        step(self, segment, tensors, variant)

    monkeypatch.setattr(OnnxRuntimeNetwork, 'step', gated)
    yield made
    made.open()


@pytest.fixture
def loads(monkeypatch):
    """Return an Event that loads of networks wait for; it is set at first, and at the end."""
    from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine

    may_load = threading.Event()
    may_load.set()
    load = OnnxRuntimeEngine.load

    def waiting(self, *arguments, **options):
        assert may_load.wait(60.0)
        return load(self, *arguments, **options)

    monkeypatch.setattr(OnnxRuntimeEngine, 'load', waiting)
    yield may_load
    may_load.set()
