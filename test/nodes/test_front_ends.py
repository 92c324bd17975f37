"""Whoever publishes FrameBatch is a front end: a plain node of somebody else's gets results."""

import array
import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from ros_world import ns_of, time_msg
from s3dnn_ros.msg import FrameBatch, FrameInfo
from tiny import SIDE

from s3dnn_ros.base.complaints import MOST
from s3dnn_ros.counters import MOST_STRANGERS, STRANGERS
from s3dnn_ros.errors import shown
from s3dnn_ros.transport.ring import SharedSlots
from s3dnn_ros.transport.slots import SlotSize

pytestmark = pytest.mark.ros

SHM = Path('/dev/shm')
UINT32 = 2 ** 32


class FrontEnd:
    """A publisher of batches that knows nothing but the message."""

    def __init__(self, world):
        self.world = world
        self.count = 0
        self.publisher = world.observer.create_publisher(
            FrameBatch, f'{world.namespace}/batches/{world.instance}', 10)

    def send(self, *cameras, **changes):
        """Send the cameras' pictures as one batch; returns the stamp of its frames."""
        world = self.world
        world.wait_for(self.publisher.get_subscription_count, 'the executor to listen')
        stamp_ns = time.time_ns()
        pixels = np.stack([world.mark(camera).image(SIDE, SIDE) for camera in cameras])
        self.count += 1
        msg = FrameBatch(
            front_end='/foreign', sequence=self.count, instance=world.instance, model='cells',
            shape=list(pixels.shape), sent=time_msg(stamp_ns),
            deadline=time_msg(stamp_ns + 10 ** 9),
            frames=[self.frame(camera, stamp_ns) for camera in cameras])
        msg.data.frombytes(pixels.tobytes())
        for name, value in changes.items():
            setattr(msg, name, value)
        self.publisher.publish(msg)
        return stamp_ns

    def frame(self, camera, stamp_ns):
        """Return the FrameInfo of a picture that was 64 x 64."""
        frame = FrameInfo(camera=camera, sequence=self.count, width=64, height=64,
                          scale_x=0.5, scale_y=0.5, received=time_msg(stamp_ns),
                          deadline=time_msg(stamp_ns + 10 ** 9))
        frame.header.stamp = time_msg(stamp_ns)
        frame.header.frame_id = f'{camera}_optical'
        return frame


@pytest.fixture
def front_end(world):
    """Return a FrontEnd beside a running governor."""
    world.system()
    return FrontEnd(world)


@contextlib.contextmanager
def segment(world):
    """Yield a segment of its own with what `front` shows, and the fields that tell where."""
    size = SIDE * SIDE * 3
    pool = SharedSlots(f'foreign_{world.instance}', 2, SlotSize(1, size))
    try:
        slot = pool.acquire(0.0)
        slot.pixels[:size] = world.mark('front').image(SIDE, SIDE).reshape(-1)
        yield pool, dict(segment=pool.name, slot=slot.index, ticket=slot.ticket,
                         data=array.array('B'))
    finally:
        pool.close()


def test_its_batches_run(world, front_end):
    stamp_ns = front_end.send('front', 'rear')
    for name in ('front', 'rear'):
        msg = world.result(name, stamp_ns)
        world.check(msg)
        assert msg.batch == 2 and msg.header.frame_id == f'{name}_optical'
        assert not msg.missed
    world.round_trip('front')
    world.wait_for(lambda: world.count('executor', 'front').published == 2)


REFUSED = {
    'another model': (dict(model='resnet'), ("model 'resnet'", "runs 'cells'")),
    'no such instance': (dict(instance='nobody'), ("instance 'nobody'", 'this executor has')),
    'another shape': (dict(shape=[1, 16, 16, 3], data=array.array('B', bytes(16 * 16 * 3))),
                      ('(1, 16, 16, 3)', '(1, 32, 32, 3)')),
    'more pixels than frames': (dict(shape=[2, SIDE, SIDE, 3],
                                     data=array.array('B', bytes(2 * SIDE * SIDE * 3))),
                                ('(2, 32, 32, 3)', '(1, 32, 32, 3)')),
}


@pytest.mark.parametrize('case', list(REFUSED))
def test_what_does_not_fit_is_refused(world, front_end, case):
    changes, words = REFUSED[case]
    front_end.send('front', **changes)
    instance = changes.get('instance', world.instance)
    world.wait_for(lambda: world.dropped('executor', 'front', 'request', instance) == 1)
    error = world.count('executor', 'front', instance).last_error
    for word in ("front end '/foreign'", *words):
        assert word in error
    world.wait_for(lambda: world.diagnosed("front end '/foreign'", *words))
    world.wait_for(lambda: world.said("front end '/foreign'", *words))
    world.check(world.result('rear', front_end.send('rear')))
    world.round_trip('front')
    assert len(world.results['front']) == 1


