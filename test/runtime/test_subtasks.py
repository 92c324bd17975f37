"""The pool: the most urgent first, everything once, and nothing kept alive."""

import functools
import gc
import threading
import time
import types
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import SystemClock, VirtualClock
from s3dnn_ros.runtime.subtasks import BEFORE, BEHIND, SubTask, SubTaskPool

WAIT_S = 20.0


def make_pool(workers=1, clock=None, **options):
    return SubTaskPool(workers, 'test-pool', clock or SystemClock(), **options)


def subtask(run, *arguments, priority=0, deadline_s=0.0, place=BEHIND):
    request = types.SimpleNamespace(priority=priority, deadline_s=deadline_s)
    return SubTask(request, place, functools.partial(run, *arguments))


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), max_size=12))
def test_what_waits_is_done_by_priority_then_deadline_then_order(requests):
    pool, busy, done = make_pool(), threading.Event(), []
    pool.submit(subtask(busy.wait, WAIT_S, priority=100))
    for number, (priority, deadline_s) in enumerate(requests):
        pool.submit(subtask(done.append, (-priority, deadline_s, number), priority=priority,
                            deadline_s=deadline_s))
    busy.set()
    pool.shutdown()
    assert done == sorted(done) and len(done) == len(requests)


def test_an_urgent_frame_is_not_behind_anothers_boxes():
    """One worker, which is busy; ten decodings wait; the urgent one comes last."""
    pool, begun, busy, done = make_pool(), threading.Event(), threading.Event(), []
    pool.submit(subtask(lambda: (begun.set(), busy.wait(WAIT_S))))
    assert begun.wait(WAIT_S)
    for number in range(10):
        pool.submit(subtask(done.append, number, deadline_s=10.0))
    pool.submit(subtask(done.append, 'urgent', deadline_s=1.0, place=BEFORE))
    busy.set()
    pool.shutdown()
    assert done[0] == 'urgent'


def test_after_the_end_work_is_refused():
    pool = make_pool(2)
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(subtask(print))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith('test-pool')]


def test_what_was_worked_on_does_not_live_until_the_next_work():
    class Pixels:
        pass

    pool, done = make_pool(), threading.Event()
    pixels = Pixels()
    kept = weakref.ref(pixels)
    pool.submit(subtask(lambda _: None, pixels))
    del pixels
    pool.submit(subtask(done.set))
    assert done.wait(WAIT_S)
    gc.collect()
    assert kept() is None
    pool.shutdown()


def test_another_order_may_decide_what_goes_first():
    """As a packing of sub-tasks over CPU and GPU will."""
    pool = make_pool(order=lambda subtask: (subtask.place == BEHIND,))
    begun, busy, done = threading.Event(), threading.Event(), []
    pool.submit(subtask(lambda: (begun.set(), busy.wait(WAIT_S))))
    assert begun.wait(WAIT_S)
    pool.submit(subtask(done.append, 'boxes', priority=5))
    pool.submit(subtask(done.append, 'copy', place=BEFORE))
    busy.set()
    pool.shutdown()
    assert done == ['copy', 'boxes']


@pytest.mark.parametrize('workers, unfinished, ahead, runs', [
    (1, 0, 0, 0.0), (1, 1, 0, 1.0), (1, 3, 0, 3.0), (1, 3, 2, 5.0),
    (4, 3, 0, 0.0), (4, 4, 0, 0.25), (4, 4, 3, 1.0)])
def test_what_comes_waits_for_a_thread(workers, unfinished, ahead, runs):
    """A sub-task took 8 s before; of those that are here, each thread has one."""
    clock, busy = VirtualClock(), threading.Event()
    pool = make_pool(workers, clock)
    pool.submit(subtask(clock.advance, 1000.0))
    assert pool.wait_s(ahead=10) == 0.0     # the first says nothing: much is slow once
    finish(pool, functools.partial(clock.advance, 8.0))
    for _ in range(unfinished):
        pool.submit(subtask(busy.wait, WAIT_S))
    assert pool.wait_s(ahead) == pytest.approx(8.0 * runs)
    busy.set()
    pool.shutdown()
    assert pool.wait_s() == 0.0


def test_time_that_goes_back_is_none_that_was_taken():
    clock = VirtualClock(10.0)
    pool = make_pool(clock=clock)
    for _ in range(3):
        pool.submit(subtask(clock.advance, -5.0))
    pool.shutdown()
    assert pool.each_s == pool.wait_s(ahead=9) == 0.0


def finish(pool, run):
    """Have work done, and noted as done."""
    pool.submit(subtask(run))
    end_s = time.monotonic() + WAIT_S
    while pool.wait_s(ahead=100) == 0.0:
        assert time.monotonic() < end_s
        time.sleep(0.001)
