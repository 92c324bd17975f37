"""A core whose scheduler holds what it submitted: jobs stop on the device, and go on."""

import math
import types

import pytest
from core_bench import NOW_S
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.simulated import SimulatedEngine
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.events import Arrival, HoldingChanged, Parameters
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.progress_watch import LEAST_STANDSTILL_S, LOOK_S, STANDSTILL_RUNS
from s3dnn_ros.runtime.virtual_driver import VirtualDriver
from s3dnn_ros.scheduling import make_scheduler

SEGMENT_S = 0.1


@pytest.fixture
def gated(bench, make_profile):
    """Return a bench with the networks `net` and `other`, of three segments of 0.1 s each."""
    network = {'segments': 3, 'profile': make_profile(0.3, 0.0, 3)}
    return bench({'net': network, 'other': network}, scheduler='gated', late_policy='run')


def running(core):
    """Return (network, segment) of all that runs now."""
    names = {id(queue.network): name for name, queue in core.queues.items()}
    return [(names[id(step.network)], step.segment) for step in core.engine.running(0)]


def test_a_more_urgent_job_stops_what_runs_behind_its_segment(gated):
    gated.admit(1, deadline_s=NOW_S + 0.5)
    gated.end('net')
    assert running(gated) == [('net', 1)]
    gated.admit(2, deadline_s=NOW_S + 0.35, instance='other')
    assert running(gated) == [('net', 1), ('other', 0)]
    gated.end('net')
    for segment in range(3):
        assert running(gated) == [('other', segment)]
        gated.end('other', took_s=SEGMENT_S)
    assert gated.next_job().queue is gated.queues['other']
    assert running(gated) == [('net', 2)]
    gated.end('net')
    job = gated.next_job()
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([1])


def test_times_of_a_job_that_was_held_teach_nothing(gated):
    expect = gated.queues['net'].expect
    gated.admit(deadline_s=NOW_S + 0.5)
    gated.admit(deadline_s=NOW_S + 0.35, instance='other')
    for _ in range(3):
        gated.end('other', took_s=0.1)
    for _ in range(3):
        gated.end('net', took_s=0.1)
    assert len([gated.next_job() for _ in range(2)]) == 2
    assert expect.run_s(1) == pytest.approx(0.3)


def test_a_job_that_fails_makes_way_for_the_one_it_held(gated):
    gated.admit(deadline_s=NOW_S + 0.5)
    gated.admit(deadline_s=NOW_S + 0.35, instance='other')
    gated.end('net')
    for segment in range(3):
        gated.end('other', error='gone' if segment == 0 else '')
    assert gated.next_job().error == 'gone'
    assert running(gated) == [('net', 1)]


def test_a_job_that_cannot_be_started_is_told_and_the_others_run(gated):
    gated.queues['other'].network.broken['open'] = RuntimeError('no memory')
    with gated.held():
        gated.admit(deadline_s=NOW_S + 0.5)
        gated.admit(deadline_s=NOW_S + 0.31, instance='other')
        gated.admit(deadline_s=NOW_S + 0.6, instance='net2')
    assert 'no memory' in gated.next_job().error
    assert running(gated) == [('net', 0)]
    assert not gated.reports


def test_the_scheduler_hears_how_long_it_took_to_carry_its_last_decision_out(gated, monkeypatch):
    heard = []
    monkeypatch.setattr(gated.watched, 'carried_out', heard.append)
    gated.core.step_s = 0.25
    gated.admit()
    assert heard[0] == 0.25


def test_while_nothing_may_be_held_all_goes_on(gated):
    gated.admit(deadline_s=NOW_S + 0.5)
    gated.admit(deadline_s=NOW_S + 0.35, instance='other')
    gated.end('net')
    assert running(gated) == [('other', 0)]
    none_held = []
    gated.post(HoldingChanged(False, lambda: none_held.append(sorted(running(gated)))))
    assert none_held == [[('net', 1), ('other', 0)]]
    gated.admit(deadline_s=NOW_S + 0.3, instance='net2')
    for _ in range(3):
        gated.end('other')
    assert running(gated) == [('net', 1)] and gated.on_their_way() == [('net', 1), ('net', 2)]
    gated.post(HoldingChanged(True, lambda: None))
    gated.admit(deadline_s=NOW_S + 0.31, instance='other')
    assert running(gated) == [('net', 1), ('other', 0)]


