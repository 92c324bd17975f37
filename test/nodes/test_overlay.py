"""The overlay: drawn while somebody looks, with the boxes on the image they were found in."""

import itertools
import threading

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from ros_world import PERIOD_NS, TIMEOUT_S, ns_of, time_msg
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from s3dnn_ros.images.drawing import Drawn, draw
from s3dnn_ros.nodes.image_opener import open_image

pytestmark = pytest.mark.ros

FAST = {'overlay_max_rate_hz': 120.0}


class Viewer:
    """Looks at one camera's overlay."""

    def __init__(self, world, camera, source='image_raw'):
        self.world = world
        self.images = []
        self._source = f'{world.namespace}/{camera}/{source}'
        self.subscription = world.listen(Image, f'overlay/{camera}', self.images.append)

    def wait_until_seen(self):
        """Wait until the executor has noticed: it then hears the camera too."""
        self.world.wait_for(lambda: self.world.observer.count_subscribers(self._source) == 2,
                            'the executor to subscribe to the camera')

    def close(self):
        """Look away."""
        self.world.observer.destroy_subscription(self.subscription)
        self.world.wait_for(lambda: self.world.observer.count_subscribers(self._source) == 1,
                            'the executor to leave the camera')


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr('s3dnn_ros.nodes.overlay.LOOK_S', 0.05)


@pytest.mark.parametrize('composed', [False, True])
def test_only_while_somebody_looks(world, composed):
    world.system(composed=composed, **FAST)
    world.round_trip('front')
    assert world.observer.count_subscribers(f'{world.namespace}/front/image_raw') == 1
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    assert world.observer.count_subscribers(f'{world.namespace}/rear/image_raw') == 1
    msg = world.round_trip('front')
    world.round_trip('rear')
    image = world.wait_for(lambda: viewer.images)[-1]
    assert ns_of(image) == ns_of(msg) and image.header.frame_id == 'front_optical'
    assert (image.width, image.height, image.encoding, image.step) == (64, 64, 'bgr8', 192)
    viewer.close()
    seen = len(viewer.images)
    world.round_trip('front')
    world.round_trip('rear')
    assert len(viewer.images) == seen


def test_boxes_are_drawn_into_the_image_of_the_same_stamp(world):
    world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    pictures = {}
    while len(viewer.images) < 3:
        # each one a little brighter, so that a mixed-up pair shows
        picture = world.mark('front').image()
        picture[picture.sum(axis=2) == 0] = len(pictures) % 64
        stamp_ns = world.send('front', picture)
        pictures[stamp_ns] = picture
        world.result('front', stamp_ns)
    results = {ns_of(msg): msg for msg in world.results['front']}
    for image in viewer.images:
        picture, msg = pictures[ns_of(image)], results[ns_of(image)]
        expected = picture.copy()
        draw(expected, [Drawn(item.label, item.score,
                              (item.x, item.y, item.x + item.width, item.y + item.height))
                        for item in msg.detections])
        pixels = np.frombuffer(image.data, np.uint8).reshape(64, 64, 3)
        assert np.array_equal(pixels, expected)
        assert not np.array_equal(pixels, picture)


def test_of_a_compressed_and_of_a_grey_camera(world):
    world.system(cameras={'front': {'transport': 'compressed'}}, **FAST)
    viewers = [Viewer(world, 'front', 'image_raw/compressed'), Viewer(world, 'rear')]
    for viewer in viewers:
        viewer.wait_until_seen()
    data = cv2.imencode('.png', world.mark('front').image())[1].tobytes()
    stamps = [world.send_compressed('front', data), world.send('rear', encoding='mono16')]
    for viewer, stamp_ns in zip(viewers, stamps):
        image = world.wait_for(lambda viewer=viewer: viewer.images)[-1]
        assert ns_of(image) == stamp_ns and image.encoding == 'bgr8'


