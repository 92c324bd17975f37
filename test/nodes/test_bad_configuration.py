"""What cannot work is refused at configure, or at start, with a sentence that names it."""

import hashlib
import signal

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.errors import ParameterError, RingError
from s3dnn_ros.nodes.executor_node import ExecutorNode
from s3dnn_ros.nodes.governor_node import GovernorNode
from s3dnn_ros.nodes.monitor_node import MonitorNode
from s3dnn_ros.nodes.replay_node import ReplayNode
from s3dnn_ros.nodes.running import run
from s3dnn_ros.respawn import UNUSABLE

pytestmark = pytest.mark.ros


def refused_at_configure(world, node, *words):
    """Assert that configure fails with a log sentence, and the node stays unconfigured."""
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said(*words), f'a sentence with {words}')
    assert node._state_machine.current_state[1] == 'unconfigured'
    return world.said(*words)


@pytest.fixture
def broken(world, tmp_path):
    """Return a function that writes a model description with changes; gives its path."""
    def write(content=None, **changes):
        document = yaml.safe_load((world.models / 'cells.yaml').read_text())
        whole = (world.models / 'cells.onnx').read_bytes()
        (tmp_path / 'broken.onnx').write_bytes(whole if content is None else content(whole))
        document.update({'onnx': 'broken.onnx'}, **changes)
        path = tmp_path / 'broken.yaml'
        path.write_text(yaml.safe_dump(document))
        return str(path)
    return write


def with_model(world, model):
    return {'instances': {world.instance: {'model': model}}}


@pytest.mark.parametrize('kind', ['governor', 'executor'])
def test_unknown_model(world, kind):
    make = getattr(world, kind)
    node = make(start=False, **with_model(world, 'resnet_9000'))
    refused_at_configure(world, node, "'resnet_9000'", 'is not known', 'cells', 'nanodet_g')
    # the same process goes on with a known one
    world.accept(kind, f'instances.{world.instance}.model', 'cells')
    assert node.autostart()


def test_missing_model_file(world, tmp_path):
    node = world.executor(start=False, **with_model(world, str(tmp_path / 'no.yaml')))
    refused_at_configure(world, node, str(tmp_path / 'no.yaml'), 'cannot be read')


def test_unknown_decoder(world, broken):
    node = world.executor(start=False, **with_model(world, broken(decoder='yolov77')))
    refused_at_configure(world, node, 'broken.yaml', "'decoder' is 'yolov77'", 'yolov8')


def test_a_decoder_that_does_not_fit_the_network(world, broken):
    node = world.executor(start=False, **with_model(world, broken(decoder='nanodet')))
    refused_at_configure(world, node, "decoder 'nanodet'", 'the network gives')


