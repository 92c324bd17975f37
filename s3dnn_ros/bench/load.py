"""Offers load to the runtime, as clients with periods and deadlines would, and measures it.

The core, the schedulers and the engine are the shipped ones; only ROS and decoding are left
out. When images come, a process of its own says. All policies run on the same networks: the same
engine, graphs and buffers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import time
import types
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.clock import SWITCH_INTERVAL_S
from s3dnn_ros.bench.arrivals import Arrivals
from s3dnn_ros.bench.record import Answer, Offered, Record, spans_of
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.driver import Driver
from s3dnn_ros.runtime.events import Arrival, Parameters
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.recorder import ROWS, Recorder
from s3dnn_ros.runtime.variant_chooser import EXACT, VariantChooser
from s3dnn_ros.scheduling.rivals import lead_of, make_known
from s3dnn_ros.transport.frames import FrameBatch, FrameInfo, Transform

# Left out of every measurement: the first part of a run, in which queues fill and clocks rise.
# With the periods of the bench (1 to 50 ms) it holds ten requests of every client and more.
SETTLE_S = 0.5
# Images of one client, used in turn, so that no run sees only one.
IMAGES = 4
# stamps of a run that is traced: 10 s of 4,000 requests/s with eight segments
TRACED_ROWS = 1 << 20
# so late that no deadline keeps requests from being fused
FAR_S = 10.0


@dataclasses.dataclass(frozen=True)
class Client:
    """An instance and how often it asks; `period_s` 0: again as soon as it has its answer.

    A request has `frames` images. With a period they come one by one, `period_s` apart, each
    with its own deadline, and the request goes out with the last: batching by the application.
    """

    name: str
    model: str
    deadline_s: float
    period_s: float = 0.0
    phase_s: float = 0.0
    frames: int = 1

    def stamps_s(self, now_s):
        """Return when the frames came of a request that goes out now."""
        return [now_s - self.period_s * (self.frames - 1 - index) for index in range(self.frames)]


@dataclasses.dataclass(frozen=True)
class Policy:
    """A scheduler with its options, under a name for the tables, and what goes with it.

    `fuse` lets the core make batches; with `frames` the clients make them: each collects so
    many images to one request. With `processes` every client has a process of its own. With
    `levels` the scheduler uses as many levels of urgency as the device has.
    """

    name: str
    scheduler: str
    fuse: bool = False
    options: Tuple = ()
    frames: int = 1
    processes: bool = False
    levels: bool = False

    def make(self, engine):
        """Return a new scheduler."""
        levels = {'levels': engine.levels} if self.levels else {}
        return make_known(self.scheduler, **dict(self.options), **levels,
                          **lead_of(self.scheduler, engine))


STREAMS = Policy('streams', 'streams')
# what the executor does with its default parameters
DEFAULT = (('capacity', 1.0), ('order', 'deadline'))
SUPERVISED = Policy('supervised', 'overlapping', options=DEFAULT, levels=True)


def mix(count, models) -> Sequence[Tuple[str, str]]:
    """Return (name, model) of so many instances, the models in turn."""
    return [(f'{models[index % len(models)]}_{index // len(models)}', models[index % len(models)])
            for index in range(count)]


class Rig:
    """Networks on an engine, ready for any number of runs.

    Parameters
    ----------
    networks : mapping of model name to Network
    profiles : mapping of model name to ProfileTable
    engine, clock : Engine, Clock
    shapes : mapping of model name to (height, width)
    max_batch : int
        Most images of one model that run together.

    """

    def __init__(self, networks, profiles, engine, clock, shapes, max_batch):
        self._networks = networks
        self._profiles = profiles
        self._engine = engine
        self._clock = clock
        self._shapes = shapes
        self._max_batch = max_batch
        self._random = np.random.default_rng(0)

    def run(self, clients: Sequence[Client], policy: Policy, trace=False,
            chooser: VariantChooser = EXACT) -> Run:
        """Return a run that is ready to start; with `trace` its record will have spans."""
        return Run(self, clients, policy, trace, chooser)

    def queue(self, model, chooser):
        """Return a new queue for a model's network."""
        network = self._networks[model]
        return ModelQueue(network, Expectation(
            network.segments, self._profiles.get(model),
            functools.partial(chooser.scale, model), functools.partial(chooser.least, model)))

    def scheduler(self, policy):
        """Return a new scheduler for the engine."""
        return policy.make(self._engine)

    def drive(self, scheduler, finished, dropped, report, fuse, chooser, rows, inbox):
        """Return a core on the engine that keeps so many stamps, and its driver."""
        core = Core(scheduler, self._engine, finished, dropped, report,
                    Parameters(100_000, 'drop', fuse, self._max_batch), chooser,
                    recorder=Recorder(rows))
        return core, Driver(core, self._engine, self._clock, dropped, report, inbox)

    @contextlib.contextmanager
    def armed(self):
        """Let lanes with gates be armed, as the executor does once all is loaded."""
        if self._engine.gated:
            self._engine.allow_arming(True)
        try:
            yield
        finally:
            if self._engine.gated:
                self._engine.allow_arming(False)

    def now_s(self):
        """Return the time on the clock of core and clients."""
        return self._clock.now_s()

    def images(self, client):
        """Return images of a client, where the engine wants them."""
        network, (height, width) = self._networks[client.model], self._shapes[client.model]
        return [network.stage(self._random.integers(
            0, 256, (client.frames, height, width, 3), np.uint8)) for _ in range(IMAGES)]


