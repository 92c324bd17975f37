"""A core with an engine that waits for the test, in virtual time and in the test's thread."""

import collections
import contextlib
import itertools
import math
import types

import numpy as np
from fake_engine import FakeEngine

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.events import Arrival, Parameters, ParametersChanged, Stopping
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.variant_chooser import EXACT
from s3dnn_ros.runtime.virtual_driver import VirtualDriver
from s3dnn_ros.scheduling import POLICIES, Dispatch, make_scheduler
from s3dnn_ros.scheduling.rivals import make_known

NOW_S = 100.0
LEAD_S = 0.01
STEP_S = 0.001
WHOLE = sorted(name for name in POLICIES if make_scheduler(name).whole_networks)
STEPWISE = sorted(set(POLICIES) - set(WHOLE))
# those that run nothing beside what fills the device, whatever slack it has
ONE_BY_ONE = sorted(set(STEPWISE) - {'overlapping'})


class Watched:
    """A scheduler, and what it was told."""

    def __init__(self, scheduler):
        self.enqueued = collections.deque()
        self.completed = []
        self.withdrawn = []
        self._scheduler = scheduler
        self.whole_networks = scheduler.whole_networks
        self.holds = scheduler.holds
        if self.holds:
            self.reached = scheduler.reached
            self.allow_holding = scheduler.allow_holding
            self.carried_out = scheduler.carried_out
        self.dequeue = scheduler.dequeue
        self.next_wake_s = scheduler.next_wake_s

    def enqueue(self, work, now_s):
        self._scheduler.enqueue(work, now_s)
        self.enqueued.append(work)

    def complete(self, work, now_s):
        self._scheduler.complete(work, now_s)
        self.completed.append(work)

    def withdraw(self, work):
        self.withdrawn.append(work)
        return self._scheduler.withdraw(work)


class SteppedEngine(FakeEngine):
    """Has the core step before it tells what runs, and after what it ends."""

    def __init__(self, clock, step):
        super().__init__(clock)
        self.step = step
        self.goes_freely = False

    def running(self, count=1, timeout=0.0):
        self.step()
        steps = super().running(0)
        assert len(steps) >= count or not count, f'{len(steps)} segments run, not {count}'
        return steps

    def submitted(self):
        self.step()
        return super().submitted()

    def finish(self, step=None, **result):
        step = super().finish(step, **result)
        self.step()
        return step

    def let_go(self):
        """End what runs, and from now on every segment as soon as it is submitted."""
        self.goes_freely = True
        self.step()

    def next_end_s(self):
        """Return never: the test ends what runs."""
        return math.inf

    def end_due(self):
        """Do nothing."""

    def running_now(self):
        """Return what runs, without a step before."""
        return super().running(0)

    def end(self, step):
        """End a segment, without a step behind it."""
        super().finish(step)

    def end_all(self):
        """End the segments that run now; return whether there were any."""
        steps = self.running_now()
        for step in steps:
            self.end(step)
        return bool(steps)


