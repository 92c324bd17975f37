"""Times a network batch by batch, and once more where something else disturbed it."""

from __future__ import annotations

import dataclasses
import math
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.callbacks import ignore

# Runs of a batch before those that count.
WARM_UP_RUNS = 3
# If nobody says how many runs, a batch gets as many as fit in this time, within these limits.
SECONDS_PER_BATCH = 4.0
FEWEST_RUNS, MOST_RUNS = 30, 100
# The engine is given runs of about this time at once. Progress is told in between; more often
# would leave the device without work between two runs, and the tail would show it.
ROUND_S = 1.0
# A batch is measured again if the middle half of its runs spreads wider than this share of the
# median (on two idle cores of a virtual machine it was up to 0.23, on a GPU 0.003),
SPREAD_LIMIT = 0.3
# if it takes longer than a larger batch by more than this share,
ORDER_TOLERANCE = 0.1
# or if an image takes longer than in a smaller batch by more than this share.
IMAGE_TOLERANCE = 0.4
MOST_ATTEMPTS = 3
# Where more batches than these are disturbed, and more than half of them, something else runs all
# the time: another attempt would give the same.
FEW = 2


@dataclasses.dataclass(frozen=True, eq=False)
class BatchTimes:
    """The measured times of one batch.

    `times_s` is (runs, segments); `shared_s` is the time of a run among others, None where
    nothing runs side by side. `repeated` tells that two measurements gave the same median.
    """

    batch: int
    times_s: np.ndarray
    shared_s: Optional[float] = None
    attempts: int = 1
    repeated: bool = False

    @property
    def run_s(self) -> float:
        """Return the median time of a whole run."""
        return self._quartiles_s[1]

    @property
    def spread(self) -> float:
        """Return the width of the middle half of the runs, as a share of their median."""
        low_s, middle_s, high_s = self._quartiles_s
        return (high_s - low_s) / middle_s if middle_s else 0.0

    def or_quieter(self, again: BatchTimes) -> BatchTimes:
        """Return the less disturbed of two measurements: other programs only slow runs down."""
        quieter = min(self, again, key=lambda times: times._quartiles_s[2])
        repeated = math.isclose(self.run_s, again.run_s, rel_tol=ORDER_TOLERANCE)
        return dataclasses.replace(quieter, attempts=self.attempts + 1,
                                   repeated=self.repeated or repeated)

    @property
    def _quartiles_s(self) -> Sequence[float]:
        return np.percentile(self.times_s.sum(axis=1), (25, 50, 75))


@dataclasses.dataclass(frozen=True)
class Step:
    """What is measured next, and how much of the work is done, in seconds of runs.

    `total_s` is 0 as long as nothing is known.
    """

    batch: int
    attempt: int
    done_s: float
    total_s: float


def disturbed(measured: Iterable[BatchTimes]) -> Dict[int, str]:
    """Return the batches whose times cannot be trusted, and why in a few words.

    An order that a second measurement repeats is a property of the device, and is trusted.
    """
    measured = sorted(measured, key=lambda times: times.batch)
    found = {}
    for index, times in enumerate(measured):
        larger = min(measured[index + 1:], key=lambda other: other.run_s, default=times)
        smaller = min(measured[:index + 1], key=lambda other: other.run_s / other.batch)
        if times.spread > SPREAD_LIMIT:
            found[times.batch] = f'the middle half of its runs spreads over {times.spread:.0%}'
        elif times.repeated:
            continue
        elif times.run_s > (1 + ORDER_TOLERANCE) * larger.run_s:
            found[times.batch] = f'it takes longer than batch {larger.batch}'
        elif times.run_s / times.batch > (1 + IMAGE_TOLERANCE) * smaller.run_s / smaller.batch:
            found[times.batch] = f'an image takes longer than in batch {smaller.batch}'
    return found


class BatchTimer:
    """Measures a network at several batches; nothing else may run.

    Parameters
    ----------
    network : Network
    batches : sequence of int
        Where the engine pads a batch, the padded one is measured instead.
    repeats : int, optional
        Runs of each batch; without, as many as fit in SECONDS_PER_BATCH.
    parallel : bool
        Whether runs side by side are measured too.
    progress : callable
        Called with a Step before each round of runs.

    """

    def __init__(self, network, batches: Sequence[int], *, repeats: Optional[int] = None,
                 parallel: bool = True, progress: Optional[Callable[[Step], None]] = None):
        self._network = network
        self._batches = sorted({network.padded(batch) for batch in batches})
        self._repeats = repeats
        self._parallel = parallel
        self._progress = progress or ignore
        self._run_s: Dict[int, float] = {}      # of the batches that ran so far
        self._done_s = 0.0

    def measure(self) -> Tuple[BatchTimes, ...]:
        """Return the times of every batch, smallest first."""
        measured = {}
        for index, batch in enumerate(self._batches):
            measured[batch] = self._measure(batch, 1, self._batches[index + 1:])
        for attempt in range(2, MOST_ATTEMPTS + 1):
            again = list(disturbed(measured.values()))
            if len(again) > max(FEW, len(measured) // 2):
                break
            for index, batch in enumerate(again):
                measured[batch] = measured[batch].or_quieter(
                    self._measure(batch, attempt, again[index + 1:]))
        return tuple(measured.values())

    def _measure(self, batch, attempt, later: Sequence[int]) -> BatchTimes:
        def tell(left_s):
            left_s += sum(map(self._cost_s, later))
            self._progress(Step(batch, attempt, self._done_s, self._done_s + left_s))

        tell(self._cost_s(batch))
        warm_up = self._network.measure(batch, WARM_UP_RUNS)
        # the fastest: what the first one took does not count
        self._run_s[batch] = run_s = min(map(sum, warm_up))
        self._done_s += WARM_UP_RUNS * run_s
        rows: List[Sequence[float]] = []
        runs, at_once = self._runs(run_s), max(1, _whole(ROUND_S, run_s))
        shared_runs = runs * self._parallel
        while len(rows) < runs:
            tell((runs - len(rows) + shared_runs) * run_s)
            count = min(at_once, runs - len(rows))
            rows += self._network.measure(batch, count)
            self._done_s += count * run_s
        shared_s = None
        if self._parallel:
            tell(shared_runs * run_s)
            shared_s = self._network.measure_shared(batch, runs)
            self._done_s += shared_runs * run_s
        return BatchTimes(batch, np.asarray(rows, float), shared_s)

    def _runs(self, run_s) -> int:
        if self._repeats is not None:
            return self._repeats
        return min(MOST_RUNS, max(FEWEST_RUNS, _whole(SECONDS_PER_BATCH, run_s)))

    def _cost_s(self, batch) -> float:
        """Return about how long a batch takes to measure; 0 if nothing is known."""
        if not self._run_s:
            return 0.0
        known = list(self._run_s)
        run_s = self._run_s.get(batch)
        if run_s is None:
            nearest = max(known)
            run_s = self._run_s[nearest] * batch / nearest
        return (WARM_UP_RUNS + self._runs(run_s) * (1 + self._parallel)) * run_s


def _whole(seconds, run_s) -> int:
    """Return how many runs fit in this time."""
    return int(min(seconds / run_s, 1e9)) if run_s > 0 else MOST_RUNS
