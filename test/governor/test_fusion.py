"""Fusion: the newest of each camera, the most urgent first, in time, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.governor.fusion import FusionQueue, Request

CAMERAS = ('a', 'b', 'c', 'd')
REQUESTS = st.lists(st.builds(
    Request, st.sampled_from(CAMERAS), st.integers(0, 9).map(float),
    st.integers(0, 9).map(float), st.uuids()), max_size=12)


def filled(requests, max_batch=2, max_delay_s=0.5):
    queue = FusionQueue(CAMERAS, max_batch, max_delay_s)
    replaced = [old for old in map(queue.put, requests) if old]
    return queue, replaced


@given(REQUESTS, st.integers(1, 5))
def test_every_request_is_taken_or_replaced_once(requests, max_batch):
    queue, out = filled(requests, max_batch)
    while queue:
        out += queue.take()
    assert sorted(item.item for item in out) == sorted(item.item for item in requests)


@given(REQUESTS)
def test_the_newest_of_each_camera_waits(requests):
    queue, _ = filled(requests)
    newest = {request.camera: request for request in requests}
    assert set(queue.discard()) == set(newest.values())
    assert len(queue) == 0


@given(REQUESTS, st.integers(1, 5))
def test_a_batch_is_the_most_urgent_that_wait(requests, max_batch):
    queue, _ = filled(requests, max_batch)
    waiting = len(queue)
    batch = queue.take()
    rest = queue.discard()
    assert len(batch) == min(max_batch, waiting)
    assert len({request.camera for request in batch}) == len(batch)
    deadlines = [request.deadline_s for request in batch]
    assert deadlines == sorted(deadlines)
    assert all(request.deadline_s >= deadlines[-1] for request in rest)


@given(REQUESTS, st.integers(1, 5), st.floats(0.0, 3.0))
def test_a_batch_is_due_when_full_or_when_the_oldest_has_waited(requests, max_batch, delay_s):
    queue, _ = filled(requests, max_batch, delay_s)
    due_s = queue.due_s()
    waiting = queue.discard()
    if not waiting:
        assert due_s is None
        return
    oldest_s = min(request.ready_s for request in waiting)
    full = len(waiting) >= min(max_batch, len(CAMERAS))
    assert due_s == (oldest_s if full else oldest_s + delay_s)


def test_frames_of_all_cameras_do_not_wait_for_a_larger_batch():
    queue = FusionQueue(('a', 'b'), 8, 10.0)
    queue.put(Request('a', 1.0, 0.0, None))
    assert queue.due_s() == 10.0
    queue.put(Request('b', 1.0, 0.2, None))
    assert queue.due_s() == 0.0


def test_without_delay_a_frame_is_due_at_once():
    queue = FusionQueue(('a', 'b'), 8, 0.0)
    queue.put(Request('a', 1.0, 3.0, None))
    assert queue.due_s() == 3.0


def test_among_equal_deadlines_the_one_that_waits_longer_is_first():
    queue = FusionQueue(('a', 'b'), 1, 0.0)
    queue.put(Request('a', 1.0, 0.2, None))
    queue.put(Request('b', 1.0, 0.1, None))
    assert [request.camera for request in queue.take()] == ['b']


@pytest.mark.parametrize('empty', [FusionQueue.take, FusionQueue.discard])
def test_an_empty_queue_gives_nothing(empty):
    assert empty(FusionQueue(CAMERAS, 2, 0.0)) == ()
