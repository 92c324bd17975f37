"""The locator: results with distances while somebody looks, and why there are none."""

import array
import itertools
import math
import sys
import types

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.lifecycle import TransitionCallbackReturn
from ros_world import ns_of, time_msg
from s3dnn_ros.msg import Detection, Detections
from s3dnn_ros.srv import AddCamera, RemoveCamera
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from s3dnn_ros.nodes.locator_node import LocatorNode

pytestmark = pytest.mark.ros

SIDE = 64
F, CENTRE = 50.0, 31.5
MS = 1_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr('s3dnn_ros.nodes.locator_node.LOOK_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.nodes.locator_node.PATIENCE_S', 0.0)


class DepthCamera:
    """What one camera's depth driver sends, and what the locator says of its results."""

    def __init__(self, world, name, kind=Image, topic='depth/image', look=True):
        self.world, self.name, self.kind = world, name, kind
        self.located = []
        self.stamp_ns = 0
        self._topics = {kind: f'{name}/{topic}', CameraInfo: f'{name}/depth/camera_info',
                        Detections: f'detections/{name}'}
        self._publishers = {}
        if look:
            self.look()

    def look(self):
        """Subscribe to the results with distances."""
        self.subscription = self.world.listen(Detections, f'located/{self.name}',
                                              self.located.append)

    def subscribers(self, kind):
        """Return how many subscribe to a topic of this camera."""
        return self.world.observer.count_subscribers(
            f'{self.world.namespace}/{self._topics[kind]}')

    def send(self, msg, stamp_ns):
        """Send a message once somebody hears it."""
        kind = type(msg)
        if kind not in self._publishers:
            self._publishers[kind] = self.world.observer.create_publisher(
                kind, f'{self.world.namespace}/{self._topics[kind]}', 20)
        self.world.wait_for(self._publishers[kind].get_subscription_count,
                            f'a subscriber of {self._topics[kind]}')
        msg.header.stamp = time_msg(stamp_ns)
        msg.header.frame_id = msg.header.frame_id or f'{self.name}_optical'
        self._publishers[kind].publish(msg)

    def info(self, f=F, side=SIDE):
        """Send a CameraInfo and wait until it is known: topics keep no order among them."""
        self.stamp_ns += 1
        k = [f, 0.0, CENTRE, 0.0, f, CENTRE, 0.0, 0.0, 1.0]
        self.send(CameraInfo(width=side, height=side, k=k), self.stamp_ns)
        view = self.world.nodes[-1]._views[self.name]
        self.world.wait_for(lambda: view.info and ns_of(view.info) == self.stamp_ns, 'the info')

    def depth(self, stamp_ns, depth_mm=2000, side=(SIDE, SIDE), frame_id='', **changes):
        """Send the depth image of a wall."""
        width, height = side
        msg = Image(width=width, height=height, encoding='16UC1', step=2 * width)
        msg.data.frombytes(np.full(side, depth_mm, np.uint16).tobytes())
        for name, value in changes.items():
            setattr(msg, name, value)
        msg.header.frame_id = frame_id
        self.send(msg, stamp_ns)

    def compressed(self, stamp_ns, format='16UC1; compressedDepth png'):
        """Send the depth image of a wall as the plugin compressedDepth does."""
        msg = CompressedImage(format=format)
        msg.data.frombytes(bytes(12) + cv2.imencode(
            '.png', np.full((SIDE, SIDE), 2000, np.uint16))[1].tobytes())
        self.send(msg, stamp_ns)

    def cloud(self, stamp_ns, points, names='xyz', frame_id=''):
        """Send a cloud."""
        points = np.asarray(points, np.float32)
        msg = PointCloud2(
            width=len(points), height=1, point_step=12, row_step=12 * len(points), fields=[
                PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
                for index, name in enumerate(names)])
        msg.data.frombytes(points.tobytes())
        msg.header.frame_id = frame_id
        self.send(msg, stamp_ns)

    def result(self, stamp_ns, *boxes, size=(SIDE, SIDE), instance='detector', **last):
        """Send a result, as an executor would; `last` is what else its last detection has."""
        detections = [Detection(label='cat', score=0.5, x=x, y=y, width=width, height=height)
                      for x, y, width, height in boxes]
        for name, value in last.items():
            setattr(detections[-1], name, value)
        self.send(Detections(
            camera=self.name, instance=instance, sequence=7, width=size[0], height=size[1],
            detections=detections), stamp_ns)

    def wait(self, stamp_ns):
        """Return the detections of this stamp, with distances or without."""
        return self.world.wait_for(
            lambda: next((msg for msg in self.located if ns_of(msg) == stamp_ns), None),
            f'the located result of {self.name} at {stamp_ns}').detections


