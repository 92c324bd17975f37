"""Runs of NeuOS's experiment are recorded as a report wants them."""

import pytest

from s3dnn_ros.lab.neuos_lab import Plan
from s3dnn_ros.lab.neuos_recordings import recordings
from s3dnn_ros.runtime.recording import recording_of

PLAN = Plan(boards=('tx2',), cohorts=('small', 'medium'), contenders=('Max-N', 'POET, margin'),
            seeds=2, seconds=0.9, period_factors=(4.0,), segments=2)


def test_everyone_is_recorded_once_and_under_another_name():
    names = [name for name, _ in recordings(PLAN)]
    assert len(names) == len(set(names)) == 10
    assert all(name.replace('_', '').isalnum() for name in names)


@pytest.mark.parametrize('contender', ['Max-N', 'balanced, by network'])
def test_a_recording_holds_the_whole_run(contender):
    plan = Plan(boards=('tx2',), cohorts=('medium',), contenders=(contender,), seeds=1,
                seconds=0.9, period_factors=(4.0,), segments=2)
    (_, document), = recordings(plan)
    recording = recording_of(document)
    assert recording.run.simulated and recording.run.policy.startswith(contender)
    assert recording.run.energy_j > 0.0
    assert len(recording.models) == 4
    # each instance has sent something since the begin
    assert min(request.arrived_s for request in recording.requests) < 0.25
    assert {request.instance for request in recording.requests} == set(recording.models)
    assert recording.boundaries
