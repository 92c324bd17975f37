"""The shipped core on a simulated device in virtual time, for benches and trials."""

from __future__ import annotations

import functools
import types
from typing import Callable, Mapping, Optional

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.simulated import SimulatedEngine
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.events import Arrival, Parameters
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Job, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.variant_chooser import EXACT, VariantChooser
from s3dnn_ros.runtime.virtual_driver import VirtualDriver
from s3dnn_ros.scheduling.rivals import make_known
from s3dnn_ros.transport.frames import FrameBatch, FrameInfo, Transform

LEVELS = 3
JITTER = 0.1
_OPTIONS = {'overlapping': {'levels': LEVELS}, 'supervised': {'successor_wait_s': 0.0}}
_PARAMETERS = Parameters(max_queue=100_000, late_policy='drop', fusion=False, max_batch=1)
_IDENTITY = Transform(1.0, 1.0)


class VirtualExecutor:
    """Instances on one core, which shares a simulated device by a policy.

    Each has a network of its own. Requests that cannot be in time any more are dropped.

    Parameters
    ----------
    policy : str
        One of POLICIES, or of RIVALS.
    profiles : mapping of name to ProfileTable
    finished : callable
        Called with every Job that ended.
    dropped : callable
        Called with (request, reason, sentence) for every request that will not run.
    seed : int
        Of the device's times.
    jitter : float
        A segment takes up to this part longer than its profile says.
    chooser : VariantChooser
        Chooses the variant of every segment.
    clock : VirtualClock, optional
    **device
        `board` and `speedups` of the SimulatedEngine.

    """

    def __init__(self, policy: str, profiles: Mapping[str, ProfileTable],
                 finished: Callable[[Job], None], dropped: Callable[[Request, str, str], None],
                 seed: int, jitter: float = JITTER, chooser: VariantChooser = EXACT,
                 clock: Optional[VirtualClock] = None, **device):
        self._clock = clock or VirtualClock()
        self._profiles = profiles
        self._chooser = chooser
        self.engine = SimulatedEngine(self._clock, profiles, levels=LEVELS, jitter=jitter,
                                      seed=seed, **device)
        scheduler = make_known(policy, **_OPTIONS.get(policy, {}))
        # as the executor has it: one for what waits on the device for its turn
        self._lanes = 2 if scheduler.holds else 1
        self._core = Core(scheduler, self.engine, finished, dropped, _fail, _PARAMETERS,
                          chooser)
        self._driver = VirtualDriver(self._core, self.engine, self._clock)

    def add(self, name: str, priority: int = 0) -> Instance:
        """Return a new instance of the network whose profile has this name."""
        profile = self._profiles[name]
        spec = types.SimpleNamespace(name=name)
        network = self.engine.load(name, [None] * profile.segments, [], spec, lanes=self._lanes)
        expect = Expectation(network.segments, profile,
                             functools.partial(self._chooser.scale, name),
                             functools.partial(self._chooser.least, name))
        queue = ModelQueue(network, expect)
        return Instance(name, spec, queue, None, types.SimpleNamespace(priority=priority))

    def send(self, instance: Instance, deadline_s: float) -> Request:
        """Send one image to an instance now; return the request."""
        now_s, name = self.now_s(), instance.name
        frame = FrameInfo(name, '', 0, 0, 1, 1, _IDENTITY, now_s, deadline_s)
        batch = FrameBatch('virtual', 0, name, name, (frame,), now_s, None, _keep)
        request = Request(instance, batch, now_s, (None,))
        self._core.post(Arrival(request))
        return request

    def now_s(self) -> float:
        """Return the virtual time."""
        return self._clock.now_s()

    def at(self, time_s: float, action: Callable[[], None]):
        """Have something done at a time, in the order of the calls if it is of one time."""
        self._driver.at(time_s, action)

    def run_until(self, end_s: float):
        """Let time pass up to then."""
        self._driver.run_until(end_s)


def _fail(sentence):
    raise RuntimeError(sentence)


def _keep():
    return True
