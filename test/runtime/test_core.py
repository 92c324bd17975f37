"""Order, bounds, errors apart, and an end that loses nothing."""

import pytest
from core_bench import NOW_S

from s3dnn_ros.runtime.events import LoadWanted, Stopping
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.load_report import LEAST_SILENCE_S, MOST_SILENCE_S
from s3dnn_ros.scheduling import Dispatch
from s3dnn_ros.scheduling.fifo import Fifo


@pytest.mark.parametrize('fuse', [True, False])
def test_requests_run_one_after_another_in_the_order_of_their_arrival(bench, fuse):
    core = bench(fusion=fuse)
    requests = [core.admit(value) for value in range(5)]
    for index, request in enumerate(requests):
        value, job = core.finish()
        assert (value, job.requests) == (index, (request,))
        assert job.outputs is not None
        assert not job.error
    assert not core.dropped


def test_a_failed_run_is_reported_and_hurts_no_other(bench):
    core = bench()
    core.admit(1)
    core.admit(2)
    _, bad = core.finish(error='out of memory')
    _, good = core.finish()
    assert bad.error == 'out of memory'
    assert bad.outputs is None
    assert not good.error


@pytest.mark.parametrize('fuse', [True, False])
def test_beyond_the_bound_the_oldest_that_waits_is_dropped(bench, fuse):
    core = bench(max_queue=2, fusion=fuse)
    running = core.admit(0)
    waiting = [core.admit(value) for value in (1, 2, 3)]
    request, reason, sentence = core.next_drop()
    assert request is waiting[0]
    assert reason == 'queue'
    assert 'max_queue (2)' in sentence
    for value, expected in ((0, running), (2, waiting[1]), (3, waiting[2])):
        found, job = core.finish()
        assert (found, job.requests) == (value, (expected,))
    assert not core.dropped


def test_what_can_start_at_once_does_not_count_as_waiting(bench):
    networks = {name: {} for name in ('net', 'a', 'b', 'c')}
    core = bench(networks, scheduler='streams', max_queue=1)
    with core.held():
        for name in networks:
            core.admit(instance=name)
    assert len(core.engine.running(4)) == 4
    assert not core.dropped


def test_a_smaller_bound_takes_effect_with_the_next_request(bench):
    core = bench(max_queue=10)
    for value in range(5):
        core.admit(value)
    core.engine.running()
    core.change(max_queue=1)
    core.admit(5)
    assert [int(core.next_drop()[0].batch.pixels.flat[0]) for _ in range(4)] == [1, 2, 3, 4]
    assert [core.finish()[0] for _ in range(2)] == [0, 5]


def test_a_late_batch_runs_if_that_is_the_policy(bench):
    core = bench(late_policy='run')
    core.admit(1, deadline_s=99.0)
    assert core.finish()[0] == 1


def test_a_network_is_told_the_earliest_deadline_and_its_units_go_on_to_the_job(bench):
    core = bench(fusion=False)
    core.admit(1, deadline_s=200.0, frames=2)
    _, job = core.finish(units=('one', 'two'))
    assert core.network.deadlines_s == [200.0] and job.units == ('one', 'two')


def test_a_run_that_is_untypical_teaches_nothing(bench):
    core = bench()
    for took_s, untypical in ((0.1, False), (5.0, True)):
        core.admit()
        _, job = core.finish(took_s=took_s, untypical=untypical)
        assert job.untypical == untypical
        assert core.queues['net'].expect.run_s(1) == pytest.approx(0.1)


@pytest.mark.parametrize('fuse', [True, False])
def test_a_late_batch_is_dropped_if_that_is_the_policy_and_the_next_one_runs(bench, fuse):
    core = bench(late_policy='drop', fusion=fuse)
    core.admit(0)
    core.engine.running()
    late = [core.admit(value, deadline_s=101.0) for value in (1, 2)]
    core.admit(3, deadline_s=110.0)
    core.clock.advance(2.0)
    assert core.finish()[0] == 0
    for request in late:
        dropped, reason, sentence = core.next_drop()
        assert dropped is request
        assert reason == 'late'
        assert 'deadline' in sentence
    assert core.finish()[0] == 3


