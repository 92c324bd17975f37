"""Nodes as processes of their own that die, return, and leave nothing behind."""

import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from ros_world import ns_of

from s3dnn_ros.bench.processes import Processes
from s3dnn_ros.respawn import UNUSABLE

pytestmark = pytest.mark.ros

# Processes start slowly while others use the machine.
PATIENCE_S = 60.0


@pytest.fixture
def processes(world, tmp_path):
    """Return a starter of nodes in processes; they end with the test."""
    values = world.parameters(slot_lease_ms=200.0)
    with Processes(world.parameter_file(values), tmp_path, world.namespace) as made:
        made.values = values
        yield made


def died(process):
    return lambda: process.poll() is not None


def kill(world, processes, name, signal_number=signal.SIGKILL, times=1):
    """Send a signal to a node of ours and wait for its end; returns its status."""
    process = processes._running.pop(name)
    for _ in range(times):
        process.send_signal(signal_number)
        time.sleep(0.02)
    world.wait_for(died(process), f'{name} to end', PATIENCE_S)
    return process.returncode


def first_result(world, camera):
    """Send frames until one comes through: nodes in processes take their time to meet."""
    def tried():
        world.send(camera)
        world.spin_for(0.05)
        return world.results[camera]

    world.results[camera].clear()
    return world.wait_for(tried, f'a first result of {camera}', PATIENCE_S)[0]


def test_an_executor_dies_and_returns(world, processes):
    world.governor(processes.values)
    processes.start('executor')
    world.check(first_result(world, 'front'))
    assert kill(world, processes, 'executor') == -signal.SIGKILL

    def lost():
        world.send('front')
        world.spin_for(0.05)
        return world.dropped('governor', 'front', 'lease')

    # the middleware takes its time to notice: until then, the lease says it
    world.wait_for(lost, 'the lease to say it', PATIENCE_S)
    assert world.instance in world.count('governor', 'front').last_error
    world.wait_for(lambda: world.diagnosed(f"instance '{world.instance}'", 'slot_lease_ms'))
    processes.start('executor')
    world.check(first_result(world, 'front'))
    world.check(first_result(world, 'rear'))
    # nothing was lost but what was counted
    world.wait_for(lambda: _adds_up(world.count('governor', 'front')))


def test_of_two_executors_with_the_same_instance_one_gets_its_frames_and_the_user_is_told(
        world, processes):
    world.executor(processes.values)
    world.governor(processes.values)
    world.round_trip('front')
    processes.start('executor')
    world.wait_for(lambda: world.said('two executors run', world.instance), '', PATIENCE_S)
    world.spin_for(1.0)
    stamp_ns = world.send('front')
    world.result('front', stamp_ns)
    world.spin_for(0.5)
    assert [ns_of(msg) for msg in world.results['front']].count(stamp_ns) == 1
    world.wait_for(lambda: world.diagnosed(f"instance '{world.instance}'", 'two executors'))
    # where it ends, the first one goes on
    assert kill(world, processes, 'executor', signal.SIGINT) == 0
    world.check(first_result(world, 'front'))


def test_a_governor_dies_and_returns(world, processes):
    executor = world.executor(processes.values)
    processes.start('governor')
    world.check(first_result(world, 'front'))
    orphan, = world.segments()
    assert kill(world, processes, 'governor') == -signal.SIGKILL
    assert world.segments() == [orphan]
    published = world.count('executor', 'front').published
    # the executor goes on: it answers, and runs what the next governor sends
    world.stats.clear()
    world.wait_for(lambda: 'executor' in world.stats)
    world.accept('executor', f'instances.{world.instance}.max_detections', 7)
    processes.start('governor')
    world.check(first_result(world, 'front'))
    world.check(first_result(world, 'rear'))
    segment, = world.segments()
    assert segment != orphan
    world.wait_for(lambda: world.count('executor', 'front').published > published)
    assert executor.counts()