BOX = (33.0, 25.0, 30.0, 22.0)      # its middle is 16 pixels right of and 4 below the centre


def values_of(world, names=('front',), **changes):
    # a best-effort subscription may miss what comes as it is made
    cameras = {name: {'depth_topic': f'{name}/depth/image', 'depth_qos': 'reliable'}
               for name in names}
    values = world.parameters(names=names, cameras=cameras, depth_max_wait_ms=50.0)
    for name, value in changes.items():
        if name == 'cameras':
            for camera, items in value.items():
                values['cameras'][camera].update(items)
        else:
            values[name] = value
    return values


@pytest.fixture
def locator(world):
    """Return a function that starts a locator with changed parameters."""
    def start(*, active=True, **changes):
        return world.add(LocatorNode(**world.options(values_of(world, **changes))), active)
    return start


@pytest.fixture
def front(world, locator):
    """Return the front camera of a locator, calibrated."""
    locator()
    camera = DepthCamera(world, 'front')
    camera.info()
    return camera


def check_place(detection, depth_m=2.0):
    x, y = depth_m * 16 / F, depth_m * 4 / F
    position = detection.position
    assert (position.x, position.y, position.z) == pytest.approx((x, y, depth_m), abs=1e-5)
    assert detection.distance == pytest.approx(math.hypot(x, y, depth_m))


def check_nowhere(*detections):
    for item in detections:
        assert all(map(math.isnan, (item.distance, item.position.x, item.position.y,
                                    item.position.z)))


def test_an_object_is_as_far_as_its_depths_say(front):
    front.depth(1000 * MS)
    front.result(1000 * MS, BOX, (70.0, 0.0, 9.0, 9.0))
    inside, outside = front.wait(1000 * MS)
    check_place(inside)
    check_nowhere(outside)
    assert (inside.label, inside.score, inside.x) == ('cat', 0.5, 33.0)


@pytest.mark.parametrize('composed', [False, True])
def test_of_a_real_pipeline_while_somebody_looks(world, locator, composed):
    world.system(names=['front'], composed=composed)
    locator()
    camera = DepthCamera(world, 'front', look=False)
    msg = world.round_trip('front')
    check_nowhere(*msg.detections)
    assert camera.subscribers(Image) == camera.subscribers(CameraInfo) == 0
    camera.look()

    camera.info()
    stamp_ns = world.next_stamp_ns('front')
    camera.depth(stamp_ns)
    world.send('front', stamp_ns=stamp_ns)
    (found,) = camera.wait(stamp_ns)
    left, top, right, bottom = world.mark('front').box(SIDE, SIDE)
    # pixels count from their middles, boxes from their edges
    x, y = ((left + right) / 2 - 0.5 - CENTRE, (top + bottom) / 2 - 0.5 - CENTRE)
    assert (found.position.x, found.position.y, found.position.z) == pytest.approx(
        (2 * x / F, 2 * y / F, 2.0), abs=1e-5)
    world.observer.destroy_subscription(camera.subscription)
    world.wait_for(lambda: not camera.subscribers(Image), 'the locator to leave')
    # the world alone hears the results
    assert camera.subscribers(Detections) == 1


def test_a_depth_that_comes_after_the_result_is_waited_for(world, locator):
    locator(depth_max_wait_ms=10000.0)
    camera = DepthCamera(world, 'front')
    camera.info()
    camera.depth(900 * MS, 5000)
    camera.result(1000 * MS, BOX)
    camera.depth(1010 * MS, 2000)
    check_place(*camera.wait(1000 * MS))


def test_depths_out_of_step_are_told_once(world, front):
    for stamp_ns in (1000 * MS, 2000 * MS):
        front.depth(stamp_ns - 300 * MS)
        front.result(stamp_ns, BOX)
        check_nowhere(*front.wait(stamp_ns))
    assert world.wait_for(lambda: world.said(
        "camera 'front'", '0.3 s older than the image', 'depth_max_skew_ms is 50', 'or raise'))
    assert len([text for text in world.logs if 'older' in text]) == 1
    status = world.wait_for(lambda: world.diagnosed('0.3 s older'))
    assert {item.key for item in status.values} >= {'located', 'without distances (skew)'}
    world.accept('locator', 'depth_max_skew_ms', 400.0)
    front.depth(2800 * MS)
    front.result(3000 * MS, BOX)
    check_place(*front.wait(3000 * MS))


