"""An alarm calls in the thread that spins its node, at its moment, and leaves timers alone."""

import threading
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock

from s3dnn_ros.nodes.alarm import Alarm

pytestmark = pytest.mark.ros


@pytest.fixture
def node(world):
    return world.governor()


@pytest.fixture
def alarm_of(node):
    """Return a function that makes an alarm of the node."""
    alarms = []

    def make(callback):
        alarms.append(Alarm(node, callback))
        return alarms[-1]
    yield make
    for alarm in alarms:
        alarm.close()


def test_it_calls_once_at_the_moment_in_the_thread_that_spins(world, node, alarm_of):
    calls = []
    alarm = alarm_of(lambda: calls.append((node.clock_s.now_s(), threading.current_thread())))
    moment_s = node.clock_s.now_s() + 0.05
    alarm.set(moment_s)
    world.wait_for(lambda: calls, 'the call')
    world.spin_for(0.1)
    (time_s, thread), = calls
    assert time_s >= moment_s
    assert thread is threading.current_thread()


def test_the_moment_set_last_counts(world, node, alarm_of):
    calls = []
    alarm = alarm_of(lambda: calls.append(node.clock_s.now_s()))
    now_s = node.clock_s.now_s()
    alarm.set(now_s + 60.0)
    alarm.set(now_s + 0.05)
    world.wait_for(lambda: calls, 'the call')
    alarm.set(now_s + 0.2)
    alarm.set(now_s + 0.4)
    world.wait_for(lambda: len(calls) == 2, 'another call')
    assert calls[1] >= now_s + 0.4
    alarm.set(node.clock_s.now_s() + 0.05)
    alarm.set(None)
    world.spin_for(0.2)
    assert len(calls) == 2


def test_it_rings_whatever_moment_is_set(world, node, alarm_of):
    calls = []
    alarm = alarm_of(lambda: calls.append(1))
    alarm.set(node.clock_s.now_s() + 60.0)
    alarm.ring()
    # a node that is at work just then sets its next moment, and must be called all the same
    alarm.set(node.clock_s.now_s() + 60.0)
    world.wait_for(lambda: calls, 'the call')
    world.spin_for(0.1)
    assert len(calls) == 1


def test_a_ring_during_the_call_is_answered_by_another(world, alarm_of):
    calls = []

    def call():
        calls.append(1)
        if len(calls) == 1:
            alarm.ring()
    alarm = alarm_of(call)
    alarm.ring()
    world.wait_for(lambda: len(calls) == 2, 'another call')
    world.spin_for(0.1)
    assert len(calls) == 2


def test_a_moment_that_has_passed_is_now(world, alarm_of):
    calls = []
    alarm_of(lambda: calls.append(1)).set(0.0)
    world.wait_for(lambda: calls, 'the call')


def test_what_is_set_while_a_call_is_on_its_way_waits_for_it(world, alarm_of):
    calls = []
    alarm = alarm_of(lambda: calls.append(1))
    for _ in range(100):
        alarm.set(0.0)
        time.sleep(0.001)       # nothing is spun
    world.wait_for(lambda: calls, 'the call')
    world.spin_for(0.1)
    assert len(calls) == 2


def test_a_closed_alarm_calls_no_more(world, alarm_of):
    calls = []
    alarm = Alarm(world.governor(), lambda: calls.append(1))
    alarm.set(0.0)
    time.sleep(0.05)            # the call is on its way
    alarm.close()
    world.spin_for(0.1)
    assert not calls


def test_a_callback_that_raises_is_told_and_called_again(world, alarm_of):
    calls = []

    def stumble():
        calls.append(1)
        alarm.set(0.0)
        if len(calls) < 3:
            raise RuntimeError('a bad day')

    alarm = alarm_of(stumble)
    alarm.set(0.0)
    world.wait_for(lambda: len(calls) > 3, 'more calls')
    alarm.set(None)
    world.wait_for(lambda: world.said('a shot of a timer is dropped', 'a bad day'))


def test_timers_keep_their_time_beside_an_alarm_that_is_always_due(world, node, alarm_of):
    shots = []

    def is_due():
        time.sleep(0.0015)
        alarm.set(0.0)

    alarm = alarm_of(is_due)
    node.create_timer(0.05, lambda: shots.append(time.monotonic()))
    alarm.set(0.0)
    world.spin_for(1.0)
    assert 10 <= len(shots) <= 21


def test_the_moment_is_one_of_simulated_time(world):
    clock = world.observer.create_publisher(Clock, '/clock', 10)
    node, calls = world.governor(use_sim_time=True), []

    def tell(seconds):
        def told():
            clock.publish(Clock(clock=Time(sec=seconds)))
            world.spin_for(0.01)
            return node.clock_s.now_s() == seconds
        world.wait_for(told, 'the time of /clock')

    tell(100)
    alarm = Alarm(node, lambda: calls.append(node.clock_s.now_s()))
    alarm.set(110.0)
    world.spin_for(0.2)
    assert not calls
    tell(111)
    world.wait_for(lambda: calls, 'the call')
    assert calls == [111.0]
    alarm.close()
