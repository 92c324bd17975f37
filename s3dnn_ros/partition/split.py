"""Who of several units gets how many images of a batch."""

from __future__ import annotations

import dataclasses
import math
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.errors import ParameterError, TableError
from s3dnn_ros.partition.row import MOST_BATCH
from s3dnn_ros.partition.table import PerformanceTable

# Times that differ by less than this share are alike.
ALIKE = 1e-9


@dataclasses.dataclass(frozen=True)
class Split:
    """How many images each unit gets, and when the last of them has ended.

    `energy_j` is what all units draw meanwhile, NaN where the table does not know it.
    """

    assignment: Mapping[str, int]
    makespan_ms: float
    energy_j: float = math.nan


def partition_batch(table: PerformanceTable, batch: int, units: Optional[Sequence[str]] = None,
                    method: str = 'greedy', deadline_ms: float = math.inf) -> Split:
    """Return a split of a batch; units without images are in it, with 0.

    Parameters
    ----------
    table : PerformanceTable
    batch : int
        Images, at least 1.
    units : sequence of str, optional
        Those that may be used; all of the table.
    method : str
        'greedy' moves images from unit to unit as long as the batch then ends sooner (Lee et al.,
        KCC 2020, DERIVED); 'optimal' ends soonest of all; 'energy' takes the least energy of all
        that meet `deadline_ms`. To compare with: 'alone' gives all images to the quickest unit,
        'equal' equal numbers to all units.
    deadline_ms : float
        For 'energy': by when all units should have ended.

    Raises
    ------
    ParameterError
        The batch is none, or the method is unknown.
    TableError
        The table has no such unit, or none at all is left; no split meets the deadline, or power
        is not known.

    """
    if type(batch) is not int or not 1 <= batch <= MOST_BATCH:
        raise ParameterError('batch', batch, f'expected a whole number from 1 to {MOST_BATCH}')
    if method not in METHODS:
        raise ParameterError('method', method, f"expected one of {', '.join(METHODS)}")
    units = tuple(dict.fromkeys(table.units if units is None else units))
    if not units:
        raise TableError('partition', 'there is no unit to give images to')
    times_ms = np.array([table.times_ms(unit, np.arange(batch + 1)) for unit in units])
    energies_j = np.array([table.energies_j(unit, np.arange(batch + 1)) for unit in units])
    counts = METHODS[method](times_ms, energies_j, deadline_ms)
    places = range(len(units))
    used = [place for place in places if counts[place]]
    return Split(
        {units[place]: int(counts[place]) for place in places},
        float(max(times_ms[place, counts[place]] for place in used)),
        float(sum(energies_j[place, counts[place]] for place in used)))


def _greedy(times_ms, energies_j, deadline_ms) -> Sequence[int]:
    """Move images from the unit that ends last to another, as long as the batch then ends sooner.

    The paper begins with all images on the quickest unit, and moves one at a time, twice as many
    where that makes the batch no quicker, since a unit's first image may cost more than the next
    ones. DERIVED: the unit that gives images is the one that ends last with what it has (the
    paper's code ranks units by the whole batch), any number of images may move to any unit, and a
    second search begins with shares in proportion, as one move at a time may not leave the first.
    """
    starts = (_alone(times_ms, energies_j, deadline_ms), _in_proportion(times_ms))
    splits = [_improved(times_ms, counts) for counts in starts]
    return min(splits, key=lambda counts: _makespan(times_ms, counts))


def _in_proportion(times_ms) -> np.ndarray:
    """Return the split in proportion to how many images each unit takes in a time."""
    batch = times_ms.shape[1] - 1
    shares = 1.0 / times_ms[:, batch]
    ends = np.rint(batch * np.cumsum(shares) / shares.sum()).astype(int)
    return np.diff(ends, prepend=0)


def _improved(times_ms, counts) -> Sequence[int]:
    """Move images as long as the batch then ends sooner."""
    counts = counts.copy()
    batch, places = times_ms.shape[1] - 1, np.arange(len(times_ms))
    while True:
        now_ms = times_ms[places, counts]
        giver = int(now_ms.argmax())
        moved = np.arange(1, counts[giver] + 1)
        # when the two that a move changes have ended, by receiver and number of images
        ends_ms = np.maximum(times_ms[places[:, None], np.minimum(counts[:, None] + moved, batch)],
                             times_ms[giver, counts[giver] - moved])
        ends_ms[giver] = np.inf
        receiver, index = np.unravel_index(ends_ms.argmin(), ends_ms.shape)
        if ends_ms[receiver, index] >= now_ms[giver] * (1.0 - ALIKE):
            return counts.tolist()
        counts[giver] -= moved[index]
        counts[receiver] += moved[index]