@pytest.mark.parametrize(('number', 'times'), [
    (signal.SIGINT, 1), (signal.SIGINT, 3), (signal.SIGTERM, 1),
])
def test_signals_leave_nothing_behind(world, processes, number, times):
    for node in ('governor', 'executor'):
        processes.start(node)
    world.check(first_result(world, 'front'))
    assert len(world.segments()) == 1
    for node in ('governor', 'executor'):
        assert kill(world, processes, node, number, times) == 0, processes.log_of(node).read_text()
        assert 'Traceback' not in processes.log_of(node).read_text()
    assert not world.segments()


# a terminal and launch both send SIGINT; a second SIGTERM does not wait for the callback
@pytest.mark.parametrize(('number', 'times'), [(signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_a_signal_in_the_middle_of_a_callback_says_nothing(world, tmp_path, number, times):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'noise.png'), noise)
    values = dict(world.parameters(['front'], cameras={'front': {'transport': 'compressed'}}),
                  sources={'front': {'file': str(tmp_path / 'noise.png'), 'encoding': 'png'}},
                  fps=100.0, wait_for_subscribers_s=0.0)
    with Processes(world.parameter_file(values), tmp_path, world.namespace) as nodes:
        nodes.start('replay')
        # coding an image takes longer than the period
        world.wait_for(lambda: world.count('replay', 'front', '').published > 3, 'images',
                       PATIENCE_S)
        assert kill(world, nodes, 'replay', number, times) == 0
        said = nodes.log_of('replay').read_text()
    assert not [word for word in ('rosout', 'Traceback', 'FATAL') if word in said], said


def test_the_pipeline_in_one_process(world, processes):
    processes.start('pipeline')
    msg = first_result(world, 'front')
    world.check(msg)
    assert not world.segments()
    world.check(first_result(world, 'rear'))
    for node in ('governor', 'executor'):
        assert world.set(node, 'stats_period_s', 0.01).successful is False
    assert kill(world, processes, 'pipeline', signal.SIGINT) == 0
    assert 'Traceback' not in processes.log_of('pipeline').read_text()


@pytest.mark.parametrize('autostart', [False, True])
def test_a_signal_while_a_node_is_only_starting(world, tmp_path, autostart):
    values = world.parameters(autostart=autostart)
    with Processes(world.parameter_file(values), tmp_path, world.namespace) as nodes:
        nodes.start('governor')
        world.wait_for(lambda: f'{world.namespace}/governor' in [
            f'{space}/{name}' for name, space in
            world.observer.get_node_names_and_namespaces()], 'the node', PATIENCE_S)
        assert kill(world, nodes, 'governor', signal.SIGTERM) == 0
        assert 'Traceback' not in nodes.log_of('governor').read_text()
    assert not world.segments()


@pytest.mark.parametrize('changes', [
    {'camera_names': ['front', 'front']}, {'ring_slots': 0},
], ids=['names', 'range'])
def test_a_bad_parameter_file_ends_the_process_with_a_sentence(world, tmp_path, changes):
    values = dict(world.parameters(), **changes)
    with Processes(world.parameter_file(values), tmp_path, world.namespace) as nodes:
        nodes.start('governor')
        process = nodes._running['governor']
        world.wait_for(died(process), 'the governor to refuse', PATIENCE_S)
        assert process.returncode == UNUSABLE
        said = nodes.log_of('governor').read_text()
    name = next(iter(changes))
    assert f"error: parameter '{name}' is" in said and 'Traceback' not in said


def _adds_up(stats):
    return stats.frames == stats.published + sum(stats.dropped_counts)


def test_this_process_keeps_no_file_open(world):
    """A governor that comes and goes: no descriptor of its memory stays."""
    def open_segments():
        names = []
        for entry in os.listdir('/proc/self/fd'):
            try:
                names.append(os.readlink(f'/proc/self/fd/{entry}'))
            except OSError:
                continue
        return [name for name in names if world.instance in name]

    governor, executor = world.system()
    world.round_trip('front')
    assert open_segments()
    for node in (governor, executor):
        node.trigger_deactivate()
        node.trigger_cleanup()
    assert not open_segments()
    assert world.instance not in Path('/proc/self/maps').read_text()