class CoreBench:
    """A core with an engine that waits for us, and what it reported.

    `networks` maps a name to the options of a fake network and of its Expectation; every
    network has two instances, 'NAME' and 'NAME2'. `device` are attributes of the engine;
    `parameters` are those of the core.
    """

    def __init__(self, make_batch, make_frame, networks=None, scheduler='fifo', device=(),
                 chooser=EXACT, tell=None, **parameters):
        self.clock = VirtualClock(NOW_S)
        self.engine = SteppedEngine(self.clock, self.step)
        self.engine.gated = scheduler == 'gated'
        vars(self.engine).update(device)
        self.make_batch, self.make_frame = make_batch, make_frame
        self.queues, self.instances = {}, {}
        for name, network in (networks or {'net': {}}).items():
            network = dict(network)
            profile = network.pop('profile', None)
            pace = {key: network.pop(key) for key in ('scale', 'least') if key in network}
            self.engine.network = network
            loaded = self.engine.load(
                name, [None] * network.get('segments', 1), [], None,
                lanes=network.get('lanes', 1), max_batch=network.get('largest', 64))
            self.queues[name] = ModelQueue(loaded, Expectation(loaded.segments, profile, **pace))
            for instance in (name, f'{name}2'):
                self.instances[instance] = Instance(
                    instance, None, self.queues[name], None, types.SimpleNamespace(priority=3))
        self.finished, self.dropped, self.reports = (collections.deque() for _ in range(3))
        self.take_finished = self.finished.append
        self.watched = Watched(make_known(scheduler) if isinstance(scheduler, str)
                               else scheduler)
        self.parameters = Parameters(**parameters)
        self.core = Core(self.watched, self.engine, lambda job: self.take_finished(job),
                         lambda *what: self.dropped.append(what), self.reports.append,
                         self.parameters, chooser, tell)
        self.driver = VirtualDriver(self.core, self.engine, self.clock)
        self._held = False

    @property
    def network(self):
        return self.queues['net'].network

    @property
    def has_stopped(self):
        return self.core.has_stopped

    @property
    def total_busy_s(self):
        return self.core.recorder.busy_s(self.clock.now_s())

    def step(self):
        """Let the core do all that is to be done now."""
        if self._held:
            return
        self.driver.run_until(self.clock.now_s())
        while self.engine.goes_freely and self.engine.end_all():
            self.driver.run_until(self.clock.now_s())

    @contextlib.contextmanager
    def held(self):
        """Let the core take all in at once that is posted meanwhile."""
        self._held = True
        yield
        self._held = False
        self.step()

    def post(self, event):
        """Hand an event over."""
        self.core.post(event)
        self.step()

    def change(self, **parameters):
        """Change some of the core's parameters."""
        self.parameters = Parameters(**{**vars(self.parameters), **parameters})
        self.post(ParametersChanged(self.parameters))

    def admit(self, value=0, deadline_s=1e9, instance='net', frames=1):
        """Admit a request whose pixels all have this value."""
        batch = self.make_batch(
            *(self.make_frame(deadline_s=deadline_s) for _ in range(frames)), instance=instance,
            pixels=np.full((frames, 4, 4, 3), value, np.uint8))
        request = Request(self.instances[instance], batch, self.clock.now_s())
        request.staged = request.instance.queue.network.stage(batch.pixels)
        self.post(Arrival(request))
        return request

    def occupy(self):
        """Let the network 'other' run something, so that all others wait."""
        self.admit(instance='other')
        assert self.engine.running()[0].network is self.queues['other'].network
        return self.engine.running()[0]

    def announced(self, count=1):
        """Return the next works that were handed to the scheduler."""
        return [self.watched.enqueued.popleft() for _ in range(count)]

    def busy_s(self):
        """Return the busy seconds of every instance until now."""
        return self.core.recorder.busy_s_of_instances(self.clock.now_s())

    def let_pass(self, seconds=0.0):
        """Let time pass, and the core do what is to be done in it."""
        self.driver.run_until(self.clock.now_s() + seconds)

    def on_their_way(self):
        """Return (network, segment) of all that was submitted and has not ended."""
        names = {id(queue.network): name for name, queue in self.queues.items()}
        return [(names[id(step.network)], step.segment) for step in self.engine.submitted()]

    def end(self, name='net', **result):
        """End the segment of a network that runs."""
        network = self.queues[name].network
        self.engine.finish(next(step for step in self.engine.running()
                                if step.network is network), **result)

    def finish(self, **result):
        """End the segment under way; return the value of its pixels and the job reported."""
        values = self.engine.finish(**result).values
        return values[0], self.next_job()

    def next_job(self):
        self.step()
        return self.finished.popleft()

    def next_drop(self):
        self.step()
        return self.dropped.popleft()

    def stop(self):
        """Have all end that runs, and drop what waits."""
        self.post(Stopping())
        self.engine.let_go()
        for _ in itertools.takewhile(lambda _: not self.core.has_stopped, range(10_000)):
            # a scheduler may wait for a moment that a clock which stands still never reaches
            self.let_pass(STEP_S)
            self.step()
        assert self.core.has_stopped

    def free(self):
        """Tell whether every lane is free."""
        return all(not queue.lanes_taken and not queue.pending and not queue.network.flights
                   for queue in self.queues.values())


class Levelled:
    """A scheduler that submits everything at once, each at the level that its instance has."""

    def __init__(self, whole_networks=False, **levels):
        self.whole_networks = whole_networks
        self.holds = False
        self.levels = levels
        self._queue = []

    def enqueue(self, work, now_s):
        self._queue.append(work)

    def dequeue(self, now_s):
        submit, self._queue = tuple(self._queue), []
        levels = tuple(self.levels[work.instance] for work in submit) if self.levels else ()
        return Dispatch(submit, (), levels)

    def complete(self, work, now_s):
        pass

    def withdraw(self, work):
        self._queue.remove(work)
        return True

    def next_wake_s(self, now_s):
        return None


class Chosen:
    """A chooser that has its choices by segment, and notes who asks."""

    def __init__(self, *choices):
        self.choices = choices
        self.asked = []
        self.left = []

    def choose(self, job, segment, now_s):
        self.asked.append(segment)
        choice = self.choices[segment]
        if isinstance(choice, Exception):
            raise choice
        return choice

    def ended(self, job, now_s):
        self.left.append(job)
