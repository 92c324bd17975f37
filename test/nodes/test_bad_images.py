"""A bad image is refused, counted and explained; the other camera goes on."""

import struct
import time
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from ros_world import NS_PER_S, PERIOD_NS, ns_of

pytestmark = pytest.mark.ros

HUGE = 16384
# More than this for one refused image, and a small board's memory is gone.
MEMORY_LIMIT_KB = 400_000

RAW = {
    'data too short': (dict(height=65), 'data', ('64x65 bgr8', '12480 bytes', '12288')),
    'no data': (dict(data=[]), 'data', ('64x64 bgr8', '12288 bytes', 'has 0')),
    'step too short': (dict(step=100), 'data', ('192 bytes', 'step is 100')),
    'step of zero': (dict(step=0), 'data', ('192 bytes', 'step is 0')),
    'unknown encoding': (dict(encoding='nv16'), 'encoding', ("'nv16' is unknown", 'bgr8')),
    'floats without a range': (dict(encoding='32FC1', width=32, height=32, step=128), 'encoding',
                               ('cameras.NAME.value_range',)),
    'no encoding': (dict(encoding=''), 'encoding', ("'' is unknown",)),
    'no width': (dict(width=0), 'size', ('0x64 pixels', 'no content')),
    'no height': (dict(height=0), 'size', ('64x0 pixels', 'no content')),
    'nothing at all': (dict(width=0, height=0, step=0, data=[]), 'size', ('0x0 pixels',)),
    'sixteen thousand': (dict(width=HUGE, height=HUGE, step=3 * HUGE), 'size',
                         ('16384x16384', 'max_image_side allows 8192')),
    'four billion': (dict(width=2 ** 32 - 1, height=2 ** 32 - 1, step=2 ** 32 - 1), 'size',
                     ('4294967295x4294967295', 'max_image_side')),
}


def refused(world, camera, reason, words, *, count=1):
    """Assert that the governor counted, diagnosed and explained, and the other camera goes on."""
    world.wait_for(lambda: world.dropped('governor', camera, reason) == count,
                   f"'{reason}' to be counted")
    stats = world.count('governor', camera)
    assert sum(stats.dropped_counts) == count
    for word in (f"camera '{camera}'", *words):
        assert word in stats.last_error
    status = world.wait_for(lambda: world.diagnosed(f"camera '{camera}'", *words), 'a diagnosis')
    assert status.hardware_id == camera
    assert f'dropped ({reason})' in [item.key for item in status.values]
    world.round_trip('rear' if camera == 'front' else 'front')


@pytest.mark.parametrize('name', list(RAW))
def test_raw(world, name):
    changes, reason, words = RAW[name]
    world.system()
    world.round_trip('rear')
    changes = dict(changes)
    if 'data' in changes:
        import array
        changes['data'] = array.array('B', changes['data'])
    world.send('front', **changes)
    refused(world, 'front', reason, words)
    assert world.said("camera 'front'", *words)
    world.round_trip('front')
    assert len(world.results['front']) == 1


def test_raw_larger_than_max_image_side(world):
    """A live parameter: the same image is taken, refused, and taken again."""
    world.system()
    world.round_trip('front')
    world.accept('governor', 'max_image_side', 63)
    world.send('front')
    refused_words = ('64x64 pixels', 'max_image_side allows 63')
    world.wait_for(lambda: world.dropped('governor', 'front', 'size') == 1)
    world.wait_for(lambda: world.diagnosed("camera 'front'", *refused_words))
    world.accept('governor', 'max_image_side', 64)
    world.round_trip('front')


@pytest.mark.parametrize(('data', 'reason', 'words'), [
    (b'', 'data', ('0 bytes', 'cannot be decoded')),
    (b'not an image at all', 'encoding', ('19 bytes', 'cannot be decoded', 'JPEG')),
    (b'\x89PNG\r\n\x1a\n' + b'\0' * 100, 'data', ('cannot be decoded',)),
], ids=['empty', 'garbage', 'broken PNG'])
def test_compressed(world, data, reason, words):
    world.system(cameras={'front': {'transport': 'compressed'}})
    world.round_trip('rear')
    world.send_compressed('front', data)
    refused(world, 'front', reason, words)
    image = cv2.imencode('.png', world.mark('front').image())[1].tobytes()
    world.check(world.result('front', world.send_compressed('front', image)))


