"""The thread that drives a core: arrivals from any thread, looks, and its end."""

import queue
import threading
import types

import numpy as np
import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.driver import Driver
from s3dnn_ros.runtime.events import Arrival, Parameters
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.scheduling.fifo import Fifo

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed


class DriverBench:
    """A driver with a fake engine, and what it reported."""

    def __init__(self, engine, make_batch, make_frame):
        self.engine = engine
        self.make_batch, self.make_frame = make_batch, make_frame
        self.network = engine.load('net', [None], [], None, lanes=1, max_batch=64)
        self.instance = Instance('net', None, ModelQueue(self.network, Expectation(1)), None,
                                 types.SimpleNamespace(priority=0))
        self.finished, self.dropped, self.reports = (queue.Queue() for _ in range(3))
        self.core = Core(Fifo(), engine, self.finished.put, self._drop, self.reports.put,
                         Parameters(max_queue=1000))
        self.driver = Driver(self.core, engine, engine.clock, self._drop, self.reports.put)
        self.driver.start()

    def admit(self, value=0):
        batch = self.make_batch(self.make_frame(deadline_s=1e9),
                                pixels=np.full((1, 4, 4, 3), value, np.uint8))
        request = Request(self.instance, batch, self.engine.clock.now_s())
        request.staged = self.network.stage(batch.pixels)
        self.driver.post(Arrival(request))
        return request

    def next_job(self):
        return self.finished.get(timeout=WAIT_S)

    def _drop(self, *what):
        self.dropped.put(what)


@pytest.fixture
def bench(fake_engine, make_batch, make_frame):
    """Return a DriverBench; it is stopped at the end."""
    made = DriverBench(fake_engine(VirtualClock(100.0)), make_batch, make_frame)
    yield made
    made.engine.let_go()
    made.driver.stop()
    made.engine.close()


def test_requests_from_several_threads_all_run(bench):
    bench.engine.let_go()
    threads = [threading.Thread(target=lambda: [bench.admit() for _ in range(50)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    requests = []
    while len(requests) < 200:
        requests += bench.next_job().requests
    for thread in threads:
        thread.join()
    assert len(set(map(id, requests))) == len(requests) == 200


def test_a_request_that_comes_after_the_end_is_dropped(bench):
    bench.driver.stop()
    last = bench.admit()
    assert [what[:2] for what in bench.dropped.queue] == [(last, 'shutdown')]


def test_the_end_waits_for_what_runs_and_drops_what_waits(bench):
    bench.admit(0)
    waits = bench.admit(1)
    bench.engine.running()
    stopping = threading.Thread(target=bench.driver.stop)
    stopping.start()
    assert bench.dropped.get(timeout=WAIT_S)[:2] == (waits, 'shutdown')
    last = bench.admit(2)
    assert bench.dropped.get(timeout=WAIT_S)[:2] == (last, 'shutdown')
    assert stopping.is_alive()
    bench.engine.finish()
    assert bench.next_job().outputs is not None
    stopping.join(WAIT_S)
    assert not stopping.is_alive()


def test_a_driver_outlives_an_event_that_breaks_a_step(bench):
    bench.driver.post(Arrival(None))
    assert 'please report' in bench.reports.get(timeout=WAIT_S)
    request = bench.admit(7)
    assert bench.engine.finish().values == [7]
    assert bench.next_job().requests == (request,)
    assert bench.reports.empty()


def test_to_stop_twice_is_fine(bench):
    bench.driver.stop()
    bench.driver.stop()


def test_an_engine_that_wants_it_is_asked_for_what_has_ended(bench):
    asked = []

    def poll():
        asked.append(bench.engine.running())
        if len(asked) == 3:
            bench.engine.finish()

    bench.engine.poll_s, bench.engine.poll = 1e-3, poll
    bench.admit()
    assert not bench.next_job().error
    assert len(asked) == 3


def test_the_cpu_time_is_that_of_its_thread(bench):
    bench.admit()
    bench.engine.finish()
    bench.next_job()
    assert 0.0 < bench.driver.cpu_s() < 10.0
