"""Offers load to the runtime, as clients with periods and deadlines would, and measures it.

The loop, the schedulers and the engine are the shipped ones; only ROS and decoding are left
out. All policies run on the same networks: the same engine, graphs and buffers.
"""

from __future__ import annotations

import dataclasses
import heapq
import sys
import threading
import time
import types
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from s3dnn_ros.frames import FrameBatch, FrameInfo, Transform
from s3dnn_ros.runtime.clock import SWITCH_INTERVAL_S, sharpen_timers
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.instance import Instance, Request
from s3dnn_ros.runtime.line import Line
from s3dnn_ros.runtime.loop import Loop
from s3dnn_ros.scheduling import make_scheduler

# Left out of every measurement: the first part of a run.
SETTLE_S = 0.5
# Images of one client, used in turn, so that no run sees only one.
IMAGES = 4


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
    """A scheduler with its options, with or without fusion, under a name for the tables."""

    name: str
    scheduler: str
    fuse: bool = False
    options: Tuple = ()

    def make(self):
        """Return a new scheduler."""
        return make_scheduler(self.scheduler, **dict(self.options))


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one run showed; times in ms, rates in images per second."""

    offered_hz: float
    finished_hz: float
    in_time_hz: float
    missed_share: float
    response_ms: Dict[str, float]
    batch: float
    busy_share: float
    decision_us: Dict[str, float]
    decisions_hz: float
    loop_cpu_share: float
    seconds: float
    missed_by_client: Dict[str, float]
    finished_by_client: Dict[str, float]    # per second


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

    def run(self, clients: Sequence[Client], policy: Policy, seconds: float) -> Measured:
        """Offer the clients' load for so long and measure it."""
        run = _Run(self, clients, policy)
        return run.measure(seconds)

    def line(self, model):
        """Return a new line for a model's network."""
        network = self._networks[model]
        return Line(network, Expectation(network.segments, self._profiles.get(model)))

    def loop(self, scheduler, finished, dropped, fuse):
        """Return a loop on the engine."""
        return Loop(scheduler, self._engine, self._clock, finished, dropped, _raise,
                    max_queue=100_000, late_policy='drop', fuse=fuse, max_batch=self._max_batch)

    def now_s(self):
        """Return the time on the clock of loop and clients."""
        return self._clock.now_s()

    def images(self, client):
        """Return images of a client, where the engine wants them."""
        network, (height, width) = self._networks[client.model], self._shapes[client.model]
        return [network.stage(self._random.integers(
            0, 256, (client.frames, height, width, 3), np.uint8)) for _ in range(IMAGES)]


class _Offered(NamedTuple):
    client: str
    stamp_s: float


class _Answer(NamedTuple):
    client: str
    stamp_s: float
    ended_s: float
    deadline_s: float
    batch: int


