"""From camera topics to detections: every kind of image, every way of handing it over."""

import threading

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from ros_world import PERIOD_NS, TIMEOUT_S, ns_of
from s3dnn_ros.msg import Capacity, FrameBatch, InstanceCapacity
from sensor_msgs.msg import CompressedImage
from tiny import ANGLE

from s3dnn_ros.images.pixels import ENCODINGS
from s3dnn_ros.nodes import governor_node
from s3dnn_ros.nodes.image_opener import open_image
from s3dnn_ros.nodes.qos import batch_qos, qos

pytestmark = pytest.mark.ros

# YUV and Bayer are lossy.
CONVERSION_TOLERANCE = 0.07
# float32 milliseconds of six stages
SUM_TOLERANCE_MS = 0.02
STAGES = ('transport_ms', 'governor_ms', 'handover_ms', 'queue_ms', 'engine_ms', 'finish_ms')
GREY = ('mono8', '8UC1', 'mono16', '16UC1', '32FC1')


@pytest.mark.parametrize('composed', [False, True])
def test_each_camera_gets_the_result_of_its_own_pixels(world, composed):
    names = ['front', 'rear', 'left', 'right']
    world.system(names=names, composed=composed)
    stamps = {name: world.send(name) for name in names}
    for name, stamp_ns in stamps.items():
        msg = world.result(name, stamp_ns)
        world.check(msg)
        assert (msg.camera, msg.instance, msg.model) == (name, world.instance, 'cells')
        assert (msg.width, msg.height, msg.sequence) == (64, 64, 1)


def test_every_raw_encoding(world):
    # floats have no range of their own
    world.system(names=['front'], cameras={'front': {'value_range': [0.0, 65280.0]}})
    mark = world.mark('front')
    for encoding in ENCODINGS:
        msg = world.result('front', world.send('front', encoding=encoding))
        found = {(item.x, item.y): item for item in msg.detections}
        item = found.pop(mark.box()[:2])
        assert not found, encoding
        assert abs(item.score - mark.score) < CONVERSION_TOLERANCE, encoding
        assert encoding in GREY or item.label == mark.label, encoding


def test_big_endian_and_padded_rows(world):
    world.system(names=['front'])
    grey = world.mark('front').image().max(axis=2)
    swapped = (grey.astype(np.uint16) * 256).astype('>u2').tobytes()
    msg = world.result('front', world.send('front', encoding='mono16', data=_bytes(swapped),
                                           is_bigendian=1))
    assert len(msg.detections) == 1 and msg.detections[0].score > 0.9
    padded = np.full((64, 80, 3), 255, np.uint8)
    padded[:, :64] = world.mark('front').image()
    world.check(world.result('front', world.send('front', data=_bytes(padded.tobytes()),
                                                 step=240)))


def test_colour_order_of_encoding_and_of_model_are_both_kept(world):
    """`mean` wants rgb: red must be red from whatever the camera sends."""
    world.system(names=['front', 'rear'], instances={world.instance: {'model': 'mean'}},
                 cameras={'rear': {'transport': 'compressed'}})
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :, 2] = 250
    stamps = [('front', world.send('front', red, encoding=encoding))
              for encoding in ('rgb8', 'bgr8')]
    stamps.append(('rear', world.send_compressed('rear', _compressed(red, '.png'))))
    for camera, stamp_ns in stamps[1:]:
        assert [item.label for item in world.result(camera, stamp_ns).detections] == ['red']


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_compressed_and_raw_cameras_beside_each_other(world, suffix):
    world.system(cameras={'rear': {'transport': 'compressed'}})
    world.round_trip('front')
    image = world.mark('rear').image()
    msg = world.result('rear', world.send_compressed('rear', _compressed(image, suffix)))
    best = msg.detections[0]
    assert best.label == world.mark('rear').label
    assert (best.x, best.y) == world.mark('rear').box()[:2]