class Run:
    """One policy under one load, once; `record` starts it."""

    def __init__(self, rig, clients, policy, trace, chooser):
        clients = [dataclasses.replace(client, frames=client.frames * policy.frames)
                   for client in clients]
        self._rig = rig
        self._clients = {client.name: client for client in clients}
        self._images = {client.name: rig.images(client) for client in clients}
        queues = {client.model: rig.queue(client.model, chooser) for client in clients}
        settings = types.SimpleNamespace(priority=0)
        self._instances = {
            client.name: Instance(client.name, types.SimpleNamespace(name=client.model),
                                  queues[client.model], None, settings)
            for client in clients}
        self._scheduler = _Timed(rig.scheduler(policy))
        # of all requests, by number: client and deadline
        self._asked: Optional[Dict[int, Tuple[str, float]]] = {} if trace else None
        self._failures: List[str] = []
        self._periodic = [client for client in self._clients.values() if client.period_s]
        self._arrivals = Arrivals(
            [(client.phase_s, client.period_s * client.frames) for client in self._periodic],
            self._arrive) if self._periodic else None
        self._core, self._driver = rig.drive(self._scheduler, self._finished, self._dropped,
                                             self._failures.append, policy.fuse, chooser,
                                             TRACED_ROWS if trace else ROWS, self._arrivals)
        self._offered: List[Offered] = []
        self._answers: List[Answer] = []
        self._ending = False
        self._sequence = 0

    def record(self, seconds: float, started_s=None) -> Record:
        """Offer the clients' load, from now or from `started_s` on; return what happened.

        Raises RuntimeError if the core or the engine failed, or the process of the arrivals.
        """
        with contextlib.ExitStack() as stack:
            if self._arrivals:
                stack.enter_context(contextlib.closing(self._arrivals))
            stack.enter_context(self._rig.armed())
            return self._record(seconds, self._rig.now_s() if started_s is None else started_s)

    def _record(self, seconds, started_s):
        rig, core, driver = self._rig, self._core, self._driver
        begin_s = started_s + SETTLE_S
        end_s = begin_s + seconds
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        driver.start()
        # the load goes on until the last of the window have got their chance
        last_s = end_s + self._patience_s()
        if self._arrivals:
            self._arrivals.start(started_s, last_s)
        for client in self._clients.values():
            if not client.period_s:
                driver.post(self._asking(client, rig.now_s()))
        self._sleep_until(begin_s)
        cpu_s, busy_s = driver.cpu_s(), core.recorder.busy_s(rig.now_s())
        self._scheduler.times_ns.clear()
        self._sleep_until(end_s)
        cpu_s, busy_s = driver.cpu_s() - cpu_s, core.recorder.busy_s(rig.now_s()) - busy_s
        decisions_us = [time_ns / 1e3 for time_ns in self._scheduler.times_ns]
        self._sleep_until(last_s)
        self._ending = True
        driver.stop()
        if self._failures:
            raise RuntimeError(self._failures[0])
        spans = spans_of(core.recorder.stamps(), self._asked) if self._asked else ()
        return Record(begin_s, end_s,
                      {name: client.model for name, client in self._clients.items()},
                      self._offered, self._answers, spans, decisions_us, cpu_s, busy_s)

    def _sleep_until(self, moment_s):
        time.sleep(max(0.0, moment_s - self._rig.now_s()))

    def _patience_s(self):
        """Return after what time the window's last image of a periodic client is in or late."""
        return max((min(SETTLE_S, client.deadline_s) + client.period_s * (client.frames - 1)
                    for client in self._clients.values() if client.period_s), default=0.0)

    def _arrive(self, place, release_s):
        """Return the event of a request whose last image came now."""
        return self._asking(self._periodic[place], release_s)

    def _asking(self, client, release_s):
        self._sequence += 1
        # a request is given up when its newest image is late, not when its oldest is
        frames = tuple(
            FrameInfo(client.name, '', 0, self._sequence, 1, 1, _IDENTITY, stamp_s,
                      release_s + client.deadline_s) for stamp_s in client.stamps_s(release_s))
        batch = FrameBatch('bench', self._sequence, client.name, client.model, frames, release_s,
                           None, _keep)
        staged = self._images[client.name][self._sequence % IMAGES]
        self._offered += [Offered(client.name, frame.received_s,
                                  frame.received_s + client.deadline_s) for frame in frames]
        request = Request(self._instances[client.name], batch, release_s, staged)
        if self._asked is not None:
            self._asked[request.number] = client.name, request.deadline_s
        return Arrival(request)

    def _finished(self, job):
        if job.error:
            raise RuntimeError(job.error)
        for request in job.requests:
            client = self._clients[request.instance.name]
            self._answers += [
                Answer(client.name, frame.received_s, job.ended_s,
                       frame.received_s + client.deadline_s, job.frames, job.ran_as())
                for frame in request.batch.frames]
            if not client.period_s and not self._ending:
                self._driver.post(self._asking(client, job.ended_s))

    def _dropped(self, request, reason, sentence):
        client = self._clients[request.instance.name]
        if not client.period_s and reason != 'shutdown':
            self._driver.post(self._asking(client, self._rig.now_s()))


class _Timed:
    """A scheduler that notes how long its decisions take."""

    def __init__(self, scheduler):
        self._scheduler = scheduler
        self.enqueue = scheduler.enqueue
        self.complete = scheduler.complete
        self.withdraw = scheduler.withdraw
        self.next_wake_s = scheduler.next_wake_s
        self.whole_networks = scheduler.whole_networks
        self.holds = scheduler.holds
        if self.holds:
            self.reached = scheduler.reached
            self.allow_holding = scheduler.allow_holding
            self.carried_out = scheduler.carried_out
        self.times_ns: List[int] = []

    def dequeue(self, now_s):
        started_ns = time.perf_counter_ns()
        dispatch = self._scheduler.dequeue(now_s)
        self.times_ns.append(time.perf_counter_ns() - started_ns)
        return dispatch


_IDENTITY = Transform(1.0, 1.0)


def _keep():
    return True