def test_the_load_is_told_when_a_batch_starts_and_when_it_ends(bench):
    told = []

    def tell(loads, now_s, must):
        told.append((loads, must))
        return True
    core = bench(tell=tell)
    assert told == [([], True)]
    core.admit(1, deadline_s=NOW_S + 7.0)
    core.let_pass(LEAST_SILENCE_S)
    (load,), _ = told[-1]
    assert load.started and load.deadline_s == NOW_S + 7.0
    core.admit(2, deadline_s=NOW_S + 8.0)
    core.let_pass(0.1)
    before = len(told)
    core.post(LoadWanted())
    assert [must for _, must in told[before:]] == [True]
    assert sorted(load.started for load in told[-1][0]) == [False, True]
    for _ in range(2):
        core.finish()
        core.let_pass(LEAST_SILENCE_S)
    assert told[-1][0] == []


def test_the_load_is_told_again_and_again_though_nothing_changes(bench):
    told = []

    def tell(loads, now_s, must):
        told.append(now_s - NOW_S)
        assert must
        return True
    core = bench(tell=tell)
    core.let_pass(3.5 * MOST_SILENCE_S)
    assert told == pytest.approx([0.0, MOST_SILENCE_S, 2 * MOST_SILENCE_S, 3 * MOST_SILENCE_S])


def test_a_load_that_was_not_worth_telling_leaves_the_silence_as_it_is(bench):
    asked = []

    def tell(loads, now_s, must):
        asked.append((now_s - NOW_S, must))
        return must
    core = bench(tell=tell)
    core.let_pass(0.5 * MOST_SILENCE_S)
    core.admit(1)
    core.let_pass(0.6 * MOST_SILENCE_S)
    times_s, musts = zip(*asked)
    assert times_s == pytest.approx([0.0, 0.5 * MOST_SILENCE_S, MOST_SILENCE_S], abs=0.003)
    assert musts == (True, False, True)


def test_a_batch_that_starts_at_its_deadline_is_not_late(bench):
    core = bench(late_policy='drop')
    core.admit(1, deadline_s=100.0)
    assert core.finish()[0] == 1


@pytest.mark.parametrize('deadline_s, late', [(100.6, False), (100.4, True)])
def test_a_batch_is_late_if_even_a_run_of_its_own_cannot_meet_the_deadline(
        bench, make_profile, deadline_s, late):
    core = bench({'net': {'profile': make_profile(0.4, 0.1)}}, late_policy='drop')
    request = core.admit(1, deadline_s=deadline_s)
    if late:
        assert core.next_drop()[:2] == (request, 'late')
    else:
        assert core.finish()[0] == 1


@pytest.mark.parametrize('scheduler, late_policy', [
    ('edf', 'run'), ('supervised', 'run'), ('fifo', 'drop'), ('streams', 'drop')])
def test_a_job_that_becomes_late_between_its_segments_runs_to_its_end(
        bench, scheduler, late_policy):
    core = bench({'net': {'segments': 2}}, scheduler=scheduler, late_policy=late_policy)
    core.admit(1, deadline_s=100.5)
    core.engine.finish(took_s=1.0)
    _, job = core.finish()
    assert not job.error
    assert not core.dropped


def test_what_could_start_before_the_end_runs(bench):
    core = bench()
    with core.held():
        first, second = core.admit(1), core.admit(2)
        core.post(Stopping())
    assert core.finish()[1].requests == (first,)
    assert core.next_drop()[:2] == (second, 'shutdown')
    assert core.has_stopped


