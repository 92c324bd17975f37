"""An executor on several units: which of them answers, one that is pinned, one that fails."""

import threading

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeNetwork
from s3dnn_ros.partition import PerformanceTable, Row

pytestmark = pytest.mark.ros

ONE, TWO = 'onnxruntime:cpu,threads=1', 'onnxruntime:cpu,threads=1,copy=2'
UNITS = {'engine': 'units', 'engine_units': [ONE, TWO], 'late_policy': 'run', 'warmup_runs': 0}
PAIR = {'group_names': ['pair'], 'groups': {'pair': {
    'cameras': ['front', 'rear'], 'max_wait_ms': 4000.0}}}
IMAGE_MS = 2000.0     # on each unit, as the table has it


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    """Let each unit take so long for an image, whatever is measured."""
    monkeypatch.setattr('s3dnn_ros.units.engine.measure', lambda network, *_, **__: (
        PerformanceTable([Row(unit, 1, IMAGE_MS, 0.0) for unit in network.units])))


def pair(world):
    """Send a pair of frames; return what came of them."""
    stamp_ns = world.next_stamp_ns('front')
    for name in ('front', 'rear'):
        world.send(name, stamp_ns=stamp_ns)
    found = [world.result(name, stamp_ns) for name in ('front', 'rear')]
    for msg in found:
        world.check(msg)
        assert msg.batch == 2
    return found


@pytest.mark.parametrize('composed', [False, True])
@pytest.mark.parametrize('deadline_ms, units', [(60000.0, {ONE}), (2.2 * IMAGE_MS, {ONE, TWO})])
def test_a_batch_is_answered_by_one_unit_or_by_several_as_its_deadline_wants(
        world, composed, deadline_ms, units):
    world.system(composed=composed, instances={world.instance: {
        'max_batch': 2, 'deadline_ms': deadline_ms}}, **UNITS, **PAIR)
    assert {msg.unit for msg in pair(world)} == units
    world.wait_for(lambda: world.said('batches of', f'ms on {ONE}', 'split'))


def test_a_unit_is_pinned_and_let_go_while_frames_come(world):
    world.system(**UNITS)
    assert world.round_trip('front').unit == ONE
    for name in (TWO, ONE):
        world.accept('executor', 'engine_pinned_units', [name])
        world.wait_for(lambda name=name: world.round_trip('front').unit == name)
    result = world.set('executor', 'engine_pinned_units', ['torch'])
    assert not result.successful and 'expected units that engine_units has' in result.reason


def test_frames_go_on_by_another_unit_and_the_first_one_comes_back(world, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.units.retries.FIRST_DELAY_S', 0.0)
    world.system(**UNITS)
    assert world.round_trip('front').unit == ONE
    run, broken = OnnxRuntimeNetwork.run, threading.Event()

    def breaks(self, pixels, variants=()):
        if threading.current_thread().name.endswith(ONE) and broken.is_set():
            broken.clear()
            raise RuntimeError('it smokes')
        return run(self, pixels, variants)

    monkeypatch.setattr(OnnxRuntimeNetwork, 'run', breaks)
    broken.set()
    assert world.round_trip('front').unit == TWO
    world.wait_for(lambda: world.said(ONE, 'is left out', 'it smokes'))
    world.wait_for(lambda: world.round_trip('front') and world.said(f'unit {ONE} is used again'))
    world.accept('executor', 'engine_pinned_units', [ONE])
    world.wait_for(lambda: world.round_trip('front').unit == ONE)
    assert not world.count('executor', 'front').dropped_reasons


def test_a_unit_that_does_not_work_here_is_refused_at_configure(world):
    node = world.executor(start=False, engine='units', engine_units=[ONE, 'torch:cuda:99'])
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said("parameter 'units' is 'torch:cuda:99'"))
