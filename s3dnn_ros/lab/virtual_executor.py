"""The shipped core on a simulated device in virtual time, for benches, trials and experiments."""

from __future__ import annotations

import functools
import types
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.simulated import SimulatedEngine
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.runtime.core import Core
from s3dnn_ros.runtime.events import Arrival, Parameters
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance, Job, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.recorder import Recorder, Stage
from s3dnn_ros.runtime.variant_chooser import EXACT, VariantChooser
from s3dnn_ros.runtime.virtual_driver import VirtualDriver
from s3dnn_ros.scheduling.rivals import lead_of, make_known

LEVELS = 3
JITTER = 0.1
# One image for one network; requests that cannot be in time any more are dropped.
PARAMETERS = Parameters(max_queue=100_000, late_policy='drop', fusion=False, max_batch=1)
# Of policies, in virtual time.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    'overlapping': {'levels': LEVELS}, 'supervised': {'successor_wait_s': 0.0}}


class _Batch(NamedTuple):
    """What the core asks of a FrameBatch."""

    deadline_s: float
    frames: Tuple[None, ...] = (None,)
    max_batch: int = 0
    run_late: bool = False


class VirtualExecutor:
    """Instances on one core, which shares a simulated device by a policy.

    Each has a network of its own, or shares that of a model.

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
    parameters : Parameters
        Of the core, such as whether requests for one network run as one batch.
    options : mapping of str to object
        Of the policy.
    recorder : Recorder, optional
        One that keeps more, or fewer, stamps than usual.
    **device
        `levels`, `lead_s`, `board` and `speedups` of the SimulatedEngine.

    Attributes
    ----------
    engine : SimulatedEngine
    models : dict of str to str
        The model of every instance.
    recorder : Recorder
        What became of every request.

    """

    def __init__(self, policy: str, profiles: Mapping[str, ProfileTable],
                 finished: Callable[[Job], None], dropped: Callable[[Request, str, str], None],
                 seed: int, jitter: float = JITTER, chooser: VariantChooser = EXACT,
                 clock: Optional[VirtualClock] = None, parameters: Parameters = PARAMETERS,
                 options: Optional[Mapping[str, Any]] = None,
                 recorder: Optional[Recorder] = None, **device):
        self._clock = clock or VirtualClock()
        self._profiles = profiles
        self._chooser = chooser
        self.engine = SimulatedEngine(self._clock, profiles, jitter=jitter, seed=seed,
                                      **{'levels': LEVELS, **device})
        scheduler = make_known(policy, **{
            **lead_of(policy, self.engine),
            **(OPTIONS.get(policy, {}) if options is None else options)})
        # as the executor has it: one for what waits on the device for its turn
        self._spare_lanes = int(scheduler.holds)
        self._max_batch = parameters.max_batch
        self.models: Dict[str, str] = {}
        self._queues: Dict[str, ModelQueue] = {}        # by model
        self._dropped = dropped
        self._core = Core(scheduler, self.engine, finished, self._drop, _fail, parameters,
                          chooser, recorder=recorder)
        self.recorder = self._core.recorder
        self._driver = VirtualDriver(self._core, self.engine, self._clock)

    def add(self, name: str, priority: int = 0, model: str = '') -> Instance:
        """Return a new instance of the network whose profile has the model's name, or this one.

        Instances of one model share its network, which has a lane for each.
        """
        model = model or name
        if model in self._queues:
            self._queues[model].network.lanes += 1
        else:
            self._queues[model] = self._queue(model)
        self.models[name] = model
        return Instance(name, types.SimpleNamespace(name=model), self._queues[model], None,
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

    def _drop(self, request, reason, sentence):
        self.recorder.stamp(Stage.DROPPED, request, self.now_s())
        self._dropped(request, reason, sentence)

    def _queue(self, model) -> ModelQueue:
        profile = self._profiles[model]
        network = self.engine.load(
            model, [None] * profile.segments, [], types.SimpleNamespace(name=model),
            lanes=1 + self._spare_lanes, max_batch=self._max_batch)
        return ModelQueue(network, Expectation(
            network.segments, profile, functools.partial(self._chooser.scale, model),
            functools.partial(self._chooser.least, model)))


def _fail(sentence):
    raise RuntimeError(sentence)