@pytest.mark.parametrize('content', [
    lambda whole: whole[:len(whole) // 2], lambda whole: b'', lambda whole: b'<html>404</html>',
    lambda whole: whole[:-40],
], ids=['half', 'empty', 'a web page', 'the end is missing'])
def test_broken_onnx(world, broken, content):
    node = world.executor(start=False, **with_model(world, broken(content)))
    refused_at_configure(world, node, 'broken.onnx')


def test_missing_onnx(world, broken, tmp_path):
    model = broken()
    (tmp_path / 'broken.onnx').unlink()
    node = world.executor(start=False, **with_model(world, model))
    refused_at_configure(world, node, 'broken.onnx', 'does not exist')


def test_wrong_hash(world, broken, tmp_path):
    model = broken(sha256='0' * 64)
    found = hashlib.sha256((tmp_path / 'broken.onnx').read_bytes()).hexdigest()
    node = world.executor(start=False, **with_model(world, model))
    refused_at_configure(world, node, 'broken.onnx', found, '0' * 64)
    broken(sha256=found)
    assert node.autostart()


def test_wrong_input_size(world, broken):
    node = world.executor(start=False, **with_model(world, broken(width=48)))
    refused_at_configure(world, node, 'broken.onnx', '[N, 3, 32, 32]', '48 × 32')


def test_one_bad_instance_leaves_nothing_behind(world, broken):
    """The good instance is loaded first; all is freed, and both run once it is mended."""
    values = world.parameters(instance_names=[world.instance, 'second'],
                              instances={'second': {'model': broken(lambda whole: b'')}})
    node = world.executor(values, start=False)
    refused_at_configure(world, node, 'broken.onnx')
    assert not world.observer.count_publishers(f'{world.namespace}/detections/front')
    broken()
    assert node.autostart()
    world.governor(values)
    stamp_ns = world.send('front')
    for instance in (world.instance, 'second'):
        world.check(world.result('front', stamp_ns, instance))


def test_vision_msgs_output_without_vision_msgs(world):
    from s3dnn_ros.nodes import result_topics
    if result_topics.Detection2DArray is not None:
        pytest.skip('vision_msgs is installed')
    node = world.executor(start=False, output='both')
    refused_at_configure(world, node, "parameter 'output' is 'both'", 'vision_msgs')


# parameters at start

OUT_OF_RANGE = [
    (GovernorNode, {'cameras': {'front': {'depth': 0}}},
     ("parameter 'cameras.front.depth' is 0", 'from 1 to 1000')),
    (GovernorNode, {'cameras': {'front': {'topic': 'no good/topic!'}}},
     ("parameter 'cameras.front.topic' is 'no good/topic!'", 'expected a topic name')),
    (GovernorNode, {'ring_slots': 65}, ("parameter 'ring_slots' is 65", 'from 1 to 64')),
    (GovernorNode, {'cameras': {'front': {'qos': 'best'}}},
     ("parameter 'cameras.front.qos' is 'best'", 'one of sensor_data, reliable')),
    (GovernorNode, {'transport': 7}, ("parameter 'transport' is 7", 'shared_memory, inline')),
    (GovernorNode, {'camera_names': ['front', 'rear', 'front']},
     ("parameter 'camera_names'", "'front' is there twice")),
    (GovernorNode, {'camera_names': ['front', 'rear side']},
     ("parameter 'camera_names'", "'rear side' cannot be part of a topic name")),
    (GovernorNode, {'group_names': ['g'], 'groups': {'g': {'cameras': ['front', 'side']}}},
     ("parameter 'groups.g.cameras'", "'side' is not in camera_names")),
    (ExecutorNode, {'engine': 'tpu'}, ("parameter 'engine' is 'tpu'", 'one of auto')),
    (ExecutorNode, {'max_queue': 0}, ("parameter 'max_queue' is 0", 'from 1 to 1000')),
    (ExecutorNode, {'stats_period_s': float('nan')}, ("parameter 'stats_period_s' is nan",
                                                      'from 0.05 to 60.0')),
    (GovernorNode, {'preset': ['latency', 'energy']},
     ("parameter 'preset' is ['latency', 'energy']", 'one of none, latency')),
    (ExecutorNode, {'preset': 5}, ("parameter 'preset' is 5", 'one of none, latency')),
    (ExecutorNode, {'preset': 'energy', 'scheduler': 'fifo'},
     ("parameter 'scheduler' is 'fifo'", 'a cohort decides between segments')),
    (ReplayNode, {}, ("parameter 'sources.front.file'", 'name a video or an image')),
    (MonitorNode, {'table': 'yes'}, ("parameter 'table' is 'yes'", 'true or false')),
]


@pytest.mark.parametrize(('kind', 'changes', 'words'), OUT_OF_RANGE,
                         ids=[case[2][0].split(' is')[0] for case in OUT_OF_RANGE])
def test_out_of_range_at_start(world, kind, changes, words):
    with pytest.raises(ParameterError) as caught:
        world.add(kind(**world.options(world.parameters(**changes))))
    for word in words:
        assert word in str(caught.value)
    assert not _nodes_of(world)


def _nodes_of(world, namespace=None):
    """Return the nodes in a namespace, the world's unless told otherwise, but the observer."""
    return [name for name, found in world.observer.get_node_names_and_namespaces()
            if found == (namespace or world.namespace) and name != 'observer']


def test_an_instance_without_a_model_at_start(world):
    values = world.parameters(instance_names=[world.instance, 'second'])
    with pytest.raises(ParameterError, match=r'instances\.second\.model'):
        world.executor(values)


@pytest.fixture
def interruptible():
    """Give Ctrl-C back to pytest: a process that ends takes it no more."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures('interruptible')
@pytest.mark.parametrize('main', [GovernorNode, ExecutorNode])
def test_the_process_says_it_and_ends_with_a_status(main, capfd, world):
    status = run(lambda *_: main(), args=[
        '--ros-args', '-r', f'__ns:={world.namespace}_other',
        '-p', 'camera_names:=[front, front]'])
    assert status == UNUSABLE
    said = capfd.readouterr().err
    assert "error: parameter 'camera_names' is ['front', 'front']" in said
    assert "'front' is there twice" in said


@pytest.mark.usefixtures('interruptible')
@pytest.mark.parametrize('arguments, words', [
    (['-p', 'use_sim_time:=maybe'], ['use_sim_time', 'maybe']),
    (['--params-file', '/nowhere/robot.yaml'], ['ROS does not start', '/nowhere/robot.yaml']),
], ids=['a type that rclpy refuses', 'no parameter file'])
def test_what_rclpy_refuses_is_said_and_ends_the_process(capfd, world, arguments, words):
    assert run(lambda *_: GovernorNode(), args=[
        '--ros-args', '-r', f'__ns:={world.namespace}_other', *arguments]) == UNUSABLE
    said = capfd.readouterr().err
    assert all(word in said for word in ['error: ', *words]) and 'Traceback' not in said


@pytest.mark.usefixtures('interruptible')
def test_a_failure_that_may_pass_has_another_status(world, monkeypatch):
    def full(*_):
        raise RingError('/dev/shm is full')

    monkeypatch.setattr('s3dnn_ros.nodes.routes.SharedSlots', full)
    values = ['-p', 'camera_names:=[front]', '-p', 'instance_names:=[a]',
              '-p', 'instances.a.model:=cells', '-p', f'model_directories:=[{world.models}]']
    assert run(lambda *_: GovernorNode(), args=[
        '--ros-args', '-r', f'__ns:={world.namespace}_other', *values]) == 1


@pytest.mark.usefixtures('interruptible')
def test_an_unknown_model_ends_the_process(capfd, world):
    status = run(lambda *_: ExecutorNode(), args=[
        '--ros-args', '-r', f'__ns:={world.namespace}_other', '-p', 'instance_names:=[a]',
        '-p', 'instances.a.model:=resnet_9000'])
    assert status == UNUSABLE
    # the process may end before anybody on the network hears of it
    said = capfd.readouterr().err
    assert "'resnet_9000'" in said and 'is not known' in said
    assert not _nodes_of(world, f'{world.namespace}_other')


def test_an_unknown_parameter_warns_with_the_nearest_name(world):
    world.governor(camera_name=['front'], cameras={'front': {'topics': 'x'}}, slot_lease=5.0)
    for name, nearest in (('camera_name', 'camera_names'),
                          ('cameras.front.topics', 'cameras.front.topic'),
                          ('slot_lease', 'slot_lease_ms')):
        world.wait_for(lambda name=name, nearest=nearest: world.said(
            f"parameter '{name}' is unknown", f"did you mean '{nearest}'"))
    assert not world.said("'stats_period_s' is unknown")
    # those of the other nodes are known: all may read one file
    assert not world.said("'engine_threads'")


def test_instances_of_other_executors_are_told_once(world):
    world.governor(instances={world.instance: {}, 'far': {'model': 'cells', 'deadline_ms': 9.0}})
    world.wait_for(lambda: world.said('not in instance_names', 'other nodes: far'))
    assert not world.said("'instances.far.")
