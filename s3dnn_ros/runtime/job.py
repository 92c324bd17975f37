"""An instance is a network with its settings; a request asks it for a run; a job is the run."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from s3dnn_ros.engines.base import Flight, Network
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.scheduling import SegmentWork
from s3dnn_ros.transport.frames import FrameBatch

_DEADLINE_S = operator.attrgetter('deadline_s')


class Choice(NamedTuple):
    """In which variant a segment runs, and what it then takes of the exact one's time."""

    variant: int
    time_factor: float


@dataclasses.dataclass
class Instance:
    """A network in use; `settings` is replaced as a whole when parameters change.

    Instances of one model share its `queue`, and with it the weights and their `recovery`.
    """

    name: str
    spec: object
    queue: ModelQueue
    decoder: object
    settings: object
    recovery: object = None


@dataclasses.dataclass(eq=False)
class Request:
    """One batch of one front end from its arrival on; `staged` is what the engine takes.

    `deadline_s` is the earliest deadline among its frames, `frames` how many they are;
    `max_batch` and `run_late` are the batch's. `number` is another one for every request of
    this process.
    """

    instance: Instance
    batch: FrameBatch
    arrived_s: float
    staged: Any = None
    number: int = dataclasses.field(init=False, default_factory=itertools.count(1).__next__)
    deadline_s: float = dataclasses.field(init=False)
    frames: int = dataclasses.field(init=False)
    max_batch: int = dataclasses.field(init=False)
    run_late: bool = dataclasses.field(init=False)

    def __post_init__(self):
        """Look once at what the core asks for often."""
        self.deadline_s = self.batch.deadline_s
        self.frames = len(self.batch.frames)
        self.max_batch = self.batch.max_batch
        self.run_late = self.batch.run_late

    @property
    def priority(self):
        """Return its instance's priority."""
        return self.instance.settings.priority


@dataclasses.dataclass(eq=False)
class Job:
    """Requests that run through one network together, segment by segment.

    Attributes
    ----------
    urgent : Request
        The one with the earliest deadline.
    network : Network or None
        The one it runs on, from its start.
    work : SegmentWork or None
        What the scheduler has, or had last; None before the first.
    scale : float
        Of the times in `work`; 0 before the first.
    level : int
        Of urgency on the device.
    under_way : int
        Works on the device, the one behind the other.
    nearly_over : SegmentWork or None
        What is nearly over: the one behind it is decided.
    handed_over_s : float
        When that was submitted.
    choices : dict of int to Choice
        How segments run, by segment; those that are missing are exact.
    expected : SegmentWork or None
        What runs and is to end next, since `expected_from_s`.
    look_s : float
        From when on it may have ended.
    late : bool
        Given up between two segments.
    held : bool
        It has waited on the device, so that its times tell nothing.
    is_held : bool
        It waits there now.
    reached : int or None
        So many segments had ended when its progress was looked at last; None: nobody can tell.
    moved_s : float
        Since when it has been so many; 0 before the first look.
    units : tuple of str
        By which of an engine's units each image ran; empty where there are none.
    untypical : bool
        Its time tells nothing of others.

    """

    queue: ModelQueue
    requests: Tuple[Request, ...]
    frames: int = dataclasses.field(init=False)
    urgent: Request = dataclasses.field(init=False)
    network: Optional[Network] = None
    flight: Optional[Flight] = None
    work: Optional[SegmentWork] = None
    scale: float = 0.0
    level: int = 0
    under_way: int = 0
    nearly_over: Optional[SegmentWork] = None
    handed_over_s: float = 0.0
    choices: Dict[int, Choice] = dataclasses.field(default_factory=dict)
    expected: Optional[SegmentWork] = None
    expected_from_s: float = 0.0
    look_s: float = 0.0
    started_s: float = 0.0
    ended_s: float = 0.0
    error: str = ''
    late: bool = False
    held: bool = False
    is_held: bool = False
    reached: Optional[int] = None
    moved_s: float = 0.0
    units: Tuple[str, ...] = ()
    untypical: bool = False
    outputs: Any = None

    def __post_init__(self):
        """Count the images that run together, and find the request that speaks for them."""
        self.frames = sum([request.frames for request in self.requests])
        self.urgent = min(self.requests, key=_DEADLINE_S)

    @property
    def batch(self) -> int:
        """Return the batch that runs."""
        return self.queue.network.padded(self.frames)

    @property
    def instances(self) -> Set[str]:
        """Return the names of the instances that it runs for."""
        return {request.instance.name for request in self.requests}

    @property
    def priority(self) -> int:
        """Return the highest priority among its requests."""
        return max([request.priority for request in self.requests])

    def left_s(self, now_s) -> Tuple[float, float]:
        """Return what it will still take, and how much of that is the segment that runs."""
        if not self.under_way or self.expected is None:
            # the second, while its first segment could not be submitted
            return (self.work.remaining_s if self.work else 0.0), 0.0
        ran_s = now_s - self.expected_from_s
        return (max(0.0, self.expected.remaining_s - ran_s),
                max(0.0, self.expected.time_s - ran_s))

    def next_work(self) -> Optional[SegmentWork]:
        """Return the next segment as the scheduler sees it; None behind the last."""
        segment = self.work.segment + 1 if self.work else 0
        scale = self.queue.expect.scale()
        if scale == self.scale:
            self.work = self.work.successor
        elif segment < self.queue.network.segments:
            # none was made yet, or of a device that was configured otherwise
            urgent = self.urgent
            self.scale = scale
            self.work = self.queue.expect.work(
                urgent.instance.name, self.batch, urgent.deadline_s,
                self.priority, segment)
        else:
            self.work = None
        return self.work

    def take(self, choice: Optional[Choice], segment: int):
        """Take over how a segment runs; None: exact, and in no cohort."""
        if choice is not None:
            self.choices[segment] = choice

    def run_as(self, choice: Optional[Choice]) -> SegmentWork:
        """Take over how the next segment runs; return its work with the time that it will take."""
        work = self.work
        self.take(choice, work.segment)
        if choice is not None and choice.time_factor != 1.0:
            time_s = choice.time_factor * work.time_s
            self.work = dataclasses.replace(
                work, time_s=time_s, remaining_s=work.remaining_s - work.time_s + time_s)
        return self.work

    def ran_exact(self, segment: int):
        """Take note that a segment ran exact, whatever was chosen for it."""
        self.choices[segment] = Choice(0, 1.0)

    def variant(self, segment: int) -> int:
        """Return the variant in which a segment runs."""
        choice = self.choices.get(segment)
        return choice.variant if choice else 0

    def ran_as(self) -> Tuple[int, ...]:
        """Return the variant of every segment that was chosen; none outside a cohort."""
        return tuple(choice.variant for _, choice in sorted(self.choices.items()))

    def time_factor(self, segment: int) -> float:
        """Return what a segment takes, as a multiple of what is expected of the exact one."""
        choice = self.choices.get(segment)
        return choice.time_factor if choice else 1.0

    def time_factors(self, first: int, last: int) -> List[float]:
        """Return the same of consecutive segments."""
        if not self.choices:
            return [1.0] * (last + 1 - first)
        return [self.time_factor(segment) for segment in range(first, last + 1)]
