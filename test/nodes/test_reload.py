"""Models that are loaded again, or others, while the nodes run."""

import gc
import threading
import weakref

import numpy as np
import onnx
import pytest
import yaml
from tiny import write_models

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn
from s3dnn_ros.srv import ReloadModel
from test_parameter_files import dump, from_file

from s3dnn_ros.runtime import reloader

pytestmark = pytest.mark.ros

both = pytest.mark.parametrize('composed', [False, True], ids=['separate', 'composed'])


@pytest.fixture
def models(tmp_path_factory):
    """Return a directory of models that a test may change."""
    return write_models(tmp_path_factory.mktemp('models'))


def ask(world, **fields):
    return world.ask(ReloadModel, 'executor/reload_model',
                     **{'instance': world.instance, **fields})


def reload(world, **fields):
    future = ask(world, **fields)
    world.wait_for(future.done, 'the reload to end')
    return future.result()


def half_as_sure(models):
    """Have the network of `cells` tell half of every score."""
    path = str(models / 'cells.onnx')
    model = onnx.load(path)
    graph = model.graph
    node = next(node for node in graph.node if node.op_type == 'Reshape')
    half = onnx.helper.make_tensor('half', onnx.TensorProto.FLOAT, [1], [0.5])
    graph.initializer.append(half)
    scaled = onnx.helper.make_node('Mul', ['pooled', 'half'], ['less'])
    graph.node.insert(list(graph.node).index(node), scaled)
    node.input[0] = 'less'
    onnx.save(model, path)


def wide_model(models, name='wide', side=64, **changes):
    """Write a classifier that tells the mean colour, for images of another size; its path."""
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('GlobalAveragePool', ['x'], ['y'])], 'mean',
        [onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, ['N', 3, side, side])],
        [onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, ['N', 3, 1, 1])])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                     ir_version=8), str(models / f'{name}.onnx'))
    document = yaml.safe_load((models / 'mean.yaml').read_text())
    document.update(onnx=f'{name}.onnx', width=side, height=side, **changes)
    path = models / f'{name}.yaml'
    path.write_text(yaml.safe_dump(document))
    return path


def send_while(world, future, camera='front'):
    """Send frames, each when the one before it has its result, until an answer is there."""
    stamps = []
    while not future.done():
        stamps.append(world.send(camera))
        world.result(camera, stamps[-1])
    return stamps


def names_blue(world, model):
    """Tell whether a classifier of colours, by now this model, finds a blue image blue."""
    blue = np.zeros((64, 64, 3), np.uint8)
    blue[:, :, 0] = 255
    msg = world.result('front', world.send('front', blue))
    return msg.model == model and [item.label for item in msg.detections] == ['blue']


def balanced(world, camera='front'):
    """Wait until both nodes have counted every result that came; nothing may be dropped."""
    for node in ('governor', 'executor'):
        world.wait_for(lambda node=node: world.count(node, camera).published
                       == len(world.results[camera]))
        stats = world.count(node, camera)
        assert stats.frames == stats.published and not stats.dropped_reasons, stats
    stamps = [(msg.header.stamp.sec, msg.header.stamp.nanosec) for msg in world.results[camera]]
    assert len(set(stamps)) == len(stamps)


@both
def test_a_file_that_changed_is_loaded_again_and_no_frame_is_lost(world, loads, composed):
    world.system(composed=composed, instances={world.instance: {'score_threshold': 0.1}})
    score = world.round_trip('front').detections[0].score
    half_as_sure(world.models)
    loads.clear()
    future = ask(world)
    for _ in range(5):
        # it serves as before
        world.round_trip('front')
    assert not future.done()
    loads.set()
    send_while(world, future)
    assert future.result().success, future.result().message
    assert future.result().message == f"model 'cells' is loaded and runs for {world.instance}"
    found = world.result('front', world.send('front')).detections
    assert [item.score for item in found] == [pytest.approx(score / 2, abs=0.01)]
    balanced(world)


@both
def test_another_model_with_images_of_another_size(world, composed):
    governor, executor = world.system(composed=composed)
    world.round_trip('front')
    wide_model(world.models)
    future = ask(world, model='wide')
    send_while(world, future)
    assert future.result().success, future.result().message
    world.wait_for(lambda: governor.settings.instances[world.instance].model == 'wide')
    assert names_blue(world, 'wide')
    balanced(world)
    for node in (governor, executor):
        parameter = f'instances.{world.instance}.model'
        assert node.get_parameter(parameter).value == 'wide'
        assert node.settings.instances[world.instance].model == 'wide'
    # and back
    future = ask(world, model='cells')
    send_while(world, future)
    world.wait_for(lambda: governor.settings.instances[world.instance].model == 'cells')
    world.round_trip('front')
    balanced(world)
    text, settings = dump(world, 'governor'), governor.settings
    world.remove(governor)
    assert from_file(world, 'governor', text).settings == settings


