"""Cameras that come and go by a service, while the others are read on."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from s3dnn_ros.srv import AddCamera, RemoveCamera
from sensor_msgs.msg import Image
from test_parameter_files import dump, from_file

from s3dnn_ros.settings import CameraSettings

pytestmark = pytest.mark.ros

both = pytest.mark.parametrize('composed', [False, True], ids=['separate', 'composed'])


def add(world, camera, **fields):
    world.watch(camera)
    return world.call(AddCamera, 'governor/add_camera', camera=camera, **fields)


def remove(world, camera):
    return world.call(RemoveCamera, 'governor/remove_camera', camera=camera)


def all_published(world, camera, frames):
    """Wait until both nodes have counted so many frames of a camera; none may be dropped."""
    for node in ('governor', 'executor'):
        world.wait_for(lambda node=node: world.count(node, camera).published == frames)
        stats = world.count(node, camera)
        assert stats.frames == frames and not stats.dropped_reasons, stats
    assert len(world.results[camera]) == frames


def test_the_request_defaults_to_the_parameters_defaults():
    request, defaults = AddCamera.Request(), CameraSettings()
    for name in ('topic', 'transport', 'qos', 'depth', 'max_rate_hz', 'weight'):
        assert getattr(request, name) == getattr(defaults, name)


@both
def test_a_camera_comes_and_goes_and_another_loses_no_frame(world, composed):
    """The slots grow meanwhile: two cameras may share a batch, where there was one."""
    world.system(names=['front'], composed=composed, instances={world.instance: {'max_batch': 2}})
    stamps = [world.send('front')]
    world.result('front', stamps[0])

    def step(ask):
        """Send front's frames, one result after the other, while a request is under way."""
        future = ask()
        while not future.done():
            stamps.append(world.send('front'))
            world.result('front', stamps[-1])
        response = future.result()
        assert response.success, response.message
        return response.message

    for _ in range(2):
        world.watch('side')
        message = step(lambda: world.ask(AddCamera, 'governor/add_camera', camera='side',
                                         topic='elsewhere'))
        assert message == \
            f"camera 'side' is read from elsewhere and watched by {world.instance}"
        world.publisher('side', topic='elsewhere')
        world._publishers['side/image_raw'] = world._publishers['elsewhere']
        for camera in ('side', 'front', 'side'):
            world.round_trip(camera)
        message = step(lambda: world.ask(RemoveCamera, 'governor/remove_camera', camera='side'))
        assert message == "camera 'side' is not read any more"
        world.wait_for(lambda: not world._publishers['elsewhere'].get_subscription_count())
    all_published(world, 'front', len(stamps) + 2)
    all_published(world, 'side', 4)
    assert [msg.sequence for msg in world.results['side']] == [1, 2, 3, 4]


def test_parameters_follow_and_their_dump_makes_the_same_nodes(world):
    governor, executor = world.system(
        names=['front', 'rear'], group_names=['pair'],
        groups={'pair': {'cameras': ['front', 'rear']}},
        instances={world.instance: {'cameras': ['front', 'rear']}})
    assert add(world, 'side', topic='/x', transport='compressed', qos='reliable', depth=9,
               max_rate_hz=7.0, weight=2.0, value_range=[0.0, 9.0], group='pair',
               instances=[world.instance]).success
    assert remove(world, 'rear').success
    world.wait_for(lambda: list(executor.settings.cameras) == ['front', 'side'])
    assert governor.settings.cameras['side'] == CameraSettings(
        '/x', 'compressed', 'reliable', 9, 7.0, 2.0, (0.0, 9.0))
    assert governor.settings.groups['pair'].cameras == ('front', 'side')
    assert governor.settings.instances[world.instance].cameras == ('front', 'side')
    assert governor.get_parameter('cameras.side.topic').value == '/x'
    assert not governor.has_parameter('cameras.rear.topic')
    world.accept('governor', 'cameras.side.weight', 3.0)
    for node, name in ((governor, 'governor'), (executor, 'executor')):
        text, settings = dump(world, name), node.settings
        world.remove(node)
        assert from_file(world, name, text).settings == settings


def test_refusals_change_nothing(world):
    governor, _ = world.system(names=['front'],
                               instances={world.instance: {'cameras': ['front']}})
    settings, text = governor.settings, dump(world, 'governor')
    for response, words in (
            (add(world, 'front'), "'front' is there already"),
            (world.call(AddCamera, 'governor/add_camera', camera='a b',
                        instances=[world.instance]), 'letters, digits'),
            (add(world, 'side', transport='pigeon', instances=[world.instance]),
             "parameter 'cameras.side.transport' is 'pigeon'; expected one of raw, compressed"),
            (add(world, 'side', topic='1/', instances=[world.instance]), 'a topic name'),
            (add(world, 'side'), 'name those'),
            (remove(world, 'front'), 'would watch all'), (remove(world, 'side'), 'not among')):
        assert not response.success
        assert words in response.message
    assert governor.settings == settings and dump(world, 'governor') == text
    world.round_trip('front')


@both
def test_a_governor_that_starts_without_cameras_gets_one(world, composed):
    world.system(names=[], composed=composed)
    assert add(world, 'side').success
    world.round_trip('side')


def test_a_camera_that_is_gone_is_not_diagnosed(world):
    world.system()
    world.round_trip('rear')
    world.wait_for(lambda: world.count('executor', 'rear').published == 1)
    assert remove(world, 'rear').success
    world.wait_for(lambda: 'rear' not in world.nodes[0].settings.cameras)
    world.statuses.clear()
    world.round_trip('front')
    world.wait_for(lambda: sum('front' in status.name for status in world.statuses) > 6)
    # what was published just before may still have been on its way
    assert not [status for status in world.statuses[-12:] if 'rear' in status.name]
    assert add(world, 'rear').success
    world.wait_for(lambda: 'rear' in world.nodes[0].settings.cameras)
    world.round_trip('rear')
    world.wait_for(lambda: any('rear' in status.name and not status.level[0]
                               for status in world.statuses))


def test_the_overlay_follows(world):
    world.system(names=['front'])
    assert add(world, 'side').success
    images = []
    world.listen(Image, 'overlay/side', images.append)
    world.wait_for(lambda: world.publisher('side').get_subscription_count() == 2)
    world.wait_for(lambda: world.round_trip('side') and images)
    assert remove(world, 'side').success
    world.wait_for(lambda: not world._publishers['side/image_raw'].get_subscription_count())
    world.round_trip('front')


def test_an_executor_that_starts_again_learns_of_the_camera(world):
    values = world.parameters(names=['front'])
    executor = world.executor(values)
    world.governor(values)
    assert add(world, 'side').success
    world.round_trip('side')
    world.remove(executor)
    executor = world.executor(values)
    world.wait_for(lambda: 'side' in executor.settings.cameras)
    world.wait_for(lambda: world.send('side') and len(world.results['side']) > 1)


def test_cameras_change_before_the_node_is_configured(world):
    values = world.parameters(names=['front'])
    world.executor(values)
    governor = world.governor(values, start=False)
    assert add(world, 'side').success and remove(world, 'front').success
    assert list(governor.settings.cameras) == ['side']
    assert governor.autostart()
    world.round_trip('side')
