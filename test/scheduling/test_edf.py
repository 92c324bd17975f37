"""Earliest deadline first, one at a time."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import Dispatch
from s3dnn_ros.scheduling.edf import Edf


@given(data=st.data())
def test_the_earliest_deadline_of_the_highest_priority_goes_next_and_alone(data, kit):
    story = data.draw(kit.stories(priorities=(0, 0, 1)))
    for turn in kit.tell(story, Edf()).rounds:
        if turn.running or not turn.queued:
            assert turn.dispatch == Dispatch()
        else:
            # of equals min takes the first, which arrived first
            urgent = min(turn.queued, key=lambda work: (-work.priority, work.deadline_s))
            assert kit.ids(turn.dispatch.submit) == kit.ids([urgent])
            assert turn.dispatch.reserved == ()


def test_it_looks_at_deadlines_and_not_at_slack(kit):
    machine = kit.Machine(Edf())
    late, soon = kit.work(slack_s=0.1, time_s=0.9), kit.work(slack_s=0.4, time_s=0.1)
    machine.arrive(late, soon)
    assert machine.drain() == [soon, late]


def test_what_runs_is_not_interrupted(kit):
    machine, urgent = kit.Machine(Edf()), kit.work(slack_s=0.0, time_s=0.001, priority=1)
    machine.arrive(kit.work())
    machine.dequeue()
    machine.arrive(urgent)
    assert machine.dequeue() == []
    machine.finish()
    assert machine.dequeue() == [urgent]
