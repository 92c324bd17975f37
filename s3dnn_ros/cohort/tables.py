"""What each configuration of the device, and each variant of a layer, gives and costs.

NeuOS's Tables 1a and 1b. One table serves one layer, or segment, of one model.
"""

from __future__ import annotations

import array
import math
from typing import List, Sequence

import numpy as np

# What the accuracy of a coarser variant is told in: as measured, or NeuOS's points.
SCORES = ('fidelity', 'points')
# Buckets for each row that an index can answer with: most buckets hold one or none.
BUCKETS_PER_ROW = 4


class _Index:
    """Finds the cheapest row of at least some speed-up, whatever the number of rows.

    Of many rows only those can be an answer that are cheaper than all faster ones. They lie in
    buckets of equal width by their speed-up.
    """

    def __init__(self, speedup: Sequence[float], cost: Sequence[float]):
        costs = np.asarray(cost)
        fastest_first = np.lexsort((costs, np.negative(speedup)))
        least_before = np.minimum.accumulate(costs[fastest_first])[:-1]
        cheaper = costs[fastest_first[1:]] < least_before
        self._rows: List[int] = fastest_first[np.append(True, cheaper)][::-1].tolist()
        self._speedups = [speedup[row] for row in self._rows]
        self._least, self._most = self._speedups[0], self._speedups[-1]
        buckets = BUCKETS_PER_ROW * len(self._rows)
        width = (self._most - self._least) / buckets
        self._per_speedup = 1.0 / width if width > 0.0 else 0.0
        # a bucket begins with the first that may lie in it; a little earlier for rounding
        self._begins: List[int] = np.searchsorted(
            self._speedups, (self._least + np.arange(buckets + 1) * width) * (1.0 - 1e-9)).tolist()

    def lookup(self, speedup: float) -> int:
        if speedup > self._most:
            return self._rows[-1]
        if speedup <= self._least:
            return self._rows[0]
        place = self._begins[int((speedup - self._least) * self._per_speedup)]
        while self._speedups[place] < speedup:
            place += 1
        return self._rows[place]


class SpeedupPowerTable:
    """NeuOS's Table 1a: what every configuration gains against the slowest, and what it draws.

    Parameters
    ----------
    speedup : sequence of float
        Of the layer, by configuration; above 0.
    powerup : sequence of float
        Power against the slowest configuration's, by configuration; above 0.

    Attributes
    ----------
    most : float
        The greatest speed-up.

    Raises
    ------
    ValueError
        If there are no rows, the columns differ in length, or one holds anything but finite
        numbers above 0.

    """

    def __init__(self, speedup: Sequence[float], powerup: Sequence[float]):
        self.speedup = _column('speedup', speedup)
        self.powerup = _column('powerup', powerup)
        _check_lengths(self.speedup, self.powerup, 'powerup')
        self._index = _Index(self.speedup, self.powerup)
        self.most: float = max(self.speedup)

    def lookup(self, speedup: float) -> int:
        """Return the configuration of least power with at least this speed-up.

        The fastest, if none has it; of those alike the first. Takes as long for a thousand
        configurations as for ten.
        """
        return self._index.lookup(speedup)


class SpeedupAccuracyTable:
    """NeuOS's Table 1b: what every variant of a layer gains against the exact one, and its score.

    Parameters
    ----------
    speedup : sequence of float
        By variant; above 0.
    score : sequence of float
        By variant, higher is better: the paper's points or measured fidelity.

    Attributes
    ----------
    exact : int
        The variant of the highest score; of those alike the fastest.
    most : float
        The greatest speed-up.

    Raises
    ------
    ValueError
        As for SpeedupPowerTable; a score may be any finite number.

    """

    def __init__(self, speedup: Sequence[float], score: Sequence[float]):
        self.speedup = _column('speedup', speedup)
        self.score = _column('score', score, least=-math.inf)
        _check_lengths(self.speedup, self.score, 'score')
        self._index = _Index(self.speedup, [-score for score in self.score])
        self.exact: int = self._index.lookup(0.0)
        self.most: float = max(self.speedup)

    def lookup(self, speedup: float) -> int:
        """Return the variant of the highest score with at least this speed-up, or the fastest."""
        return self._index.lookup(speedup)


def _column(name, values, least=0.0) -> Sequence[float]:
    # NumPy would take ten times as long to give a single number
    values = array.array('d', values)
    if not values:
        raise ValueError(f'{name} is empty; expected a row for every configuration or variant')
    found = np.asarray(values)
    wrong = np.flatnonzero(~((least < found) & (found < math.inf)))
    if wrong.size:
        wanted = 'a finite number' + (' above 0' if least == 0.0 else '')
        raise ValueError(f'{name}[{wrong[0]}] is {values[wrong[0]]}; expected {wanted}')
    return values


def _check_lengths(speedup, other, name):
    if len(speedup) != len(other):
        raise ValueError(f'speedup has {len(speedup)} rows, {name} {len(other)}; expected as many')
