"""Times a network on each of its units, from images in memory to outputs in memory."""

from __future__ import annotations

import statistics
from typing import Callable, List, Sequence

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.partition import PerformanceTable, Row
from s3dnn_ros.units.split_network import SplitNetwork, run_in_turns

WARM_UP_RUNS = 2
# A batch runs as often as fits in this time, within these limits.
SECONDS_PER_BATCH = 1.0
FEWEST_RUNS, MOST_RUNS = 5, 50


def batches_to_measure(largest: int) -> List[int]:
    """Return the powers of two and their neighbours, up to `largest` and with it (KCC 2020)."""
    powers = (1 << bit for bit in range(largest.bit_length()))
    near = {power + step for power in powers for step in (-1, 0, 1)}
    return sorted(batch for batch in near | {largest} if 1 <= batch <= largest)


def measure(network: SplitNetwork, shape: Sequence[int], batches: Sequence[int], clock, *,
            progress: Callable[[Row], None] = ignore) -> PerformanceTable:
    """Return the table of a network's units, one measured after the other; nothing else may run.

    Parameters
    ----------
    network : SplitNetwork
    shape : sequence of int
        Of an image: (height, width, 3).
    batches : sequence of int
    clock : Clock
    progress : callable
        Called with every new row.

    Raises
    ------
    Exception
        Whatever a unit raises.

    """
    pixels = np.random.default_rng(0).integers(0, 256, (max(batches), *shape), np.uint8)
    rows = []
    for unit in network.units:
        for batch in batches:
            rows.append(_row(network, unit, pixels[:batch], clock))
            progress(rows[-1])
    return PerformanceTable(rows, 'the table measured here')


def _row(network, unit, pixels, clock) -> Row:
    batch = len(pixels)
    whole_s = _median_s(lambda: _took_s(network, unit, pixels, clock))
    device_s = min(whole_s, network.alone(unit, lambda loaded: _device_s(loaded, batch)))
    return Row(unit, batch, 1e3 * device_s / batch, 1e3 * (whole_s - device_s) / batch)


def _took_s(network, unit, pixels, clock) -> float:
    """Return what a unit takes for images, from when another thread asks it."""
    begun_s = clock.now_s()
    network.alone(unit, lambda loaded: run_in_turns(loaded, pixels))
    return clock.now_s() - begun_s


def _device_s(loaded, batch) -> float:
    """Return what the device says that a batch takes, in as many turns as it needs."""
    turns, rest = divmod(batch, loaded.largest)
    return ((turns * _turn_s(loaded, loaded.largest) if turns else 0.0)
            + (_turn_s(loaded, rest) if rest else 0.0))


def _turn_s(loaded, batch) -> float:
    return _median_s(lambda: sum(loaded.measure(loaded.padded(batch), 1)[0]))


def _median_s(took_s: Callable[[], float]) -> float:
    least_s = min(took_s() for _ in range(WARM_UP_RUNS))
    return statistics.median(took_s() for _ in range(_runs(least_s)))


def _runs(run_s) -> int:
    fitting = int(min(SECONDS_PER_BATCH / run_s, MOST_RUNS)) if run_s > 0.0 else MOST_RUNS
    return max(FEWEST_RUNS, fitting)
