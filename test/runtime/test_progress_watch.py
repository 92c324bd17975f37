"""Who stands still on a device with gates, and who only waits."""

import types

import pytest

from s3dnn_ros.runtime.progress_watch import (
    LEAST_STANDSTILL_S,
    LOOK_S,
    STANDSTILL_RUNS,
    ProgressWatch,
    sentence_of,
)

LIMITS_S = [(0.01, LEAST_STANDSTILL_S), (1.0, STANDSTILL_RUNS)]


@pytest.fixture
def job():
    """Return a builder of what is looked at of a job; `at` is how far it is."""
    def build(run_s=0.01, at=0, is_held=False):
        made = types.SimpleNamespace(
            frames=1, queue=types.SimpleNamespace(known_run_s=lambda frames: (run_s, True)),
            reached=None, moved_s=0.0, is_held=is_held, at=at)
        made.flight = types.SimpleNamespace(progress=lambda: made.at)
        return made
    return build


def looked(watch, jobs, seconds, start_s=100.0):
    """Look whenever it is due, for so long; return (time, job) of all that stood still."""
    found, now_s = [], start_s
    while now_s <= start_s + seconds:
        if watch.due(now_s):
            found += [(now_s - start_s, job) for job in watch.standing(jobs, now_s)]
        now_s = watch.due_s or now_s + LOOK_S
    return found


@pytest.mark.parametrize('run_s, limit_s', LIMITS_S)
def test_without_progress_it_stands_still_after_a_while(job, run_s, limit_s):
    one = job(run_s)
    (at_s, found), *_ = looked(ProgressWatch(), [one], limit_s + 2 * LOOK_S)
    assert found is one and limit_s < at_s <= limit_s + 2 * LOOK_S
    assert sentence_of(one, 100.0 + at_s).startswith(f'segment 0 has not ended for {at_s:.1f} s')


@pytest.mark.parametrize('changes', [{'is_held': True}, {'at': None}])
def test_who_is_held_and_who_cannot_tell_is_left_alone(job, changes):
    assert not looked(ProgressWatch(), [job(**changes)], 10 * LEAST_STANDSTILL_S)


def test_held_time_does_not_count(job):
    watch, one = ProgressWatch(), job(is_held=True)
    assert not looked(watch, [one], 10.0)
    one.is_held = False
    assert not looked(watch, [one], LEAST_STANDSTILL_S - LOOK_S, start_s=110.0 + LOOK_S)


def test_nobody_looks_while_nothing_runs(job):
    watch = ProgressWatch()
    assert watch.due_s is None and not watch.standing([], 1.0) and watch.due_s is None
    assert not watch.standing([job()], 1.0) and watch.due_s == 1.0 + LOOK_S
    one = job()
    one.flight = None       # it could not be started
    assert not looked(watch, [one], 10.0)
