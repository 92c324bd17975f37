"""The shipped core on a simulated device in virtual time, for benches and trials."""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

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
from s3dnn_ros.scheduling import make_scheduler

LEVELS = 3
JITTER = 0.1
_OPTIONS = {'overlapping': {'levels': LEVELS}, 'supervised': {'successor_wait_s': 0.0}}
_PARAMETERS = Parameters(max_queue=100_000, late_policy='drop')


class _Batch(NamedTuple):
    """What the core asks of a FrameBatch."""

    deadline_s: float
    frames: Tuple[None, ...] = (None,)
    max_batch: int = 0
    run_late: bool = False


class VirtualExecutor:
    """Instances on one core, which shares a simulated device by a policy.

    Each has a network of its own, or shares that of a model. Requests that cannot be in time any
    more are dropped.

    Parameters
    ----------
    policy : str
        One of POLICIES.
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
    max_batch : int
        The core fuses requests for one network, up to so many images.
    **device
        `board` and `speedups` of the SimulatedEngine.

    """

    def __init__(self, policy: str, profiles: Mapping[str, ProfileTable],
                 finished: Callable[[Job], None], dropped: Callable[[Request, str, str], None],
                 seed: int, jitter: float = JITTER, chooser: VariantChooser = EXACT,
                 clock: Optional[VirtualClock] = None, max_batch: int = 1, **device):
        self._clock = clock or VirtualClock()
        self._profiles = profiles
        self._chooser = chooser
        self.engine = SimulatedEngine(self._clock, profiles, levels=LEVELS, jitter=jitter,
                                      seed=seed, **device)
        scheduler = make_scheduler(policy, **_OPTIONS.get(policy, {}))
        # as the executor has it: one for what waits on the device for its turn
        self._lanes = 2 if scheduler.holds else 1
        self._max_batch = max_batch
        self._shared: Dict[str, ModelQueue] = {}        # by model
        parameters = dataclasses.replace(_PARAMETERS, fusion=max_batch > 1, max_batch=max_batch)
        self._core = Core(scheduler, self.engine, finished, dropped, _fail, parameters, chooser)
        self._driver = VirtualDriver(self._core, self.engine, self._clock)

    def add(self, name: str, priority: int = 0, model: str = '') -> Instance:
        """Return a new instance of the network whose profile has this name.

        With a `model` it is that of this name, which all its instances share.
        """
        queue = self._shared.get(model)
        if queue is None:
            queue = self._queue(model or name)
        else:
            # as the executor has it: a lane for each instance
            queue.network.lanes += 1
        if model:
            self._shared[model] = queue
        return Instance(name, types.SimpleNamespace(name=model or name), queue, None,
                        types.SimpleNamespace(priority=priority))

    def send(self, instance: Instance, deadline_s: float, frames: int = 1,
             run_late: bool = False) -> Request:
        """Send images, which run together, to an instance now; return the request.

        Those that are to `run_late` are not dropped.
        """
        images = (None,) * frames
        request = Request(instance, _Batch(deadline_s, images, run_late=run_late),
                          self._clock.now_s(), images)
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

    def _queue(self, model) -> ModelQueue:
        profile = self._profiles[model]
        network = self.engine.load(model, [None] * profile.segments, [],
                                   types.SimpleNamespace(name=model), lanes=self._lanes,
                                   max_batch=self._max_batch)
        return ModelQueue(network, Expectation(
            network.segments, profile, functools.partial(self._chooser.scale, model),
            functools.partial(self._chooser.least, model)))


def _fail(sentence):
    raise RuntimeError(sentence)
