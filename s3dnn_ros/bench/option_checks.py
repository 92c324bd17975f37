"""Whether a bench is asked for something that can be measured."""

from __future__ import annotations

import math
from typing import Iterable

from s3dnn_ros.errors import ParameterError


def at_least_one(option: str, values: Iterable[int]) -> None:
    """Refuse counts below 1; raises ParameterError that names the option."""
    for value in values:
        if value < 1:
            raise ParameterError(option, value, 'expected at least 1')


def above_zero(option: str, values: Iterable[float]) -> None:
    """Refuse what is not finite or not above 0; raises ParameterError that names the option."""
    for value in values:
        if not 0.0 < value < math.inf:
            raise ParameterError(option, value, 'expected a number above 0')