def _optimal(times_ms, energies_j, deadline_ms) -> Sequence[int]:
    """Search for the least makespan at which all images are taken.

    No makespan is less than the least at which the units could take them all if each could take
    any number up to its largest. Mostly that one is reached; otherwise larger numbers of images
    may take less time than smaller ones, and `_shared_out` looks at all splits below what was
    found.
    """
    least_ms, most = _least_possible(times_ms)
    counts = _filled(times_ms, most)
    found_ms = _makespan(times_ms, counts)
    if found_ms <= least_ms:
        return counts
    allowed = np.where(times_ms <= found_ms, times_ms, np.inf)
    allowed[:, 0] = 0.0
    return _shared_out(allowed, np.maximum)


def _energy(times_ms, energies_j, deadline_ms) -> Sequence[int]:
    """Search for the least sum of energies of all splits that meet the deadline."""
    if np.isnan(energies_j).any():
        raise TableError('partition', "needs the power of every unit for method 'energy'; measure "
                                      "it, or choose 'optimal'")
    energies_j = np.where(times_ms <= deadline_ms, energies_j, np.inf)
    energies_j[:, 0] = 0.0
    counts = _shared_out(energies_j, np.add)
    if not np.isfinite(energies_j[np.arange(len(counts)), counts]).all():
        least_ms = _makespan(times_ms, _optimal(times_ms, energies_j, math.inf))
        raise TableError('partition', f'no split ends within {deadline_ms:g} ms; the soonest ends '
                                      f'after {least_ms:.3g} ms')
    return counts


def _alone(times_ms, energies_j, deadline_ms) -> Sequence[int]:
    """Give all images to the unit that is the quickest with all of them."""
    counts = np.zeros(len(times_ms), int)
    counts[int(times_ms[:, -1].argmin())] = times_ms.shape[1] - 1
    return counts


def _equal(times_ms, energies_j, deadline_ms) -> Sequence[int]:
    """Give equal numbers to all units; what is left over goes to the first ones."""
    least, more = divmod(times_ms.shape[1] - 1, len(times_ms))
    return [least + (place < more) for place in range(len(times_ms))]


METHODS: Dict[str, Callable] = {'greedy': _greedy, 'optimal': _optimal, 'energy': _energy,
                                'alone': _alone, 'equal': _equal}


def _makespan(times_ms, counts) -> float:
    return float(times_ms[np.arange(len(counts)), counts].max())


def _least_possible(times_ms) -> Tuple[float, np.ndarray]:
    """Return the least time in which the units could take all, and the most that each could."""
    batch = times_ms.shape[1] - 1
    # what at least so many images take
    envelopes_ms = np.minimum.accumulate(times_ms[:, :0:-1], axis=1)[:, ::-1]
    candidates_ms = np.unique(envelopes_ms)
    low, high = 0, len(candidates_ms) - 1

    def most_within(limit_ms):
        return np.array([np.searchsorted(envelope, limit_ms, 'right')
                         for envelope in envelopes_ms])

    while low < high:
        middle = (low + high) // 2
        if most_within(candidates_ms[middle]).sum() >= batch:
            high = middle
        else:
            low = middle + 1
    return float(candidates_ms[low]), most_within(candidates_ms[low])


def _filled(times_ms, most) -> Sequence[int]:
    """Return a split in which nobody has more than its most: those that are slow give first."""
    counts = most.copy()
    left = int(counts.sum()) - (times_ms.shape[1] - 1)
    for place in np.argsort(-times_ms[:, 1]):
        given = min(left, int(counts[place]))
        counts[place] -= given
        left -= given
    return counts.tolist()


def _shared_out(costs, join) -> Sequence[int]:
    """Return the split of least cost, the costs of its units joined by maximum or sum.

    Dynamic programming over units, exact: `costs` is (units, batch + 1), infinite for what is not
    allowed.
    """
    units, batch = costs.shape[0], costs.shape[1] - 1
    best = costs[0]
    choices = []
    for place in range(1, units):
        # so many images and no more can this unit take
        most = int(np.flatnonzero(np.isfinite(costs[place]))[-1])
        # of the units before, by what this one takes: (batch + 1, most + 1)
        padded = np.concatenate([np.full(most, np.inf), best])
        others = np.lib.stride_tricks.sliding_window_view(padded, most + 1)[:, ::-1]
        joined = join(others, costs[place, :most + 1])
        chosen = joined.argmin(axis=1)
        best = joined[np.arange(batch + 1), chosen]
        choices.append(chosen)
    counts, left = [0] * units, batch
    for place in range(units - 1, 0, -1):
        counts[place] = int(choices[place - 1][left])
        left -= counts[place]
    counts[0] = left
    return counts
