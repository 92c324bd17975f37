"""An executor takes priorities and models from a strategy file, or refuses it in a sentence."""

import shutil
import threading

import pytest
from tiny import write_models

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn
from s3dnn_ros.srv import ReloadModel

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.strategy.plan_file import Plan, PlannedTask

pytestmark = pytest.mark.ros


@pytest.fixture
def models(tmp_path_factory):
    """Return a directory with the model `cells` and its variant, which a test may change."""
    folder = write_models(tmp_path_factory.mktemp('models'))
    shutil.copy(folder / 'cells.onnx', folder / 'cells_small.onnx')
    description = (folder / 'cells.yaml').read_text().replace('cells.onnx', 'cells_small.onnx')
    (folder / 'cells_small.yaml').write_text(description)
    return folder


@pytest.fixture
def strategy(world):
    """Return a function that writes a strategy for instances of the world; returns parameters."""
    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    engine.close()

    def write(variant=1, device=engine.device, model='cells', feasible=True, policy='edf',
              name='strategy', instances=(world.instance,)):
        path = world.tmp_path / f'{name}.yaml'
        tasks = tuple(
            PlannedTask(instance, model, variant, ('', 'cells_small'), priority, 0.1, 0.0, 9.0)
            for priority, instance in enumerate(instances, 1))
        Plan('work', device, policy, feasible, 0.1, 80.0, tasks, {}, {}).save(path)
        return {'strategy': str(path), 'scheduler': 'edf', 'engine': 'onnxruntime'}
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


# while the executor runs

def held(executor):
    """Return models and priorities of the executor, instance by instance."""
    return [(item.model, item.priority) for item in executor.settings.instances.values()]


def system(world, values, others=(), model='cells', **changes):
    """Return (governor, executor) without a strategy; the first instance runs `cells`."""
    names = [world.instance, *others]
    models = {**dict.fromkeys(names, model), world.instance: 'cells'}
    values = {**values, 'strategy': '', 'instance_names': names,
              'instances': {name: {'model': models[name]} for name in names}, **changes}
    return world.system(names=['front'], **values)


def set_strategy(world, values):
    return world.set('executor', 'strategy', values['strategy'])


def send_until(world, predicate):
    """Send frames, each when the one before it has its result, until something is so."""
    count = 0
    while not predicate():
        world.round_trip('front')
        count += 1
    world.round_trip('front')
    return count + 1


def test_a_strategy_changes_while_frames_come_and_none_is_lost(world, strategy):
    values = strategy()
    governor, executor = system(world, values)
    world.round_trip('front')
    count = 1
    for variant, model in ((1, 'cells_small'), (0, 'cells'), (1, 'cells_small')):
        values = strategy(variant, name=f'{variant}_{count}')
        assert set_strategy(world, values).successful
        # the executor changes first, and the governor when it hears of it
        count += send_until(world, lambda model=model: held(executor) == [(model, 1)] and (
            governor.settings.instances[world.instance].model == model))
        assert executor.get_parameter(f'instances.{world.instance}.model').value == model
        assert executor.get_parameter(f'instances.{world.instance}.priority').value == 1
        assert executor.get_parameter('strategy').value == values['strategy']
    for node in ('governor', 'executor'):
        world.wait_for(lambda node=node: world.count(node, 'front').published == count)


def test_what_only_changes_priorities_loads_nothing(world, strategy, loads):
    names = [world.instance, f'{world.instance}_b']
    _, executor = system(world, strategy(), names[1:])
    loads.clear()
    for number, order in enumerate((names, names[::-1])):
        assert set_strategy(world, strategy(0, name=f's{number}', instances=order)).successful
        expected = [('cells', 1 + order.index(name)) for name in names]
        world.wait_for(lambda expected=expected: held(executor) == expected)
        world.round_trip('front')
    instances = executor._runtime._instances
    assert {name: one.settings.priority for name, one in instances.items()} == {
        names[1]: 1, names[0]: 2}


@pytest.mark.parametrize('before', ['cells', 'cells_small'])
def test_instances_with_one_model_share_it(world, strategy, before):
    names = [world.instance, f'{world.instance}_b']
    _, executor = system(world, strategy(), names[1:], before)
    assert set_strategy(world, strategy(instances=names)).successful
    world.wait_for(lambda: held(executor) == [('cells_small', 1), ('cells_small', 2)])
    first, second = executor._runtime._instances.values()
    assert first.queue is second.queue


