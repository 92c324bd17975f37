"""Shared memory that is full, removed or left behind."""

import errno
import os
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

pytestmark = pytest.mark.ros

SHM = Path('/dev/shm')


@pytest.fixture
def full(monkeypatch):
    """Return a switch: after full(), /dev/shm has no room; after full(False) it has."""
    fallocate = os.posix_fallocate

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda on=True: monkeypatch.setattr(os, 'posix_fallocate', refuse if on else fallocate)


def test_full_at_configure(world, full):
    full()
    governor = world.governor(start=False)
    assert governor.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said('/dev/shm/s3dnn.governor_' + world.instance, 'it is full',
                                      'ring_slots'))
    assert not world.segments()
    full(False)
    assert governor.autostart()
    world.executor()
    world.round_trip('front')


def test_full_for_the_second_instance_leaves_no_first(world, monkeypatch):
    fallocate, calls = os.posix_fallocate, []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return fallocate(*arguments)

    monkeypatch.setattr(os, 'posix_fallocate', once)
    second = f'second_{world.instance}'
    governor = world.governor(start=False, instance_names=[world.instance, second],
                              instances={second: {'model': 'cells'}})
    assert governor.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said(second, 'it is full'))
    assert len(calls) == 2
    assert not world.segments() and not world.segments(second)


def test_removed_while_running(world):
    world.system()
    world.round_trip('front')
    before, = world.segments()
    (SHM / before).unlink()
    world.round_trip('front')
    after, = world.segments()
    assert after != before
    world.round_trip('rear')
    assert not world.count('governor', 'front').dropped_reasons


def test_removed_under_a_batch_that_is_under_way(world, gate):
    """The executor has the old segment mapped: its batch still comes through."""
    world.system()
    world.round_trip('rear')
    gate.shut()
    first = world.send('front')
    world.wait_for(lambda: gate.waiting == 1)
    (SHM / world.segments()[0]).unlink()
    second = world.send('front')
    world.wait_for(lambda: world.count('executor', 'front').frames == 2)
    gate.open()
    world.check(world.result('front', first))
    world.check(world.result('front', second))
    world.round_trip('rear')


def test_removed_before_the_executor_looked(world):
    """The message is there, its segment is not: counted, named, and nothing else suffers."""
    executor = world.executor()
    governor = world.governor()
    segment, = world.segments()
    send = governor._send

    def send_and_remove(batch):
        send(batch)
        (SHM / segment).unlink()

    governor._send = send_and_remove
    world.send('front')
    world.wait_for(lambda: world.dropped('executor', 'front', 'memory') == 1)
    governor._send = send
    assert f'/dev/shm/{segment}' in world.count('executor', 'front').last_error
    world.wait_for(lambda: world.said(f'/dev/shm/{segment}', 'cannot be opened'))
    world.wait_for(lambda: world.diagnosed(f'/dev/shm/{segment}'))
    world.round_trip('rear')
    world.round_trip('front')
    assert executor.counts()


def test_full_when_a_removed_segment_is_replaced(world, full):
    """Two instances: the one that lost its memory says so, the other one goes on."""
    second = f'second_{world.instance}'
    world.system(instance_names=[world.instance, second], instances={
        world.instance: {'cameras': ['front']},
        second: {'model': 'cells', 'cameras': ['rear']}})
    world.round_trip('front')
    world.round_trip('rear')
    (SHM / world.segments()[0]).unlink()
    full()
    world.send('front')
    world.wait_for(lambda: world.dropped('governor', 'front', 'memory') == 1)
    error = world.count('governor', 'front').last_error
    assert '/dev/shm/s3dnn.governor_' + world.instance in error and 'it is full' in error
    world.wait_for(lambda: world.diagnosed(world.instance, 'it is full'))
    world.round_trip('rear')
    world.send('front')
    world.wait_for(lambda: world.dropped('governor', 'front', 'memory') == 2)
    full(False)
    world.round_trip('front')
    world.round_trip('rear')
    assert len(world.segments()) == len(world.segments(second)) == 1


def test_an_orphan_is_removed_by_the_next_governor(world):
    orphan = SHM / f's3dnn.governor_{world.instance}.{"0" * 12}'
    orphan.write_bytes(b'S3DNNRG1 and what else a crash leaves behind')
    world.system()
    assert not orphan.exists()
    world.round_trip('front')


def test_a_living_neighbour_is_no_orphan(world):
    """A governor of another namespace starts: this one's memory stays."""
    from s3dnn_ros.nodes.governor_node import GovernorNode

    world.system()
    world.round_trip('front')
    before = world.segments()
    options = world.options(world.parameters())
    other = world.add(GovernorNode(**dict(options, namespace=f'{world.namespace}_other')))
    assert set(before) < set(world.segments())
    world.round_trip('front')
    world.remove(other)
    assert world.segments() == before
    world.round_trip('rear')