@pytest.mark.parametrize('send, words', [
    (lambda camera: camera.depth(1000 * MS, side=(48, 64)), ('48x64', 'of another shape')),
    (lambda camera: camera.depth(1000 * MS, encoding='bgr8'), ("'bgr8' has no depths",)),
    (lambda camera: camera.depth(1000 * MS, step=1), ('step is 1',)),
    (lambda camera: camera.depth(1000 * MS, encoding='32FC1', step=4 * SIDE, data=array.array(
        'B', np.full((SIDE, SIDE), 2000.0, np.float32).tobytes())),
     ('set depth_unit_m to 0.001',)),
    (lambda camera: (camera.info(f=0.0), camera.depth(1000 * MS)), ('not calibrated',)),
    (lambda camera: (camera.info(side=99), camera.info(side=0), camera.depth(1000 * MS, width=0)),
     ('0x64 pixels',)),
    (lambda camera: None, ('nothing has come on front/depth/image', 'depth_topic right')),
], ids=['another shape', 'encoding', 'step', 'unit', 'zeros', 'empty', 'no depth'])
def test_what_cannot_be_used_is_told_once_and_other_cameras_go_on(world, locator, send, words):
    locator(names=('front', 'rear'))
    front, rear = DepthCamera(world, 'front'), DepthCamera(world, 'rear')
    for camera in (front, rear):
        camera.info()
    send(front)
    rear.depth(1000 * MS)
    for instance in ('one', 'other'):
        front.result(1000 * MS, BOX, instance=instance)
    rear.result(1000 * MS, BOX)
    check_nowhere(*front.wait(1000 * MS))
    check_place(*rear.wait(1000 * MS))
    world.wait_for(lambda: len(front.located) == 2)
    world.wait_for(lambda: world.said("camera 'front'", 'no distances', *words), words)
    assert len([text for text in world.logs if 'no distances' in text]) == 1
    # and what is right again is located
    front.info()
    front.depth(2000 * MS)
    front.result(2000 * MS, BOX)
    check_place(*front.wait(2000 * MS))


@pytest.mark.parametrize('width, height, count', [
    (SIDE + 1, SIDE, (SIDE + 1) * SIDE), (2**32 - 1, 2**32 - 1, 1), (3, 3, 8), (0, 0, 1),
    (1, 1, 0)])
def test_a_mask_that_does_not_fit_is_told_once_and_the_box_counts(world, front, width, height,
                                                                  count):
    for stamp_ns in (1000 * MS, 2000 * MS):
        front.depth(stamp_ns)
        front.result(stamp_ns, BOX, BOX, mask_width=width, mask_height=height, mask=bytes(count))
        for found in front.wait(stamp_ns):
            check_place(found)
    assert world.wait_for(lambda: world.said(
        "camera 'front'", f'{width}x{height} pixels', f'{count} bytes', '64x64', 'whole box'))
    assert len([text for text in world.logs if 'mask' in text]) == 1


def test_without_camera_info_there_are_no_distances(world, locator):
    locator()
    camera = DepthCamera(world, 'front')
    camera.depth(1000 * MS)
    camera.result(1000 * MS, BOX)
    check_nowhere(*camera.wait(1000 * MS))
    world.wait_for(lambda: world.said('no CameraInfo', 'front/depth/camera_info', 'info_topic'))


def test_a_depth_image_of_another_frame_is_told_and_used(world, front):
    for stamp_ns in (1000 * MS, 2000 * MS):
        front.depth(stamp_ns, frame_id='elsewhere')
        front.result(stamp_ns, BOX)
        check_place(*front.wait(stamp_ns))
    world.wait_for(lambda: world.said("in the frame 'elsewhere'", "'front_optical'", 'aligned'))
    assert len([text for text in world.logs if 'elsewhere' in text]) == 1


