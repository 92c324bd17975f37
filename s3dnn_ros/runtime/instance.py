"""An instance is a network with its settings; a request asks it for a run; a job is the run."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Tuple

from s3dnn_ros.engines.base import Flight, Network
from s3dnn_ros.frames import FrameBatch
from s3dnn_ros.runtime.line import Line
from s3dnn_ros.scheduling import SegmentWork


@dataclasses.dataclass
class Instance:
    """A network in use; `settings` is replaced as a whole when parameters change.

    Instances of one model share its `line`, and with it the weights.
    """

    name: str
    spec: object
    line: Line
    decoder: object
    settings: object


@dataclasses.dataclass(eq=False)
class Request:
    """One batch of one front end from its arrival on; `staged` is what the engine takes.

    `deadline_s` is the earliest deadline among its frames, `frames` how many they are.
    """

    instance: Instance
    batch: FrameBatch
    arrived_s: float
    staged: Any = None
    deadline_s: float = dataclasses.field(init=False)
    frames: int = dataclasses.field(init=False)

    def __post_init__(self):
        """Look once at what the loop asks for often."""
        self.deadline_s = self.batch.deadline_s
        self.frames = len(self.batch.frames)

    @property
    def priority(self):
        """Return its instance's priority."""
        return self.instance.settings.priority


@dataclasses.dataclass(eq=False)
class Job:
    """Requests that run through one network together, segment by segment.

    Attributes
    ----------
    network : Network or None
        The one it runs on, from its start.
    work : SegmentWork or None
        What the scheduler has, or had last; None before the first.
    level : int
        Of urgency on the device.
    under_way : int
        Works on the device, the one behind the other.
    foretold : SegmentWork or None
        What is nearly over: the one behind it is decided.
    look_s : float
        From when on what runs may have ended.
    late : bool
        Given up between two segments.

    """

    line: Line
    requests: Tuple[Request, ...]
    frames: int = dataclasses.field(init=False)
    network: Optional[Network] = None
    flight: Optional[Flight] = None
    work: Optional[SegmentWork] = None
    level: int = 0
    under_way: int = 0
    foretold: Optional[SegmentWork] = None
    look_s: float = 0.0
    started_s: float = 0.0
    ended_s: float = 0.0
    error: str = ''
    late: bool = False
    outputs: Any = None

    def __post_init__(self):
        """Count the images that run together."""
        self.frames = sum(request.frames for request in self.requests)

    def next_work(self) -> Optional[SegmentWork]:
        """Return the next segment as the scheduler sees it; None behind the last."""
        if self.work is None:
            urgent = min(self.requests, key=lambda request: request.deadline_s)
            self.work = self.line.expect.work(
                urgent.instance.name, self.line.network.padded(self.frames), urgent.deadline_s,
                max(request.priority for request in self.requests))
        else:
            self.work = self.work.successor
        return self.work