def test_while_an_image_is_decoded_other_cameras_go_on(world, monkeypatch):
    gate, asked = threading.Event(), threading.Event()

    def open_later(msg, *arguments, **options):
        if isinstance(msg, CompressedImage):
            asked.set()
            assert gate.wait(TIMEOUT_S)
        return open_image(msg, *arguments, **options)

    monkeypatch.setattr(governor_node, 'open_image', open_later)
    others = f'{world.instance}_others'
    world.system(cameras={'rear': {'transport': 'compressed'}},
                 instance_names=[world.instance, others], instances={
                     world.instance: {'cameras': ['rear'], 'deadline_ms': 30000.0},
                     others: {'model': 'cells', 'cameras': ['front']}})
    image = _compressed(world.mark('rear').image(), '.png')
    stamp_ns = world.send_compressed('rear', image)
    world.wait_for(asked.is_set)
    for _ in range(3):
        world.round_trip('front')
    assert not world.results['rear']
    gate.set()
    world.check(world.result('rear', stamp_ns))


def test_boxes_find_their_way_back_through_a_letterbox(world):
    world.system(names=['front'], instances={world.instance: {'model': 'boxed'}})
    image = np.zeros((64, 128, 3), np.uint8)
    # the network sees 32 x 16 pixels, 8 below its upper edge: one cell is 32 x 32 of ours
    image[32:64, 96:128, 1] = 255
    msg = world.result('front', world.send('front', image))
    boxes = [(item.x, item.y, item.width, item.height) for item in msg.detections
             if item.label == 'green' and item.score > 0.9]
    assert boxes == [(96.0, 32.0, 32.0, 32.0)]


def test_best_effort_and_reliable_cameras(world):
    world.system(cameras={'front': {'qos': 'sensor_data'}, 'rear': {'qos': 'reliable'}})
    world.publisher('front', reliable=False)
    world.publisher('rear', reliable=True)
    world.round_trip('front')
    world.round_trip('rear')


def test_a_reliable_subscription_and_a_best_effort_camera_do_not_meet(world):
    """And then /diagnostics tells it as a camera without frames."""
    world.system(cameras={'front': {'qos': 'reliable'}})
    publisher = world.observer.create_publisher(
        type(_image()), f'{world.namespace}/front/image_raw', _best_effort())
    world.round_trip('rear')
    publisher.publish(_image())
    world.wait_for(lambda: any(status.hardware_id == 'front' and 'no frame yet' in status.message
                               for status in world.statuses))
    world.round_trip('rear')
    assert not world.results['front']


def test_an_empty_picture_gives_an_empty_result(world):
    world.system()
    msg = world.result('front', world.send('front', np.zeros((64, 64, 3), np.uint8)))
    assert not msg.detections
    assert msg.camera == 'front' and msg.width == 64


def test_header_travels_unchanged(world):
    world.system()
    stamp_ns = world.next_stamp_ns('front') // 1000 * 1000 + 7
    msg = world.result('front', world.send('front', stamp_ns=stamp_ns))
    assert ns_of(msg) == stamp_ns
    assert msg.header.frame_id == 'front_optical'


def test_an_image_without_a_stamp_gets_the_time_of_its_publication(world):
    world.system()
    before_ns = world.next_stamp_ns('front')
    world.send('front', stamp_ns=0)
    msg = world.wait_for(lambda: world.results['front'])[0]
    assert before_ns <= ns_of(msg) <= world.next_stamp_ns('front')
    assert msg.latency_ms < 1e4


@pytest.mark.parametrize('composed', [False, True])
def test_stages_add_up_to_the_latency(world, composed):
    world.system(composed=composed)
    for _ in range(5):
        msg = world.round_trip('front')
        stages = [getattr(msg, name) for name in STAGES]
        assert sum(stages) == pytest.approx(msg.latency_ms, abs=SUM_TOLERANCE_MS)
        assert all(stage >= -SUM_TOLERANCE_MS for stage in stages), stages
        assert not msg.missed