UNREADABLE = {
    'fewer bytes than the shape': (dict(data=array.array('B', bytes(10))), ('carries 10 bytes',)),
    'more bytes than the shape': (dict(data=array.array('B', bytes(4000))),
                                  ('carries 4000 bytes',)),
    'a shape that overflows': (dict(shape=[65536] * 4, data=array.array('B')), ('65536',)),
    'no pixels': (dict(shape=[1, 0, SIDE, 3], data=array.array('B')), ('carries 0 bytes',)),
    'no pixels, and sides that numpy refuses': (
        dict(shape=[0, UINT32 - 1, UINT32 - 1, UINT32 - 1], data=array.array('B')),
        ('carries 0 bytes',)),
    'a path for a segment': (dict(segment='../../etc/passwd', data=array.array('B')),
                             ("'../../etc/passwd'", 'not a name')),
    'no name of a file': (dict(segment='s3dnn.\n', data=array.array('B')), ('not a name',)),
    'no shape': (dict(shape=[UINT32 - 1] * 3 + [0], data=array.array('B')), ('carries 0 bytes',)),
    'more frames than may run': (dict(frames=[FrameInfo(camera='front')] * 65), ('of 65 frames',)),
}


@pytest.mark.parametrize('case', list(UNREADABLE))
def test_what_cannot_be_read_is_refused(world, front_end, case):
    changes, words = UNREADABLE[case]
    front_end.send('front', **changes)
    world.wait_for(lambda: world.dropped('executor', 'front', 'request')
                   == len(changes.get('frames', [None])))
    for word in words:
        assert word in world.count('executor', 'front').last_error
    world.wait_for(lambda: world.diagnosed(*words))
    world.check(world.result('rear', front_end.send('rear')))
    world.round_trip('front')


def test_a_segment_that_is_not_here(world, front_end):
    """Its front end is gone, or on another host."""
    front_end.send('front', segment='s3dnn.gone.0', data=array.array('B'))
    world.wait_for(lambda: world.dropped('executor', 'front', 'memory') == 1)
    world.wait_for(lambda: world.diagnosed('/dev/shm/s3dnn.gone.0', 'cannot be opened'))
    world.round_trip('front')


@pytest.mark.parametrize(('changes', 'reason', 'words'), [
    (dict(slot=9), 'request', ('slot 9', 'outside the segment')),
    (dict(shape=[1, 999, 999, 3]), 'request', ('999', 'outside the segment')),
    (dict(shape=[65536] * 4), 'request', ('65536',)),
    (dict(shape=[0, UINT32 - 1, UINT32 - 1, 3]), 'request', ('outside the segment',)),
    (dict(ticket=77), 'lease', ('slot_lease_ms',)),
    (dict(ticket=0), 'lease', ('slot_lease_ms',)),
], ids=['slot', 'shape', 'overflow', 'nothing', 'ticket', 'no ticket'])
def test_a_segment_of_its_own(world, front_end, tmp_path, changes, reason, words):
    with segment(world) as (_, memory):
        front_end.send('front', **dict(memory, **changes))
        world.wait_for(lambda: world.dropped('executor', 'front', reason) == 1)
        for word in words:
            assert word in world.count('executor', 'front').last_error
        world.check(world.result('front', front_end.send('front', **memory)))
    world.round_trip('rear')


def test_a_segment_that_its_front_end_cuts_short(world, front_end, gate):
    """Nobody gets SIGBUS: neither who reads, nor who gives back what it has read."""
    gate.shut()
    with segment(world) as (pool, memory):
        read = front_end.send('front', **memory)
        world.wait_for(lambda: gate.waiting == 1)
        os.truncate(SHM / pool.name, 4096)
        gate.open()
        world.check(world.result('front', read))
        # the page with the tickets is there still, the pixels are not
        slot = pool.acquire(0.0)
        front_end.send('front', **dict(memory, slot=slot.index, ticket=slot.ticket))
        world.wait_for(lambda: world.dropped('executor', 'front', 'request') == 1)
        os.truncate(SHM / pool.name, 0)
        front_end.send('front', **dict(memory, slot=slot.index, ticket=slot.ticket))
        world.wait_for(lambda: world.dropped('executor', 'front', 'request') == 2)
    world.wait_for(lambda: world.said('has cut the segment short'))
    world.check(world.result('rear', front_end.send('rear')))
    world.round_trip('front')


def test_a_link_for_a_segment(world, front_end, tmp_path):
    secret, link = tmp_path / 'secret', SHM / f's3dnn.{world.instance}'
    secret.write_bytes(b'S3DNNRG1' + bytes(8000))
    link.symlink_to(secret)
    try:
        front_end.send('front', segment=link.name, data=array.array('B'))
        world.wait_for(lambda: world.dropped('executor', 'front', 'request') == 1)
    finally:
        link.unlink()
    world.wait_for(lambda: world.said(link.name, 'is a link'))
    assert secret.read_bytes() == b'S3DNNRG1' + bytes(8000)
    world.round_trip('front')


