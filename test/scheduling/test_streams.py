"""Everything at once, in order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import Dispatch
from s3dnn_ros.scheduling.streams import Streams


@given(data=st.data())
def test_nothing_waits(data, kit):
    for turn in kit.tell(data.draw(kit.stories()), Streams()).rounds:
        assert kit.ids(turn.dispatch.submit) == kit.ids(turn.queued)


def test_what_runs_makes_no_difference(kit):
    scheduler = Streams()
    for _ in range(3):
        work = kit.work(tb_ratio=2.0)
        scheduler.enqueue(work, 0.0)
        assert kit.ids(scheduler.dequeue(0.0).submit) == kit.ids([work])
    assert scheduler.dequeue(0.0) == Dispatch()


@given(st.lists(st.booleans(), max_size=10))
def test_what_was_withdrawn_does_not_go(kit, kept):
    scheduler, queued = Streams(), [kit.work() for _ in kept]
    for work in queued:
        scheduler.enqueue(work, 0.0)
    for work, keep in zip(queued, kept):
        assert keep or scheduler.withdraw(work)
    assert kit.ids(scheduler.dequeue(0.0).submit) == kit.ids(
        work for work, keep in zip(queued, kept) if keep)