class _Run:
    """One policy under one load."""

    def __init__(self, rig, clients, policy):
        self._rig = rig
        self._clients = {client.name: client for client in clients}
        self._images = {client.name: rig.images(client) for client in clients}
        lines = {client.model: rig.line(client.model) for client in clients}
        settings = types.SimpleNamespace(priority=0)
        self._instances = {
            client.name: Instance(client.name, None, lines[client.model], None, settings)
            for client in clients}
        self._scheduler = _Timed(policy.make())
        self._loop = rig.loop(self._scheduler, self._finished, self._dropped, policy.fuse)
        self._offered: List[_Offered] = []
        self._answers: List[_Answer] = []
        self._ending = threading.Event()
        self._sequence = 0

    def measure(self, seconds):
        rig, loop = self._rig, self._loop
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        loop.start()
        started_s = rig.now_s()
        generator = threading.Thread(target=self._generate, args=(started_s,))
        generator.start()
        time.sleep(SETTLE_S)
        begin_s, cpu_s, busy_s = rig.now_s(), loop.cpu_s(), loop.busy_s
        self._scheduler.times_ns.clear()
        time.sleep(seconds)
        end_s, cpu_s, busy_s = rig.now_s(), loop.cpu_s() - cpu_s, loop.busy_s - busy_s
        times_us = np.array(self._scheduler.times_ns) / 1e3
        self._ending.set()
        generator.join()
        loop.stop()
        return self._summary(begin_s, end_s, cpu_s, busy_s, times_us)

    def _summary(self, begin_s, end_s, cpu_s, busy_s, times_us):
        span_s = end_s - begin_s
        # by the frame's stamp, so that every frame counts once, answered or not
        offered = [entry for entry in self._offered if begin_s <= entry.stamp_s < end_s]
        answers = [entry for entry in self._answers if begin_s <= entry.stamp_s < end_s]
        ended = [entry for entry in self._answers if begin_s <= entry.ended_s < end_s]
        in_time = [entry for entry in answers if entry.ended_s <= entry.deadline_s]
        by_client = {}
        for name in self._clients:
            asked = sum(entry.client == name for entry in offered)
            answered = sum(entry.client == name for entry in in_time)
            by_client[name] = round(1.0 - answered / asked, 4) if asked else 0.0
        return Measured(
            offered_hz=len(offered) / span_s, finished_hz=len(ended) / span_s,
            in_time_hz=len(in_time) / span_s,
            missed_share=1.0 - len(in_time) / len(offered) if offered else 0.0,
            response_ms=_percentiles([1e3 * (entry.ended_s - entry.stamp_s)
                                      for entry in answers], 3),
            batch=float(np.mean([entry.batch for entry in ended] or [0.0])),
            busy_share=busy_s / span_s, decision_us=_percentiles(times_us, 1),
            decisions_hz=len(times_us) / span_s, loop_cpu_share=cpu_s / span_s, seconds=span_s,
            missed_by_client=by_client,
            finished_by_client={name: sum(entry.client == name for entry in ended) / span_s
                                for name in self._clients})

    def _generate(self, started_s):
        """Release requests at their times; a client without a period only its first."""
        sharpen_timers()
        due = [(started_s + client.phase_s, name) for name, client in self._clients.items()]
        heapq.heapify(due)
        while due and not self._ending.is_set():
            release_s, name = due[0]
            wait_s = release_s - self._rig.now_s()
            if wait_s > 0:
                self._ending.wait(wait_s)
                continue
            heapq.heappop(due)
            client = self._clients[name]
            # a frame is there when it is there: that this thread woke late is no one's delay
            self._release(client, self._rig.now_s())
            if client.period_s:
                heapq.heappush(due, (release_s + client.period_s * client.frames, name))

    def _release(self, client, release_s):
        self._sequence += 1
        frames = tuple(
            FrameInfo(client.name, '', 0, self._sequence, 1, 1, _IDENTITY, stamp_s,
                      stamp_s + client.deadline_s) for stamp_s in client.stamps_s(release_s))
        batch = FrameBatch('bench', self._sequence, client.name, client.model, frames, release_s,
                           None, _keep)
        staged = self._images[client.name][self._sequence % IMAGES]
        self._offered += [_Offered(client.name, frame.received_s) for frame in frames]
        self._loop.admit(Request(self._instances[client.name], batch, release_s, staged))

    def _finished(self, job):
        if job.error:
            raise RuntimeError(job.error)
        for request in job.requests:
            client = self._clients[request.instance.name]
            self._answers += [
                _Answer(client.name, frame.received_s, job.ended_s, frame.deadline_s, job.frames)
                for frame in request.batch.frames]
            if not client.period_s and not self._ending.is_set():
                self._release(client, job.ended_s)

    def _dropped(self, request, reason, sentence):
        client = self._clients[request.instance.name]
        if not client.period_s and reason != 'shutdown':
            self._release(client, self._rig.now_s())


class _Timed:
    """A scheduler that notes how long its decisions take."""

    def __init__(self, scheduler):
        self._scheduler = scheduler
        self.enqueue = scheduler.enqueue
        self.complete = scheduler.complete
        self.withdraw = scheduler.withdraw
        self.next_wake_s = scheduler.next_wake_s
        self.whole_networks = scheduler.whole_networks
        self.times_ns: List[int] = []

    def dequeue(self, now_s):
        started_ns = time.perf_counter_ns()
        dispatch = self._scheduler.dequeue(now_s)
        self.times_ns.append(time.perf_counter_ns() - started_ns)
        return dispatch


_IDENTITY = Transform(1.0, 1.0)


def _keep():
    return True


def _raise(sentence):
    raise RuntimeError(sentence)


def _percentiles(values, digits):
    if not len(values):
        return {}
    return {f'p{rank}': round(float(np.percentile(values, rank)), digits)
            for rank in (50, 95, 99)}
