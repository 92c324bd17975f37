"""A workload on a board, as a user describes it, and all that a what-if sweep makes of it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Iterator, NamedTuple, Tuple

RANDOM, SYNCHRONISED = PHASES = ('random', 'synchronised')
# Nobody sets the board: it stays as its power mode has it, or as fast as it is.
NOBODY = 'none'
# These multiply what instances have.
FACTORS = {'deadline_factor': 'deadline_ms', 'rate_factor': 'rate_hz'}
# Of a sweep: what it changes, and to what.
Choice = Tuple[str, Any]


class Policy(NamedTuple):
    """A scheduling policy and its options, as (name, value)."""

    name: str
    options: Tuple[Choice, ...] = ()


@dataclasses.dataclass(frozen=True)
class Stream:
    """An instance: cameras whose images go to one model.

    `model` is one of NETWORKS, a model that the package knows, or the path of an ONNX network,
    a description or a profile. Each of the `cameras` gives `rate_hz` images a second, and each
    image comes up to `jitter_ms` late. Its deadline counts from when it was due. With the phase
    'synchronised' cameras give their images at one moment, else at moments drawn by the seed.
    """

    name: str
    model: str
    rate_hz: float
    deadline_ms: float
    cameras: int = 1
    priority: int = 0
    tolerated_miss_rate: float = 0.01
    phase: str = RANDOM
    jitter_ms: float = 0.0


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Instances on a board, and what decides there.

    `board` is a name or the path of a file; '' for the device of measured profiles. `mode` is
    NOBODY or the name of who sets the board, `power_mode` one of the board's; '' for its highest
    clocks. With `low_rank`, who sets the board may run segments in variants of low rank. Networks
    have so many `segments`, at whose ends the scheduler decides. A segment takes up to the part
    `run_jitter` longer than it should.
    """

    instances: Tuple[Stream, ...]
    board: str = ''
    precision: str = 'fp16'
    scheduler: Policy = Policy('overlapping')
    mode: str = NOBODY
    power_mode: str = ''
    low_rank: bool = False
    fusion: bool = True
    max_batch: int = 8
    segments: int = 4
    seconds: float = 10.0
    run_jitter: float = 0.1

    @property
    def frames(self) -> float:
        """Return how many images come in one run."""
        return self.seconds * sum(each.cameras * each.rate_hz for each in self.instances)

    def changed(self, choices: Tuple[Choice, ...]) -> Scenario:
        """Return it with some things changed: its own, those of all instances, or of one."""
        scenario = self
        for axis, value in choices:
            scenario = scenario._with(axis, value)
        return scenario

    def _with(self, axis, value) -> Scenario:
        name, dot, key = axis.rpartition('.')
        if not dot and key in _OWN:
            return dataclasses.replace(self, **{key: value})
        return dataclasses.replace(self, instances=tuple(
            _changed(each, key, value) if name in ('', each.name) else each
            for each in self.instances))


_OWN = {field.name for field in dataclasses.fields(Scenario)}


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """A scenario and the axes of a sweep: what changes, and to which values.

    `files` has the path and the SHA-256 of every file that results depend on.
    """

    name: str
    scenario: Scenario
    axes: Tuple[Tuple[str, Tuple[Any, ...]], ...] = ()
    files: Tuple[Tuple[str, str], ...] = ()

    @property
    def combinations(self) -> Iterator[Tuple[Choice, ...]]:
        """Give all combinations of the axes' values, the last axis fastest."""
        names = [axis for axis, _ in self.axes]
        for values in itertools.product(*(values for _, values in self.axes)):
            yield tuple(zip(names, values))


def _changed(stream, key, value) -> Stream:
    if key in FACTORS:
        key, value = FACTORS[key], value * getattr(stream, FACTORS[key])
    return dataclasses.replace(stream, **{key: value})
