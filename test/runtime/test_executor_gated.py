"""An executor whose jobs wait on the device: who is held, and what happens while some are."""

import queue

import pytest
from executor_bench import NOW_S, TWO, WAIT_S
from fake_engine import FakeGatedEngine

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.profiling.table import ProfileRow
from s3dnn_ros.runtime.progress_watch import LEAST_STANDSTILL_S, LOOK_S, STANDSTILL_RUNS


@pytest.fixture
def run(make_executor, cuttable):
    """Return an executor with two instances of a network whose two segments fill the device."""
    cuttable.profile(('b',), rows=tuple(ProfileRow(segment, 1, 100.0, 100.0, 100.0, 1.0, 1.0)
                                        for segment in range(2)))
    clock = VirtualClock(NOW_S)
    made = make_executor(TWO, engine=FakeGatedEngine(clock), clock=clock, spec=cuttable.spec,
                         fusion=False)
    made.offer = lambda make_batch, make_frame, instance, deadline_s: made.executor.accept(
        make_batch(make_frame(deadline_s=deadline_s), instance=instance, model='chain'))
    return made


def segments(run):
    return [step.segment for step in run.engine.running(0, timeout=0.0)]


def hold_one(run, make_batch, make_frame):
    """Have a job held behind its first segment by a more urgent one; return its last step."""
    run.offer(make_batch, make_frame, 'net', NOW_S + 1.0)
    first, = run.engine.running()
    run.offer(make_batch, make_frame, 'other', NOW_S + 0.21)
    run.engine.running(2)
    run.engine.finish(first)
    held = [step for step in run.engine.submitted() if step.flight is first.flight]
    assert [step.segment for step in held] == [1]
    return held[0]


def test_a_more_urgent_request_stops_what_runs(run, make_batch, make_frame):
    held = hold_one(run, make_batch, make_frame)
    urgent, = run.engine.running()
    assert urgent.flight is not held.flight
    for _ in range(2):
        run.engine.finish()
    assert run.results.get(timeout=WAIT_S).instance == 'other'
    assert run.engine.running() == [held]
    run.engine.finish()
    assert run.results.get(timeout=WAIT_S).instance == 'net'


def test_each_network_has_a_lane_for_what_waits_on_the_device(run):
    (*_, lanes, _), = run.engine.loads
    assert lanes == len(TWO) + 1


def test_a_model_is_reloaded_while_no_job_is_held(
        run, make_batch, make_frame, cuttable, executor_settings):
    held = hold_one(run, make_batch, make_frame)
    run.engine.may_load.clear()
    ended = queue.Queue()
    run.executor.reload(dict.fromkeys(TWO, cuttable.spec),
                        executor_settings(TWO, fusion=False),
                        ended.put)
    # both run, and nothing is armed, before anything is loaded
    assert held in run.engine.running(2) and run.engine.arming == [True, False]
    loads = len(run.engine.loads)
    run.engine.may_load.set()
    assert ended.get(timeout=WAIT_S) is None and len(run.engine.loads) > loads
    assert run.engine.arming[-1]
    run.engine.let_go()
    assert {run.results.get(timeout=WAIT_S).instance for _ in TWO} == set(TWO)


def test_a_network_whose_job_stands_still_is_loaded_anew(run, make_batch, make_frame):
    loads = len(run.engine.loads)
    run.offer(make_batch, make_frame, 'net', NOW_S + 100.0)
    run.engine.running()
    for _ in range(int((LEAST_STANDSTILL_S + STANDSTILL_RUNS * 0.2) / LOOK_S) + 2):
        run.clock.advance(LOOK_S)
        # the core has stepped when nobody is held
        with run.executor._quiet():
            pass
    run.complained("instance 'net': its network is being restarted, as a run failed: segment 0 "
                   'has not ended for')
    run.complained('was restarted and runs again')
    assert len(run.engine.loads) == loads + 1 and run.dropped() == {'engine': 1}
    run.offer(make_batch, make_frame, 'net', NOW_S + 1000.0)
    run.engine.running(2)
    run.engine.let_go()
    assert run.results.get(timeout=WAIT_S).instance == 'net'