def test_who_waits_in_vain_is_dropped_at_once_and_keeps_no_lane_from_others(bench, make_profile):
    network = {'segments': 3, 'profile': make_profile(0.3, 0.0, 3)}
    core = bench({'net': network, 'other': {**network, 'lanes': 1}}, scheduler='gated',
                 late_policy='drop')
    core.admit(deadline_s=NOW_S + 0.31)
    core.admit(deadline_s=NOW_S + 0.35, instance='other')
    core.admit(deadline_s=NOW_S + 1.0, instance='other')
    assert running(core) == [('net', 0)] and not core.dropped
    core.let_pass(0.06)
    core.end('net')
    assert [reason for _, reason, _ in core.dropped] == ['late']
    # the device has not got to `other` yet
    assert running(core) == [('net', 1)] and not core.reports
    for _ in range(2):
        core.end('net')
    assert running(core) == [('other', 0)]


@pytest.mark.parametrize('scheduler', ['fifo', 'supervised', 'streams'])
def test_schedulers_that_hold_nothing_have_none_held(bench, scheduler):
    none_held = []
    core = bench(scheduler=scheduler)
    core.admit()
    core.post(HoldingChanged(False, lambda: none_held.append(True)))
    assert none_held


def test_a_job_that_stands_still_is_ended_and_the_others_go_on(gated):
    gated.admit(deadline_s=NOW_S + 100.0)
    gated.end('net')
    gated.let_pass(LEAST_STANDSTILL_S - LOOK_S)
    assert not gated.finished
    stuck = gated.engine.running()[0]
    gated.let_pass(2 * LOOK_S + STANDSTILL_RUNS * 0.3)
    job = gated.next_job()
    assert 'segment 1 has not ended for' in job.error and 'hangs' in job.error
    assert gated.watched.completed[-1] is job.work
    gated.admit(deadline_s=gated.clock.now_s() + 1.0, instance='other')
    # it ends after all, when nobody waits for it any more
    gated.engine.finish(stuck)
    for _ in range(3):
        gated.end('other')
    assert not gated.next_job().error and not gated.finished and not gated.reports


def test_who_goes_on_slowly_does_not_stand_still(gated):
    gated.admit(deadline_s=NOW_S + 500.0)
    gated.admit(deadline_s=NOW_S + 400.0, instance='other')
    while len(gated.finished) < 2:
        gated.let_pass(max(LEAST_STANDSTILL_S, STANDSTILL_RUNS * 0.3) - 2 * LOOK_S)
        for step in gated.engine.running():
            gated.engine.finish(step)
    assert not any(job.error for job in gated.finished)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.3, 1.5), st.integers(0, 2)),
                min_size=1, max_size=12))
def test_on_a_simulated_device_everything_runs_once_and_the_device_never_idles(
        make_batch, make_frame, arrivals):
    clock = VirtualClock(NOW_S)
    profile = ProfileTable('net', '', 'simulated', 'simulated', 'default', {}, tuple(
        ProfileRow(segment, 1, 1e3 * SEGMENT_S, 1e3 * SEGMENT_S, 1e3 * SEGMENT_S, 1.0, 1.0)
        for segment in range(3)))
    engine = SimulatedEngine(clock, {'net': profile})
    queues = [ModelQueue(engine.load('net', [], [], types.SimpleNamespace(name='net'), lanes=12),
                         Expectation(3, profile)) for _ in range(3)]
    finished, dropped = [], []
    core = Core(make_scheduler('gated'), engine, finished.append,
                lambda *what: dropped.append(what), dropped.append,
                Parameters(late_policy='run', fusion=False))
    driver = VirtualDriver(core, engine, clock)
    for at_s, within_s, index in arrivals:
        def arrive(deadline_s=NOW_S + at_s + within_s, index=index):
            batch = make_batch(make_frame(deadline_s=deadline_s))
            request = Request(Instance(f'net {index}', None, queues[index], None,
                                       types.SimpleNamespace(priority=0)), batch, clock.now_s())
            request.staged = batch.pixels
            core.post(Arrival(request))
        driver.at(NOW_S + at_s, arrive)
    driver.run_until(NOW_S + 10.0)
    assert len(finished) == len(arrivals) and not dropped
    # the device is full with one: it does one second of work in a second
    ends_s, done_s = sorted(job.ended_s for job in finished), -math.inf
    for at_s in sorted(at_s for at_s, _, _ in arrivals):
        done_s = max(done_s, NOW_S + at_s) + 3 * SEGMENT_S
    assert ends_s[-1] == pytest.approx(done_s)
