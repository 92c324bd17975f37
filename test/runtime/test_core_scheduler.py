"""What the scheduler is told, and that networks run whole where nobody decides."""

import pytest
from core_bench import NOW_S

from s3dnn_ros.scheduling import POLICIES, make_scheduler


def test_work_tells_the_scheduler_deadline_priority_and_expected_time(bench):
    core = bench()
    core.admit()
    core.finish(took_s=0.5)
    core.admit(deadline_s=123.0)
    _, job = core.finish(took_s=0.5)
    assert (job.work.instance, job.work.deadline_s, job.work.priority) == ('net', 123.0, 3)
    assert job.work.time_s == job.work.remaining_s == pytest.approx(0.5)


def test_the_expected_time_follows_the_runs_that_went_well(bench):
    core = bench()
    for took_s, error in ((1.0, ''), (50.0, 'failed'), (2.0, '')):
        core.admit()
        core.finish(took_s=took_s, error=error)
    assert 1.0 < core.queues['net'].expect.run_s(1) < 2.0


def test_each_segment_is_announced_with_what_remains_and_the_one_behind_it(bench, make_profile):
    core = bench({'net': {'segments': 3, 'profile': make_profile(0.0, 0.3, 3, 0.25)}},
                 scheduler='edf')
    core.admit(7, deadline_s=123.0)
    for segment in range(3):
        (work,) = core.announced()
        assert (work.instance, work.segment, work.deadline_s) == ('net', segment, 123.0)
        assert (work.tb_ratio, work.priority) == (0.25, 3)
        assert (work.time_s, work.remaining_s) == pytest.approx((0.1, 0.1 * (3 - segment)))
        if segment < 2:
            assert work.successor.segment == segment + 1
            assert work.successor.remaining_s == pytest.approx(0.1 * (2 - segment))
        else:
            assert work.successor is None
        assert not core.watched.enqueued
        assert len(core.watched.completed) == segment
        assert core.engine.finish(took_s=0.1).segment == segment
    job = core.next_job()
    assert (job.started_s, job.ended_s) == pytest.approx((NOW_S, NOW_S + 0.3))
    assert core.network.batches == [1]
    assert [work.segment for work in core.watched.completed] == [0, 1, 2]


def test_a_segment_that_fails_is_the_jobs_last(bench):
    core = bench({'net': {'segments': 3}}, scheduler='edf')
    core.admit(1)
    core.engine.finish()
    _, job = core.finish(error='lost device')
    assert (job.error, job.outputs) == ('lost device', None)
    assert [work.segment for work in core.watched.completed] == [0, 1]


def order_of(core, count):
    """End so many segments; return whose they were."""
    names = {id(queue.network): name for name, queue in core.queues.items()}
    steps = [core.engine.finish(took_s=0.1) for _ in range(count)]
    return [(names[id(step.network)], step.segment) for step in steps]


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
def test_a_job_with_less_slack_overtakes_at_the_boundary_of_a_segment(
        bench, make_profile, scheduler):
    times = {'segments': 2, 'profile': make_profile(0.1, 0.1, 2)}
    core = bench({'net': times, 'other': times}, scheduler=scheduler)
    core.admit(deadline_s=110.0)
    core.engine.running()
    core.admit(deadline_s=101.0, instance='other')
    assert order_of(core, 4) == [('net', 0), ('other', 0), ('other', 1), ('net', 1)]


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
def test_a_job_with_more_slack_waits_for_the_last_segment(bench, make_profile, scheduler):
    times = {'segments': 2, 'profile': make_profile(0.1, 0.1, 2)}
    core = bench({'net': times, 'other': times}, scheduler=scheduler)
    core.admit(deadline_s=101.0)
    core.engine.running()
    core.admit(deadline_s=110.0, instance='other')
    assert order_of(core, 4) == [('net', 0), ('net', 1), ('other', 0), ('other', 1)]


def test_small_segments_run_side_by_side(bench, make_profile):
    small = {'profile': make_profile(0.1, 0.1, 1, 0.4)}
    core = bench({'net': small, 'other': small, 'third': small}, scheduler='supervised')
    for name in ('net', 'other', 'third'):
        core.admit(instance=name)
        core.announced()
    assert len(core.engine.running(2)) == 2


# whole networks

WHOLE = sorted(name for name in POLICIES if make_scheduler(name).whole_networks)


def test_networks_run_whole_where_nobody_decides_between_their_segments():
    assert WHOLE == ['fifo', 'gated', 'streams']


