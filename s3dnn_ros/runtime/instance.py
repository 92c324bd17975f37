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
    """One batch of one front end from its arrival on; `staged` is what the engine takes."""

    instance: Instance
    batch: FrameBatch
    arrived_s: float
    staged: Any = None

    @property
    def deadline_s(self):
        """Return the earliest deadline among the frames."""
        return self.batch.deadline_s

    @property
    def priority(self):
        """Return its instance's priority."""
        return self.instance.settings.priority

    @property
    def frames(self):
        """Return how many images it has."""
        return len(self.batch.frames)


@dataclasses.dataclass(eq=False)
class Job:
    """Requests that run through one network together, segment by segment."""

    line: Line
    requests: Tuple[Request, ...]
    network: Optional[Network] = None   # the one it runs on, from its start
    flight: Optional[Flight] = None
    work: Optional[SegmentWork] = None
    started_s: float = 0.0
    ended_s: float = 0.0
    error: str = ''
    late: bool = False      # given up between two segments
    outputs: Any = None

    @property
    def frames(self):
        """Return how many images run together."""
        return sum(request.frames for request in self.requests)

    def next_work(self, segment) -> SegmentWork:
        """Return the work of a segment, which knows the one behind it."""
        urgent = min(self.requests, key=lambda request: request.deadline_s)
        self.work = self.line.expect.work(
            urgent.instance.name, segment, self.line.network.padded(self.frames),
            urgent.deadline_s,
            max(request.priority for request in self.requests))
        return self.work
