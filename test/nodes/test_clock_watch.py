"""A node that goes by /clock and gets none says so, once in a while, until time passes."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rosgraph_msgs.msg import Clock

from s3dnn_ros.nodes import clock_watch

pytestmark = pytest.mark.ros


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Let nodes miss the clock after a moment."""
    monkeypatch.setattr(clock_watch, 'LOOK_S', 0.02)
    monkeypatch.setattr(clock_watch, 'SILENCE_S', 0.2)


def complaints(world):
    return [text for text in world.logs if 'use_sim_time is true' in text]


def test_no_clock_is_told_once_with_what_to_do(world):
    world.governor(use_sim_time=True)
    world.wait_for(lambda: complaints(world), 'the missing /clock')
    world.spin_for(0.5)
    sentence, = complaints(world)
    assert 'has no publisher' in sentence and '`ros2 bag play --clock' in sentence


def test_it_is_told_again_later(world, monkeypatch):
    monkeypatch.setattr(clock_watch, 'AGAIN_S', 0.3)
    world.executor(use_sim_time=True)
    world.wait_for(lambda: len(complaints(world)) == 2, 'it twice')


def test_a_clock_that_stands_still_is_told_and_one_that_runs_is_not(world):
    clock = world.observer.create_publisher(Clock, '/clock', 10)
    moment = Clock()

    def run():
        moment.clock.sec += 1
        clock.publish(moment)
        world.spin_for(0.01)
        return moment.clock.sec > 100

    node = world.governor(use_sim_time=True)
    world.wait_for(lambda: run() and node.get_clock().now().nanoseconds, 'the time of /clock')
    assert not [text for text in complaints(world) if 'stands still' in text]
    world.wait_for(lambda: [text for text in complaints(world) if 'stands still' in text])


def test_wall_time_is_not_watched(world):
    world.governor()
    world.spin_for(0.6)
    assert not complaints(world)