def test_a_description_that_changed_under_the_same_name(world):
    world.system()
    world.round_trip('front')
    wide_model(world.models, 'cells', side=48)
    send_while(world, ask(world))
    world.wait_for(lambda: world.said('frames are prepared for model'))
    assert names_blue(world, 'cells')
    balanced(world)


def test_a_path_is_known_to_both_nodes_wherever_they_started(world, tmp_path, monkeypatch):
    governor, executor = world.system()
    path = wide_model(world.models)
    monkeypatch.chdir(world.models)
    assert reload(world, model='wide.yaml').success
    world.wait_for(lambda: governor.settings.instances[world.instance].model == str(path))
    assert executor.settings.instances[world.instance].model == str(path)


@pytest.mark.parametrize(('break_it', 'words'), [
    (lambda models: (models / 'cells.onnx').unlink(), 'cells.onnx'),
    (lambda models: (models / 'cells.onnx').write_bytes(b'nothing'), 'cells.onnx'),
    (lambda models: (models / 'cells.yaml').write_text('width: many'), 'cells.yaml'),
], ids=['no file', 'broken file', 'broken description'])
def test_a_failed_reload_keeps_the_old(world, break_it, words):
    governor, executor = world.system()
    world.round_trip('front')
    settings = governor.settings, executor.settings
    break_it(world.models)
    response = reload(world)
    assert not response.success
    assert words in response.message
    for _ in range(3):
        world.round_trip('front')
    assert (governor.settings, executor.settings) == settings
    balanced(world)


def test_what_cannot_be_reloaded_is_refused(world, loads):
    world.system()
    for fields, words in (({'model': 'nonsense'}, "model 'nonsense'"),
                          ({'instance': 'nobody'}, "'nobody' is not among them")):
        response = reload(world, **fields)
        assert not response.success and words in response.message
    loads.clear()
    first = ask(world)
    second = reload(world)
    assert not second.success and 'another reload is under way' in second.message
    loads.set()
    world.wait_for(first.done)
    assert first.result().success


def test_nothing_is_reloaded_before_the_executor_is_configured(world):
    world.executor(start=False)
    response = reload(world)
    assert not response.success and 'configure' in response.message


def test_cleaning_up_during_a_reload_answers_it(world, loads):
    _, executor = world.system()
    loads.clear()
    future = ask(world, model='mean')
    world.wait_for(lambda: executor._model_change._timer)
    threading.Timer(0.2, loads.set).start()
    assert executor.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert executor.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    world.wait_for(future.done)
    assert not future.result().success
    assert executor.settings.instances[world.instance].model == 'cells'
    assert executor.autostart()
    world.round_trip('front')


def test_a_governor_follows_an_executor_that_starts_again_with_its_old_file(world):
    values = world.parameters()
    executor = world.executor(values)
    governor = world.governor(values)
    world.round_trip('front')
    assert reload(world, model='mean').success
    world.wait_for(lambda: governor.settings.instances[world.instance].model == 'mean')
    world.remove(executor)
    world.executor(values)
    world.wait_for(lambda: governor.settings.instances[world.instance].model == 'cells')
    world.round_trip('front')


def test_a_model_that_the_governor_does_not_know_is_told(world, tmp_path):
    values = world.parameters()
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    write_models(elsewhere)
    wide_model(elsewhere)
    world.executor({**values, 'model_directories': [str(elsewhere)]})
    world.governor(values)
    world.round_trip('front')
    assert reload(world, model='wide').success
    world.wait_for(lambda: world.said('is not known here', "model 'wide'"))
    world.wait_for(lambda: world.send('front')
                   and world.dropped('executor', 'front', 'request'))


def test_instances_of_one_model_share_what_is_loaded(world):
    other = f'{world.instance}_b'
    world.system(names=['front'], instance_names=[world.instance, other],
                 instances={other: {'model': 'cells'}})
    half_as_sure(world.models)
    response = reload(world)
    assert response.message.endswith(f'{world.instance}, {other}')
    stamp = world.send('front')
    for name in (world.instance, other):
        (found,) = world.result('front', stamp, name).detections
        assert found.score < 0.6


def test_the_old_network_leaves_the_memory(world, monkeypatch):
    """Without a garbage collection, which does not look at what is frozen."""
    monkeypatch.setattr(reloader, 'FORMER_S', 0.05)
    _, executor = world.system()
    world.round_trip('front')
    old = weakref.ref(executor._runtime._instances[world.instance].queue.network)
    gc.disable()
    try:
        assert reload(world).success
        world.round_trip('front')
        world.wait_for(lambda: old() is None)
    finally:
        gc.enable()
