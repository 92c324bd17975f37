"""The loop: order, segments, fusion, bounds, errors apart, and an end that loses nothing."""

import collections
import queue
import random
import threading
import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from s3dnn_ros.runtime.clock import VirtualClock
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.instance import Choice, Instance, Request
from s3dnn_ros.runtime.lead import GAIN, MARGIN_S
from s3dnn_ros.runtime.line import Line
from s3dnn_ros.runtime.loop import EARLIEST_END, Loop
from s3dnn_ros.scheduling import POLICIES, Dispatch, make_scheduler
from s3dnn_ros.scheduling.fifo import Fifo

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed
NOW_S = 100.0
STOP_S = 1.0       # most loops have ended by then
STEP_S = 0.001


class Told:
    """A scheduler, and what it was told."""

    def __init__(self, scheduler):
        self.enqueued = queue.Queue()
        self.completed = []
        self.withdrawn = []
        self._scheduler = scheduler
        self.whole_networks = scheduler.whole_networks
        self.dequeue = scheduler.dequeue
        self.next_wake_s = scheduler.next_wake_s

    def enqueue(self, work, now_s):
        self._scheduler.enqueue(work, now_s)
        self.enqueued.put(work)

    def complete(self, work, now_s):
        self._scheduler.complete(work, now_s)
        self.completed.append(work)

    def withdraw(self, work):
        self.withdrawn.append(work)
        return self._scheduler.withdraw(work)


class VirtualInbox:
    """An inbox where waiting moves the clock at once, as far as the test lets time pass."""

    def __init__(self, clock):
        self._clock = clock
        self._events = collections.deque()
        self._until_s = clock.now_s()
        self._idle = False          # nothing to do before `until_s`
        self._changed = threading.Condition()

    def put(self, event):
        with self._changed:
            self._events.append(event)
            self._idle = False
            self._changed.notify_all()

    def get(self, timeout=None):
        with self._changed:
            while not self._events:
                if timeout is not None and self._clock.now_s() + timeout <= self._until_s:
                    self._clock.advance(timeout)
                    raise queue.Empty
                self._idle = True
                self._changed.notify_all()
                self._changed.wait()
            return self._events.popleft()

    def get_nowait(self):
        with self._changed:
            if not self._events:
                raise queue.Empty
            return self._events.popleft()

    def let_pass(self, seconds):
        """Let time pass, and wait until the loop has done all that was to be done in it."""
        with self._changed:
            self._wait_until_idle()
            self._until_s = self._clock.now_s() + seconds
            self._idle = False
            self._events.append(lambda: None)
            self._changed.notify_all()
            self._wait_until_idle()
            self._clock.advance(max(0.0, self._until_s - self._clock.now_s()))

    def _wait_until_idle(self):
        assert self._changed.wait_for(lambda: self._idle, WAIT_S), 'the loop never rests'


class Bench:
    """A loop with an engine that waits for us, and what it reported.

    `networks` maps a name to the options of a fake network and of its Expectation; every
    network has two instances, 'NAME' and 'NAME2'. `device` are attributes of the engine. If
    `timed`, time passes only in `let_pass` and where segments end.
    """

    def __init__(self, engine_class, make_batch, make_frame, networks, scheduler='fifo',
                 device=(), timed=False, **options):
        self.clock = VirtualClock(NOW_S)
        self.engine = engine_class(self.clock)
        vars(self.engine).update(device)
        self.make_batch, self.make_frame = make_batch, make_frame
        self.lines, self.instances = {}, {}
        for name, network in (networks or {'net': {}}).items():
            network = dict(network)
            profile = network.pop('profile', None)
            pace = {key: network.pop(key) for key in ('scale', 'least') if key in network}
            self.engine.network = network
            loaded = self.engine.load(
                name, [None] * network.get('segments', 1), [], None,
                lanes=network.get('lanes', 1), max_batch=network.get('largest', 64))
            self.lines[name] = Line(loaded, Expectation(loaded.segments, profile, **pace))
            for instance in (name, f'{name}2'):
                self.instances[instance] = Instance(
                    instance, None, self.lines[name], None, types.SimpleNamespace(priority=3))
        self.finished = queue.Queue()
        self.dropped = queue.Queue()
        self.reports = queue.Queue()
        self.told = Told(make_scheduler(scheduler) if isinstance(scheduler, str) else scheduler)
        self.loop = Loop(self.told, self.engine, self.clock, self.finished.put,
                         lambda *what: self.dropped.put(what), self.reports.put, **options)
        if timed:
            self.loop._inbox = VirtualInbox(self.clock)

    @property
    def network(self):
        return self.lines['net'].network

    def admit(self, value=0, deadline_s=1e9, instance='net', frames=1):
        """Admit a request whose pixels all have this value."""
        batch = self.make_batch(
            *(self.make_frame(deadline_s=deadline_s) for _ in range(frames)), instance=instance,
            pixels=np.full((frames, 4, 4, 3), value, np.uint8))
        request = Request(self.instances[instance], batch, self.clock.now_s())
        request.staged = request.instance.line.network.stage(batch.pixels)
        self.loop.admit(request)
        return request

    def occupy(self):
        """Let the network 'other' run something, so that all others wait."""
        self.admit(instance='other')
        assert self.engine.running()[0].network is self.lines['other'].network
        return self.engine.running()[0]

    def announced(self, count=1):
        """Wait for so many works to be handed to the scheduler; return them."""
        return [self.told.enqueued.get(timeout=WAIT_S) for _ in range(count)]

    def let_pass(self, seconds=0.0):
        """Let time pass; the loop has done what was to be done in it. Only if `timed`."""
        self.loop._inbox.let_pass(seconds)

    def on_their_way(self):
        """Return (network, segment) of all that was submitted and has not ended."""
        names = {id(line.network): name for name, line in self.lines.items()}
        return [(names[id(step.network)], step.segment) for step in self.engine.submitted()]

    def end(self, name='net', **result):
        """End the segment of a network that runs, and let the loop learn of it. If `timed`."""
        network = self.lines[name].network
        self.engine.finish(next(step for step in self.engine.running()
                                if step.network is network), **result)
        self.let_pass()

    def finish(self, **result):
        """End the segment under way; return the value of its pixels and the job reported."""
        values = self.engine.finish(**result).values
        return values[0], self.next_job()

    def next_job(self):
        return self.finished.get(timeout=WAIT_S)

    def next_drop(self):
        return self.dropped.get(timeout=WAIT_S)

    def stop(self):
        self.engine.let_go()
        stopping = threading.Thread(target=self.loop.stop)
        stopping.start()
        stopping.join(STOP_S)
        while stopping.is_alive():
            # a scheduler may wait for a moment that a clock which stands still never reaches
            self.clock.advance(STEP_S)
            stopping.join(STEP_S)
        self.engine.close()

    def free(self):
        """Tell whether every lane is free."""
        return all(not line.lanes_taken and not line.pending and not line.network.flights
                   for line in self.lines.values())


@pytest.fixture
def bench(fake_engine, make_batch, make_frame):
    """Return a builder of benches; they are stopped at the end."""
    built = []

    def build(networks=None, **options):
        bench = Bench(fake_engine, make_batch, make_frame, networks, **options)
        bench.loop.start()
        built.append(bench)
        return bench

    yield build
    for bench in built:
        bench.stop()
        assert bench.free()


# order, bounds, errors, the end

@pytest.mark.parametrize('fuse', [True, False])
def test_requests_run_one_after_another_in_the_order_of_their_arrival(bench, fuse):
    loop = bench(fuse=fuse)
    requests = [loop.admit(value) for value in range(5)]
    for index, request in enumerate(requests):
        value, job = loop.finish()
        assert (value, job.requests) == (index, (request,))
        assert job.outputs is not None
        assert not job.error
    assert loop.dropped.empty()