def test_it_shows_the_range_of_values_that_the_network_sees(world):
    """Of a thermal camera; the range comes to the executor from the governor, also a new one."""
    governor, executor = world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    picture = world.mark('front').image().max(axis=2)
    for least, most in ((1000.0, 1255.0), (2000.0, 2510.0)):
        world.accept('governor', 'cameras.front.value_range', [least, most])
        world.wait_for(lambda span=(least, most):
                       executor.settings.cameras['front'].value_range == span)
        values = (least + picture * (most - least) / 255.0).astype(np.uint16)
        viewer.images.clear()
        while not viewer.images:
            stamp_ns = world._publish('front', Image(
                width=64, height=64, step=128, encoding='mono16'), values.tobytes(), None, {})
            found = world.result('front', stamp_ns).detections[0]
            assert abs(found.score - world.mark('front').score) <= 0.01
        shown = np.frombuffer(viewer.images[0].data, np.uint8).reshape(64, 64, 3)
        expected = np.repeat(picture[..., None], 3, axis=2)
        # boxes and labels are drawn over some of them
        assert (shown == expected).all(axis=2).mean() > 0.5 and shown[-1, 0].tolist() == [0, 0, 0]
    refusal = world.set('governor', 'cameras.front.value_range', [3.0, 2.0])
    assert not refusal.successful and 'first the smaller one' in refusal.reason
    world.accept('governor', 'cameras.front.value_range', [])
    assert governor.settings.cameras['front'].value_range == ()


def one_colour(level):
    """Return a picture in which the network finds `level` everywhere, of a size to draw in."""
    picture = np.zeros((320, 320, 3), np.uint8)
    picture[..., 0] = level
    return picture


def level_of(image):
    """Return the colour of an overlay where nothing is drawn: inside of the last cell."""
    return np.frombuffer(image.data, np.uint8).reshape(320, 320, 3)[-10, -10, 0]


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_boxes_of_unstamped_images_are_drawn_into_the_same_image(world, transport):
    world.system(names=['front'], cameras={'front': {'transport': transport}}, **FAST)
    viewer = Viewer(world, 'front', f'image_raw{"" if transport == "raw" else "/compressed"}')
    viewer.wait_until_seen()
    level, first_ns = 120, world.next_stamp_ns('front')
    while len(viewer.images) < 3:
        level = 120 + (level - 119) % 120
        count, picture = len(world.results['front']), one_colour(level)
        if transport == 'raw':
            world.send('front', picture, stamp_ns=0)
        else:
            world.send_compressed('front', cv2.imencode('.png', picture)[1].tobytes(), stamp_ns=0)
        world.wait_for(lambda count=count: len(world.results['front']) > count)
    scores = {ns_of(msg): msg.detections[0].score for msg in world.results['front']}
    for image in viewer.images:
        assert first_ns <= ns_of(image) <= world.next_stamp_ns('front')
        assert scores[ns_of(image)] == pytest.approx(level_of(image) / 255.0, abs=0.01)


class SimulatedTime:
    """Publishes /clock."""

    def __init__(self, world):
        self.world = world
        self._publisher = world.observer.create_publisher(Clock, '/clock', 10)

    def run(self, start_s, predicate):
        """Let time pass from here, at once if it is the past, until the predicate holds."""
        moments_ns = itertools.count(round(start_s * 1e9), 20_000_000)

        def tried():
            now_ns = next(moments_ns)
            self._publisher.publish(Clock(clock=time_msg(now_ns)))
            self.world.spin_for(0.02)
            return predicate(now_ns)

        self.world.wait_for(tried)


def test_of_a_bag_that_begins_again_in_simulated_time(world):
    """As `ros2 bag play --clock --loop` does it; the overlay goes on at once, not a bag later."""
    world.system(names=['front'], use_sim_time=True, overlay_max_rate_hz=100.0,
                 instances={world.instance: {'deadline_ms': 30000.0}})
    viewer, time = Viewer(world, 'front'), SimulatedTime(world)
    time.run(1000.0, lambda _: world.observer.count_subscribers(viewer._source) == 2)
    for start_s in (1100.0, 1050.0):
        def play(now_ns, start_s=start_s):
            world.send('front', stamp_ns=now_ns)
            return any(start_s <= ns_of(image) * 1e-9 < start_s + 40.0 for image in viewer.images)

        time.run(start_s, play)


