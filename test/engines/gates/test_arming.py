"""A thread arms lanes while that is allowed, and what is armed is let go when it no longer is."""

import gc
import threading
import time

import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.gates.arming import UNUSED_S, Arming

WAIT_S = 10.0


class FakeLane:
    """Is armed at the attempt that the test says; counts."""

    def __init__(self, arming, attempts=1):
        self.arming = arming
        self.attempts = attempts
        self.armed = self.disarmed = self.runs_on = 0
        self.is_armed, self.is_swept = threading.Event(), threading.Event()
        self.threads = set()
        arming.add(self)

    def arm(self):
        self.threads.add(threading.current_thread().name)
        self.attempts -= 1
        if self.attempts > 0:
            return False
        if self.arming.allowed:
            self.armed += 1
            self.is_armed.set()
        return True

    def disarm(self):
        self.disarmed += 1

    def run_on(self):
        assert not self.arming.may_wait
        self.runs_on += 1

    def disarm_unused(self):
        self.is_swept.set()


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def arming(clock):
    made = Arming(clock)
    yield made
    made.close()


def test_nothing_is_armed_before_it_is_allowed(arming):
    lane = FakeLane(arming)
    arming.free(lane)
    assert not lane.is_armed.wait(0.02)
    arming.allow(True)
    assert lane.is_armed.wait(WAIT_S) and lane.threads == {'s3dnn-arm'}


def test_a_lane_that_runs_yet_is_tried_again_and_others_do_not_wait(arming):
    arming.allow(True)
    slow, quick = FakeLane(arming, attempts=5), FakeLane(arming)
    for lane in (slow, quick):
        arming.free(lane)
    assert slow.is_armed.wait(WAIT_S) and quick.is_armed.wait(WAIT_S)
    assert slow.attempts == 0 and slow.armed == 1


def test_what_waits_is_let_go_when_it_is_forbidden(arming):
    lanes = [FakeLane(arming) for _ in range(3)]
    assert arming.may_wait
    arming.allow(True)
    for lane in lanes:
        assert lane.is_armed.wait(WAIT_S)
    arming.allow(False)
    assert [(lane.disarmed, lane.runs_on) for lane in lanes] == [(1, 1)] * 3
    arming.free(lanes[0])
    time.sleep(0.02)
    assert lanes[0].armed == 1


def test_what_is_not_used_is_looked_for_now_and_then(arming, clock):
    lane = FakeLane(arming)
    arming.allow(True)
    assert lane.is_armed.wait(WAIT_S) and not lane.is_swept.wait(0.02)
    clock.advance(UNUSED_S)
    arming.free(lane)
    assert lane.is_swept.wait(WAIT_S)


def test_lanes_that_nobody_keeps_are_forgotten(arming):
    arming.allow(True)
    lost = FakeLane(arming, attempts=10**9)
    arming.free(lost)
    del lost
    gc.collect()
    after = FakeLane(arming)
    arming.free(after)
    assert after.is_armed.wait(WAIT_S)


def test_in_the_end_nothing_is_armed_and_the_thread_ends(clock):
    made = Arming(clock)
    lane = FakeLane(made)
    made.allow(True)
    assert lane.is_armed.wait(WAIT_S)
    made.close()
    assert lane.disarmed == 1 and not made._thread.is_alive()
    made.close()


def test_whoever_forgets_to_close_it_leaves_nothing_armed_and_no_thread(clock):
    made = Arming(clock)
    lane = FakeLane(made)
    made.allow(True)
    thread, lane.arming = made._thread, Arming(clock)
    del made
    gc.collect()
    assert lane.disarmed == 1
    thread.join(WAIT_S)
    assert not thread.is_alive()
