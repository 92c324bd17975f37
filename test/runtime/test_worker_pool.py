"""The pool: the most urgent first, everything once, and nothing kept alive."""

import gc
import threading
import types
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.runtime.worker_pool import WorkerPool

WAIT_S = 20.0


def asked(priority=0, deadline_s=0.0):
    return types.SimpleNamespace(priority=priority, deadline_s=deadline_s)


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), max_size=12))
def test_what_waits_is_done_by_priority_then_deadline_then_order(requests):
    pool, busy, done = WorkerPool(1, 'test-pool'), threading.Event(), []
    pool.submit(asked(100), busy.wait, WAIT_S)
    for number, (priority, deadline_s) in enumerate(requests):
        pool.submit(asked(priority, deadline_s), done.append, (-priority, deadline_s, number))
    busy.set()
    pool.shutdown()
    assert done == sorted(done) and len(done) == len(requests)


def test_an_urgent_frame_is_not_behind_anothers_boxes():
    """One worker, which is busy; ten decodings wait; the urgent one comes last."""
    pool, begun, busy, done = WorkerPool(1, 'test-pool'), threading.Event(), threading.Event(), []
    pool.submit(asked(), lambda: (begun.set(), busy.wait(WAIT_S)))
    assert begun.wait(WAIT_S)
    for number in range(10):
        pool.submit(asked(deadline_s=10.0), done.append, number)
    pool.submit(asked(deadline_s=1.0), done.append, 'urgent')
    busy.set()
    pool.shutdown()
    assert done[0] == 'urgent'


def test_after_the_end_work_is_refused():
    pool = WorkerPool(2, 'test-pool')
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(asked(), print)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith('test-pool')]


def test_what_was_worked_on_does_not_live_until_the_next_work():
    class Pixels:
        pass

    pool, done = WorkerPool(1, 'test-pool'), threading.Event()
    pixels = Pixels()
    kept = weakref.ref(pixels)
    pool.submit(asked(), lambda _: None, pixels)
    del pixels
    pool.submit(asked(), done.set)
    assert done.wait(WAIT_S)
    gc.collect()
    assert kept() is None
    pool.shutdown()
