"""Why a camera is silent is said once: its type, its topic, its file, or that there is none."""

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

import rclpy
from rclpy.signals import SignalHandlerOptions
from s3dnn_ros.msg import Detections
from s3dnn_ros.srv import AddCamera
from sensor_msgs.msg import CompressedImage, PointCloud2
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.nodes import running, topic_watch
from s3dnn_ros.nodes.governor_node import GovernorNode
from s3dnn_ros.nodes.locator_node import LocatorNode
from s3dnn_ros.respawn import UNUSABLE

pytestmark = pytest.mark.ros


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(topic_watch, 'LOOK_S', 0.05)


@pytest.fixture
def publish(world):
    """Return a function that makes a publisher, as a driver in a process of its own does.

    In one process, Fast DDS refuses a topic with two types.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    driver = rclpy.create_node('driver', context=context, namespace=world.namespace)
    yield lambda topic, kind: driver.create_publisher(kind, topic, 10)
    driver.destroy_node()
    rclpy.shutdown(context=context)


def said_of(world, *words):
    return [text for text in world.logs if all(word in text for word in words)]


@pytest.mark.parametrize(('kind', 'topic', 'camera', 'advice'), [
    (CompressedImage, 'front/image_raw', {}, 'front/image_raw and cameras.front.transport to '
                                             'compressed'),
    (ImageMsg, 'front/image_raw/compressed', {'transport': 'compressed'},
     'front/image_raw/compressed and cameras.front.transport to raw'),
    (PointCloud2, 'front/image_raw', {}, 'a topic of sensor_msgs/Image and'),
    (CompressedImage, 'front/image_raw/compressed', {},
     'front/image_raw/compressed and cameras.front.transport to compressed'),
    (CompressedImage, 'cam/image/compressed', {'topic': 'cam/image', 'transport': 'compressed'},
     'cam/image/compressed and cameras.front.transport to compressed'),
    (ImageMsg, 'front/image_raw', {'transport': 'compressed'},
     'front/image_raw and cameras.front.transport to raw'),
], ids=['compressed images', 'raw images', 'clouds', 'only compressed', 'the base topic',
        'only raw'])
def test_what_is_published_in_its_place_is_said_once(world, publish, kind, topic, camera, advice):
    publish(topic, kind)
    world.governor(names=['front'], cameras={'front': camera})
    world.wait_for(lambda: said_of(world, 'is published', advice), advice)
    world.wait_for(lambda: world.diagnosed('no frame yet', 'is published', advice), 'a status')
    world.spin_for(0.3)
    assert len(said_of(world, 'front')) == 1, world.logs


def test_a_camera_that_comes_is_not_remarked_on(world, publish):
    world.system()
    for topic in ('front/image_raw/compressed', 'front/image_raw/theora'):
        publish(topic, CompressedImage)
    world.round_trip('front')
    world.spin_for(0.3)
    assert not said_of(world, 'is published')


def test_a_locator_says_what_comes_in_place_of_depths(world, publish):
    publish('front/points', ImageMsg)
    world.add(LocatorNode(**world.options(world.parameters(
        names=['front'], cameras={'front': {'cloud_topic': 'front/points',
                                            'info_topic': 'front/info'}}))))
    world.listen(Detections, 'located/front', lambda msg: None)
    advice = f'cameras.front.depth_topic to {world.namespace}/front/points'
    world.wait_for(lambda: said_of(world, 'sensor_msgs/PointCloud2', advice), advice)


def test_no_cameras_are_said_once_and_may_be_added(world):
    world.governor(names=[])
    world.wait_for(lambda: said_of(world, 'there are no cameras', 'camera_names',
                                   f'{world.namespace}/governor/add_camera'), 'no cameras')
    assert world.call(AddCamera, 'governor/add_camera', camera='side', transport='raw',
                      qos='sensor_data', depth=5, weight=1.0).success
    assert len(said_of(world, 'there are no cameras')) == 1


def test_cameras_are_not_missed_where_there_are_some(world):
    world.governor()
    world.spin_for(0.2)
    assert not said_of(world, 'there are no cameras')


class _Ends(GovernorNode):
    """A governor whose process ends when it has started."""

    finished = True


@pytest.fixture
def started(tmp_path, monkeypatch, capfd, world):
    """Return a function that runs a governor with a file's tree; gives its status and words."""
    monkeypatch.setattr(running.signal, 'signal', lambda *_: None)

    def run(tree):
        path = tmp_path / 'robot.yaml'
        path.write_text(yaml.safe_dump(tree))
        status = running.run(lambda *_: _Ends(), args=[
            '--ros-args', '-r', f'__ns:={world.namespace}', '--params-file', str(path)])
        return status, capfd.readouterr().err
    return run


@pytest.mark.parametrize(('section', 'is_heard'), [
    ('/governor', False), ('governor', False), ('/other/governor', False), ('/**', True),
    ('/*/governor', True), ('/{}/governor', True), ('/{}/*', True)])
def test_a_section_that_no_node_reads_is_said_where_ros_ignores_it(world, started, section,
                                                                   is_heard):
    name = section.format(world.namespace.strip('/'))
    status, said = started({name: {'ros__parameters': {'camera_names': ['front']}}})
    assert status == 0
    # the node's own words tell whether ROS gave it the camera
    assert ('there are no cameras' not in said) == is_heard
    assert said.count('is ignored') == (not is_heard)
    assert is_heard or f"name the section '{world.namespace}/governor'" in said


@pytest.mark.parametrize('tree', [{'camera_names': ['front']},
                                  {'governor': {'camera_names': ['front']}},
                                  {'governor': {'engine': 'auto'}}])
def test_parameters_without_ros_parameters_end_the_process_in_a_sentence(started, tree):
    status, said = started(tree)
    assert status == UNUSABLE
    assert 'error: ROS does not start:' in said and 'is not below ros__parameters' in said
