"""A network that fails is restarted; the others go on, and everybody is told."""

import threading
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from diagnostic_msgs.msg import DiagnosticStatus

from s3dnn_ros.bench.processes import Processes

pytestmark = pytest.mark.ros

# Processes start slowly while others use the machine.
PATIENCE_S = 60.0


class FakeFailures:
    """What the next runs fail with; while `may_load` is clear, loads wait."""

    def __init__(self):
        self.next = []
        self.may_load = threading.Event()
        self.may_load.set()


@pytest.fixture
def failures(monkeypatch):
    """Return the FakeFailures of the engine's networks."""
    from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine, OnnxRuntimeNetwork

    made = FakeFailures()
    step, load = OnnxRuntimeNetwork.step, OnnxRuntimeEngine.load

    def failing_step(self, segment, tensors, variant):
        if made.next:
            raise RuntimeError(made.next.pop())
        step(self, segment, tensors, variant)

    def waiting_load(self, *arguments, **options):
        assert made.may_load.wait(PATIENCE_S)
        return load(self, *arguments, **options)

    monkeypatch.setattr(OnnxRuntimeNetwork, 'step', failing_step)
    monkeypatch.setattr(OnnxRuntimeEngine, 'load', waiting_load)
    yield made
    made.may_load.set()


@pytest.mark.parametrize('composed', [False, True])
def test_a_network_that_failed_is_restarted_while_another_one_runs(world, failures, composed):
    other = f'classifier_{world.instance}'
    world.system(composed=composed, instance_names=[world.instance, other], instances={
        world.instance: {'cameras': ['front']}, other: {'model': 'mean', 'cameras': ['rear']}})
    world.round_trip('front')
    failures.may_load.clear()
    failures.next = ['lost device']
    world.send('front')
    world.wait_for(lambda: world.dropped('executor', 'front', 'engine') == 1)
    world.wait_for(lambda: world.said(world.instance, 'being restarted', 'lost device'))
    world.send('front')
    world.wait_for(lambda: world.dropped('executor', 'front', 'engine') == 2)
    assert 'being restarted' in world.count('executor', 'front').last_error
    status = world.wait_for(lambda: world.diagnosed('its network is being restarted'))
    assert status.level == DiagnosticStatus.ERROR
    world.result('rear', world.send('rear'), other)
    failures.may_load.set()
    world.wait_for(lambda: world.said(world.instance, 'runs again'))
    world.round_trip('front')
    world.statuses.clear()
    world.wait_for(lambda: world.diagnosed('its network runs'))
    assert not world.diagnosed('its network is being restarted')


def test_a_lost_engine_ends_the_process_and_a_new_one_goes_on(world, tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(Path(__file__).parent), prepend=':')
    values = world.parameters()
    world.governor(values)
    with Processes(world.parameter_file(values), tmp_path, world.namespace) as nodes:
        nodes.start('executor', module='fake_lost_engine')
        process = nodes._running.pop('executor')

        def died():
            world.send('front')
            world.spin_for(0.05)
            return process.poll() is not None

        world.wait_for(died, 'the executor to end', PATIENCE_S)
        said = nodes.log_of('executor').read_text()
        assert process.returncode == 1, said
        assert 'FATAL' in said and 'is lost: an illegal memory access' in said
        assert 'Traceback' not in said
        world.results['front'].clear()
        nodes.start('executor')

        def answered():
            world.send('front')
            world.spin_for(0.05)
            return world.results['front']

        world.wait_for(answered, 'a result of the new executor', PATIENCE_S)