def test_a_late_result_says_missed(world):
    world.system(instances={world.instance: {'deadline_ms': 50.0}})
    stamp_ns = world.next_stamp_ns('front') - PERIOD_NS
    msg = world.result('front', world.send('front', stamp_ns=stamp_ns))
    assert msg.missed and msg.latency_ms > 50.0
    deadline_ns = msg.deadline.sec * 10 ** 9 + msg.deadline.nanosec
    assert deadline_ns == pytest.approx(stamp_ns + 50_000_000, abs=1000)
    for node in ('governor', 'executor'):
        world.wait_for(lambda node=node: world.count(node, 'front').missed == 1,
                       f'{node} to count it')
    world.wait_for(lambda: world.diagnosed('1 deadlines missed'))


def test_the_model_gives_the_deadline_where_no_parameter_does(world):
    world.system()
    msg = world.round_trip('front')
    deadline_ns = msg.deadline.sec * 10 ** 9 + msg.deadline.nanosec
    assert deadline_ns == pytest.approx(ns_of(msg) + 1_000_000_000, abs=1000)


def test_two_instances_watch_one_camera(world):
    second = f'classifier_{world.instance}'
    world.system(instance_names=[world.instance, second],
                 instances={second: {'model': 'mean', 'score_threshold': 0.0,
                                     'cameras': ['front']}})
    stamp_ns = world.send('front')
    world.check(world.result('front', stamp_ns, world.instance))
    msg = world.result('front', stamp_ns, second)
    mark = world.mark('front')
    assert (msg.model, msg.detections[0].label) == ('mean', mark.label)
    assert msg.detections[0].score == pytest.approx(mark.score / 16, abs=0.01)
    world.round_trip('rear')
    assert {item.instance for item in world.results['rear']} == {world.instance}
    world.wait_for(lambda: world.count('executor', 'front', second).published == 1)


@pytest.mark.parametrize('transport', ['shared_memory', 'inline'])
def test_pixels_cross_in_shared_memory_or_inline(world, transport):
    batches = []
    world.system(transport=transport)
    world.listen(FrameBatch, f'batches/{world.instance}', batches.append, batch_qos(transport))
    msg = world.round_trip('front')
    batch = world.wait_for(lambda: batches)[0]
    assert list(batch.shape) == [1, 32, 32, 3] and batch.model == 'cells'
    assert batch.front_end == f'{world.namespace}/governor'
    assert [ns_of(frame) for frame in batch.frames] == [ns_of(msg)]
    if transport == 'inline':
        assert batch.segment == '' and len(batch.data) == 32 * 32 * 3
        assert not world.segments()
    else:
        assert [batch.segment] == world.segments() and not batch.data


def test_composed_nodes_pass_references(world):
    batches = []
    world.system(composed=True)
    world.listen(FrameBatch, f'batches/{world.instance}', batches.append,
                 batch_qos('shared_memory'))
    for name in ('front', 'rear', 'front'):
        world.round_trip(name)
    topics = dict(world.observer.get_topic_names_and_types())
    publishers = world.observer.count_publishers(f'{world.namespace}/batches/{world.instance}')
    assert not batches and not publishers, topics
    assert not world.segments()


def test_composed_nodes_need_no_topic_to_agree(world):
    """Whatever another process says that it takes, the executor beside the governor has it."""
    world.system(composed=True)
    world.round_trip('front')
    world.observer.create_publisher(Capacity, 'capacity', qos('latched', 1)).publish(Capacity(
        process='somebody else', instances=[InstanceCapacity(instance=world.instance)]))
    world.spin_for(0.2)
    for _ in range(3):
        world.round_trip('front')
    assert world.dropped('executor', 'front', 'request') == 0


def test_frames_of_several_cameras_share_a_batch(world):
    names = ['front', 'rear', 'left']
    world.system(names=names, instances={world.instance: {
        'max_batch': 3, 'max_fusion_delay_ms': 10000.0, 'deadline_ms': 30000.0}})
    for name in names:
        world.publisher(name)
    stamps = {name: world.send(name) for name in names}
    for name, stamp_ns in stamps.items():
        msg = world.result(name, stamp_ns)
        world.check(msg)
        assert msg.batch == 3
    world.wait_for(lambda: 'executor' in world.stats
                   and list(world.stats['executor'].batches) == [1])