def test_compressed_depth_images_by_the_name_of_their_topic(world, locator):
    topic = 'depth/image/compressedDepth'
    locator(cameras={'front': {'depth_topic': f'front/{topic}'}})
    camera = DepthCamera(world, 'front', CompressedImage, topic)
    camera.info()       # beside the image that is compressed
    camera.compressed(1000 * MS)
    camera.result(1000 * MS, BOX)
    check_place(*camera.wait(1000 * MS))
    camera.compressed(2000 * MS, '16UC1; compressedDepth rvl')
    camera.result(2000 * MS, BOX)
    check_nowhere(*camera.wait(2000 * MS))
    world.wait_for(lambda: world.said("camera 'front'", 'compressedDepth rvl', 'to png'))


CLOUDED = {'depth_topic': '', 'cloud_topic': 'front/points',
           'info_topic': 'front/depth/camera_info'}


@pytest.fixture
def clouded(world, locator):
    """Return the front camera of a locator that reads a cloud, calibrated."""
    locator(cameras={'front': CLOUDED})
    camera = DepthCamera(world, 'front', PointCloud2, 'points')
    camera.info()
    return camera


def test_an_object_is_where_its_points_are(world, clouded):
    behind = (2 * 16 / F, 2 * 4 / F, 2.0)
    clouded.cloud(1000 * MS, [behind, behind, (0.0, 0.0, 1.0), (np.nan,) * 3])
    clouded.result(1000 * MS, BOX)
    check_place(*clouded.wait(1000 * MS))


def test_a_cloud_without_coordinates_is_told_and_other_cameras_go_on(world, locator):
    locator(names=('front', 'rear'), cameras={'front': CLOUDED})
    front, rear = DepthCamera(world, 'front', PointCloud2, 'points'), DepthCamera(world, 'rear')
    for camera in (front, rear):
        camera.info()
    front.cloud(1000 * MS, [(0.0, 0.0, 1.0)], names='xyi')
    rear.depth(1000 * MS)
    for camera in (front, rear):
        camera.result(1000 * MS, BOX)
    check_nowhere(*front.wait(1000 * MS))
    check_place(*rear.wait(1000 * MS))
    world.wait_for(lambda: world.said("camera 'front'", 'no field z', 'it has i, x, y'))


def test_a_cloud_of_another_frame_needs_tf2(world, clouded, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.nodes.transforms.tf2_ros', None)
    clouded.cloud(1000 * MS, [(0.0, 0.0, 1.0)], frame_id='lidar')
    clouded.result(1000 * MS, BOX)
    check_nowhere(*clouded.wait(1000 * MS))
    world.wait_for(lambda: world.said("in the frame 'lidar'", "'front_optical'", 'install ros-'))


class FakeTf2:
    """Stands for the module tf2_ros: one transform, from a lidar to a camera."""

    class TransformException(Exception):
        """As tf2's."""

    def __init__(self):
        self.known = False
        self.heard = 0
        self.Buffer = lambda: self
        self.TransformListener = self._listen

    def _listen(self, buffer, node):
        assert buffer is self
        self.heard += 1
        return types.SimpleNamespace(unregister=lambda: setattr(self, 'heard', self.heard - 1))

    def lookup_transform(self, target, source, time):
        if not self.known or (target, source) != ('front_optical', 'lidar'):
            raise self.TransformException('frames are not connected')
        return types.SimpleNamespace(transform=types.SimpleNamespace(
            translation=types.SimpleNamespace(x=0.0, y=-0.1, z=0.0),
            rotation=types.SimpleNamespace(x=0.5, y=-0.5, z=0.5, w=0.5)))


def test_a_cloud_of_another_frame_is_moved_into_the_cameras(world, clouded, monkeypatch):
    tf2 = FakeTf2()
    monkeypatch.setattr('s3dnn_ros.nodes.transforms.tf2_ros', tf2)
    points = [(2.0, -2 * 16 / F, -2 * 4 / F - 0.1)]
    clouded.cloud(1000 * MS, points, frame_id='lidar')
    clouded.result(1000 * MS, BOX)
    check_nowhere(*clouded.wait(1000 * MS))
    world.wait_for(lambda: world.said('/tf has no transform', 'frames are not connected'))
    tf2.known = True
    clouded.cloud(2000 * MS, points, frame_id='lidar')
    clouded.result(2000 * MS, BOX)
    check_place(*clouded.wait(2000 * MS))
    assert tf2.heard == 1
    world.nodes[-1].trigger_deactivate()
    assert tf2.heard == 0


def test_with_tf2_a_cloud_of_another_frame_is_moved(world, clouded):
    tf2_ros = pytest.importorskip('tf2_ros', reason='tf2_ros is not here')
    transform = TransformStamped(child_frame_id='lidar')
    transform.header.frame_id = 'front_optical'
    transform.transform.translation.y = -0.1
    transform.transform.rotation = Quaternion(x=0.5, y=-0.5, z=0.5, w=0.5)
    tf2_ros.StaticTransformBroadcaster(world.observer).sendTransform(transform)
    stamps = itertools.count(1000 * MS, 100 * MS)

    def try_once():
        stamp_ns = next(stamps)
        clouded.cloud(stamp_ns, [(2.0, -2 * 16 / F, -2 * 4 / F - 0.1)], frame_id='lidar')
        clouded.result(stamp_ns, BOX)
        (found,) = clouded.wait(stamp_ns)
        return None if math.isnan(found.distance) else found

    # /tf is heard from the first such cloud on
    check_place(world.wait_for(try_once, 'a distance'))


@pytest.mark.parametrize('changes, words', [
    ({'cameras': {'front': {'depth_topic': ''}}},
     ('camera_names', 'none of these', 'depth_topic')),
    ({'output': 'both'}, ("'output' is 'both'", 'vision_msgs is not installed')),
], ids=['no depths', 'vision_msgs'])
def test_what_cannot_work_is_refused(world, locator, monkeypatch, changes, words):
    monkeypatch.setattr('s3dnn_ros.nodes.result_topics.Detection2DArray', None)
    node = locator(active=False, **changes)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said(*words), words)


