"""Times a network on each of its units, from images in memory to outputs in memory."""

from __future__ import annotations

import itertools
import logging
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.base.content import shortened
from s3dnn_ros.errors import EngineError, S3dnnError
from s3dnn_ros.partition import PerformanceTable, Row
from s3dnn_ros.units.split_network import SplitNetwork, run_in_turns

_LOG = logging.getLogger(__name__)

WARM_UP_RUNS = 2
# A batch runs as often as fits in this time, within these limits.
SECONDS_PER_BATCH = 1.0
FEWEST_RUNS, MOST_RUNS = 5, 50
# Times whose middle half spreads wider than this share of the median are not to be trusted.
SPREAD_LIMIT = 0.3
# Of milliseconds: nobody's clock tells more.
DIGITS = 6


def batches_to_measure(largest: int) -> List[int]:
    """Return the powers of two and their neighbours, up to `largest` and with it (KCC 2020)."""
    powers = (1 << bit for bit in range(largest.bit_length()))
    near = {power + step for power in powers for step in (-1, 0, 1)}
    return sorted(batch for batch in near | {largest} if 1 <= batch <= largest)


def measure(network: SplitNetwork, shape: Sequence[int], batches: Sequence[int], clock, *,
            repeats: Optional[int] = None,
            progress: Callable[[Row], None] = ignore) -> PerformanceTable:
    """Return the table of a network's units, one measured after the other; nothing else may run.

    Parameters
    ----------
    network : SplitNetwork
    shape : sequence of int
        Of an image: (height, width, 3).
    batches : sequence of int
    clock : Clock
    repeats : int, optional
        As for `measured_rows`.
    progress : callable
        Called with every new row.

    Raises
    ------
    EngineError
        A unit fails.

    """
    rows = []
    for row in measured_rows(network, shape, itertools.product(network.units, batches), clock,
                             repeats):
        rows.append(row)
        progress(row)
    return PerformanceTable(rows, 'the table measured here')


def measured_rows(network: SplitNetwork, shape: Sequence[int],
                  wanted: Iterable[Tuple[str, int]], clock,
                  repeats: Optional[int] = None) -> Iterator[Row]:
    """Give the row of each wanted (unit, batch), once it is measured; nothing else may run.

    A batch runs `repeats` times; without, as often as fits in SECONDS_PER_BATCH. Times are
    medians. Raises EngineError where a unit fails.
    """
    chance = np.random.default_rng(0)
    pixels = np.empty((0, *shape), np.uint8)
    for unit, batch in wanted:
        if len(pixels) < batch:
            pixels = chance.integers(0, 256, (batch, *shape), np.uint8)
        try:
            yield _row(network, unit, pixels[:batch], clock, repeats)
        except S3dnnError:
            raise
        except Exception as error:
            # engines raise what their libraries do
            raise EngineError(unit, f'cannot run a batch of {batch}: {shortened(error)}; measure '
                                    'smaller ones') from error


def cost_s(run_s: float, repeats: Optional[int] = None) -> float:
    """Return about how long it takes to measure a batch that runs for so long."""
    return 2.0 * (WARM_UP_RUNS + (repeats or _runs(run_s))) * run_s


def _row(network, unit, pixels, clock, repeats) -> Row:
    """Measure whole runs and the device's own times in turn, so that disturbances meet both."""
    batch = len(pixels)

    def run_s():
        begun_s = clock.now_s()
        network.alone(unit, lambda loaded: run_in_turns(loaded, pixels))
        return clock.now_s() - begun_s

    def both_s():
        return run_s(), network.alone(unit, lambda loaded: _device_s(loaded, batch))

    least_s = min(both_s()[0] for _ in range(WARM_UP_RUNS))
    times_s = np.array([both_s() for _ in range(repeats or _runs(least_s))])
    execution_s = np.median(times_s[:, 1])
    io_s = max(np.median(times_s[:, 0] - times_s[:, 1]), 0.0)
    low_s, middle_s, high_s = np.percentile(times_s[:, 0], (25, 50, 75))
    # of a few runs, as at the start of a node, the spread says nothing
    if len(times_s) >= FEWEST_RUNS and high_s - low_s > SPREAD_LIMIT * middle_s:
        _LOG.warning(f'{unit}, batch {batch}: the middle half of its runs spreads over '
                     f'{(high_s - low_s) / middle_s:.0%} of the median; close other programs and '
                     'measure this row again')
    return Row(unit, batch, *(round(float(1e3 * time_s / batch), DIGITS)
                              for time_s in (execution_s, io_s)))


def _device_s(loaded, batch) -> float:
    """Return what the device says that a batch takes, in as many turns as it needs."""
    turns, rest = divmod(batch, loaded.largest)
    return sum(sum(loaded.measure(loaded.padded(size), 1)[0])
               for size in [loaded.largest] * turns + [rest] * bool(rest))


def _runs(run_s) -> int:
    fitting = int(min(SECONDS_PER_BATCH / run_s, MOST_RUNS)) if run_s > 0.0 else MOST_RUNS
    return max(FEWEST_RUNS, fitting)
