"""The next segment is decided just before the one under way ends."""

import hypothesis.strategies as st
import pytest
from core_bench import LEAD_S, NOW_S, ONE_BY_ONE, STEPWISE, WHOLE, CoreBench, Levelled
from hypothesis import given

from s3dnn_ros.runtime.events import Stopping
from s3dnn_ros.scheduling import make_scheduler
from s3dnn_ros.scheduling.lead import GAIN, MARGIN_S


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_the_next_segment_is_behind_one_that_is_nearly_over_and_never_two(leading, scheduler):
    core = leading(scheduler)
    core.admit(7)
    for segment in range(2):
        core.let_pass(0.1 - LEAD_S - 1e-6)
        assert core.on_their_way() == [('net', segment)]
        assert len(core.watched.completed) == segment
        core.let_pass(2e-6)
        assert core.on_their_way() == [('net', segment), ('net', segment + 1)]
        assert len(core.watched.completed) == segment + 1
        core.let_pass(1.0)          # however long it takes
        assert core.on_their_way() == [('net', segment), ('net', segment + 1)]
        assert not core.finished
        core.end()
    core.let_pass(1.0)
    assert core.on_their_way() == [('net', 2)]
    core.end()
    job = core.next_job()
    assert not job.error
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([7])
    assert [work.segment for work in core.announced(3)] == [0, 1, 2]
    assert [work.segment for work in core.watched.completed] == [0, 1, 2]
    assert not core.watched.enqueued


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_after_one_was_too_late_the_next_segment_is_handed_over_earlier(leading, scheduler):
    core = leading(scheduler)
    core.admit()
    core.let_pass(0.1 - LEAD_S + 1e-6)
    core.end()      # as soon as the one behind it has been handed over
    core.let_pass(0.1 - LEAD_S - 0.9 * GAIN * MARGIN_S)
    assert core.on_their_way() == [('net', 1), ('net', 2)]
    core.end()
    core.end()
    assert not core.next_job().error


@given(scheduler=st.sampled_from(STEPWISE), lead_s=st.floats(1e-4, 0.3),
       took_s=st.lists(st.floats(1e-4, 0.3), min_size=4, max_size=4))
def test_a_segment_is_submitted_lead_s_before_the_expected_end_or_when_there_is_one(
        make_batch, make_frame, make_profile, scheduler, lead_s, took_s):
    network = {'segments': 4, 'profile': make_profile(0.4, 0.0, 4)}
    core = CoreBench(make_batch, make_frame, {'net': network}, scheduler, {'lead_s': lead_s})
    core.admit()
    wanted_s, runs_since_s = NOW_S, NOW_S
    for segment in range(4):
        assert core.engine.running()[0].started_s == pytest.approx(wanted_s)
        core.let_pass(took_s[segment])
        ended_s = core.clock.now_s()
        wanted_s = min(ended_s, max(runs_since_s, runs_since_s + 0.1 - lead_s))
        runs_since_s = ended_s
        core.end()
    assert not core.next_job().error
    assert core.network.most_ahead <= 2
    assert not core.reports
    assert core.free()


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_without_a_lead_a_segment_waits_for_the_end_of_the_one_before(leading, scheduler):
    core = leading(scheduler, lead_s=0.0)
    core.admit()
    for segment in range(3):
        core.let_pass(1.0)
        assert core.on_their_way() == [('net', segment)]
        assert len(core.watched.completed) == segment
        core.end()
    assert not core.next_job().error


@pytest.mark.parametrize('scheduler', WHOLE)
def test_the_end_of_a_whole_network_is_told_only_when_it_has_come(leading, scheduler):
    core = leading(scheduler, fusion=False)
    core.admit(1)
    core.admit(2)
    for _ in range(3):
        core.let_pass(1.0)
        assert core.watched.completed == []
        assert core.network.batches == [1]
        core.end()
    assert not core.next_job().error
    assert len(core.watched.completed) == 1
    assert core.on_their_way() == [('net', 0), ('net', 1), ('net', 2)]


@pytest.mark.parametrize('net, other, told', [
    (1, 0, [('other', 1)]), (0, 1, [('net', 1)]), (1, 1, [('net', 1), ('other', 1)])])