def test_depths_of_a_camera_that_does_not_exist_are_told(world, locator):
    locator(**{'cameras.side.depth_topic': 'side/depth'})
    world.wait_for(lambda: world.said("'cameras.side.depth_topic' is unknown and has no effect",
                                      "'cameras.front.depth_topic'"))


def fake_message(**defaults):
    """Return what makes messages of a package that is not here: any field, and these."""
    return lambda **fields: types.SimpleNamespace(
        **{**{name: make() for name, make in defaults.items()}, **fields})


@pytest.fixture
def fake_vision_msgs(monkeypatch):
    """Put a module in the place of vision_msgs whose messages take any field."""
    space = types.SimpleNamespace
    msg = space(
        Detection3DArray=fake_message(detections=list),
        Detection3D=fake_message(results=list, bbox=lambda: space(center=space(), size=space())),
        ObjectHypothesisWithPose=fake_message(
            hypothesis=space, pose=lambda: space(pose=space())))
    monkeypatch.setitem(sys.modules, 'vision_msgs', space(msg=msg))
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', msg)
    monkeypatch.setattr('s3dnn_ros.nodes.result_topics.Detection2DArray', object)
    return msg


class FakePublisher:
    """Keeps what is published; `listeners` is how many subscribe."""

    def __init__(self, topic):
        self.topic, self.sent, self.listeners = topic, [], 1

    def get_subscription_count(self):
        return self.listeners

    def publish(self, msg):
        self.sent.append(msg)


def test_what_is_located_is_a_detection_3d_of_its_instance(world, locator, fake_vision_msgs,
                                                           monkeypatch):
    node = locator(active=False, output='both', instance_names=['one', 'other'],
                   instances={})
    fakes = {}
    create, destroy = node.create_publisher, node.destroy_publisher

    def create_publisher(kind, topic, *args, **options):
        if kind is fake_vision_msgs.Detection3DArray:
            return fakes.setdefault(topic, FakePublisher(topic))
        return create(kind, topic, *args, **options)

    monkeypatch.setattr(node, 'create_publisher', create_publisher)
    monkeypatch.setattr(node, 'destroy_publisher', lambda publisher: (
        fakes.pop(publisher.topic, None) if isinstance(publisher, FakePublisher)
        else destroy(publisher)))
    assert node.autostart()
    assert list(fakes) == ['detections_3d/front/one', 'detections_3d/front/other']
    fakes['detections_3d/front/other'].listeners = 0
    camera = DepthCamera(world, 'front')
    camera.info()
    camera.depth(1000 * MS)
    for instance in ('one', 'other', 'of another executor'):
        camera.result(1000 * MS, (70.0, 0.0, 9.0, 9.0), BOX, instance=instance)
    world.wait_for(lambda: len(camera.located) == 3)
    (array,) = fakes['detections_3d/front/one'].sent
    assert not fakes['detections_3d/front/other'].sent
    assert ns_of(array) == 1000 * MS and array.header.frame_id == 'front_optical'
    (item,) = array.detections
    assert item.id == 'one/7/1' and item.results[0].hypothesis.class_id == 'cat'
    assert item.bbox.center.position.z == item.results[0].pose.pose.position.z == 2.0
    assert (item.bbox.size.x, item.bbox.size.y) == pytest.approx((2 * 30 / F, 2 * 22 / F))
    # an object that is followed has the same id in every frame, as in a Detection2DArray
    camera.depth(2000 * MS)
    camera.result(2000 * MS, BOX, BOX, instance='one', track=4)
    camera.wait(2000 * MS)
    assert [item.id for item in fakes['detections_3d/front/one'].sent[1].detections] == [
        'one/7/0', 'one/4']
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert not fakes


