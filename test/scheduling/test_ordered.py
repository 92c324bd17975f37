"""Queued work stays in order, whatever comes and goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.ordered import OrderedQueue

PLACES = st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.0, float('inf')]))


@given(st.lists(st.tuples(PLACES, st.booleans()), max_size=30))
def test_it_is_sorted_by_priority_then_time_then_arrival(kit, additions):
    queue, expected = OrderedQueue(), []
    for arrival, ((priority, due_s), removed) in enumerate(additions):
        work = kit.work(priority=priority)
        queue.put(queue.entry(work, due_s))
        if removed:
            assert queue.remove(work).work is work
        else:
            expected.append((-priority, due_s, arrival, work))
    expected = [place[-1] for place in sorted(expected, key=lambda place: place[:3])]
    assert kit.ids(entry.work for entry in queue) == kit.ids(expected)
    assert len(queue) == len(expected)
    assert kit.ids(queue.pop() for _ in expected) == kit.ids(expected)


def test_equal_work_is_told_apart(kit):
    queue, first, second = OrderedQueue(), kit.work(), kit.work()
    queue.put(queue.entry(first, 0.0))
    assert first in queue
    assert second not in queue
    assert queue.remove(second) is None
    assert queue.remove(first).work is first
    assert queue.remove(first) is None


def test_what_was_popped_is_gone(kit):
    queue, work = OrderedQueue(), kit.work()
    queue.put(queue.entry(work, 0.0))
    assert queue.pop() is work
    assert work not in queue
    with pytest.raises(IndexError):
        queue.pop()
