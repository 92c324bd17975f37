"""All configurations of a board: the product of its axes, none of them computed in advance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Dict, Hashable, Iterable, List, Mapping, Optional, Tuple, Union

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.platforms.base import Configuration
from s3dnn_ros.platforms.knobs import Knob, nearest

Steps = Union[None, int, Iterable[int]]


@dataclasses.dataclass(frozen=True)
class Choice:
    """One value of an axis, and what it means for each of the axis's knobs; None: nothing."""

    value: Hashable
    label: str
    settings: Tuple[Optional[int], ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """What is chosen by itself, from slow to fast: one knob, or several that belong together."""

    name: str
    knobs: Tuple[Knob, ...]
    choices: Tuple[Choice, ...]


class ConfigurationSpace(Sequence):
    """The product of axes in mixed radix: the first axis counts most, each from slow to fast.

    Length and access take the same time whatever the size. An index below 0 counts from the end.
    """

    def __init__(self, axes: Iterable[Axis]):
        self.axes = tuple(axes)
        self._length = math.prod(len(axis.choices) for axis in self.axes)

    def __len__(self):
        """Return the number of configurations."""
        return self._length

    def __getitem__(self, index):
        """Return a configuration, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._length))]
        index = index + self._length if index < 0 else index
        choices = self._choices(index)
        return Configuration(
            index, ', '.join(f'{axis.name} {choice.label}' for axis, choice in choices),
            tuple((axis.name, choice.value) for axis, choice in choices))

    def index_of(self, values: Mapping[str, Hashable]) -> int:
        """Return the index of the configuration with these values by axis; ValueError if none."""
        index = 0
        for axis in self.axes:
            known = [choice.value for choice in axis.choices]
            if values.get(axis.name) not in known:
                raise ValueError(f"'{axis.name}' cannot be {values.get(axis.name)}; "
                                 f"known are {', '.join(map(str, known))}")
            index = index * len(known) + known.index(values[axis.name])
        return index

    def settings(self, index: int) -> Dict[Knob, int]:
        """Return what each knob is set to in a configuration; knobs that may stay are missing."""
        return {knob: value for axis, choice in self._choices(index)
                for knob, value in zip(axis.knobs, choice.settings) if value is not None}

    def _choices(self, index) -> List[Tuple[Axis, Choice]]:
        if not 0 <= index < self._length:
            raise IndexError(f'configuration {index} is unknown; there are 0 to '
                             f'{self._length - 1}')
        found = []
        for axis in reversed(self.axes):
            index, digit = divmod(index, len(axis.choices))
            found.append((axis, axis.choices[digit]))
        return found[::-1]


def hz_axis(name: str, knob: Knob, values_hz: Iterable[int]) -> Axis:
    """Return the axis of one clock."""
    return Axis(name, (knob,), tuple(
        Choice(hz, f'{hz / 1e6:g} MHz', (hz,)) for hz in values_hz))


def thin(name: str, values: Tuple, steps: Steps) -> Tuple:
    """Return some of the values: all, as many as a number says, or those nearest to a list's.

    A number spreads them evenly, from the first to the last; 1 keeps the last.

    Raises
    ------
    ParameterError
        The number, or the list, is empty; `name` is the parameter's.

    """
    if steps is None:
        return values
    if isinstance(steps, int):
        if steps < 1:
            raise ParameterError(name, steps, 'give the number of values to use, 1 or more, '
                                              'or a list of values')
        count = min(steps, len(values))
        last = len(values) - 1
        return tuple(values[last - round(place * last / max(count - 1, 1))]
                     for place in reversed(range(count)))
    chosen = sorted({nearest(values, wanted) for wanted in steps})
    if not chosen:
        raise ParameterError(name, steps, 'list a value, or give None for all')
    return tuple(chosen)