def test_a_frame_does_not_wait_longer_than_the_fusion_delay(world):
    world.system(instances={world.instance: {'max_batch': 2, 'max_fusion_delay_ms': 50.0}})
    msg = world.round_trip('front')
    assert msg.batch == 1
    assert msg.governor_ms > 45.0


def test_only_the_newest_frame_waits_while_the_executor_is_away(world):
    world.governor()
    stamps = [world.send('front') for _ in range(3)]
    world.wait_for(lambda: world.dropped('governor', 'front', 'replaced') == 2)
    world.executor()
    # the governor looks for a listener when something arrives
    world.round_trip('rear')
    world.check(world.result('front', stamps[2]))
    assert [ns_of(msg) for msg in world.results['front']] == [stamps[2]]


def test_a_full_executor_drops_the_oldest_batch(world, gate):
    world.system(max_queue=1)
    gate.shut()
    stamps = [world.send('front')]
    world.wait_for(lambda: gate.waiting == 1)
    for count in (1, 2, 3):
        stamps.append(world.send('front'))
        world.wait_for(
            lambda count=count: world.count('executor', 'front').frames == count + 1)
    gate.open()
    world.check(world.result('front', stamps[3]))
    world.wait_for(lambda: world.dropped('executor', 'front', 'queue') == 2)
    assert 'max_queue (1)' in world.count('executor', 'front').last_error
    world.round_trip('rear')
    assert [ns_of(msg) for msg in world.results['front']] == [stamps[0], stamps[3]]


def test_a_full_ring_keeps_the_newest_frame_of_each_camera(world, gate):
    world.system(ring_slots=1, slot_lease_ms=60000.0)
    gate.shut()
    stamps = [world.send('front')]
    world.wait_for(lambda: gate.waiting == 1)
    for count in (2, 3):
        stamps.append(world.send('front'))
        world.wait_for(lambda count=count: world.count('governor', 'front').frames == count)
    rear_ns = world.send('rear')
    world.wait_for(lambda: world.count('governor', 'rear').frames == 1)
    gate.open()
    world.check(world.result('front', stamps[2]))
    world.check(world.result('rear', rear_ns))
    world.wait_for(lambda: world.dropped('governor', 'front', 'replaced') == 1)


def test_an_engine_error_is_counted_and_the_next_batch_runs(world, monkeypatch):
    from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeNetwork

    world.system()
    with monkeypatch.context() as patch:
        patch.setattr(OnnxRuntimeNetwork, 'step', _fail)
        world.send('front')
        world.wait_for(lambda: world.dropped('executor', 'front', 'engine') == 1)
    assert list(world.stats['executor'].errors) == [1]
    assert world.instance in world.count('executor', 'front').last_error
    assert 'out of memory' in world.count('executor', 'front').last_error
    world.wait_for(lambda: world.said(world.instance, 'out of memory'))
    world.wait_for(lambda: world.diagnosed(world.instance, 'out of memory'))
    # it is loaded again when its counters are next told, if not at once
    world.wait_for(lambda: world.said(world.instance, 'runs again'))
    world.round_trip('rear')
    world.round_trip('front')


@pytest.mark.parametrize('model', ['posed', 'masked', 'turned'])
def test_keypoints_masks_and_angles_reach_the_user_in_pixels_of_the_image(world, model):
    """What they are is written in the network's file; its description does not say it."""
    world.system(names=['front'], instances={world.instance: {'model': model}})
    wide = world.mark('front').image(width=128)
    item, = world.result('front', world.send('front', wide)).detections
    mark = world.mark('front')
    left, top, right, bottom = mark.box(width=128)
    assert item.label == mark.label
    x, y = (left + right) / 2, (top + bottom) / 2
    if model == 'posed':
        points = [(point.x, point.y, point.score) for point in item.keypoints]
        # a pixel of the network's input is four of the image, from left to right
        assert points == [(x, y, 0.75), (x + 4, y, 0.25)]
    if model == 'masked':
        assert (item.mask_width, item.mask_height) == (1, 1) and list(item.mask) == [255]
    if model == 'turned':
        box, = item.oriented
        found = (box.x, box.y, box.width, box.height, box.angle)
        # what was its width lies along y
        assert found == pytest.approx((x, y, bottom - top, right - left, ANGLE))
    assert (item.x, item.y, item.width, item.height) == pytest.approx(
        (left, top, right - left, bottom - top), abs=1e-3)


