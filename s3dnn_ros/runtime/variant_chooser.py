"""How each segment of a job runs: exact, or as the cohort decides (NeuOS)."""

from __future__ import annotations

import collections
import math
from typing import Counter, Deque, Mapping, NamedTuple, Optional, Protocol, Sequence

from s3dnn_ros.cohort import Cohort, ModelTables
from s3dnn_ros.runtime.job import Choice, Job

# Boundaries that are kept: as many segments as the recorder has stamps of.
BOUNDARIES = 1 << 13


class Boundary(NamedTuple):
    """What was decided for a segment before it ran.

    `lag_s` is the LAG that the instance told its cohort, `configuration` that in which the board
    was then.
    """

    now_s: float
    request: int
    instance: str
    segment: int
    lag_s: float
    configuration: int
    variant: int


class VariantChooser(Protocol):
    """Chooses for the core, and tells what it makes of profiled times; called in its thread."""

    def scale(self, model: str) -> float:
        """Return what a model takes of its profiled times, as the device is configured now."""

    def least(self, model: str) -> Sequence[float]:
        """Return what it takes of each segment's at least, whatever is chosen; empty: all."""

    def choose(self, job: Job, segment: int, now_s: float) -> Optional[Choice]:
        """Return how a segment that comes next runs; None for exact."""

    def ended(self, job: Job, now_s: float) -> None:
        """Take note that a job has ended, well or not, after at least one choice."""


class Exact:
    """Everything runs as it was profiled."""

    def scale(self, model):
        """Return 1."""
        return 1.0

    def least(self, model):
        """Return nothing: all of it."""
        return ()

    def choose(self, job, segment, now_s):
        """Choose nothing."""

    def ended(self, job, now_s):
        """Do nothing."""


EXACT = Exact()


class CohortChooser:
    """Every boundary is one of the cohort, and the most urgent request speaks for its job.

    Parameters
    ----------
    cohort : Cohort
    tables : mapping of model name to ModelTables
        Models without tables run exact, and take no part.
    kept : int
        How many boundaries are kept.

    Attributes
    ----------
    boundaries : deque of Boundary
        The newest, oldest first.

    """

    def __init__(self, cohort: Cohort, tables: Mapping[str, ModelTables], kept=BOUNDARIES):
        self.boundaries: Deque[Boundary] = collections.deque(maxlen=kept)
        self._cohort = cohort
        self._tables = tables
        self._under_way: Counter[str] = collections.Counter()      # jobs, by instance

    def scale(self, model):
        """Return what a model takes of its profiled times, as the device is configured now."""
        tables = self._tables.get(model)
        return tables.scale(self._cohort.configuration) if tables else 1.0

    def least(self, model):
        """Return what it takes in the fastest configuration and variants."""
        tables = self._tables.get(model)
        return tables.least if tables else ()

    def choose(self, job, segment, now_s):
        """Return the cohort's choice; None for a job that has no deadline to be behind of."""
        request = job.urgent
        model = request.instance.spec.name
        tables = self._tables.get(model)
        deadline_s = request.deadline_s - request.arrived_s
        if tables is None or not 0.0 < deadline_s < math.inf:
            return None
        variant = self._cohort.boundary(
            request.instance.name, model, segment, now_s - request.arrived_s, deadline_s,
            job.variant(segment - 1), now_s, job.queue.expect.overhead_s(segment))
        self.boundaries.append(Boundary(
            now_s, request.number, request.instance.name, segment, self._cohort.told.lag_s,
            self._cohort.configuration, variant))
        if segment == 0:
            self._under_way[request.instance.name] += 1
        return Choice(variant, 1.0 / tables.accuracy[segment].speedup[variant])

    def ended(self, job, now_s):
        """Tell how the job ended, and take its instance out of the cohort with the last."""
        request = job.urgent
        instance = request.instance
        self._cohort.ended(instance.name, (now_s - request.deadline_s)
                           / (request.deadline_s - request.arrived_s))
        self._under_way[instance.name] -= 1
        if not self._under_way[instance.name]:
            self._cohort.leave(instance.name, instance.spec.name, now_s)
