"""What a core is told: events, and the parameters that may change while it runs."""

from __future__ import annotations

import dataclasses
from typing import Callable, NamedTuple

from s3dnn_ros.engines.base import Run
from s3dnn_ros.runtime.job import Job, Request
from s3dnn_ros.scheduling import SegmentWork


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What may change while the core runs; the executor's parameters of these names."""

    max_queue: int = 32
    late_policy: str = 'run'
    fusion: bool = True
    max_batch: int = 8


DEFAULTS = Parameters()


class Arrival(NamedTuple):
    """A request is here."""

    request: Request


class SegmentEnded(NamedTuple):
    """A segment of a job has ended, or all segments of a network that runs whole."""

    job: Job
    work: SegmentWork
    run: Run


@dataclasses.dataclass(frozen=True)
class ConfigurationChanged:
    """The device takes another time from now on, also for what it runs."""


@dataclasses.dataclass(frozen=True)
class ParametersChanged:
    """These parameters hold from now on."""

    parameters: Parameters


@dataclasses.dataclass(frozen=True)
class LoadWanted:
    """The load is to be told although nothing has changed."""


@dataclasses.dataclass(frozen=True)
class HoldingChanged:
    """Jobs may be held from now on, or must not be; `done` is called when none is held."""

    allowed: bool
    done: Callable[[], None]


@dataclasses.dataclass(frozen=True)
class ThresholdChanged:
    """The scheduler, which is `packing`, has another threshold from now on."""

    threshold: float


@dataclasses.dataclass(frozen=True)
class Stopping:
    """What waits is to be dropped; what runs ends."""
