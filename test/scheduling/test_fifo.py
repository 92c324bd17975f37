"""First come, first served; told apart by identity."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import Dispatch, SegmentWork
from s3dnn_ros.scheduling.fifo import Fifo


def works(count, **changes):
    """Return work items that are equal, but not the same."""
    return [SegmentWork('net', 0, 1.0, 1.0, 0.1, 0.1, **changes) for _ in range(count)]


def drained(scheduler):
    order = []
    while True:
        submitted = scheduler.dequeue(0.0).submit
        if not submitted:
            return order
        for work in submitted:
            order.append(work)
            scheduler.complete(work, 0.0)


def same(found, expected):
    return [id(work) for work in found] == [id(work) for work in expected]


@given(st.lists(st.booleans(), max_size=20))
def test_work_leaves_in_the_order_of_its_arrival_without_what_was_withdrawn(keep):
    scheduler, queued = Fifo(), works(len(keep))
    for work in queued:
        scheduler.enqueue(work, 0.0)
    for work, kept in zip(queued, keep):
        if not kept:
            assert scheduler.withdraw(work)
    assert same(drained(scheduler), [work for work, kept in zip(queued, keep) if kept])


def test_one_runs_at_a_time():
    scheduler, (first, second) = Fifo(), works(2)
    scheduler.enqueue(first, 0.0)
    scheduler.enqueue(second, 0.0)
    assert same(scheduler.dequeue(0.0).submit, [first])
    assert scheduler.dequeue(0.0) == Dispatch()
    scheduler.complete(first, 1.0)
    assert same(scheduler.dequeue(1.0).submit, [second])


def test_an_empty_queue_submits_nothing():
    assert Fifo().dequeue(0.0) == Dispatch()


def test_completing_work_that_does_not_run_changes_nothing():
    scheduler, (running, equal) = Fifo(), works(2)
    scheduler.enqueue(running, 0.0)
    scheduler.dequeue(0.0)
    scheduler.complete(equal, 0.0)
    scheduler.enqueue(equal, 0.0)
    assert scheduler.dequeue(0.0) == Dispatch()


def test_what_runs_or_is_unknown_cannot_be_withdrawn():
    scheduler, (running, unknown) = Fifo(), works(2)
    scheduler.enqueue(running, 0.0)
    scheduler.dequeue(0.0)
    assert not scheduler.withdraw(running)
    assert not scheduler.withdraw(unknown)


def test_of_equal_work_the_one_meant_is_withdrawn():
    scheduler, (first, second) = Fifo(), works(2)
    scheduler.enqueue(first, 0.0)
    scheduler.enqueue(second, 0.0)
    assert scheduler.withdraw(second)
    assert same(drained(scheduler), [first])