def test_only_the_most_urgent_of_what_runs_is_told_of_before_its_end(leading, net, other, told):
    core = leading(Levelled(net=net, other=other), levels=2)
    core.admit()
    core.admit(instance='other')
    core.let_pass(0.2)
    assert sorted(core.on_their_way()) == sorted([('net', 0), ('other', 0), *told])
    core.end('net')
    core.end('other')
    assert sorted(core.on_their_way()) == [('net', 1), ('other', 1)]


@pytest.mark.parametrize('urgent, rest', [('net', 'other'), ('other', 'net')])
def test_the_less_urgent_is_told_of_once_the_more_urgent_has_ended(leading, urgent, rest):
    core = leading(Levelled(**{urgent: 0, rest: 1}), segments=2, levels=2)
    core.admit(instance=urgent)
    core.admit(instance=rest)
    core.let_pass(0.05)
    core.end(urgent)
    core.end(urgent)
    assert not core.next_job().error
    core.let_pass(0.05)
    assert core.on_their_way() == [(rest, 0), (rest, 1)]


def test_a_last_segment_is_told_of_before_its_end_only_if_nothing_runs_beside_it(leading):
    core = leading(Levelled(), segments=1)
    core.admit()
    core.let_pass(0.05)
    core.admit(instance='other')
    core.let_pass(0.045)
    assert core.watched.completed == []
    core.end('net')
    (net,) = core.watched.completed
    core.let_pass(0.04)
    assert [work.instance for work in core.watched.completed] == ['net']
    core.let_pass(0.01)
    assert [work.instance for work in core.watched.completed] == ['net', 'other']
    assert core.on_their_way() == [('other', 0)]
    core.end('other')
    assert core.watched.completed[0] is net
    assert len(core.watched.completed) == 2
    assert [core.next_job().error for _ in range(2)] == ['', '']


@pytest.mark.parametrize('scheduler', ONE_BY_ONE)
def test_another_job_starts_behind_a_last_segment_that_is_nearly_over(leading, scheduler):
    core = leading(scheduler, segments=1)
    core.admit()
    core.let_pass()
    core.admit(instance='other')
    core.let_pass(0.1 - LEAD_S - 1e-6)
    assert core.on_their_way() == [('net', 0)]
    core.let_pass(2e-6)
    assert core.on_their_way() == [('net', 0), ('other', 0)]
    assert not core.finished
    core.end('net')
    assert core.next_job().outputs is not None


@pytest.mark.parametrize('scheduler', ONE_BY_ONE)
def test_who_is_more_urgent_then_goes_behind_one_that_is_nearly_over(leading, scheduler):
    core = leading(scheduler, segments=2)
    core.admit(deadline_s=NOW_S + 10.0)
    core.let_pass()
    core.admit(deadline_s=NOW_S + 1.0, instance='other')
    core.let_pass(0.095)
    assert core.on_their_way() == [('net', 0), ('other', 0)]
    core.end('net')
    core.let_pass(0.1)
    assert core.on_their_way() == [('other', 0), ('other', 1)]
    core.end('other')
    core.let_pass(0.1)
    assert core.on_their_way() == [('other', 1), ('net', 1)]


def test_the_time_of_a_segment_does_not_count_the_lead(leading):
    core = leading()
    observed = []
    core.queues['net'].expect.observe = lambda *what: observed.append(what)
    core.admit()
    for _ in range(3):
        core.let_pass(0.1)
        core.end()
    core.next_job()
    assert [segment for segment, *_ in observed] == [0, 1, 2]
    assert [took_s for _, _, took_s, _ in observed] == pytest.approx([0.1] * 3)


def test_the_busy_time_counts_once_what_is_behind_another(leading):
    core = leading()
    core.admit()
    for _ in range(3):
        core.let_pass(0.1)
        core.end()
    core.let_pass(5.0)
    assert core.total_busy_s == pytest.approx(0.3)
    assert core.busy_s() == pytest.approx({'net': 0.3})


# what goes wrong when the next segment is decided already

