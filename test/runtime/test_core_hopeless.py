"""Jobs that cannot be in time any more are given up."""

import pytest
from core_bench import NOW_S


@pytest.fixture
def hurried(bench, make_profile):
    """Return a builder of benches with three segments that should take 0.1 s each."""
    def build(scheduler='edf', late_policy='drop', **options):
        times = make_profile(0.3, 0.0, 3)
        return bench({'net': {'segments': 3, 'profile': times}}, scheduler=scheduler,
                     late_policy=late_policy, **options)
    return build


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
@pytest.mark.parametrize('late_at', [0, 1])
def test_a_job_that_cannot_be_in_time_any_more_is_given_up_between_two_segments(
        hurried, scheduler, late_at):
    core = hurried(scheduler)
    hopeless = core.admit(1, deadline_s=NOW_S + 0.35)
    for segment in range(late_at + 1):
        core.engine.finish(took_s=0.2 if segment == late_at else 0.1)
    request, reason, sentence = core.next_drop()
    assert (request, reason) == (hopeless, 'late')
    assert 'deadline' in sentence
    core.admit(2)                       # on the only lane
    core.clock.advance(1e-3)            # supervised expects the next segment for a while
    assert [core.engine.finish().values for _ in range(3)] == [[2]] * 3
    assert core.next_job().outputs is not None
    assert not core.finished
    assert not core.dropped
    assert core.network.most_flights == 1
    assert len(core.watched.completed) == late_at + 1 + 3


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
@pytest.mark.parametrize('late_policy, deadline_s, took_s', [
    ('run', NOW_S + 0.35, 0.2), ('drop', NOW_S + 0.35, 0.125), ('drop', NOW_S + 0.45, 0.2)])
def test_a_job_goes_on_while_there_is_hope_or_if_that_is_the_policy(
        hurried, scheduler, late_policy, deadline_s, took_s):
    core = hurried(scheduler, late_policy)
    core.admit(1, deadline_s=deadline_s)
    core.engine.finish(took_s=took_s)
    core.engine.finish()
    core.engine.finish(took_s=9.0)      # behind the last segment nothing is left to give up
    assert core.next_job().outputs is not None
    assert not core.dropped


@pytest.mark.parametrize('last_s, given_up', [(0.35, True), (5.0, False)])
def test_a_fused_job_is_given_up_with_all_its_requests_or_none(
        bench, make_profile, last_s, given_up):
    net = {'segments': 3, 'profile': make_profile(0.3, 0.0, 3)}
    core = bench({'net': net, 'other': {}}, scheduler='edf', late_policy='drop')
    other = core.occupy()
    requests = (core.admit(1, NOW_S + 0.34), core.admit(2, NOW_S + last_s, 'net2'))
    core.engine.finish(other)
    core.next_job()
    assert core.engine.finish(took_s=0.2).values == [1, 2]
    if given_up:
        assert [core.next_drop()[:2] for _ in requests] == [
            (request, 'late') for request in requests]
    else:
        core.engine.finish()
        assert core.finish()[1].requests == requests
    assert not core.dropped


def test_a_job_that_failed_is_not_called_late(hurried):
    core = hurried()
    core.admit(1, deadline_s=NOW_S + 0.35)
    assert core.finish(took_s=1.0, error='lost device')[1].error == 'lost device'
    assert not core.dropped


def test_a_hopeless_job_whose_flight_cannot_be_closed_is_dropped_once(hurried):
    core = hurried()
    core.network.broken['close'] = RuntimeError('cannot be closed')
    request = core.admit(1, deadline_s=NOW_S + 0.35)
    core.engine.finish(took_s=1.0)
    assert core.next_drop()[:2] == (request, 'late')
    core.admit(2)
    for _ in range(3):
        core.engine.finish()
    assert not core.next_job().error
    assert not core.finished
    assert not core.reports


@pytest.mark.parametrize('fuse', [True, False])
@pytest.mark.parametrize('waited_s, doubted', [(0.4, 2), (0.9, 0)])
def test_overheads_are_doubted_once_for_each_request_that_is_late_for_them(
        bench, make_profile, fuse, waited_s, doubted):
    core = bench({'net': {'profile': make_profile(0.4, 0.1)}, 'other': {}}, fusion=fuse,
                 late_policy='drop', max_queue=3)
    doubts, expect = [], core.queues['net'].expect
    while expect.least_s(1) < 0.8:      # 0.5 s without overheads
        expect.observe(0, 1, 1000.0)
    expect.lower_overheads = lambda: doubts.append(len(core.dropped))
    other = core.occupy()
    bounded, *late = [core.admit(value, NOW_S + 1.0) for value in range(3)]
    core.admit(3, NOW_S + 9.0)
    assert core.next_drop()[:2] == (bounded, 'queue')       # which says nothing of the times
    core.engine.finish(other, took_s=waited_s)
    assert [core.next_drop()[:2] for _ in late] == [(request, 'late') for request in late]
    core.next_job()
    assert core.finish()[0] == 3
    assert len(doubts) == doubted


@pytest.mark.parametrize('scheduler', ['edf', 'streams', 'gated'])
def test_nothing_is_made_of_what_is_late_when_its_turn_comes(bench, make_profile, scheduler):
    core = bench({'net': {'profile': make_profile(0.4, 0.1)}}, scheduler=scheduler, fusion=False,
                 late_policy='drop')
    core.admit(0, NOW_S + 9.0)
    late, patient = core.admit(1, NOW_S + 0.9), core.admit(2, NOW_S + 9.0)
    core.engine.finish(took_s=0.5)
    assert core.next_job().error == '' and core.next_drop()[:2] == (late, 'late')
    value, job = core.finish()
    assert value == 2 and job.requests == (patient,)
    assert len(core.watched.enqueued) == 2 and not core.watched.withdrawn