def test_no_strategy_leaves_models_and_priorities(world, strategy):
    _, executor = system(world, strategy())
    assert set_strategy(world, strategy()).successful
    world.wait_for(lambda: held(executor) == [('cells_small', 1)])
    world.accept('executor', 'strategy', '')
    world.accept('executor', 'max_queue', 3)
    assert held(executor) == [('cells_small', 1)]
    # the same file holds again, as it is now
    assert set_strategy(world, strategy(0)).successful
    world.wait_for(lambda: held(executor) == [('cells', 1)])


@pytest.mark.parametrize('changes, said', [
    ({'device': 'a board'}, "is for the device 'a board'"),
    ({'model': 'mean'}, "has the model 'mean' for instance"),
    ({'instances': ('nobody',)}, 'is for the instances nobody')])
def test_a_strategy_for_something_else_is_refused_while_running(world, strategy, changes, said):
    _, executor = system(world, strategy())
    before = executor.settings
    result = set_strategy(world, strategy(**changes))
    assert not result.successful and said in result.reason
    assert executor.settings == before and executor.get_parameter('strategy').value == ''
    world.round_trip('front')
    assert set_strategy(world, strategy()).successful
    world.wait_for(lambda: held(executor) == [('cells_small', 1)])


def test_a_file_that_is_not_there_is_refused(world, strategy):
    _, executor = system(world, strategy())
    result = world.set('executor', 'strategy', '/nowhere.yaml')
    assert not result.successful and '/nowhere.yaml' in result.reason
    assert executor.get_parameter('strategy').value == ''


def test_a_cohort_keeps_its_models_and_takes_priorities(world, strategy):
    _, executor = system(world, strategy(), cohort=True, scheduler='edf')
    result = set_strategy(world, strategy())
    assert not result.successful and 'a cohort decides' in result.reason
    assert held(executor) == [('cells', 0)]
    assert set_strategy(world, strategy(0)).successful
    world.wait_for(lambda: held(executor) == [('cells', 1)])


def test_a_model_that_does_not_load_leaves_all_as_it_was(world, strategy, models):
    """One instance could change; neither its model nor any priority does."""
    names = [world.instance, f'{world.instance}_b']
    _, executor = system(world, strategy(), names[1:])
    good = strategy(0, name='good', instances=names)
    assert set_strategy(world, good).successful
    world.wait_for(lambda: held(executor) == [('cells', 1), ('cells', 2)])
    (models / 'cells_small.onnx').write_bytes(b'no network')
    assert set_strategy(world, strategy(name='bad', instances=names[::-1])).successful
    world.wait_for(lambda: world.said('the strategy does not hold', 'cells_small.onnx'))
    assert held(executor) == [('cells', 1), ('cells', 2)]
    assert executor.get_parameter('strategy').value == good['strategy']
    world.round_trip('front')


def test_one_change_at_a_time(world, strategy, loads):
    _, executor = system(world, strategy())
    loads.clear()
    first = strategy(name='first')
    assert set_strategy(world, first).successful
    second = set_strategy(world, strategy(0, name='second'))
    assert not second.successful and 'another reload is under way' in second.reason
    reload = world.call(ReloadModel, 'executor/reload_model', instance=world.instance)
    assert not reload.success and 'another reload is under way' in reload.message
    world.round_trip('front')
    loads.set()
    world.wait_for(lambda: held(executor) == [('cells_small', 1)])
    assert executor.get_parameter('strategy').value == first['strategy']


def test_cleaning_up_while_models_load_keeps_what_was_asked(world, strategy, loads):
    _, executor = system(world, strategy())
    loads.clear()
    values = strategy()
    assert set_strategy(world, values).successful
    threading.Timer(0.2, loads.set).start()
    executor.trigger_deactivate()
    executor.trigger_cleanup()
    assert executor.autostart()
    world.wait_for(lambda: world.said('the strategy does not hold', 'cleaned up'))
    assert executor.get_parameter('strategy').value == values['strategy']
    assert held(executor) == [('cells_small', 1)]
    world.round_trip('front')