@pytest.mark.parametrize('scheduler', ONE_BY_ONE)
@pytest.mark.parametrize('fails', ['run', 'observe'])
def test_a_segment_that_fails_takes_back_the_one_that_waits_behind_it(leading, scheduler, fails):
    core = leading(scheduler)
    bad = core.admit(1, deadline_s=NOW_S + 10.0)
    core.let_pass()
    core.admit(2, deadline_s=NOW_S + 1.0, instance='other')
    core.let_pass(0.095)
    waiting = core.announced(3)[2]
    assert (waiting.instance, waiting.segment) == ('net', 1)
    assert core.on_their_way() == [('net', 0), ('other', 0)]
    if fails == 'observe':
        core.queues['net'].expect.observe = lambda *what: [][0]
    core.end('net', error='lost device' if fails == 'run' else '')
    job = core.next_job()
    assert (job.requests, job.outputs) == ((bad,), None)
    assert job.error == ('lost device' if fails == 'run' else 'list index out of range')
    assert core.watched.withdrawn == [waiting]
    assert not core.network.flights
    assert core.queues['net'].lanes_taken == 0
    for _ in range(3):
        core.end('other')
    assert not core.next_job().error
    core.let_pass(1.0)
    assert core.on_their_way() == []
    assert not core.finished


@pytest.mark.parametrize('scheduler', STEPWISE)
@pytest.mark.parametrize('second', ['', 'a second error'])
def test_a_segment_that_fails_waits_for_the_one_submitted_behind_it(leading, scheduler, second):
    core = leading(scheduler)
    bad = core.admit(1)
    core.let_pass(0.095)
    core.end(error='lost device')
    assert core.on_their_way() == [('net', 1)]
    core.let_pass(0.2)              # nothing goes behind that one
    assert core.on_their_way() == [('net', 1)]
    assert not core.finished
    assert core.network.flights
    core.end(error=second)
    job = core.next_job()
    assert (job.requests, job.error, job.outputs) == ((bad,), 'lost device', None)
    assert [work.segment for work in core.watched.completed] == [0, 1]
    good = core.admit(2)
    for _ in range(3):
        core.let_pass(0.1)
        core.end()
    job = core.next_job()
    assert (job.requests, job.error) == ((good,), '')
    assert not core.finished


@pytest.mark.parametrize('scheduler', STEPWISE)
@pytest.mark.parametrize('error', ['', 'out of memory'])
def test_a_job_whose_next_segment_is_refused_ends_when_the_one_before_has(
        leading, scheduler, error):
    core = leading(scheduler)
    core.network.broken['submit 1'] = RuntimeError('lost device')
    core.admit(1)
    core.let_pass(0.2)
    assert core.on_their_way() == [('net', 0)]
    assert not core.finished
    assert core.network.flights
    core.end(error=error)
    job = core.next_job()
    assert (job.error, job.outputs) == ('lost device', None)
    assert [work.segment for work in core.watched.completed] == [0, 1]
    assert not core.reports


@pytest.mark.parametrize('what', ['complete', 'enqueue'])
def test_a_job_that_cannot_be_scheduled_any_more_ends_when_what_runs_has(
        leading, monkeypatch, what):
    core = leading(Levelled())
    core.admit(1)
    core.let_pass()
    monkeypatch.setattr(core.watched, what, lambda work, now_s: [][0])
    core.let_pass(0.2)
    monkeypatch.undo()
    assert core.on_their_way() == [('net', 0)]
    assert not core.finished
    core.end()
    assert core.next_job().error == 'list index out of range'
    assert not core.finished
    assert not core.reports


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_a_job_found_hopeless_before_a_segment_ended_is_given_up_when_it_has(leading, scheduler):
    core = leading(scheduler, late_policy='drop')
    hopeless = core.admit(1, deadline_s=NOW_S + 0.35)
    core.let_pass(0.25)
    core.end()                          # 0.15 s too late
    core.let_pass(0.1 - LEAD_S + 1e-6)
    assert len(core.watched.completed) == 2
    core.let_pass(1.0)
    assert core.on_their_way() == [('net', 1)]
    assert not core.dropped
    assert core.network.flights
    core.end()
    request, reason, sentence = core.next_drop()
    assert (request, reason) == (hopeless, 'late')
    assert 'deadline' in sentence
    assert not core.network.flights
    assert len(core.announced(2)) == 2
    assert not core.watched.enqueued
    assert not core.finished
    core.admit(2)                       # on the only lane
    for _ in range(3):
        core.let_pass(0.1)
        core.end()
    assert core.next_job().outputs is not None
    assert not core.dropped


