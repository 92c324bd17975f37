"""An executor takes priorities and models from a strategy file, or refuses it in a sentence."""

import shutil

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.strategy.plan_file import Plan, PlannedTask

pytestmark = pytest.mark.ros


@pytest.fixture
def strategy(world):
    """Return a function that writes a strategy for the world's instance; returns parameters."""
    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    engine.close()
    models = world.tmp_path / 'models'
    models.mkdir()
    for suffix in ('onnx', 'yaml'):
        shutil.copy(world.models / f'cells.{suffix}', models)
    shutil.copy(models / 'cells.yaml', models / 'cells_small.yaml')

    def write(variant=1, device=engine.device, model='cells', feasible=True, policy='edf'):
        path = world.tmp_path / 'strategy.yaml'
        task = PlannedTask(world.instance, model, variant, ('', 'cells_small'), 1, 0.1, 0.0, 9.0)
        Plan('work', device, policy, feasible, 0.1, 80.0, (task,), {}, {}).save(path)
        return {'strategy': str(path), 'model_directories': [str(models)], 'scheduler': 'edf',
                'engine': 'onnxruntime'}
    return write


def test_models_and_priorities_are_set_and_governors_follow(world, strategy):
    values = world.parameters(**strategy())
    executor = world.executor(values)
    governor = world.governor(values)
    instance = executor.settings.instances[world.instance]
    assert (instance.model, instance.priority) == ('cells_small', 1)
    assert executor.get_parameter(f'instances.{world.instance}.model').value == 'cells_small'
    world.wait_for(lambda: governor.settings.instances[world.instance].model == 'cells_small')
    world.round_trip('front')


def test_another_strategy_holds_from_the_next_configure_on(world, strategy):
    executor = world.executor(world.parameters(**strategy()))
    strategy(variant=0)
    executor.trigger_deactivate()
    executor.trigger_cleanup()
    assert executor.autostart()
    assert executor.settings.instances[world.instance].model == 'cells'


@pytest.mark.parametrize('changes, said', [
    ({'device': 'a board'}, "is for the device 'a board'"),
    ({'model': 'mean'}, "has the model 'mean' for instance")])
def test_a_strategy_for_something_else_is_refused(world, strategy, changes, said):
    node = world.executor(world.parameters(**strategy(**changes)), start=False)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert said in str(node.refusal)
    strategy()
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_what_the_plan_does_not_promise_is_told(world, strategy):
    world.executor(world.parameters(**strategy(feasible=False, policy='fifo')))
    world.wait_for(lambda: world.said('planned with the scheduler fifo', 'has edf'))
    world.wait_for(lambda: world.said('no feasible strategy'))
