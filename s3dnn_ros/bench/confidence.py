"""How sure a mean of some runs is."""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple, Sequence

# Student's t: what 95 % of means are within, for 1, 2, … degrees of freedom; later the last.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
        2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
        2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


class Interval(NamedTuple):
    """A mean, and how far from it the true one may be with 95 % confidence; nan of one value."""

    mean: float
    margin: float


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of runs with independent seeds, by Student's t; ValueError if none."""
    if not values:
        raise ValueError('there are no values; expected one at least')
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Interval(mean, math.nan)
    t95 = _T95[min(len(values) - 1, len(_T95)) - 1]
    return Interval(mean, t95 * statistics.stdev(values) / math.sqrt(len(values)))


def told(values: Sequence[float], digits=1) -> str:
    """Return 'mean ± margin', the mean alone of one value, and '–' of none."""
    if not values:
        return '–'
    mean, margin = interval(values)
    known = '' if math.isnan(margin) else f' ± {margin:.{digits}f}'
    return f'{mean:.{digits}f}{known}'