def test_compressed_cut_short(world):
    world.system(cameras={'front': {'transport': 'compressed'}})
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    image = cv2.imencode('.png', noise)[1].tobytes()
    world.send_compressed('front', image[:len(image) // 3])
    # OpenCV decodes what is there of some images; either way nobody else may suffer
    world.wait_for(lambda: world.count('governor', 'front').frames == 1)
    world.round_trip('rear')
    image = cv2.imencode('.png', world.mark('front').image())[1].tobytes()
    world.check(world.result('front', world.send_compressed('front', image)))


def test_compressed_sixteen_thousand(world):
    """32 kB of PNG unfold into 800 MB of pixels: refused before that happens."""
    world.system(cameras={'front': {'transport': 'compressed'}})
    world.round_trip('rear')
    before_kb = _peak_memory_kb()
    world.send_compressed('front', _white_png(HUGE))
    refused(world, 'front', 'size', ('16384x16384', 'max_image_side allows 8192'))
    assert _peak_memory_kb() - before_kb < MEMORY_LIMIT_KB


def test_a_bad_camera_in_a_group_does_not_hold_the_good_one(world):
    world.system(group_names=['pair'], groups={'pair': {
        'cameras': ['front', 'rear'], 'max_skew_ms': 20.0, 'max_wait_ms': 100.0}})
    stamp_ns = world.next_stamp_ns('front')
    world.send('front', stamp_ns=stamp_ns, encoding='bgr8', width=0)
    world.check(world.result('rear', world.send('rear', stamp_ns=stamp_ns)))
    world.wait_for(lambda: world.dropped('governor', 'front', 'size') == 1)


@pytest.mark.parametrize('back_ns', [0, 1, 500_000_000, 1_000_000_000])
def test_a_stamp_that_jumps_back_a_little_is_dropped(world, back_ns):
    world.system()
    first = ns_of(world.round_trip('front'))
    world.send('front', stamp_ns=first - back_ns)
    refused(world, 'front', 'stamp', (f'stamp {first - back_ns}',
                                      f'{back_ns / 1e6:.1f} ms before the last one'))
    world.round_trip('front', stamp_ns=first + 1)
    assert len(world.results['front']) == 2


def test_a_stamp_that_jumps_back_far_is_a_restart(world):
    world.system()
    start_ns = time.time_ns()
    world.round_trip('front', stamp_ns=start_ns)
    back_ns = start_ns - NS_PER_S - 1
    world.round_trip('front', stamp_ns=back_ns)
    world.round_trip('front', stamp_ns=back_ns + PERIOD_NS)
    world.round_trip('rear')
    world.wait_for(lambda: world.count('governor', 'front').published == 3)
    assert not world.count('governor', 'front').dropped_reasons


def test_a_restart_in_a_group(world):
    """A bag that begins again: both cameras jump back, and pairs go on."""
    world.system(instances={world.instance: {'max_batch': 2}}, group_names=['pair'],
                 groups={'pair': {'cameras': ['front', 'rear'], 'max_wait_ms': 5000.0}})
    start_ns = time.time_ns()
    for stamp_ns in (start_ns, start_ns + PERIOD_NS, start_ns - 60 * NS_PER_S,
                     start_ns - 60 * NS_PER_S + PERIOD_NS):
        sent = {name: world.send(name, stamp_ns=stamp_ns) for name in ('front', 'rear')}
        for name in sent:
            msg = world.result(name, stamp_ns)
            world.check(msg)
            assert msg.batch == 2


@pytest.mark.parametrize('grouped', [False, True])
def test_a_camera_stops_and_returns(world, monkeypatch, grouped):
    monkeypatch.setattr('s3dnn_ros.nodes.camera_diagnostics.SILENCE_S', 0.3)
    group = {'group_names': ['pair'], 'groups': {'pair': {
        'cameras': ['front', 'rear'], 'max_skew_ms': 20.0, 'max_wait_ms': 20.0}}}
    world.system(**(group if grouped else {}))
    stamp_ns = world.next_stamp_ns('front')
    for name in ('front', 'rear'):
        world.send(name, stamp_ns=stamp_ns)
    for name in ('front', 'rear'):
        world.check(world.result(name, stamp_ns))
    # the front camera stops; the rear one goes on, and somebody says so
    while not any(status.hardware_id == 'front' and 'no frame for' in status.message
                  and status.level == b'\2' for status in world.statuses):
        world.round_trip('rear')
    silent = next(status for status in world.statuses if 'no frame for' in status.message)
    assert silent.hardware_id == 'front'
    world.statuses.clear()
    # it returns
    stamp_ns = world.next_stamp_ns('rear')
    for name in ('front', 'rear'):
        world.send(name, stamp_ns=stamp_ns)
    for name in ('front', 'rear'):
        world.check(world.result(name, stamp_ns))
    world.statuses.clear()
    world.wait_for(lambda: any(status.hardware_id == 'front' and status.level == b'\0'
                               for status in world.statuses))
    assert not world.count('governor', 'front').dropped_reasons


def test_a_driver_that_dies_and_comes_back(world):
    """The topic's publisher goes and another comes, under a new identity."""
    world.system()
    world.round_trip('front')
    topic = 'front/image_raw'
    world.observer.destroy_publisher(world._publishers.pop(topic))
    world.round_trip('rear')
    world.round_trip('front')


def _white_png(side):
    """Return a PNG of this side with one bit per pixel."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    rows = (b'\0' + b'\xff' * (side // 8)) * side
    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(rows, 9)) + chunk(b'IEND', b''))


def _peak_memory_kb():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
