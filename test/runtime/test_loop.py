"""The loop: order, lateness, bounds, isolation of errors, and an end that loses nothing."""

import queue
import threading
import types

import numpy as np
import pytest

from s3dnn_ros.runtime.clock import VirtualClock
from s3dnn_ros.runtime.instance import Instance, Job
from s3dnn_ros.runtime.loop import Loop
from s3dnn_ros.scheduling import make_scheduler

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed


class Bench:
    """A loop with an engine that waits for us, and what it reported."""

    def __init__(self, engine_class, make_batch, make_frame, **options):
        self.clock = VirtualClock(100.0)
        self.engine = engine_class(self.clock)
        self.instance = Instance('net', None, None, None, types.SimpleNamespace(priority=3))
        self.finished = queue.Queue()
        self.dropped = queue.Queue()
        self.make_batch, self.make_frame = make_batch, make_frame
        self.reports = queue.Queue()
        self.loop = Loop(make_scheduler('fifo'), self.engine, self.clock, self.finished.put,
                         lambda *what: self.dropped.put(what), self.reports.put, **options)

    def admit(self, value=0, deadline_s=1e9):
        """Admit a job whose pixels all have this value."""
        batch = self.make_batch(self.make_frame(deadline_s=deadline_s),
                                pixels=np.full((1, 4, 4, 3), value, np.uint8))
        job = Job(self.instance, batch, self.clock.now_s())
        self.loop.admit(job)
        return job

    def finish(self, **result):
        """End the run under way; return the value of its pixels and the job reported."""
        value = int(self.engine.finish(**result).flat[0])
        return value, self.finished.get(timeout=WAIT_S)

    def next_drop(self):
        return self.dropped.get(timeout=WAIT_S)


@pytest.fixture
def bench(fake_engine, make_batch, make_frame):
    """Return a builder of benches; they are stopped at the end."""
    built = []

    def build(**options):
        bench = Bench(fake_engine, make_batch, make_frame, **options)
        bench.loop.start()
        built.append(bench)
        return bench

    yield build
    for bench in built:
        bench.engine.let_go()
        bench.loop.stop()


def test_jobs_run_one_after_another_in_the_order_of_their_arrival(bench):
    loop = bench()
    jobs = [loop.admit(value) for value in range(5)]
    for value, job in enumerate(jobs):
        assert loop.finish() == (value, job)
        assert job.run.outputs is not None
    assert loop.dropped.empty()


def test_jobs_from_several_threads_all_run(bench):
    loop = bench(max_queue=1000)
    loop.engine.let_go()
    threads = [threading.Thread(target=lambda: [loop.admit() for _ in range(50)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    jobs = [loop.finished.get(timeout=WAIT_S) for _ in range(200)]
    for thread in threads:
        thread.join()
    assert len(set(map(id, jobs))) == 200


def test_a_failed_run_is_reported_and_hurts_no_other(bench):
    loop = bench()
    loop.admit(1)
    loop.admit(2)
    _, bad = loop.finish(error='out of memory')
    _, good = loop.finish()
    assert bad.run.error == 'out of memory'
    assert bad.run.outputs is None
    assert not good.run.error


def test_beyond_the_bound_the_oldest_that_waits_is_dropped(bench):
    loop = bench(max_queue=2)
    running = loop.admit(0)
    waiting = [loop.admit(value) for value in (1, 2, 3)]
    job, reason, sentence = loop.next_drop()
    assert job is waiting[0]
    assert reason == 'queue'
    assert 'max_queue (2)' in sentence
    for value, expected in ((0, running), (2, waiting[1]), (3, waiting[2])):
        assert loop.finish() == (value, expected)
    assert loop.dropped.empty()


def test_a_smaller_bound_takes_effect_with_the_next_job(bench):
    loop = bench(max_queue=10)
    for value in range(5):
        loop.admit(value)
    loop.engine.wait_until_running()
    loop.loop.max_queue = 1
    loop.admit(5)
    assert [int(loop.next_drop()[0].batch.pixels.flat[0]) for _ in range(4)] == [1, 2, 3, 4]
    assert [loop.finish()[0] for _ in range(2)] == [0, 5]


def test_a_late_batch_runs_if_that_is_the_policy(bench):
    loop = bench(late_policy='run')
    loop.admit(1, deadline_s=99.0)
    assert loop.finish()[0] == 1


def test_a_late_batch_is_dropped_if_that_is_the_policy_and_the_next_one_runs(bench):
    loop = bench(late_policy='drop')
    loop.admit(0)
    late = [loop.admit(value, deadline_s=101.0) for value in (1, 2)]
    loop.admit(3, deadline_s=103.0)
    loop.engine.wait_until_running()
    loop.clock.advance(2.0)
    assert loop.finish()[0] == 0
    for job in late:
        dropped, reason, sentence = loop.next_drop()
        assert dropped is job
        assert reason == 'late'
        assert 'deadline' in sentence
    assert loop.finish()[0] == 3


def test_a_batch_that_starts_at_its_deadline_is_not_late(bench):
    loop = bench(late_policy='drop')
    loop.admit(1, deadline_s=100.0)
    assert loop.finish()[0] == 1


def test_stopping_drops_what_waits_and_finishes_what_runs(bench):
    loop = bench()
    loop.admit(0)
    waiting = [loop.admit(1), loop.admit(2)]
    loop.engine.wait_until_running()
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    assert [loop.next_drop()[:2] for _ in waiting] == [(job, 'shutdown') for job in waiting]
    assert loop.finish()[0] == 0
    stopping.join(WAIT_S)
    assert not stopping.is_alive()


def test_a_job_admitted_while_stopping_is_dropped(bench):
    loop = bench()
    loop.admit(0)
    loop.admit(1)
    loop.engine.wait_until_running()
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    loop.next_drop()                   # it is stopping now
    last = loop.admit(2)
    loop.finish()
    stopping.join(WAIT_S)
    assert [what[0] for what in loop.dropped.queue] == [last]


def test_a_job_admitted_after_the_end_is_dropped(bench):
    loop = bench()
    loop.loop.stop()
    last = loop.admit()
    assert [what[0] for what in loop.dropped.queue] == [last]


def test_the_loop_outlives_a_job_that_breaks_it(bench):
    loop = bench()
    loop.loop.admit(None)
    assert 'please report' in loop.reports.get(timeout=WAIT_S)
    loop.admit(7)
    assert loop.finish()[0] == 7


def test_stopping_twice_is_fine(bench):
    loop = bench()
    loop.loop.stop()
    loop.loop.stop()


def test_work_tells_the_scheduler_deadline_priority_and_expected_time(bench):
    loop = bench()
    loop.admit()
    loop.finish(took_s=0.5)
    job = loop.admit(deadline_s=123.0)
    loop.finish(took_s=0.5)
    assert (job.work.instance, job.work.deadline_s, job.work.priority) == ('net', 123.0, 3)
    assert job.work.time_s == job.work.remaining_s == pytest.approx(0.5)


def test_the_expected_time_follows_the_runs_that_went_well(bench):
    loop = bench()
    for took_s, error in ((1.0, ''), (50.0, 'failed'), (2.0, '')):
        loop.admit()
        loop.finish(took_s=took_s, error=error)
    assert 1.0 < loop.instance.expected_s < 2.0