def test_unstamped_images_in_simulated_time_are_told(world):
    world.system(names=['front'], use_sim_time=True,
                 instances={world.instance: {'deadline_ms': 30000.0}}, **FAST)
    viewer, time = Viewer(world, 'front'), SimulatedTime(world)
    time.run(1000.0, lambda _: world.observer.count_subscribers(viewer._source) == 2)
    world.send('front', stamp_ns=0)
    time.run(1010.0, lambda _: world.said("camera 'front' stamps no image") and
             world.results['front'])
    assert not viewer.images


def test_unstamped_images_in_humble_are_told_and_detected_on(world, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.nodes.image_topics.KNOWS_PUBLICATION', False)
    world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    world.send('front', stamp_ns=0)
    world.wait_for(lambda: world.said("camera 'front' stamps no image"))
    world.wait_for(lambda: world.results['front'])
    msg = world.round_trip('front')
    world.wait_for(lambda: viewer.images)
    assert {ns_of(image) for image in viewer.images} == {ns_of(msg)}


def test_of_a_bag_with_its_old_stamps(world):
    world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    for start_s in (1_500_000_100, 1_500_000_000):
        stamp_ns = start_s * 10 ** 9
        seen = set()
        while not any(start_s <= seen_ns / 10 ** 9 <= start_s + 50 for seen_ns in seen):
            stamp_ns += PERIOD_NS
            world.result('front', world.send('front', stamp_ns=stamp_ns))
            seen = {ns_of(image) for image in viewer.images}


def test_while_it_is_drawn_results_go_on(world, monkeypatch):
    gate, asked = threading.Event(), threading.Event()

    def open_later(msg, camera):
        asked.set()
        assert gate.wait(TIMEOUT_S)
        return open_image(msg, camera)

    monkeypatch.setattr('s3dnn_ros.nodes.overlay.open_image', open_later)
    world.system(names=['front'], composed=True, **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    msg = world.round_trip('front')
    world.wait_for(asked.is_set)
    for _ in range(3):
        world.round_trip('front')
    assert not viewer.images
    gate.set()
    world.wait_for(lambda: viewer.images)
    assert ns_of(viewer.images[0]) == ns_of(msg)


def test_a_bad_image_does_not_disturb_it(world):
    world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    world.send('front', width=0)
    world.send('front', encoding='nv16')
    msg = world.round_trip('front')
    image = world.wait_for(lambda: viewer.images)[-1]
    assert ns_of(image) == ns_of(msg) and len(viewer.images) == 1


def test_switched_off_and_on_while_running(world):
    world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    world.round_trip('front')
    world.wait_for(lambda: viewer.images)
    world.accept('executor', 'overlay', False)
    topic = f'{world.namespace}/front/image_raw'
    world.wait_for(lambda: world.observer.count_subscribers(topic) == 1)
    seen = len(viewer.images)
    for _ in range(3):
        world.round_trip('front')
    assert len(viewer.images) == seen
    world.accept('executor', 'overlay', True)
    viewer.wait_until_seen()
    msg = world.round_trip('front')
    world.wait_for(lambda: ns_of(viewer.images[-1]) == ns_of(msg))


def test_at_most_at_its_rate(world):
    world.system(names=['front'], overlay_max_rate_hz=0.1)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    first = world.round_trip('front')
    for _ in range(5):
        world.round_trip('front')
    world.wait_for(lambda: viewer.images)
    assert [ns_of(image) for image in viewer.images] == [ns_of(first)]
    world.accept('executor', 'overlay_max_rate_hz', 120.0)
    msg = world.round_trip('front')
    world.wait_for(lambda: ns_of(viewer.images[-1]) == ns_of(msg))


def test_it_ends_with_the_node_and_begins_again(world):
    _, executor = world.system(names=['front'], **FAST)
    viewer = Viewer(world, 'front')
    viewer.wait_until_seen()
    executor.trigger_deactivate()
    executor.trigger_cleanup()
    world.wait_for(lambda: not world.observer.count_publishers(
        f'{world.namespace}/overlay/front'))
    assert executor.autostart()
    viewer.wait_until_seen()
    world.round_trip('front')
    world.wait_for(lambda: viewer.images)