@pytest.mark.parametrize('scheduler', ['edf', 'fifo'])
@pytest.mark.parametrize('segments', [1, 3])
def test_stopping_drops_what_waits_and_finishes_what_runs(bench, segments, scheduler):
    core = bench({'net': {'segments': segments}}, scheduler=scheduler)
    core.admit(0)
    waiting = [core.admit(1), core.admit(2)]
    core.engine.running()
    core.post(Stopping())
    assert [core.next_drop()[:2] for _ in waiting] == [
        (request, 'shutdown') for request in waiting]
    for _ in range(segments - 1):
        core.engine.finish()
    value, job = core.finish()
    assert value == 0
    assert job.outputs is not None
    assert core.has_stopped


def test_a_request_admitted_while_stopping_is_dropped(bench):
    core = bench()
    core.admit(0)
    core.admit(1)
    core.engine.running()
    core.post(Stopping())
    core.next_drop()                   # it is stopping now
    last = core.admit(2)
    core.finish()
    assert core.has_stopped
    assert [what[0] for what in core.dropped] == [last]


@pytest.mark.parametrize('scheduler', ['edf', 'fifo'])
@pytest.mark.parametrize('where', ['open', 'submit', 'outputs', 'close'])
@pytest.mark.parametrize('error, said', [(RuntimeError('lost device'), 'lost device'),
                                         (KeyError(), 'KeyError()')])
def test_whatever_an_engine_raises_fails_that_job_and_the_next_one_runs(
        bench, where, error, said, scheduler):
    core = bench({'net': {'segments': 2}}, scheduler=scheduler)
    core.network.broken[where] = error
    core.admit(1)
    core.admit(2)
    if where in ('outputs', 'close'):
        core.engine.finish()
        core.engine.finish()
    bad = core.next_job()
    assert bad.error == said
    core.engine.finish()
    value, good = core.finish()
    assert (value, good.error) == (2, '')
    assert not core.reports
    assert not core.network.flights


def test_a_segment_that_is_refused_in_the_middle_fails_the_job(bench):
    core = bench({'net': {'segments': 2}}, scheduler='edf')
    core.admit(1)
    core.engine.running()
    core.network.broken['submit'] = RuntimeError('lost device')
    core.engine.finish()
    assert core.next_job().error == 'lost device'


class BrokenExpectation(Expectation):
    """Fails once to say what a run will take, or to learn from the segment of this number."""

    def __init__(self, segments, what, segment):
        super().__init__(segments)
        self.broken = {what: segment}

    def work(self, *what):
        self.break_at('work', 0)
        return super().work(*what)

    def observe(self, segment, *what):
        self.break_at('observe', segment)
        super().observe(segment, *what)

    def break_at(self, what, segment):
        if self.broken.get(what) == segment:
            del self.broken[what]
            raise KeyError('no such batch')


@pytest.mark.parametrize('scheduler, what, segment', [
    *((scheduler, what, 0) for scheduler in ('edf', 'fifo', 'supervised')
      for what in ('work', 'observe')),
    *((scheduler, 'observe', 1) for scheduler in ('edf', 'supervised'))])
def test_a_job_that_cannot_be_scheduled_fails_alone_and_gives_its_lane_back(
        bench, scheduler, what, segment):
    core = bench({'net': {'segments': 2}}, scheduler=scheduler)
    core.queues['net'].expect = BrokenExpectation(2, what, segment)
    core.engine.let_go()
    bad = core.admit(1)
    job = core.next_job()
    assert job.requests == (bad,)
    assert job.error == "'no such batch'"
    core.clock.advance(1.0)     # a policy may wait a moment for the segment that never comes
    core.admit(2)
    assert not core.next_job().error
    assert not core.reports
    assert core.free()


def test_when_nobody_can_take_the_end_of_a_job_the_next_one_runs_all_the_same(bench):
    core = bench()
    core.admit(1)
    core.admit(2)
    take, core.take_finished = core.take_finished, lambda job: [][0]
    core.engine.finish()
    assert 'please report this' in core.reports.popleft()
    core.take_finished = take
    assert core.finish()[0] == 2