@pytest.mark.parametrize('late_policy, deadline_s', [('run', 0.35), ('drop', 0.45)])
def test_a_job_with_hope_or_that_may_be_late_goes_on_before_a_segment_ended(
        leading, late_policy, deadline_s):
    core = leading(late_policy=late_policy)
    core.admit(1, deadline_s=NOW_S + deadline_s)
    core.let_pass(0.25)
    core.end()
    core.let_pass(0.1)
    assert core.on_their_way() == [('net', 1), ('net', 2)]
    core.end()
    core.end()
    assert core.next_job().outputs is not None
    assert not core.dropped


def test_a_job_found_hopeless_before_a_segment_failed_has_failed(leading):
    core = leading(late_policy='drop')
    core.admit(1, deadline_s=NOW_S + 0.35)
    core.let_pass(0.25)
    core.end()
    core.let_pass(0.1)
    core.end(error='lost device')
    assert core.next_job().error == 'lost device'
    assert not core.dropped


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_stopping_lets_a_job_with_two_segments_under_way_run_to_its_end(leading, scheduler):
    core = leading(scheduler)
    core.admit(1)
    core.let_pass(0.095)
    assert len(core.on_their_way()) == 2
    core.post(Stopping())
    for _ in range(3):
        core.engine.finish()
    assert core.next_job().outputs is not None
    assert core.has_stopped


# levels

@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('levels, wanted', [
    ({}, {'net': 0, 'other': 0}), ({'net': 2, 'other': 1}, {'net': 2, 'other': 1})])
def test_segments_reach_the_device_at_the_level_that_the_scheduler_says(
        leading, whole, levels, wanted):
    core = leading(Levelled(whole, **levels), levels=3)
    with core.held():
        core.admit()
        core.admit(instance='other')
    for segment in range(3):
        core.let_pass()
        for name in ('net', 'other'):
            (step,) = [step for step in core.engine.running()
                       if step.network is core.queues[name].network]
            assert (step.segment, step.level) == (segment, wanted[name])
        core.end('net')
        core.end('other')
    assert [core.next_job().error for _ in range(2)] == ['', '']


def test_the_next_segment_may_have_another_level(leading):
    levels = {'net': 2}
    scheduler = Levelled()
    scheduler.levels = levels
    core = leading(scheduler, levels=3)
    core.admit()
    for level, next_level in ((2, 0), (0, 1), (1, 1)):
        core.let_pass(0.05)
        assert core.engine.running()[0].level == level
        levels['net'] = next_level
        core.end()
    assert not core.next_job().error


def test_with_levels_an_urgent_job_starts_at_once_and_goes_first(leading):
    core = leading(make_scheduler('overlapping', levels=3), levels=3)
    core.admit(deadline_s=NOW_S + 10.0)
    core.let_pass(0.01)
    core.admit(deadline_s=NOW_S + 1.0, instance='other')
    core.let_pass()
    assert core.on_their_way() == [('net', 0), ('other', 0)]
    net, other = core.engine.submitted()
    assert other.level < net.level < 3
    core.let_pass(0.2)              # only the urgent one is told of
    assert core.on_their_way() == [('net', 0), ('other', 0), ('other', 1)]


@pytest.mark.parametrize('scheduler', STEPWISE)
@pytest.mark.parametrize('ended', [0, 1, 2])
def test_a_job_that_stands_still_is_given_up_with_what_was_submitted_ahead(
        leading, scheduler, ended):
    core = leading(scheduler, gated=True)
    core.admit()
    for _ in range(ended):
        core.let_pass(0.1)
        core.end()
    core.let_pass(100.0)
    assert core.next_job().error.startswith(f'segment {ended} has not ended for')
    # each segment was completed once, and nobody waits for it any more
    assert [work.segment for work in core.watched.completed] == list(range(min(ended + 2, 3)))
    assert not (core.watched.withdrawn or core.network.flights or core.queues['net'].lanes_taken)
    core.admit(instance='other')
    assert ('other', 0) in core.on_their_way()
    for step in core.engine.running_now():      # it does end after all
        core.engine.end(step)
    core.step()
    assert not core.finished and not core.reports