@pytest.mark.parametrize('scheduler', WHOLE)
def test_a_whole_network_runs_all_its_segments_without_asking_the_scheduler(bench, scheduler):
    core = bench({'net': {'segments': 3}}, scheduler=scheduler)
    core.admit(7)
    assert [work.segment for work in core.announced()] == [0]
    core.engine.running()
    for segment in range(3):
        assert core.watched.completed == []
        assert core.engine.finish(took_s=0.1).segment == segment
    job = core.next_job()
    assert (job.started_s, job.ended_s) == pytest.approx((NOW_S, NOW_S + 0.3))
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([7])
    assert [work.segment for work in core.watched.completed] == [0]
    assert not core.watched.enqueued


@pytest.mark.parametrize('scheduler, together', [
    ('fifo', 3), ('streams', 3), ('edf', 1), ('supervised', 1)])
def test_segments_are_submitted_together_only_of_whole_networks(bench, scheduler, together):
    core = bench({'net': {'segments': 3}}, scheduler=scheduler)
    core.admit()
    core.engine.running()
    core.admit()                        # one step later
    assert core.engine.finish(core.engine.running()[0]).segment == 0
    core.engine.running()
    assert len(core.engine.submitted()) == max(1, together - 1)


@pytest.mark.parametrize('scheduler', WHOLE)
@pytest.mark.parametrize('failing', [(0,), (1,), (2,), (0, 1, 2), (1, 2)])
def test_an_error_in_any_segment_of_a_whole_network_fails_the_job_once(
        bench, scheduler, failing):
    core = bench({'net': {'segments': 3}}, scheduler=scheduler)
    bad, good = core.admit(1), core.admit(2)
    core.engine.running()
    for segment in range(3):
        assert not core.finished
        core.engine.finish(error=f'error {segment}' if segment in failing else '')
    job = core.next_job()
    assert (job.requests, job.outputs) == ((bad,), None)
    assert job.error == f'error {failing[0]}'
    for _ in range(3):
        core.engine.finish()
    assert core.next_job().requests == (good,)
    assert not core.finished
    assert not core.dropped


@pytest.mark.parametrize('scheduler', WHOLE)
@pytest.mark.parametrize('refused', [0, 1, 2])
def test_a_whole_network_that_is_refused_in_the_middle_fails_once_what_was_taken_has_ended(
        bench, scheduler, refused):
    core = bench({'net': {'segments': 3}}, scheduler=scheduler)
    core.network.broken[f'submit {refused}'] = RuntimeError('lost device')
    core.admit(1)
    core.admit(2)
    for segment in range(refused):
        assert core.engine.running()[0].values == [1]
        assert not core.finished
        assert core.engine.finish().segment == segment
    job = core.next_job()
    assert (job.error, job.outputs) == ('lost device', None)
    for _ in range(3):
        assert core.engine.finish().values == [2]
    assert not core.next_job().error
    assert not core.finished
    assert not core.reports


@pytest.mark.parametrize('scheduler', sorted(POLICIES))
def test_the_time_of_a_segment_does_not_count_the_wait_for_the_one_before(bench, scheduler):
    core = bench({'net': {'segments': 3}}, scheduler=scheduler)
    core.admit()
    for took_s in (0.1, 0.2, 0.4):
        core.engine.finish(took_s=took_s)
    core.next_job()
    expect = core.queues['net'].expect
    first = expect.work('net', 1, 0.0, 0)
    chain = (first, first.successor, first.successor.successor)
    # of whole networks, only the last end is told
    times_s = [0.7 / 3] * 3 if scheduler in WHOLE else [0.1, 0.2, 0.4]
    assert [work.time_s for work in chain] == pytest.approx(times_s)
    assert expect.run_s(1) == pytest.approx(0.7)


@pytest.mark.parametrize('scheduler', ['fifo', 'edf', 'gated'])
@pytest.mark.parametrize('error, beside', [('', 1), ('lost', 0)])
def test_the_device_has_work_again_before_a_job_that_ended_well_is_handed_on(
        bench, scheduler, error, beside):
    core, seen = bench({'net': {'lanes': 1}}, scheduler=scheduler), []
    core.take_finished = lambda job: seen.append(len(core.engine.running_now()))
    core.admit(1)
    core.admit(2)
    # a network that failed is not started on before somebody has heard of it
    core.engine.finish(error=error)
    assert seen == [beside] and len(core.engine.running()) == 1