def test_the_first_error_of_a_job_is_the_one_told(bench):
    core = bench()
    core.network.broken['close'] = RuntimeError('cannot be closed')
    core.admit(1)
    assert core.finish(error='out of memory')[1].error == 'out of memory'


def test_the_busy_time_counts_once_while_several_run_and_not_while_nothing_does(bench):
    core = bench({'net': {'lanes': 2}}, scheduler='streams', fusion=False)
    core.admit()
    core.engine.finish(took_s=0.5)
    core.next_job()
    assert core.total_busy_s == pytest.approx(0.5)
    core.clock.advance(10.0)
    core.admit()
    core.admit()
    core.engine.running(2)
    core.engine.finish(took_s=1.0)
    core.next_job()
    assert core.total_busy_s == pytest.approx(1.5)       # though one still runs
    core.engine.finish(took_s=0.25)
    core.next_job()
    assert core.total_busy_s == pytest.approx(1.75)


def test_the_busy_times_of_instances_are_of_those_whose_work_is_on_the_device(bench):
    core = bench({'net': {'segments': 2}, 'other': {}})
    core.occupy()
    core.admit(instance='net')
    core.let_pass(0.5)
    assert core.busy_s() == pytest.approx({'other': 0.5})
    core.end('other')
    core.let_pass(0.25)
    core.end('net')
    core.let_pass(0.25)
    assert core.busy_s() == pytest.approx({'other': 0.5, 'net': 0.5})
    core.end('net')
    core.let_pass(4.0)
    assert core.busy_s() == pytest.approx({'other': 0.5, 'net': 0.5})


def test_a_job_of_two_instances_is_work_of_both(bench, make_profile):
    core = bench({'net': {'profile': make_profile(1.0, 0.1)}, 'other': {}})
    core.occupy()
    core.admit(instance='net')
    core.admit(instance='net2')
    core.let_pass()
    core.end('other')
    core.let_pass(0.5)
    core.end('net')
    assert {request.instance.name for request in core.next_job().requests} == {'other'}
    assert len(core.next_job().requests) == 2
    assert core.busy_s() == pytest.approx(
        {'other': 0.0, 'net': 0.5, 'net2': 0.5})


def test_an_engine_that_wants_it_is_polled_while_something_runs(bench):
    core = bench()
    polled = []

    def poll():
        polled.append(core.engine.running_now())
        if len(polled) == 3:
            core.engine.end(*polled[-1])

    core.engine.poll_s, core.engine.poll = 1e-3, poll
    core.admit()
    core.let_pass(0.1)
    assert not core.next_job().error
    assert len(polled) == 3


def test_the_scheduler_is_asked_again_when_it_wants_to_wake(bench):
    core = bench()
    asked = []

    def dequeue(now_s):
        asked.append(now_s)
        return scheduler.dequeue(now_s) if len(asked) > 3 else Dispatch()

    scheduler = Fifo()
    core.watched.dequeue, core.watched.complete = dequeue, scheduler.complete
    core.watched.next_wake_s = lambda now_s: now_s + 1e-3 if asked else None
    core.watched._scheduler = scheduler
    core.admit(5)
    core.let_pass(0.1)
    assert core.finish()[0] == 5


@pytest.mark.parametrize('scheduler', ['edf', 'gated'])
def test_a_job_whose_end_nobody_can_expect_keeps_its_lane_until_it_has_ended(
        bench, make_profile, scheduler):
    # ends are expected where somebody looks for them
    core = bench({'net': {'profile': make_profile(0.1, 0.0)}}, scheduler=scheduler,
                 device={'poll_s': 1e-3})

    def broken(*_):
        raise RuntimeError('no time is known')
    expect = core.queues['net'].expect
    expect.segment_s = expect.least_left_s = broken
    core.admit(1)
    # a lane that was given back while it runs would get the next images
    assert not core.finished and len(core.engine.running()) == len(core.network.flights) == 1
    core.engine.finish()
    assert core.next_job().error == 'no time is known'
    assert not core.network.flights and not core.reports