def test_vision_msgs_where_they_are_installed(world):
    vision_msgs = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')
    arrays = []
    world.listen(vision_msgs.Detection2DArray, 'detections_2d/front', arrays.append)
    world.system(output='both')
    msg = world.round_trip('front')
    array = world.wait_for(lambda: arrays)[0]
    assert array.header == msg.header
    best = array.detections[0]
    assert best.results[0].hypothesis.class_id == world.mark('front').label
    assert best.bbox.center.position.x - best.bbox.size_x / 2 == world.mark('front').box()[0]


def test_each_network_has_a_topic_of_vision_msgs_where_they_are_installed(world):
    vision_msgs = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')
    names = [world.instance, 'another']
    heard = {topic: [] for topic in ('front', *(f'front/{name}' for name in names))}
    for topic, arrays in heard.items():
        world.listen(vision_msgs.Detection2DArray, f'detections_2d/{topic}', arrays.append)
    world.system(output='vision_msgs', names=['front'], instance_names=names,
                 instances={'another': {'model': 'cells'}})

    def complete():
        world.send('front')
        world.spin_for(0.1)
        return all(heard.values())

    world.wait_for(complete)
    found = {topic: {item.id.split('/')[0] for array in arrays for item in array.detections}
             for topic, arrays in heard.items()}
    assert found == {'front': {names[0]}, **{f'front/{name}': {name} for name in names}}


def test_a_real_detector_finds_the_astronaut(world):
    from s3dnn_ros.base.cache import cache_dir, exported_path
    from s3dnn_ros.models.assets import asset_path

    if not exported_path('nanodet_g').is_file() \
            or not (cache_dir() / 'assets' / 'astronaut.png').is_file():
        pytest.skip('NanoDet-g or astronaut.png is not in $S3DNN_CACHE; run '
                    '`s3dnn models fetch` and `s3dnn models export nanodet_g`')
    world.system(names=['front'], instances={world.instance: {
        'model': 'nanodet_g', 'deadline_ms': 10000.0}})
    image = cv2.imread(str(asset_path('astronaut.png')))
    msg = world.result('front', world.send('front', image))
    people = [item for item in msg.detections if item.label == 'person']
    assert people and people[0].score > 0.5
    # she fills the picture's middle and lower left
    assert people[0].width > 200 and people[0].height > 300
    assert people[0].x < 224 < people[0].x + people[0].width


def _bytes(data):
    import array
    return array.array('B', data)


def _compressed(image, suffix):
    return cv2.imencode(suffix, image)[1].tobytes()


def _fail(self, segment, tensors, variant):
    raise RuntimeError('out of memory')


def _image():
    from sensor_msgs.msg import Image
    return Image(height=2, width=2, encoding='mono8', step=2, data=[0] * 4)


def _best_effort():
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.mark.parametrize('composed', [False, True])
def test_diagnostics_tell_the_namespace(world, composed):
    """Two systems on one robot have statuses of their own."""
    world.system(composed=composed)
    expected = {f'{world.namespace}/{node}: {camera} → {world.instance}'
                for node in ('governor', 'executor') for camera in ('front', 'rear')}
    expected |= {f'{world.namespace}/executor: {world.instance}',
                 f'{world.namespace}/governor: instance {world.instance}'}
    expected |= {f'{world.namespace}/{node}: callbacks' for node in ('governor', 'executor')}
    for camera in ('front', 'rear'):
        world.round_trip(camera)
    world.wait_for(lambda: {status.name for status in world.statuses} == expected)
