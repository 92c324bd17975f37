"""Clocks: the real one is the wall clock, the virtual one stands still."""

import time

from s3dnn_ros.base.clock import SystemClock, VirtualClock


def test_the_system_clock_counts_from_1970():
    before = time.time()
    now_s = SystemClock().now_s()
    assert before <= now_s <= time.time()


def test_a_virtual_clock_moves_only_when_told():
    clock = VirtualClock(5.0)
    assert clock.now_s() == clock.now_s() == 5.0
    clock.advance(0.25)
    assert clock.now_s() == 5.25
    assert VirtualClock().now_s() == 0.0
