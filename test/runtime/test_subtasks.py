"""The pool: the most urgent first, everything once, and nothing kept alive."""

import functools
import gc
import threading
import types
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.runtime.subtasks import BEFORE, BEHIND, SubTask, SubTaskPool

WAIT_S = 20.0


def subtask(run, *arguments, priority=0, deadline_s=0.0, place=BEHIND):
    request = types.SimpleNamespace(priority=priority, deadline_s=deadline_s)
    return SubTask(request, place, functools.partial(run, *arguments))


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), max_size=12))
def test_what_waits_is_done_by_priority_then_deadline_then_order(requests):
    pool, busy, done = SubTaskPool(1, 'test-pool'), threading.Event(), []
    pool.submit(subtask(busy.wait, WAIT_S, priority=100))
    for number, (priority, deadline_s) in enumerate(requests):
        pool.submit(subtask(done.append, (-priority, deadline_s, number), priority=priority,
                            deadline_s=deadline_s))
    busy.set()
    pool.shutdown()
    assert done == sorted(done) and len(done) == len(requests)


def test_an_urgent_frame_is_not_behind_anothers_boxes():
    """One worker, which is busy; ten decodings wait; the urgent one comes last."""
    pool, begun, busy, done = SubTaskPool(1, 'test-pool'), threading.Event(), threading.Event(), []
    pool.submit(subtask(lambda: (begun.set(), busy.wait(WAIT_S))))
    assert begun.wait(WAIT_S)
    for number in range(10):
        pool.submit(subtask(done.append, number, deadline_s=10.0))
    pool.submit(subtask(done.append, 'urgent', deadline_s=1.0, place=BEFORE))
    busy.set()
    pool.shutdown()
    assert done[0] == 'urgent'


def test_after_the_end_work_is_refused():
    pool = SubTaskPool(2, 'test-pool')
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(subtask(print))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith('test-pool')]


def test_what_was_worked_on_does_not_live_until_the_next_work():
    class Pixels:
        pass

    pool, done = SubTaskPool(1, 'test-pool'), threading.Event()
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
    pool = SubTaskPool(1, 'test-pool', order=lambda subtask: (subtask.place == BEHIND,))
    begun, busy, done = threading.Event(), threading.Event(), []
    pool.submit(subtask(lambda: (begun.set(), busy.wait(WAIT_S))))
    assert begun.wait(WAIT_S)
    pool.submit(subtask(done.append, 'boxes', priority=5))
    pool.submit(subtask(done.append, 'copy', place=BEFORE))
    busy.set()
    pool.shutdown()
    assert done == ['copy', 'boxes']