def test_a_batch_without_frames(world, front_end):
    """Nothing to run, nobody to tell: but the next batch must run."""
    front_end.send('front', frames=[], shape=[0, SIDE, SIDE, 3], data=array.array('B'))
    world.check(world.result('rear', front_end.send('rear')))
    world.round_trip('front')


@pytest.mark.parametrize('camera', [
    '', 'two words', '/', 'ümlaut', '9lives', 'a//b', 'a' * 300, '{x}', '{}', '{', '~', '{node}'])
def test_a_camera_name_that_cannot_be_a_topic(world, front_end, camera):
    stamp_ns = time.time_ns()
    front_end.send('front', frames=[front_end.frame(camera, stamp_ns)])
    world.check(world.result('rear', front_end.send('rear')))
    world.round_trip('front')
    world.wait_for(lambda: world.dropped('executor', camera, 'request') == 1)
    assert shown(camera) in world.count('executor', camera).last_error
    world.wait_for(lambda: world.said("front end '/foreign'", shown(camera)))


def test_names_without_end_are_neither_kept_nor_logged(world, front_end):
    """Many cameras, instances and front ends, each with a name of its own, and some too long."""
    stamp_ns, rounds = time.time_ns(), 40
    world.wait_for(front_end.publisher.get_subscription_count)
    for number in range(rounds):
        front_end.send('front', front_end=f'/{number}', frames=[
            front_end.frame(f'{number} {index}', stamp_ns) for index in range(8)])
        front_end.send('front', front_end='x' * 100_000, instance=f'{number}' * 10_000)
        world.spinner.spin_once(timeout_sec=0.0)
    world.check(world.result('rear', front_end.send('rear')))
    world.round_trip('front')
    world.wait_for(lambda: world.count('executor', *STRANGERS).frames >= 9 * rounds
                   - MOST_STRANGERS)
    world.wait_for(lambda: all(stats.frames == stats.published + sum(stats.dropped_counts)
                               for stats in world.stats['executor'].cameras))
    assert len(world.stats['executor'].cameras) <= MOST_STRANGERS + 3
    assert max(len(text) for text in world.logs) < 1000
    assert len([text for text in world.logs if 'front end' in text]) <= MOST
    assert world.said('more warnings than are logged')


def test_numbers_out_of_this_world(world, front_end):
    """Scales of zero and deadlines in 1970 make strange results, but no exception."""
    stamp_ns = time.time_ns()
    frame = front_end.frame('front', stamp_ns)
    frame.scale_x = frame.scale_y = 0.0
    frame.offset_x = float('nan')
    frame.deadline = time_msg(0)
    front_end.send('front', frames=[frame], run_late=True)
    msg = world.result('front', stamp_ns)
    assert msg.missed and ns_of(msg) == stamp_ns
    for item in msg.detections:
        assert 0.0 <= item.x <= 64.0 and 0.0 <= item.width <= 64.0
    world.round_trip('rear')


def test_a_batch_that_is_late_is_dropped(world, front_end):
    frame = front_end.frame('front', time.time_ns())
    frame.deadline = time_msg(0)
    front_end.send('front', frames=[frame])
    world.wait_for(lambda: world.dropped('executor', 'front', 'late') == 1)
    world.round_trip('rear')


@pytest.mark.parametrize('time', [(2 ** 31 - 1, UINT32 - 1), (-2 ** 31, 0), (-1, UINT32 - 1)])
def test_times_at_their_ends(world, front_end, time):
    """What a message cannot hold is told as the nearest moment that it can."""
    frame = front_end.frame('front', 0)
    for stamp in (frame.header.stamp, frame.received, frame.deadline):
        stamp.sec, stamp.nanosec = time
    front_end.send('front', frames=[frame], sent=frame.deadline, deadline=frame.deadline,
                   run_late=True)
    world.check(world.wait_for(lambda: world.results['front'] and world.results['front'][0]))
    world.round_trip('rear')
    assert not world.said('is dropped')


@pytest.mark.parametrize('changes', [
    dict(front_end='', model=''), dict(front_end='x' * 10000), dict(instance=''),
    dict(sequence=2 ** 64 - 1), dict(slot=UINT32 - 1, ticket=2 ** 64 - 1),
], ids=lambda changes: ' '.join(changes))
def test_names_and_numbers_at_their_ends(world, front_end, changes):
    front_end.send('front', **changes)
    world.check(world.result('rear', front_end.send('rear')))
    world.wait_for(lambda: world.count('executor', 'front', changes.get('instance')).frames == 1)
    world.round_trip('front')
    assert not world.said('is dropped')
