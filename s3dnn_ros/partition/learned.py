"""Times of a table as units keep to them while they run."""

from __future__ import annotations

import dataclasses
import math
from typing import Dict, NamedTuple, Tuple

import numpy as np

from s3dnn_ros.partition.table import PerformanceTable

# Share of the newest run in a unit's factor.
SMOOTHING = 0.2
# Half of what was learned is forgotten after this time, so that a unit that got nothing, as it was
# slow, is tried again.
HALF_LIFE_S = 20.0
# Of the table's times: no unit is taken to be quicker or slower.
LEAST, MOST = 0.5, 16.0
# Factors that are rounded are powers of this.
GRID = 1.05


@dataclasses.dataclass(frozen=True)
class CorrectedTable:
    """A table whose times are multiplied by a factor for each of its `units`, in their order.

    `partition_batch` takes it as it takes the table; a cache may have it as a key.
    """

    table: PerformanceTable
    factors: Tuple[float, ...]

    @property
    def units(self) -> Tuple[str, ...]:
        """Return the names of the units."""
        return self.table.units

    def times_ms(self, unit: str, batches) -> np.ndarray:
        """Return what a unit takes for each of several batches, (n,) milliseconds."""
        return self._factor(unit) * self.table.times_ms(unit, batches)

    def energies_j(self, unit: str, batches) -> np.ndarray:
        """Return the joules of each of several batches, (n,): power is that of the table."""
        return self._factor(unit) * self.table.energies_j(unit, batches)

    def rounded(self) -> CorrectedTable:
        """Return one whose factors are off by 2.5 % at most, and mostly those of the last time."""
        return CorrectedTable(self.table, tuple(
            GRID ** round(math.log(factor, GRID)) for factor in self.factors))

    def _factor(self, unit) -> float:
        return self.factors[self.table.units.index(unit)]


class LearnedTimes:
    """A factor for each unit of a table: the times of its last runs over those of the table.

    A unit that something else keeps busy has a factor above 1. Not thread-safe.
    """

    def __init__(self, table: PerformanceTable):
        self.table = table
        self._learned: Dict[str, _Factor] = {}

    def observe(self, unit: str, batch: int, took_ms: float, now_s: float) -> None:
        """Learn from a run of a unit; raises TableError for one that is not in the table."""
        factor = self.factor(unit, now_s)
        # a single run that stalls must not cost a unit its part
        seen = min(took_ms / self.table.time_ms(unit, batch), 2.0 * factor)
        factor += SMOOTHING * (seen - factor)
        self._learned[unit] = _Factor(min(max(factor, LEAST), MOST), now_s)

    def factor(self, unit: str, now_s: float) -> float:
        """Return a unit's factor now; 1 is that of the table."""
        learned = self._learned.get(unit)
        if learned is None:
            return 1.0
        kept = 0.5 ** (max(0.0, now_s - learned.since_s) / HALF_LIFE_S)
        return 1.0 + kept * (learned.factor - 1.0)

    def at(self, now_s: float) -> CorrectedTable:
        """Return the table as it holds now."""
        return CorrectedTable(self.table, tuple(self.factor(unit, now_s)
                                                for unit in self.table.units))


class _Factor(NamedTuple):
    factor: float
    since_s: float