def test_a_device_that_is_lost_while_a_job_is_held_is_told_and_nobody_waits(
        run, make_batch, make_frame):
    held = hold_one(run, make_batch, make_frame)
    run.engine.loss = 'an illegal memory access'
    for _ in range(2):
        run.engine.finish(error='an illegal memory access')
    sentence, _ = run.losses.get(timeout=WAIT_S)
    assert sentence == 'engine fake on none is lost: an illegal memory access'
    # what was held goes on, so that its error is seen, too
    run.engine.finish(held, error='an illegal memory access')
    assert run.settled() and run.results.empty()
    assert [dict(count.dropped) for count in run.executor.counters.snapshot()] == 2 * [
        {'engine': 1}]


def test_parameters_that_change_while_a_job_is_held_hold_it_still_and_disarm_nothing(
        run, make_batch, make_frame, executor_settings):
    held = hold_one(run, make_batch, make_frame)
    run.executor.configure(executor_settings(TWO, fusion=False, max_queue=1, late_policy='drop'))
    urgent, = run.engine.running()
    run.engine.finish(urgent)
    urgent, = run.engine.running()
    assert urgent.flight is not held.flight and run.engine.arming == [True]
    run.engine.finish(urgent)
    assert run.results.get(timeout=WAIT_S).instance == 'other'
    run.engine.finish(held)
    assert run.results.get(timeout=WAIT_S).instance == 'net'


@pytest.mark.parametrize('values, holds', [
    ({}, True), ({'overlap': False}, False), ({'order': 'slack'}, False),
    ({'scheduler': 'edf'}, False), ({'cohort': True}, False)])
def test_supervised_holds_whole_jobs_unless_it_is_to_decide_at_every_segment(
        make_executor, cuttable, values, holds):
    cuttable.profile(('b',))
    clock = VirtualClock(NOW_S)
    run = make_executor(('net',), engine=FakeGatedEngine(clock), clock=clock,
                        spec=cuttable.spec, **values)
    (*_, lanes, _), = run.engine.loads
    # what is held keeps a lane
    assert lanes == 1 + holds and run.engine.arming == [True]


def test_lanes_are_disarmed_while_a_model_is_reloaded_whoever_decides(
        make_executor, cuttable, executor_settings, make_batch, make_frame):
    cuttable.profile(('b',))
    clock = VirtualClock(NOW_S)
    run = make_executor(('net',), engine=FakeGatedEngine(clock), clock=clock,
                        spec=cuttable.spec, scheduler='edf')
    run.engine.let_go()
    ended = queue.Queue()
    run.executor.reload({'net': cuttable.spec}, executor_settings(('net',), scheduler='edf'),
                        ended.put)
    assert ended.get(timeout=WAIT_S) is None and run.engine.arming == [True, False, True]
    run.executor.accept(make_batch(make_frame(), instance='net', model='chain'))
    assert run.results.get(timeout=WAIT_S).instance == 'net'


def test_a_job_that_stands_still_is_found_whoever_decides_and_one_that_waits_is_not(
        make_executor, cuttable, make_batch, make_frame):
    cuttable.profile(('b',))
    clock = VirtualClock(NOW_S)
    run = make_executor(TWO, engine=FakeGatedEngine(clock), clock=clock, spec=cuttable.spec,
                        scheduler='edf', fusion=False)
    loads = len(run.engine.loads)

    def offer(instance, within_s):
        run.executor.accept(make_batch(make_frame(deadline_s=NOW_S + within_s),
                                       instance=instance, model='chain'))
        return run.engine.running()[0]

    def pass_time(seconds):
        for _ in range(int(seconds / LOOK_S)):
            run.clock.advance(LOOK_S)
            # the core has stepped when nobody is held
            with run.executor._quiet():
                pass

    first = offer('net', 100.0)
    offer('other', 50.0)
    run.engine.finish(first)
    for _ in range(2):
        urgent, = run.engine.running()
        assert urgent.flight is not first.flight
        pass_time(0.75 * STANDSTILL_RUNS * 0.2)
        run.engine.finish(urgent)
    assert run.results.get(timeout=WAIT_S).instance == 'other'
    assert run.engine.running()[0].flight is first.flight
    pass_time(0.5 * STANDSTILL_RUNS * 0.2)
    assert len(run.engine.loads) == loads
    pass_time(STANDSTILL_RUNS * 0.2)
    run.complained('segment 1 has not ended for')
    run.complained('was restarted and runs again')