def test_requests_from_several_threads_all_run(bench):
    loop = bench(max_queue=1000)
    loop.engine.let_go()
    threads = [threading.Thread(target=lambda: [loop.admit() for _ in range(50)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    requests = []
    while len(requests) < 200:
        requests += loop.next_job().requests
    for thread in threads:
        thread.join()
    assert len(set(map(id, requests))) == len(requests) == 200


def test_a_failed_run_is_reported_and_hurts_no_other(bench):
    loop = bench()
    loop.admit(1)
    loop.admit(2)
    _, bad = loop.finish(error='out of memory')
    _, good = loop.finish()
    assert bad.error == 'out of memory'
    assert bad.outputs is None
    assert not good.error


@pytest.mark.parametrize('fuse', [True, False])
def test_beyond_the_bound_the_oldest_that_waits_is_dropped(bench, fuse):
    loop = bench(max_queue=2, fuse=fuse)
    running = loop.admit(0)
    waiting = [loop.admit(value) for value in (1, 2, 3)]
    request, reason, sentence = loop.next_drop()
    assert request is waiting[0]
    assert reason == 'queue'
    assert 'max_queue (2)' in sentence
    for value, expected in ((0, running), (2, waiting[1]), (3, waiting[2])):
        found, job = loop.finish()
        assert (found, job.requests) == (value, (expected,))
    assert loop.dropped.empty()


def test_what_can_start_at_once_does_not_count_as_waiting(bench):
    networks = {name: {} for name in ('net', 'a', 'b', 'c')}
    loop = bench(networks, scheduler='streams', max_queue=1)
    together = threading.Event()
    loop.loop._inbox.put(together.wait)
    for name in networks:
        loop.admit(instance=name)
    together.set()
    assert len(loop.engine.running(4)) == 4
    assert loop.dropped.empty()


def test_a_smaller_bound_takes_effect_with_the_next_request(bench):
    loop = bench(max_queue=10)
    for value in range(5):
        loop.admit(value)
    loop.engine.running()
    loop.loop.max_queue = 1
    loop.admit(5)
    assert [int(loop.next_drop()[0].batch.pixels.flat[0]) for _ in range(4)] == [1, 2, 3, 4]
    assert [loop.finish()[0] for _ in range(2)] == [0, 5]


def test_a_late_batch_runs_if_that_is_the_policy(bench):
    loop = bench(late_policy='run')
    loop.admit(1, deadline_s=99.0)
    assert loop.finish()[0] == 1


@pytest.mark.parametrize('fuse', [True, False])
def test_a_late_batch_is_dropped_if_that_is_the_policy_and_the_next_one_runs(bench, fuse):
    loop = bench(late_policy='drop', fuse=fuse)
    loop.admit(0)
    loop.engine.running()
    late = [loop.admit(value, deadline_s=101.0) for value in (1, 2)]
    loop.admit(3, deadline_s=110.0)
    loop.clock.advance(2.0)
    assert loop.finish()[0] == 0
    for request in late:
        dropped, reason, sentence = loop.next_drop()
        assert dropped is request
        assert reason == 'late'
        assert 'deadline' in sentence
    assert loop.finish()[0] == 3


def test_the_load_is_told_when_a_batch_starts_and_when_it_ends(bench):
    told = queue.SimpleQueue()
    loop = bench(tell=lambda loads, now_s: told.put((loads, now_s)))
    assert told.get(timeout=WAIT_S)[0] == []
    loop.admit(1, deadline_s=NOW_S + 7.0)
    loop.engine.running()
    (load,), _ = told.get(timeout=WAIT_S)
    assert load.started and load.deadline_s == NOW_S + 7.0
    loop.admit(2, deadline_s=NOW_S + 8.0)
    loop.clock.advance(1.0)
    loop.loop.tell_soon()
    loads, now_s = told.get(timeout=WAIT_S)
    assert sorted(load.started for load in loads) == [False, True] and now_s == NOW_S + 1.0
    for _ in range(2):
        loop.finish()
    while loads:
        loads, _ = told.get(timeout=WAIT_S)


def test_a_batch_that_starts_at_its_deadline_is_not_late(bench):
    loop = bench(late_policy='drop')
    loop.admit(1, deadline_s=100.0)
    assert loop.finish()[0] == 1


@pytest.mark.parametrize('deadline_s, late', [(100.6, False), (100.4, True)])
def test_a_batch_is_late_if_even_a_run_of_its_own_cannot_meet_the_deadline(
        bench, make_profile, deadline_s, late):
    loop = bench({'net': {'profile': make_profile(0.4, 0.1)}}, late_policy='drop')
    request = loop.admit(1, deadline_s=deadline_s)
    if late:
        assert loop.next_drop()[:2] == (request, 'late')
    else:
        assert loop.finish()[0] == 1


@pytest.mark.parametrize('scheduler, late_policy', [
    ('edf', 'run'), ('supervised', 'run'), ('fifo', 'drop'), ('streams', 'drop')])
def test_a_job_that_becomes_late_between_its_segments_runs_to_its_end(
        bench, scheduler, late_policy):
    loop = bench({'net': {'segments': 2}}, scheduler=scheduler, late_policy=late_policy)
    loop.admit(1, deadline_s=100.5)
    loop.engine.finish(took_s=1.0)
    _, job = loop.finish()
    assert not job.error
    assert loop.dropped.empty()


def test_what_could_start_before_the_end_runs(bench):
    loop = bench()
    together = threading.Event()
    loop.loop._inbox.put(together.wait)
    first, second = loop.admit(1), loop.admit(2)
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    together.set()
    assert loop.finish()[1].requests == (first,)
    assert loop.next_drop()[:2] == (second, 'shutdown')
    stopping.join(WAIT_S)


@pytest.mark.parametrize('scheduler', ['edf', 'fifo'])
@pytest.mark.parametrize('segments', [1, 3])
def test_stopping_drops_what_waits_and_finishes_what_runs(bench, segments, scheduler):
    loop = bench({'net': {'segments': segments}}, scheduler=scheduler)
    loop.admit(0)
    waiting = [loop.admit(1), loop.admit(2)]
    loop.engine.running()
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    assert [loop.next_drop()[:2] for _ in waiting] == [
        (request, 'shutdown') for request in waiting]
    for _ in range(segments - 1):
        loop.engine.finish()
    value, job = loop.finish()
    assert value == 0
    assert job.outputs is not None
    stopping.join(WAIT_S)
    assert not stopping.is_alive()


def test_a_request_admitted_while_stopping_is_dropped(bench):
    loop = bench()
    loop.admit(0)
    loop.admit(1)
    loop.engine.running()
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    loop.next_drop()                   # it is stopping now
    last = loop.admit(2)
    loop.finish()
    stopping.join(WAIT_S)
    assert [what[0] for what in loop.dropped.queue] == [last]


def test_a_request_admitted_after_the_end_is_dropped(bench):
    loop = bench()
    loop.loop.stop()
    last = loop.admit()
    assert [what[0] for what in loop.dropped.queue] == [last]


def test_the_loop_outlives_a_request_that_breaks_it(bench):
    loop = bench()
    loop.loop.admit(None)
    assert 'please report' in loop.reports.get(timeout=WAIT_S)
    loop.admit(7)
    loop.engine.running()
    waiting = loop.admit(8)
    loop.admit(9)
    assert loop.finish()[0] == 7
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    assert loop.next_drop()[0] is not None
    assert loop.finish()[1].requests == (waiting,)
    stopping.join(WAIT_S)
    assert loop.reports.empty()


def test_stopping_twice_is_fine(bench):
    loop = bench()
    loop.loop.stop()
    loop.loop.stop()


@pytest.mark.parametrize('scheduler', ['edf', 'fifo'])
@pytest.mark.parametrize('where', ['open', 'submit', 'outputs', 'close'])
@pytest.mark.parametrize('error, said', [(RuntimeError('lost device'), 'lost device'),
                                         (KeyError(), 'KeyError()')])
def test_whatever_an_engine_raises_fails_that_job_and_the_next_one_runs(
        bench, where, error, said, scheduler):
    loop = bench({'net': {'segments': 2}}, scheduler=scheduler)
    loop.network.broken[where] = error
    loop.admit(1)
    loop.admit(2)
    if where in ('outputs', 'close'):
        loop.engine.finish()
        loop.engine.finish()
    bad = loop.next_job()
    assert bad.error == said
    loop.engine.finish()
    value, good = loop.finish()
    assert (value, good.error) == (2, '')
    assert loop.reports.empty()
    assert not loop.network.flights


def test_a_segment_that_is_refused_in_the_middle_fails_the_job(bench):
    loop = bench({'net': {'segments': 2}}, scheduler='edf')
    loop.admit(1)
    loop.engine.running()
    loop.network.broken['submit'] = RuntimeError('lost device')
    loop.engine.finish()
    assert loop.next_job().error == 'lost device'


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


@pytest.mark.parametrize('scheduler', ['edf', 'fifo', 'supervised'])
@pytest.mark.parametrize('what, segment', [('work', 0), ('observe', 0), ('observe', 1)])
def test_a_job_that_cannot_be_scheduled_fails_alone_and_gives_its_lane_back(
        bench, scheduler, what, segment):
    loop = bench({'net': {'segments': 2}}, scheduler=scheduler)
    loop.lines['net'].expect = BrokenExpectation(2, what, segment)
    loop.engine.let_go()
    bad = loop.admit(1)
    job = loop.next_job()
    assert job.requests == (bad,)
    assert job.error == "'no such batch'"
    loop.clock.advance(1.0)     # a policy may wait a moment for the segment that never comes
    loop.admit(2)
    assert not loop.next_job().error
    assert loop.reports.empty()
    assert loop.free()


def test_when_nobody_can_take_the_end_of_a_job_the_next_one_runs_all_the_same(bench):
    loop = bench()
    loop.admit(1)
    loop.admit(2)
    take, loop.loop._finished = loop.loop._finished, lambda job: [][0]
    loop.engine.finish()
    assert 'please report this' in loop.reports.get(timeout=WAIT_S)
    loop.loop._finished = take
    assert loop.finish()[0] == 2


def test_the_first_error_of_a_job_is_the_one_told(bench):
    loop = bench()
    loop.network.broken['close'] = RuntimeError('cannot be closed')
    loop.admit(1)
    assert loop.finish(error='out of memory')[1].error == 'out of memory'


def test_the_busy_time_counts_once_while_several_run_and_not_while_nothing_does(bench):
    loop = bench({'net': {'lanes': 2}}, scheduler='streams', fuse=False)
    loop.admit()
    loop.engine.finish(took_s=0.5)
    loop.next_job()
    assert loop.loop.busy_s == pytest.approx(0.5)
    loop.clock.advance(10.0)
    loop.admit()
    loop.admit()
    loop.engine.running(2)
    loop.engine.finish(took_s=1.0)
    loop.next_job()
    assert loop.loop.busy_s == pytest.approx(1.5)       # though one still runs
    loop.engine.finish(took_s=0.25)
    loop.next_job()
    assert loop.loop.busy_s == pytest.approx(1.75)


def test_the_busy_times_of_instances_are_of_those_whose_work_is_on_the_device(bench):
    loop = bench({'net': {'segments': 2}, 'other': {}}, timed=True)
    loop.occupy()
    loop.admit(instance='net')
    loop.let_pass(0.5)
    assert loop.loop.busy_s_of_instances() == pytest.approx({'other': 0.5})
    loop.end('other')
    loop.let_pass(0.25)
    loop.end('net')
    loop.let_pass(0.25)
    assert loop.loop.busy_s_of_instances() == pytest.approx({'other': 0.5, 'net': 0.5})
    loop.end('net')
    loop.let_pass(4.0)
    assert loop.loop.busy_s_of_instances() == pytest.approx({'other': 0.5, 'net': 0.5})


def test_a_job_of_two_instances_is_work_of_both(bench, make_profile):
    loop = bench({'net': {'profile': make_profile(1.0, 0.1)}, 'other': {}}, timed=True)
    loop.occupy()
    loop.admit(instance='net')
    loop.admit(instance='net2')
    loop.let_pass()
    loop.end('other')
    loop.let_pass(0.5)
    loop.end('net')
    assert {request.instance.name for request in loop.next_job().requests} == {'other'}
    assert len(loop.next_job().requests) == 2
    assert loop.loop.busy_s_of_instances() == pytest.approx(
        {'other': 0.0, 'net': 0.5, 'net2': 0.5})


def test_an_engine_that_wants_it_is_polled_while_something_runs(bench):
    loop = bench()
    polled = []

    def poll():
        polled.append(loop.engine.running())
        if len(polled) == 3:
            loop.engine.finish()

    loop.engine.poll_s, loop.engine.poll = 1e-3, poll
    loop.admit()
    assert not loop.next_job().error
    assert len(polled) == 3


def test_the_scheduler_is_asked_again_when_it_wants_to_wake(bench):
    loop = bench()
    asked = []

    def dequeue(now_s):
        asked.append(now_s)
        return scheduler.dequeue(now_s) if len(asked) > 3 else Dispatch()

    scheduler = Fifo()
    loop.told.dequeue, loop.told.complete = dequeue, scheduler.complete
    loop.told.next_wake_s = lambda now_s: now_s + 1e-3 if asked else None
    loop.told._scheduler = scheduler
    loop.admit(5)
    assert loop.finish()[0] == 5


# what the scheduler is told

def test_work_tells_the_scheduler_deadline_priority_and_expected_time(bench):
    loop = bench()
    loop.admit()
    loop.finish(took_s=0.5)
    loop.admit(deadline_s=123.0)
    _, job = loop.finish(took_s=0.5)
    assert (job.work.instance, job.work.deadline_s, job.work.priority) == ('net', 123.0, 3)
    assert job.work.time_s == job.work.remaining_s == pytest.approx(0.5)


def test_the_expected_time_follows_the_runs_that_went_well(bench):
    loop = bench()
    for took_s, error in ((1.0, ''), (50.0, 'failed'), (2.0, '')):
        loop.admit()
        loop.finish(took_s=took_s, error=error)
    assert 1.0 < loop.lines['net'].expect.run_s(1) < 2.0


def test_each_segment_is_announced_with_what_remains_and_the_one_behind_it(bench, make_profile):
    loop = bench({'net': {'segments': 3, 'profile': make_profile(0.0, 0.3, 3, 0.25)}},
                 scheduler='edf')
    loop.admit(7, deadline_s=123.0)
    for segment in range(3):
        (work,) = loop.announced()
        assert (work.instance, work.segment, work.deadline_s) == ('net', segment, 123.0)
        assert (work.tb_ratio, work.priority) == (0.25, 3)
        assert (work.time_s, work.remaining_s) == pytest.approx((0.1, 0.1 * (3 - segment)))
        if segment < 2:
            assert work.successor.segment == segment + 1
            assert work.successor.remaining_s == pytest.approx(0.1 * (2 - segment))
        else:
            assert work.successor is None
        assert loop.told.enqueued.empty()
        assert len(loop.told.completed) == segment
        assert loop.engine.finish(took_s=0.1).segment == segment
    job = loop.next_job()
    assert (job.started_s, job.ended_s) == pytest.approx((NOW_S, NOW_S + 0.3))
    assert loop.network.batches == [1]
    assert [work.segment for work in loop.told.completed] == [0, 1, 2]


def test_a_segment_that_fails_is_the_jobs_last(bench):
    loop = bench({'net': {'segments': 3}}, scheduler='edf')
    loop.admit(1)
    loop.engine.finish()
    _, job = loop.finish(error='lost device')
    assert (job.error, job.outputs) == ('lost device', None)
    assert [work.segment for work in loop.told.completed] == [0, 1]


def order_of(loop, count):
    """End so many segments; return whose they were."""
    names = {id(line.network): name for name, line in loop.lines.items()}
    steps = [loop.engine.finish(took_s=0.1) for _ in range(count)]
    return [(names[id(step.network)], step.segment) for step in steps]


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
def test_a_job_with_less_slack_overtakes_at_the_boundary_of_a_segment(
        bench, make_profile, scheduler):
    times = {'segments': 2, 'profile': make_profile(0.1, 0.1, 2)}
    loop = bench({'net': times, 'other': times}, scheduler=scheduler)
    loop.admit(deadline_s=110.0)
    loop.engine.running()
    loop.admit(deadline_s=101.0, instance='other')
    assert order_of(loop, 4) == [('net', 0), ('other', 0), ('other', 1), ('net', 1)]


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
def test_a_job_with_more_slack_waits_for_the_last_segment(bench, make_profile, scheduler):
    times = {'segments': 2, 'profile': make_profile(0.1, 0.1, 2)}
    loop = bench({'net': times, 'other': times}, scheduler=scheduler)
    loop.admit(deadline_s=101.0)
    loop.engine.running()
    loop.admit(deadline_s=110.0, instance='other')
    assert order_of(loop, 4) == [('net', 0), ('net', 1), ('other', 0), ('other', 1)]


def test_small_segments_run_side_by_side(bench, make_profile):
    small = {'profile': make_profile(0.1, 0.1, 1, 0.4)}
    loop = bench({'net': small, 'other': small, 'third': small}, scheduler='supervised')
    for name in ('net', 'other', 'third'):
        loop.admit(instance=name)
        loop.announced()
    assert len(loop.engine.running(2)) == 2


# whole networks

WHOLE = sorted(name for name in POLICIES if make_scheduler(name).whole_networks)


def test_networks_run_whole_where_nobody_decides_between_their_segments():
    assert WHOLE == ['fifo', 'streams']


@pytest.mark.parametrize('scheduler', WHOLE)
def test_a_whole_network_runs_all_its_segments_without_asking_the_scheduler(bench, scheduler):
    loop = bench({'net': {'segments': 3}}, scheduler=scheduler)
    loop.admit(7)
    assert [work.segment for work in loop.announced()] == [0]
    loop.engine.running()
    for segment in range(3):
        assert loop.told.completed == []
        assert loop.engine.finish(took_s=0.1).segment == segment
    job = loop.next_job()
    assert (job.started_s, job.ended_s) == pytest.approx((NOW_S, NOW_S + 0.3))
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([7])
    assert [work.segment for work in loop.told.completed] == [0]
    assert loop.told.enqueued.empty()


@pytest.mark.parametrize('scheduler, together', [
    ('fifo', 3), ('streams', 3), ('edf', 1), ('supervised', 1)])
def test_segments_are_submitted_together_only_of_whole_networks(bench, scheduler, together):
    loop = bench({'net': {'segments': 3}}, scheduler=scheduler)
    loop.admit()
    loop.engine.running()
    loop.admit()                        # one round of the loop later
    assert loop.engine.finish(loop.engine.running()[0]).segment == 0
    loop.engine.running()
    assert len(loop.engine.submitted()) == max(1, together - 1)


@pytest.mark.parametrize('scheduler', WHOLE)
@pytest.mark.parametrize('failing', [(0,), (1,), (2,), (0, 1, 2), (1, 2)])
def test_an_error_in_any_segment_of_a_whole_network_fails_the_job_once(
        bench, scheduler, failing):
    loop = bench({'net': {'segments': 3}}, scheduler=scheduler)
    bad, good = loop.admit(1), loop.admit(2)
    loop.engine.running()
    for segment in range(3):
        assert loop.finished.empty()
        loop.engine.finish(error=f'error {segment}' if segment in failing else '')
    job = loop.next_job()
    assert (job.requests, job.outputs) == ((bad,), None)
    assert job.error == f'error {failing[0]}'
    for _ in range(3):
        loop.engine.finish()
    assert loop.next_job().requests == (good,)
    assert loop.finished.empty()
    assert loop.dropped.empty()


@pytest.mark.parametrize('scheduler', WHOLE)
@pytest.mark.parametrize('refused', [0, 1, 2])
def test_a_whole_network_that_is_refused_in_the_middle_fails_once_what_was_taken_has_ended(
        bench, scheduler, refused):
    loop = bench({'net': {'segments': 3}}, scheduler=scheduler)
    loop.network.broken[f'submit {refused}'] = RuntimeError('lost device')
    loop.admit(1)
    loop.admit(2)
    for segment in range(refused):
        assert loop.engine.running()[0].values == [1]
        assert loop.finished.empty()
        assert loop.engine.finish().segment == segment
    job = loop.next_job()
    assert (job.error, job.outputs) == ('lost device', None)
    for _ in range(3):
        assert loop.engine.finish().values == [2]
    assert not loop.next_job().error
    assert loop.finished.empty()
    assert loop.reports.empty()


@pytest.mark.parametrize('scheduler', sorted(POLICIES))
def test_the_time_of_a_segment_does_not_count_the_wait_for_the_one_before(bench, scheduler):
    loop = bench({'net': {'segments': 3}}, scheduler=scheduler)
    loop.admit()
    for took_s in (0.1, 0.2, 0.4):
        loop.engine.finish(took_s=took_s)
    loop.next_job()
    expect = loop.lines['net'].expect
    first = expect.work('net', 1, 0.0, 0)
    chain = (first, first.successor, first.successor.successor)
    assert [work.time_s for work in chain] == pytest.approx([0.1, 0.2, 0.4])
    assert expect.run_s(1) == pytest.approx(0.7)


# hopeless jobs

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
    loop = hurried(scheduler)
    hopeless = loop.admit(1, deadline_s=NOW_S + 0.35)
    for segment in range(late_at + 1):
        loop.engine.finish(took_s=0.2 if segment == late_at else 0.1)
    request, reason, sentence = loop.next_drop()
    assert (request, reason) == (hopeless, 'late')
    assert 'deadline' in sentence
    loop.admit(2)                       # on the only lane
    loop.clock.advance(1e-3)            # supervised expects the next segment for a while
    assert [loop.engine.finish().values for _ in range(3)] == [[2]] * 3
    assert loop.next_job().outputs is not None
    assert loop.finished.empty()
    assert loop.dropped.empty()
    assert loop.network.most_flights == 1
    assert len(loop.told.completed) == late_at + 1 + 3


@pytest.mark.parametrize('scheduler', ['edf', 'supervised'])
@pytest.mark.parametrize('late_policy, deadline_s, took_s', [
    ('run', NOW_S + 0.35, 0.2), ('drop', NOW_S + 0.35, 0.125), ('drop', NOW_S + 0.45, 0.2)])
def test_a_job_goes_on_while_there_is_hope_or_if_that_is_the_policy(
        hurried, scheduler, late_policy, deadline_s, took_s):
    loop = hurried(scheduler, late_policy)
    loop.admit(1, deadline_s=deadline_s)
    loop.engine.finish(took_s=took_s)
    loop.engine.finish()
    loop.engine.finish(took_s=9.0)      # behind the last segment nothing is left to give up
    assert loop.next_job().outputs is not None
    assert loop.dropped.empty()


@pytest.mark.parametrize('last_s, given_up', [(0.35, True), (5.0, False)])
def test_a_fused_job_is_given_up_with_all_its_requests_or_none(
        bench, make_profile, last_s, given_up):
    net = {'segments': 3, 'profile': make_profile(0.3, 0.0, 3)}
    loop = bench({'net': net, 'other': {}}, scheduler='edf', late_policy='drop')
    other = loop.occupy()
    requests = (loop.admit(1, NOW_S + 0.34), loop.admit(2, NOW_S + last_s, 'net2'))
    loop.engine.finish(other)
    loop.next_job()
    assert loop.engine.finish(took_s=0.2).values == [1, 2]
    if given_up:
        assert [loop.next_drop()[:2] for _ in requests] == [
            (request, 'late') for request in requests]
    else:
        loop.engine.finish()
        assert loop.finish()[1].requests == requests
    assert loop.dropped.empty()


def test_a_job_that_failed_is_not_called_late(hurried):
    loop = hurried()
    loop.admit(1, deadline_s=NOW_S + 0.35)
    assert loop.finish(took_s=1.0, error='lost device')[1].error == 'lost device'
    assert loop.dropped.empty()


def test_a_hopeless_job_whose_flight_cannot_be_closed_is_dropped_once(hurried):
    loop = hurried()
    loop.network.broken['close'] = RuntimeError('cannot be closed')
    request = loop.admit(1, deadline_s=NOW_S + 0.35)
    loop.engine.finish(took_s=1.0)
    assert loop.next_drop()[:2] == (request, 'late')
    loop.admit(2)
    for _ in range(3):
        loop.engine.finish()
    assert not loop.next_job().error
    assert loop.finished.empty()
    assert loop.reports.empty()


@pytest.mark.parametrize('fuse', [True, False])
def test_what_was_expected_is_doubted_once_for_each_request_that_is_too_late_to_start(
        bench, make_profile, fuse):
    loop = bench({'net': {'profile': make_profile(0.4, 0.1)}, 'other': {}}, fuse=fuse,
                 late_policy='drop', max_queue=3)
    doubts = []
    loop.lines['net'].expect.doubt = lambda: doubts.append(loop.dropped.qsize())
    other = loop.occupy()
    bounded, *late = [loop.admit(value, NOW_S + 1.0) for value in range(3)]
    loop.admit(3, NOW_S + 9.0)
    assert loop.next_drop()[:2] == (bounded, 'queue')       # which says nothing of the times
    loop.engine.finish(other, took_s=0.9)
    assert [loop.next_drop()[:2] for _ in late] == [(request, 'late') for request in late]
    loop.next_job()
    assert loop.finish()[0] == 3
    assert len(doubts) == 2


# the next segment behind one that is nearly over

LEAD_S = 0.01
STEPWISE = sorted(set(POLICIES) - set(WHOLE))


class Levelled:
    """A scheduler that submits everything at once, each at the level that its instance has."""

    def __init__(self, whole_networks=False, **levels):
        self.whole_networks = whole_networks
        self._levels = levels
        self._queue = []

    def enqueue(self, work, now_s):
        self._queue.append(work)

    def dequeue(self, now_s):
        submit, self._queue = tuple(self._queue), []
        levels = tuple(self._levels[work.instance] for work in submit) if self._levels else ()
        return Dispatch(submit, (), levels)

    def complete(self, work, now_s):
        pass

    def withdraw(self, work):
        self._queue.remove(work)
        return True

    def next_wake_s(self, now_s):
        return None


@pytest.fixture
def leading(bench, make_profile):
    """Return a builder of benches where `net` and `other` have segments of 0.1 s, and a lead."""
    def build(scheduler='edf', segments=3, lead_s=LEAD_S, levels=1, poll_s=None, **options):
        network = {'segments': segments, 'profile': make_profile(0.1 * segments, 0.0, segments)}
        device = {'lead_s': lead_s, 'levels': levels, 'poll_s': poll_s}
        return bench({'net': network, 'other': network}, scheduler=scheduler, device=device,
                     timed=True, **options)
    return build


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_the_next_segment_is_behind_one_that_is_nearly_over_and_never_two(leading, scheduler):
    loop = leading(scheduler)
    loop.admit(7)
    for segment in range(2):
        loop.let_pass(0.1 - LEAD_S - 1e-6)
        assert loop.on_their_way() == [('net', segment)]
        assert len(loop.told.completed) == segment
        loop.let_pass(2e-6)
        assert loop.on_their_way() == [('net', segment), ('net', segment + 1)]
        assert len(loop.told.completed) == segment + 1
        loop.let_pass(1.0)          # however long it takes
        assert loop.on_their_way() == [('net', segment), ('net', segment + 1)]
        assert loop.finished.empty()
        loop.end()
    loop.let_pass(1.0)
    assert loop.on_their_way() == [('net', 2)]
    loop.end()
    job = loop.next_job()
    assert not job.error
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([7])
    assert [work.segment for work in loop.announced(3)] == [0, 1, 2]
    assert [work.segment for work in loop.told.completed] == [0, 1, 2]
    assert loop.told.enqueued.empty()


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_after_one_was_too_late_the_next_segment_is_handed_over_earlier(leading, scheduler):
    loop = leading(scheduler)
    loop.admit()
    loop.let_pass(0.1 - LEAD_S + 1e-6)
    loop.end()      # as soon as the one behind it has been handed over
    loop.let_pass(0.1 - LEAD_S - 0.9 * GAIN * MARGIN_S)
    assert loop.on_their_way() == [('net', 1), ('net', 2)]
    loop.end()
    loop.end()
    assert not loop.next_job().error


@given(scheduler=st.sampled_from(STEPWISE), lead_s=st.floats(1e-4, 0.3),
       took_s=st.lists(st.floats(1e-4, 0.3), min_size=4, max_size=4))
def test_a_segment_is_submitted_lead_s_before_the_expected_end_or_when_there_is_one(
        fake_engine, make_batch, make_frame, make_profile, scheduler, lead_s, took_s):
    network = {'segments': 4, 'profile': make_profile(0.4, 0.0, 4)}
    loop = Bench(fake_engine, make_batch, make_frame, {'net': network}, scheduler,
                 {'lead_s': lead_s}, timed=True)
    loop.loop.start()
    try:
        loop.admit()
        loop.let_pass()
        wanted_s, runs_since_s = NOW_S, NOW_S
        for segment in range(4):
            assert loop.engine.running()[0].started_s == pytest.approx(wanted_s)
            loop.let_pass(took_s[segment])
            ended_s = loop.clock.now_s()
            wanted_s = min(ended_s, max(runs_since_s, runs_since_s + 0.1 - lead_s))
            runs_since_s = ended_s
            loop.end()
        assert not loop.next_job().error
        assert loop.network.most_ahead <= 2
    finally:
        loop.stop()
    assert loop.reports.empty()
    assert loop.free()


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_without_a_lead_a_segment_waits_for_the_end_of_the_one_before(leading, scheduler):
    loop = leading(scheduler, lead_s=0.0)
    loop.admit()
    for segment in range(3):
        loop.let_pass(1.0)
        assert loop.on_their_way() == [('net', segment)]
        assert len(loop.told.completed) == segment
        loop.end()
    assert not loop.next_job().error


@pytest.mark.parametrize('scheduler', WHOLE)
def test_the_end_of_a_whole_network_is_told_only_when_it_has_come(leading, scheduler):
    loop = leading(scheduler, fuse=False)
    loop.admit(1)
    loop.admit(2)
    for _ in range(3):
        loop.let_pass(1.0)
        assert loop.told.completed == []
        assert loop.network.batches == [1]
        loop.end()
    assert not loop.next_job().error
    assert len(loop.told.completed) == 1
    assert loop.on_their_way() == [('net', 0), ('net', 1), ('net', 2)]


@pytest.mark.parametrize('net, other, told', [
    (1, 0, [('other', 1)]), (0, 1, [('net', 1)]), (1, 1, [('net', 1), ('other', 1)])])
def test_only_the_most_urgent_of_what_runs_is_told_of_before_its_end(leading, net, other, told):
    loop = leading(Levelled(net=net, other=other), levels=2)
    loop.admit()
    loop.admit(instance='other')
    loop.let_pass(0.2)
    assert sorted(loop.on_their_way()) == sorted([('net', 0), ('other', 0), *told])
    loop.end('net')
    loop.end('other')
    assert sorted(loop.on_their_way()) == [('net', 1), ('other', 1)]


@pytest.mark.parametrize('urgent, rest', [('net', 'other'), ('other', 'net')])
def test_the_less_urgent_is_told_of_once_the_more_urgent_has_ended(leading, urgent, rest):
    loop = leading(Levelled(**{urgent: 0, rest: 1}), segments=2, levels=2)
    loop.admit(instance=urgent)
    loop.admit(instance=rest)
    loop.let_pass(0.05)
    loop.end(urgent)
    loop.end(urgent)
    assert not loop.next_job().error
    loop.let_pass(0.05)
    assert loop.on_their_way() == [(rest, 0), (rest, 1)]


def test_a_last_segment_is_told_of_before_its_end_only_if_nothing_runs_beside_it(leading):
    loop = leading(Levelled(), segments=1)
    loop.admit()
    loop.let_pass(0.05)
    loop.admit(instance='other')
    loop.let_pass(0.045)
    assert loop.told.completed == []
    loop.end('net')
    (net,) = loop.told.completed
    loop.let_pass(0.04)
    assert [work.instance for work in loop.told.completed] == ['net']
    loop.let_pass(0.01)
    assert [work.instance for work in loop.told.completed] == ['net', 'other']
    assert loop.on_their_way() == [('other', 0)]
    loop.end('other')
    assert loop.told.completed[0] is net
    assert len(loop.told.completed) == 2
    assert [loop.next_job().error for _ in range(2)] == ['', '']


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_another_job_starts_behind_a_last_segment_that_is_nearly_over(leading, scheduler):
    loop = leading(scheduler, segments=1)
    loop.admit()
    loop.let_pass()
    loop.admit(instance='other')
    loop.let_pass(0.1 - LEAD_S - 1e-6)
    assert loop.on_their_way() == [('net', 0)]
    loop.let_pass(2e-6)
    assert loop.on_their_way() == [('net', 0), ('other', 0)]
    assert loop.finished.empty()
    loop.end('net')
    assert loop.next_job().outputs is not None


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_who_is_more_urgent_then_goes_behind_one_that_is_nearly_over(leading, scheduler):
    loop = leading(scheduler, segments=2)
    loop.admit(deadline_s=NOW_S + 10.0)
    loop.let_pass()
    loop.admit(deadline_s=NOW_S + 1.0, instance='other')
    loop.let_pass(0.095)
    assert loop.on_their_way() == [('net', 0), ('other', 0)]
    loop.end('net')
    loop.let_pass(0.1)
    assert loop.on_their_way() == [('other', 0), ('other', 1)]
    loop.end('other')
    loop.let_pass(0.1)
    assert loop.on_their_way() == [('other', 1), ('net', 1)]


def test_the_time_of_a_segment_does_not_count_the_lead(leading):
    loop = leading()
    observed = []
    loop.lines['net'].expect.observe = lambda *what: observed.append(what)
    loop.admit()
    for _ in range(3):
        loop.let_pass(0.1)
        loop.end()
    loop.next_job()
    assert [segment for segment, _, _ in observed] == [0, 1, 2]
    assert [took_s for _, _, took_s in observed] == pytest.approx([0.1] * 3)


def test_the_busy_time_counts_once_what_is_behind_another(leading):
    loop = leading()
    loop.admit()
    for _ in range(3):
        loop.let_pass(0.1)
        loop.end()
    loop.let_pass(5.0)
    assert loop.loop.busy_s == pytest.approx(0.3)
    assert loop.loop.busy_s_of_instances() == pytest.approx({'net': 0.3})


# what goes wrong when the next segment is decided already

@pytest.mark.parametrize('scheduler', STEPWISE)
@pytest.mark.parametrize('fails', ['run', 'observe'])
def test_a_segment_that_fails_takes_back_the_one_that_waits_behind_it(leading, scheduler, fails):
    loop = leading(scheduler)
    bad = loop.admit(1, deadline_s=NOW_S + 10.0)
    loop.let_pass()
    loop.admit(2, deadline_s=NOW_S + 1.0, instance='other')
    loop.let_pass(0.095)
    waiting = loop.announced(3)[2]
    assert (waiting.instance, waiting.segment) == ('net', 1)
    assert loop.on_their_way() == [('net', 0), ('other', 0)]
    if fails == 'observe':
        loop.lines['net'].expect.observe = lambda *what: [][0]
    loop.end('net', error='lost device' if fails == 'run' else '')
    job = loop.next_job()
    assert (job.requests, job.outputs) == ((bad,), None)
    assert job.error == ('lost device' if fails == 'run' else 'list index out of range')
    assert loop.told.withdrawn == [waiting]
    assert not loop.network.flights
    assert loop.lines['net'].lanes_taken == 0
    for _ in range(3):
        loop.end('other')
    assert not loop.next_job().error
    loop.let_pass(1.0)
    assert loop.on_their_way() == []
    assert loop.finished.empty()


@pytest.mark.parametrize('scheduler', STEPWISE)
@pytest.mark.parametrize('second', ['', 'a second error'])
def test_a_segment_that_fails_waits_for_the_one_submitted_behind_it(leading, scheduler, second):
    loop = leading(scheduler)
    bad = loop.admit(1)
    loop.let_pass(0.095)
    loop.end(error='lost device')
    assert loop.on_their_way() == [('net', 1)]
    loop.let_pass(0.2)              # nothing goes behind that one
    assert loop.on_their_way() == [('net', 1)]
    assert loop.finished.empty()
    assert loop.network.flights
    loop.end(error=second)
    job = loop.next_job()
    assert (job.requests, job.error, job.outputs) == ((bad,), 'lost device', None)
    assert [work.segment for work in loop.told.completed] == [0, 1]
    good = loop.admit(2)
    for _ in range(3):
        loop.let_pass(0.1)
        loop.end()
    job = loop.next_job()
    assert (job.requests, job.error) == ((good,), '')
    assert loop.finished.empty()


@pytest.mark.parametrize('scheduler', STEPWISE)
@pytest.mark.parametrize('error', ['', 'out of memory'])
def test_a_job_whose_next_segment_is_refused_ends_when_the_one_before_has(
        leading, scheduler, error):
    loop = leading(scheduler)
    loop.network.broken['submit 1'] = RuntimeError('lost device')
    loop.admit(1)
    loop.let_pass(0.2)
    assert loop.on_their_way() == [('net', 0)]
    assert loop.finished.empty()
    assert loop.network.flights
    loop.end(error=error)
    job = loop.next_job()
    assert (job.error, job.outputs) == ('lost device', None)
    assert [work.segment for work in loop.told.completed] == [0, 1]
    assert loop.reports.empty()


@pytest.mark.parametrize('what', ['complete', 'enqueue'])
def test_a_job_that_cannot_be_scheduled_any_more_ends_when_what_runs_has(
        leading, monkeypatch, what):
    loop = leading(Levelled())
    loop.admit(1)
    loop.let_pass()
    monkeypatch.setattr(loop.told, what, lambda work, now_s: [][0])
    loop.let_pass(0.2)
    monkeypatch.undo()
    assert loop.on_their_way() == [('net', 0)]
    assert loop.finished.empty()
    loop.end()
    assert loop.next_job().error == 'list index out of range'
    assert loop.finished.empty()
    assert loop.reports.empty()


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_a_job_found_hopeless_before_a_segment_ended_is_given_up_when_it_has(leading, scheduler):
    loop = leading(scheduler, late_policy='drop')
    hopeless = loop.admit(1, deadline_s=NOW_S + 0.35)
    loop.let_pass(0.25)
    loop.end()                          # 0.15 s too late
    loop.let_pass(0.1 - LEAD_S + 1e-6)
    assert len(loop.told.completed) == 2
    loop.let_pass(1.0)
    assert loop.on_their_way() == [('net', 1)]
    assert loop.dropped.empty()
    assert loop.network.flights
    loop.end()
    request, reason, sentence = loop.next_drop()
    assert (request, reason) == (hopeless, 'late')
    assert 'deadline' in sentence
    assert not loop.network.flights
    assert len(loop.announced(2)) == 2
    assert loop.told.enqueued.empty()
    assert loop.finished.empty()
    loop.admit(2)                       # on the only lane
    for _ in range(3):
        loop.let_pass(0.1)
        loop.end()
    assert loop.next_job().outputs is not None
    assert loop.dropped.empty()


@pytest.mark.parametrize('late_policy, deadline_s', [('run', 0.35), ('drop', 0.45)])
def test_a_job_with_hope_or_that_may_be_late_goes_on_before_a_segment_ended(
        leading, late_policy, deadline_s):
    loop = leading(late_policy=late_policy)
    loop.admit(1, deadline_s=NOW_S + deadline_s)
    loop.let_pass(0.25)
    loop.end()
    loop.let_pass(0.1)
    assert loop.on_their_way() == [('net', 1), ('net', 2)]
    loop.end()
    loop.end()
    assert loop.next_job().outputs is not None
    assert loop.dropped.empty()


def test_a_job_found_hopeless_before_a_segment_failed_has_failed(leading):
    loop = leading(late_policy='drop')
    loop.admit(1, deadline_s=NOW_S + 0.35)
    loop.let_pass(0.25)
    loop.end()
    loop.let_pass(0.1)
    loop.end(error='lost device')
    assert loop.next_job().error == 'lost device'
    assert loop.dropped.empty()


@pytest.mark.parametrize('scheduler', STEPWISE)
def test_stopping_lets_a_job_with_two_segments_under_way_run_to_its_end(leading, scheduler):
    loop = leading(scheduler)
    loop.admit(1)
    loop.let_pass(0.095)
    assert len(loop.on_their_way()) == 2
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    for _ in range(3):
        loop.engine.finish()
    assert loop.next_job().outputs is not None
    stopping.join(WAIT_S)
    assert not stopping.is_alive()


# levels

@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('levels, wanted', [
    ({}, {'net': 0, 'other': 0}), ({'net': 2, 'other': 1}, {'net': 2, 'other': 1})])
def test_segments_reach_the_device_at_the_level_that_the_scheduler_says(
        leading, whole, levels, wanted):
    loop = leading(Levelled(whole, **levels), levels=3)
    together = threading.Event()
    loop.loop._inbox.put(together.wait)
    loop.admit()
    loop.admit(instance='other')
    together.set()
    for segment in range(3):
        loop.let_pass()
        for name in ('net', 'other'):
            (step,) = [step for step in loop.engine.running()
                       if step.network is loop.lines[name].network]
            assert (step.segment, step.level) == (segment, wanted[name])
        loop.end('net')
        loop.end('other')
    assert [loop.next_job().error for _ in range(2)] == ['', '']


def test_the_next_segment_may_have_another_level(leading):
    levels = {'net': 2}
    scheduler = Levelled()
    scheduler._levels = levels
    loop = leading(scheduler, levels=3)
    loop.admit()
    for level, next_level in ((2, 0), (0, 1), (1, 1)):
        loop.let_pass(0.05)
        assert loop.engine.running()[0].level == level
        levels['net'] = next_level
        loop.end()
    assert not loop.next_job().error


def test_with_levels_an_urgent_job_starts_at_once_and_goes_first(leading):
    loop = leading(make_scheduler('supervised', levels=3), levels=3)
    loop.admit(deadline_s=NOW_S + 10.0)
    loop.let_pass(0.01)
    loop.admit(deadline_s=NOW_S + 1.0, instance='other')
    loop.let_pass()
    assert loop.on_their_way() == [('net', 0), ('other', 0)]
    net, other = loop.engine.submitted()
    assert other.level < net.level < 3
    loop.let_pass(0.2)              # only the urgent one is told of
    assert loop.on_their_way() == [('net', 0), ('other', 0), ('other', 1)]


# looking

POLL_S = 1e-3


class Looked:
    """Ends a segment so long after its start, when it is looked for, and keeps when that was."""

    def __init__(self, loop, takes_s):
        self.at_s = []              # after the start
        self._loop, self._takes_s = loop, takes_s
        loop.engine.poll = self

    def __call__(self):
        (step,) = self._loop.engine.running()
        at_s = self._loop.clock.now_s() - step.started_s
        if at_s not in self.at_s:       # an event is another reason to look
            self.at_s.append(at_s)
        if at_s >= self._takes_s:
            self._loop.engine.finish(step)


@given(part=st.floats(0.0, 3.0), poll_s=st.floats(1e-4, 0.2))
def test_nothing_is_looked_for_long_before_its_expected_end_and_then_often(
        fake_engine, make_batch, make_frame, make_profile, part, poll_s):
    network = {'profile': make_profile(0.1, 0.0)}
    loop = Bench(fake_engine, make_batch, make_frame, {'net': network}, 'edf',
                 {'poll_s': poll_s}, timed=True)
    looked = Looked(loop, 0.1 * part)
    loop.loop.start()
    try:
        loop.admit()
        loop.let_pass(1.0)
        assert not loop.next_job().error
    finally:
        loop.stop()
    first_s, *then_s = looked.at_s
    assert first_s == 0.0
    for before_s, at_s in zip(looked.at_s, then_s):
        # from the earliest end on as often as wanted
        assert at_s == pytest.approx(max(before_s + poll_s, EARLIEST_END * 0.1))
    if part >= EARLIEST_END:
        assert looked.at_s[-1] - 0.1 * part <= poll_s + 1e-9


def test_what_ends_first_says_when_to_look(bench, make_profile):
    loop = bench({'net': {'profile': make_profile(0.1, 0.0)},
                  'other': {'profile': make_profile(0.04, 0.0)}},
                 scheduler='streams', device={'poll_s': POLL_S}, timed=True)
    looks_s = []
    loop.engine.poll = lambda: looks_s.append(loop.clock.now_s() - NOW_S)
    loop.admit()
    loop.admit(instance='other')
    loop.let_pass(0.04)
    assert next(at_s for at_s in looks_s if at_s) == pytest.approx(EARLIEST_END * 0.04)
    loop.end('other')
    looks_s.clear()
    loop.let_pass(0.06)
    assert next(at_s for at_s in looks_s if at_s > 0.041) == pytest.approx(EARLIEST_END * 0.1)


def test_the_segment_behind_is_looked_for_by_its_own_time(leading):
    loop = leading(poll_s=POLL_S)
    looks_s = []
    loop.engine.poll = lambda: looks_s.append(loop.clock.now_s() - NOW_S)
    loop.admit()
    loop.let_pass(0.1)
    assert len(loop.on_their_way()) == 2
    loop.end()
    looks_s.clear()
    loop.let_pass(0.2)
    looks_s = [at_s for at_s in looks_s if at_s > 0.101]
    # the moment to submit the next one is another reason to look, at its expected end - LEAD_S
    assert looks_s[0] == pytest.approx(0.19)
    gaps_s = [after - before for before, after in zip(looks_s, looks_s[1:]) if before >= 0.2]
    assert gaps_s == pytest.approx([POLL_S] * len(gaps_s))
    assert len(gaps_s) > 90


def test_it_is_looked_for_by_the_configuration_in_which_it_was_submitted(bench, make_profile):
    scale = [10.0]

    class Hurrying(Chosen):
        def choose(self, job, segment, now_s):
            scale[0] = 1.0

    loop = bench({'net': {'profile': make_profile(0.1, 0.0), 'scale': lambda: scale[0]}},
                 device={'poll_s': POLL_S}, timed=True, steering=Hurrying())
    looks_s = []
    loop.engine.poll = lambda: looks_s.append(loop.clock.now_s() - NOW_S)
    loop.admit()
    loop.let_pass(0.1)
    assert next(at_s for at_s in looks_s if at_s) == pytest.approx(EARLIEST_END * 0.1)


def test_what_a_faster_device_ends_earlier_is_looked_for_earlier(bench, make_profile):
    scale = [10.0]
    loop = bench({'net': {'profile': make_profile(0.1, 0.0), 'scale': lambda: scale[0]}},
                 device={'poll_s': POLL_S}, timed=True)
    looks_s = []
    loop.engine.poll = lambda: looks_s.append(loop.clock.now_s() - NOW_S)
    loop.admit()
    loop.let_pass(0.05)
    for now, until_s in ((1.0, 0.1), (10.0, 0.2)):
        # slower again, it is looked for all the same: it may have ended by now
        scale[0] = now
        loop.loop.look_again()
        looks_s.clear()
        loop.let_pass(until_s - (loop.clock.now_s() - NOW_S))
        assert any(at_s > EARLIEST_END * 0.1 - 1e-9 for at_s in looks_s)
    assert loop.engine.finish() is not None


@pytest.mark.parametrize('poll_s', [None, POLL_S])
def test_nothing_is_looked_for_while_nothing_runs_or_if_nobody_wants_it(leading, poll_s):
    loop = leading(segments=1, poll_s=poll_s)
    looks_s = []
    loop.engine.poll = lambda: looks_s.append(loop.clock.now_s() - NOW_S)
    loop.let_pass(1.0)
    assert not looks_s
    loop.admit()
    loop.let_pass(1.0)
    assert bool(looks_s) == (poll_s is not None)
    loop.end()
    loop.next_job()
    looks_s.clear()
    loop.let_pass(1.0)
    assert not looks_s


# lanes

def test_no_more_jobs_start_than_there_are_lanes(bench):
    loop = bench({'net': {'lanes': 2}}, scheduler='streams', fuse=False)
    for value in range(5):
        loop.admit(value)
    loop.announced(2)
    assert [step.values for step in loop.engine.running(2)] == [[0], [1]]
    assert loop.told.enqueued.empty()
    for value in range(5):
        assert loop.finish()[0] == value
    assert loop.network.most_flights == 2


@pytest.mark.parametrize('scheduler', ['streams', 'supervised'])
def test_a_lane_is_held_until_the_last_segment(bench, scheduler):
    loop = bench({'net': {'segments': 2}}, scheduler=scheduler, fuse=False)
    loop.admit(0)
    loop.admit(1)
    order = [loop.engine.finish() for _ in range(4)]
    assert [(step.values, step.segment) for step in order] == [
        ([0], 0), ([0], 1), ([1], 0), ([1], 1)]
    assert loop.network.most_flights == 1


# fusion

@pytest.fixture
def fusing(bench, make_profile):
    """Return a builder of benches with times that make fusion worth it, and a network beside."""
    def build(times=(0.1, 0.01), scheduler='edf', **options):
        network = {'profile': make_profile(*times)}
        for option in ('lanes', 'segments', 'largest'):
            if option in options:
                network[option] = options.pop(option)
        return bench({'net': network, 'other': {}}, scheduler=scheduler, **options)
    return build


def test_waiting_requests_of_two_instances_run_as_one_batch(fusing):
    loop = fusing()
    other = loop.occupy()
    requests = [loop.admit(10, instance='net'), loop.admit(20, instance='net2', frames=2),
                loop.admit(30, instance='net')]
    loop.engine.finish(other)
    loop.next_job()
    assert loop.engine.finish().values == [10, 20, 20, 30]
    job = loop.next_job()
    assert job.requests == tuple(requests)
    assert job.frames == 4
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([10, 20, 20, 30])


def test_a_fused_job_takes_in_what_arrives_before_its_start(fusing):
    loop = fusing()
    other = loop.occupy()
    loop.announced()
    for value, frames in ((1, 1), (2, 2), (3, 3)):
        loop.admit(value)
        (work,) = loop.announced()
        assert work.remaining_s == pytest.approx(0.1 + 0.01 * frames)
    assert len(loop.told.withdrawn) == 2
    loop.engine.finish(other)
    loop.next_job()
    loop.engine.running()
    loop.admit(4)               # too late for this one
    assert loop.finish()[1].frames == 3
    assert loop.engine.finish().values == [4]


def test_what_starts_is_what_the_scheduler_was_told_last(fusing):
    loop = fusing()
    other = loop.occupy()
    loop.admit(1, deadline_s=130.0)
    loop.admit(2, deadline_s=120.0, instance='net2')
    loop.engine.finish(other)
    loop.next_job()
    _, job = loop.finish()
    assert (job.work.instance, job.work.deadline_s) == ('net2', 120.0)


def test_a_job_that_is_full_keeps_its_place(bench, make_profile):
    loop = bench({'net': {'profile': make_profile(0.1, 0.01)}, 'other': {}, 'third': {}},
                 scheduler='fifo', max_batch=2)
    other = loop.occupy()
    loop.announced()
    full = []
    for value in (1, 2):
        full.append(loop.admit(value))
        loop.announced()
    loop.admit(99, instance='third')
    loop.announced()
    for value in range(3, 8):
        loop.admit(value)
    loop.engine.finish(other)
    loop.next_job()
    assert loop.finish()[1].requests == tuple(full)
    assert loop.finish()[0] == 99


@pytest.mark.parametrize('max_batch, largest, sizes', [
    (3, 64, [3, 3, 1]), (8, 2, [2, 2, 2, 1]), (1, 64, [1] * 7), (64, 64, [7])])
def test_never_more_than_max_batch_images_run_together(fusing, max_batch, largest, sizes):
    loop = fusing(max_batch=max_batch, largest=largest)
    other = loop.occupy()
    for value in range(7):
        loop.admit(value)
    loop.engine.finish(other)
    loop.engine.let_go()
    while sum(loop.network.batches) < 7:
        loop.next_job()
    assert loop.network.batches == sizes


def test_images_and_not_requests_are_counted(fusing):
    loop = fusing(max_batch=4)
    other = loop.occupy()
    for frames in (3, 2, 2, 6):
        loop.admit(frames=frames)
    loop.engine.finish(other)
    loop.engine.let_go()
    while sum(loop.network.batches) < 13:
        loop.next_job()
    assert loop.network.batches == [3, 4, 6]


def test_without_fusion_requests_run_alone(fusing):
    loop = fusing(fuse=False, lanes=2)
    other = loop.occupy()
    for value in range(4):
        loop.admit(value, instance=('net', 'net2')[value % 2])
    loop.engine.finish(other)
    loop.next_job()
    for value in range(4):
        assert loop.engine.finish().values == [value]
        assert len(loop.next_job().requests) == 1


def test_fusion_can_be_switched_while_running(fusing):
    loop = fusing(lanes=4, fuse=False)
    other = loop.occupy()
    loop.announced()
    loop.admit(1)
    loop.admit(2)
    loop.announced(2)
    loop.loop.fuse = True
    loop.admit(3)
    loop.admit(4)
    loop.announced()
    loop.engine.finish(other)
    loop.engine.let_go()
    while sum(loop.network.batches) < 4:
        loop.next_job()
    assert len(loop.network.batches) < 4


def test_no_more_are_fused_than_the_earliest_deadline_allows(fusing):
    loop = fusing(times=(0.2, 0.1))
    other = loop.occupy()
    for value in range(3):
        loop.admit(value)
    loop.admit(9, deadline_s=NOW_S + 0.45)
    loop.engine.finish(other)
    loop.next_job()
    assert loop.engine.finish(took_s=0.4).values == [9, 0]
    assert loop.next_job().ended_s <= NOW_S + 0.45
    assert loop.engine.finish().values == [1, 2]


def test_fused_jobs_keep_to_the_lanes(fusing):
    loop = fusing(scheduler='streams', lanes=2)
    for count in (1, 2):
        loop.admit()
        loop.engine.running(count)
    for value in range(5):
        loop.admit(value, instance=('net', 'net2')[value % 2])
    for _ in range(3):
        loop.finish()
    assert loop.network.batches == [1, 1, 5]
    assert loop.network.most_flights == 2


def test_a_fused_job_that_fails_fails_with_all_its_requests(fusing):
    loop = fusing()
    other = loop.occupy()
    requests = (loop.admit(1), loop.admit(2, instance='net2'))
    loop.engine.finish(other)
    loop.next_job()
    _, job = loop.finish(error='out of memory')
    assert (job.requests, job.error, job.outputs) == (requests, 'out of memory', None)
    loop.admit(3)
    assert not loop.finish()[1].error


def test_the_bound_drops_one_request_of_a_fused_job_and_the_others_run(fusing):
    loop = fusing(max_queue=3)
    other = loop.occupy()
    loop.announced()
    requests = []
    for value in range(4):
        requests.append(loop.admit(value))
        (work,) = loop.announced()
        assert work.remaining_s == pytest.approx(0.1 + 0.01 * len(requests))
    (work,) = loop.announced()          # the job without the one that was dropped
    assert work.remaining_s == pytest.approx(0.13)
    request, reason, _ = loop.next_drop()
    assert (request, reason) == (requests[0], 'queue')
    loop.engine.finish(other)
    loop.next_job()
    assert loop.finish()[1].requests == tuple(requests[1:])
    assert loop.dropped.empty()


def test_what_is_late_of_a_fused_job_is_dropped_and_the_others_run(fusing):
    loop = fusing(late_policy='drop')
    other = loop.occupy()
    late = loop.admit(1, deadline_s=NOW_S + 1.0)
    others = (loop.admit(2, deadline_s=NOW_S + 5.0), loop.admit(3, deadline_s=NOW_S + 6.0))
    loop.engine.finish(other, took_s=2.0)
    loop.next_job()
    assert loop.next_drop()[:2] == (late, 'late')
    assert loop.finish()[1].requests == others
    assert loop.dropped.empty()


def test_stopping_drops_each_request_of_a_fused_job(fusing):
    loop = fusing()
    other = loop.occupy()
    requests = [loop.admit(1), loop.admit(2, instance='net2')]
    loop.announced()
    stopping = threading.Thread(target=loop.loop.stop)
    stopping.start()
    assert [loop.next_drop()[:2] for _ in requests] == [
        (request, 'shutdown') for request in requests]
    loop.engine.finish(other)
    stopping.join(WAIT_S)
    assert not stopping.is_alive()


# everything at once

NETWORKS = ('net', 'other', 'third')


@hypothesis.settings(max_examples=150)
@given(seed=st.integers(0, 2**32), scheduler=st.sampled_from(sorted(POLICIES)),
       fuse=st.booleans(), late_policy=st.sampled_from(['run', 'drop']),
       max_queue=st.integers(1, 12), max_batch=st.integers(1, 5),
       known=st.booleans(), stopped_early=st.booleans(), count=st.integers(0, 40),
       lead_s=st.sampled_from([0.0, 0.01, 1.0]))
def test_every_request_ends_once_and_every_lane_is_free_at_the_end(
        fake_engine, make_batch, make_frame, make_profile, seed, scheduler, fuse, late_policy,
        max_queue, max_batch, known, stopped_early, count, lead_s):
    chance = random.Random(seed)
    networks = {}
    for name in NETWORKS:
        segments = chance.randint(1, 3)
        times = make_profile(0.05, 0.01, segments, chance.choice([0.2, 0.5, 1.0]))
        networks[name] = {'segments': segments, 'lanes': chance.randint(1, 3),
                          'largest': 4, 'profile': times if known else None}
    loop = Bench(fake_engine, make_batch, make_frame, networks, scheduler,
                 {'lead_s': lead_s}, fuse=fuse, late_policy=late_policy,
                 max_queue=max_queue, max_batch=max_batch)
    loop.loop.start()
    requests = []
    while len(requests) < count:
        if chance.random() < 0.6:
            name = chance.choice(NETWORKS) + chance.choice(['', '2'])
            deadline_s = loop.clock.now_s() + chance.uniform(-0.1, 1.0)
            requests.append(loop.admit(len(requests), deadline_s, name, chance.randint(1, 3)))
        else:
            step_randomly(loop, chance)
    while not stopped_early and len(ended(loop)) < count:
        step_randomly(loop, chance)
    loop.stop()
    outcomes = collections.Counter(map(id, ended(loop)))
    assert outcomes == {id(request): 1 for request in requests}
    assert loop.free()
    assert loop.reports.empty()
    for line in loop.lines.values():
        assert line.network.most_flights <= line.network.lanes
        assert scheduler in WHOLE or line.network.most_ahead <= (2 if lead_s else 1)
    for job in loop.finished.queue:
        assert len(job.requests) == 1 or (fuse and job.frames <= min(max_batch, 4))
        if not job.error:
            images = np.concatenate([request.batch.pixels for request in job.requests])
            assert job.outputs['scores'][:, 0] * 255 == pytest.approx(images[:, 0, 0, 0])


def step_randomly(loop, chance):
    """Let time pass, and end some segment or let the engine fail."""
    running = loop.engine.running(timeout=0.002)
    took_s = chance.uniform(0.0, 0.05)
    if not running:
        loop.clock.advance(took_s)
        return
    step = chance.choice(running)
    if chance.random() < 0.1:
        what = chance.choice(['open', 'submit', 'submit 1', 'outputs', 'close'])
        step.network.broken[what] = RuntimeError(what)
    loop.engine.finish(step, error='failed' if chance.random() < 0.1 else '', took_s=took_s)


def ended(loop):
    """Return the requests that were finished or dropped, once for each time."""
    return [request for job in list(loop.finished.queue) for request in job.requests] + [
        what[0] for what in list(loop.dropped.queue)]


def test_without_a_profile_nothing_is_fused(bench):
    loop = bench()
    for value in range(3):
        loop.admit(value)
    for value in range(3):
        assert loop.finish()[0] == value


# a device that is configured otherwise meanwhile

def test_the_scheduler_is_told_what_segments_take_now(bench, make_profile):
    scale = [2.0]
    loop = bench({'net': {'segments': 3, 'profile': make_profile(0.3, 0.0, 3),
                          'scale': lambda: scale[0]}}, scheduler='edf')
    loop.admit()
    works = loop.announced()
    scale[0] = 1.0
    for _ in range(3):
        loop.engine.finish(took_s=0.1)
    loop.next_job()
    works += loop.announced(2)
    assert [work.segment for work in works] == [0, 1, 2]
    assert [work.remaining_s for work in works] == pytest.approx([0.6, 0.2, 0.1])


@pytest.mark.parametrize('least, hope', [(lambda: (1.0, 0.5, 0.5), True), (tuple, False)])
def test_nothing_is_given_up_that_could_be_hurried(bench, make_profile, least, hope):
    loop = bench({'net': {'segments': 3, 'profile': make_profile(0.3, 0.0, 3),
                          'scale': lambda: 2.0, 'least': least}}, scheduler='edf',
                 late_policy='drop')
    # as it is configured, it takes 0.6 s
    loop.admit(1, deadline_s=NOW_S + 0.35)
    loop.engine.finish(took_s=0.2)
    if hope:
        for _ in range(2):
            loop.engine.finish(took_s=0.05)
        assert not loop.next_job().error
    else:
        assert loop.next_drop()[1] == 'late'


# variants

class Chosen:
    """A steering that has its choices by segment, and notes who asks."""

    def __init__(self, *choices):
        self.choices = choices
        self.asked = []
        self.left = queue.Queue()

    def choose(self, job, segment, now_s):
        self.asked.append(segment)
        choice = self.choices[segment]
        if isinstance(choice, Exception):
            raise choice
        return choice

    def ended(self, job, now_s):
        self.left.put(job)


def test_every_segment_runs_in_the_variant_that_was_chosen_for_it(bench, make_profile):
    steering = Chosen(Choice(1, 0.5), None, Choice(2, 0.25))
    loop = bench({'net': {'segments': 3, 'variants': 3, 'profile': make_profile(0.0, 1.2, 3)}},
                 scheduler='edf', steering=steering)
    loop.admit()
    for segment, variant in enumerate((1, 0, 2)):
        assert loop.engine.running()[0].variant == variant
        # the next one's is chosen at its own boundary
        assert steering.asked == list(range(segment + 1))
        loop.engine.finish()
    job = loop.next_job()
    assert not job.error and steering.left.get_nowait() is job
    assert [job.variant(segment) for segment in range(3)] == [1, 0, 2]


def test_the_scheduler_is_told_what_a_variant_will_take(bench, make_profile):
    loop = bench({'net': {'segments': 3, 'variants': 3, 'profile': make_profile(0.0, 1.2, 3)}},
                 scheduler='edf', steering=Chosen(Choice(1, 0.5), None, Choice(2, 0.25)))
    loop.admit()
    for _ in range(3):
        loop.engine.finish()
    loop.next_job()
    works = loop.announced(3)
    assert [work.time_s for work in works] == pytest.approx([0.4, 0.4, 0.1])
    assert [work.remaining_s for work in works] == pytest.approx([1.2, 0.8, 0.1])
    assert loop.told.completed == works


def test_what_waits_is_in_no_cohort(bench):
    steering = Chosen(Choice(0, 1.0))
    loop = bench(steering=steering, max_queue=1)
    loop.admit(0)
    loop.engine.running()
    loop.admit(1)
    dropped = loop.admit(2)
    assert loop.next_drop()[0] is not dropped
    assert steering.asked == [0] and steering.left.empty()
    loop.finish()
    loop.finish()
    assert steering.asked == [0, 0] and steering.left.qsize() == 2


@pytest.mark.parametrize('segment', [0, 1])
def test_a_choice_that_fails_costs_its_job_only(bench, segment):
    choices = [Choice(0, 1.0), Choice(0, 1.0)]
    choices[segment] = ValueError('no table')
    loop = bench({'net': {'segments': 2}}, scheduler='edf', steering=Chosen(*choices))
    loop.admit()
    if segment:
        loop.engine.finish()
    assert loop.next_job().error == 'no table'
    loop.loop.steering.choices = (None, None)
    loop.admit()
    loop.engine.finish()
    loop.engine.finish()
    assert not loop.next_job().error


def test_whole_networks_choose_once(bench):
    steering = Chosen(Choice(1, 0.5), Choice(1, 0.5))
    loop = bench({'net': {'segments': 2, 'variants': 2}}, steering=steering)
    loop.admit()
    loop.engine.running()
    assert [step.variant for step in loop.engine.submitted()] == [1, 0]
    loop.engine.finish()
    loop.engine.finish()
    loop.next_job()
    assert steering.asked == [0]