def test_with_vision_msgs_what_is_located_is_a_detection_3d(world, locator):
    vision_msgs = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not here')
    locator(output='both')
    arrays = []
    world.listen(vision_msgs.Detection3DArray, f'detections_3d/front/{world.instance}',
                 arrays.append)
    camera = DepthCamera(world, 'front', look=False)
    camera.info()
    camera.depth(1000 * MS)
    camera.result(1000 * MS, (70.0, 0.0, 9.0, 9.0), BOX, instance=world.instance)
    (item,) = world.wait_for(lambda: arrays)[0].detections
    assert item.id == f'{world.instance}/7/1' and item.results[0].hypothesis.score == 0.5
    assert item.results[0].pose.pose.position == item.bbox.center.position
    assert item.bbox.center.orientation.w == 1.0
    assert (item.bbox.size.x, item.bbox.center.position.z) == pytest.approx((2 * 30 / F, 2.0))


@pytest.mark.parametrize('names', [['front'], []], ids=['another one', 'the first'])
def test_a_camera_that_is_added_has_distances_once_its_depths_are_named(world, locator, names):
    world.system(names=names)
    node = locator(names=names)
    world.watch('side')
    assert world.call(AddCamera, 'governor/add_camera', camera='side').success
    world.wait_for(lambda: list(node.settings.cameras) == [*names, 'side'])
    world.accept('locator', 'cameras.side.depth_qos', 'reliable')
    world.accept('locator', 'cameras.side.depth_topic', 'side/depth/image')
    camera = DepthCamera(world, 'side')
    camera.info()
    stamp_ns = world.next_stamp_ns('side')
    camera.depth(stamp_ns)
    world.send('side', stamp_ns=stamp_ns)
    assert [found.position.z for found in camera.wait(stamp_ns)] == [2.0]
    assert world.call(RemoveCamera, 'governor/remove_camera', camera='side').success
    world.wait_for(lambda: not world.observer.count_publishers(f'{world.namespace}/located/side'))
    assert not node.has_parameter('cameras.side.depth_topic')
    assert camera.subscribers(Image) == 0


def test_the_depths_of_a_camera_may_come_from_elsewhere(world, front):
    result = world.set('locator', 'cameras.front.depth_topic', 'no topic')
    assert "'cameras.front.depth_topic' is 'no topic'; expected a topic name" in result.reason
    world.accept('locator', 'cameras.front.depth_topic', 'front/depth/other')
    other = DepthCamera(world, 'front', topic='depth/other')
    world.wait_for(lambda: other.subscribers(Image))
    assert front.subscribers(Image) == 0
    other.info()
    other.depth(1000 * MS)
    other.result(1000 * MS, BOX)
    check_place(*other.wait(1000 * MS))
    world.accept('locator', 'cameras.front.depth_topic', '')
    world.wait_for(lambda: not world.observer.count_publishers(f'{world.namespace}/located/front'))


def test_it_ends_with_the_node_and_begins_again(world, front):
    node = world.nodes[-1]
    node.trigger_deactivate()
    node.trigger_cleanup()
    world.wait_for(lambda: not world.observer.count_publishers(f'{world.namespace}/located/front'))
    assert node.autostart()
    front.info()
    front.depth(1000 * MS)
    front.result(1000 * MS, BOX)
    check_place(*front.wait(1000 * MS))
