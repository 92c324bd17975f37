"""A network of the units engine: which units run a batch, and what they teach."""

from __future__ import annotations

import functools
import math
import statistics
from typing import Dict, List, Sequence

import numpy as np

from s3dnn_ros.engines.base import Run
from s3dnn_ros.partition import PerformanceTable, partition_batch
from s3dnn_ros.partition.in_time import Alternatives
from s3dnn_ros.partition.learned import LearnedTimes
from s3dnn_ros.units.retries import Retries
from s3dnn_ros.units.split_network import SplitNetwork

# Flights are only arrays in memory here: so many that nothing waits for one.
LANES = 64
# Splits that are remembered: to find one takes half a millisecond.
KEPT = 256
# Units hang of which none reports for so long, or for so many times what the slowest one takes for
# the largest batch: other programs may take the device for a while.
LEAST_LIMIT_S = 2.0
HANGS_RUNS = 20.0


class UnitTimes:
    """What a batch takes at best, told as a profile of one segment tells it."""

    def __init__(self, table: PerformanceTable):
        self._table = table
        self._times_s: Dict[int, float] = {}    # by batch

    def time_s(self, batch: int) -> float:
        """Return what a batch takes that is split so that it ends soonest."""
        if batch not in self._times_s:
            self._times_s[batch] = partition_batch(
                self._table, batch, method='optimal').makespan_ms / 1e3
        return self._times_s[batch]

    def segment_times_s(self, batch: int) -> List[float]:
        """Return the same, of the one segment."""
        return [self.time_s(batch)]

    def tb_ratio(self, segment: int, batch: int) -> float:
        """Return 1: nothing runs beside it."""
        return 1.0

    utilization = tb_ratio


class UnitsNetwork:
    """A network on units; `times` is what it takes at best, `learned` what units teach."""

    segments = 1
    variants = (1,)
    lanes = LANES
    stages = False
    batch = 0

    def __init__(self, engine, network: SplitNetwork, table: PerformanceTable, shape, max_batch):
        self.times = UnitTimes(table)
        self.learned = LearnedTimes(table)
        self.largest = max_batch
        self._engine = engine
        self._clock = engine.clock
        self._network = network
        network.limit_s = max(LEAST_LIMIT_S, HANGS_RUNS / 1e3 * max(
            table.time_ms(unit, max_batch) for unit in network.units))
        self._shape = shape
        self._alternatives = functools.lru_cache(KEPT)(Alternatives.of)
        self._retries = Retries(network, engine.clock, engine.ask)
        loaded = tuple(network.networks.values())
        self.output_shapes = loaded[0].output_shapes
        self.note = '; '.join(filter(None, (_times(table, max_batch),
                                            *(each.note for each in loaded))))

    def padded(self, frames):
        """Return the frames themselves."""
        return frames

    def stage(self, pixels):
        """Return the pixels: units read them where they are."""
        return pixels

    def open(self, staged, deadline_s=math.inf):
        """Return a flight with these images."""
        pixels = staged[0] if len(staged) == 1 else np.concatenate(staged)
        return UnitsFlight(self, self._engine, pixels, deadline_s)

    def run(self, pixels, variants=()):
        """Run on uint8 (N, H, W, 3); returns the outputs by name, batch first."""
        return self.answer(pixels, math.inf)[0].outputs

    def measure(self, batch, repeats, variant=0):
        """Return the seconds of each of so many runs that end as soon as they can."""
        pixels = np.random.default_rng(0).integers(0, 256, (batch, *self._shape), np.uint8)
        return [[self.answer(pixels, -math.inf)[0].makespan_s] for _ in range(repeats)]

    def measure_shared(self, batch, repeats):
        """Return the seconds of a run: they never run side by side here."""
        return statistics.median(map(sum, self.measure(batch, repeats)))

    def tb_ratios(self, batch):
        """Return ones: a batch may take all units."""
        return [1.0]

    def memory_mb(self, batch):
        """Return what all devices hold of it together."""
        return sum(each.memory_mb(batch) for each in self._network.networks.values())

    def answer(self, pixels, deadline_s):
        """Return an Answer, and whether the run was untypical; learn from it.

        Raises EngineError if no unit is left.
        """
        self._retries.look()
        share = _Share(self, deadline_s)
        answer = self._network.run(pixels, share)
        for part in answer.parts:
            self.learned.observe(part.unit, part.count, 1e3 * (part.ended_s - part.started_s),
                                 part.ended_s)
            self._retries.went_well(part.unit)
        return answer, share.untypical

    def choose(self, count: int, units: Sequence[str], deadline_s):
        """Return the TimelySplit of so many images over those of some units that may run."""
        now_s = self._clock.now_s()
        alternatives = self._alternatives(self.learned.at(now_s).rounded(), count,
                                          tuple(self._engine.allowed(units)))
        return alternatives.within(1e3 * (deadline_s - now_s))


class UnitsFlight:
    """A batch and what became of it."""

    def __init__(self, network: UnitsNetwork, engine, pixels, deadline_s):
        self._network = network
        self._engine = engine
        self._pixels = pixels
        self._deadline_s = deadline_s
        self._outputs: Dict[str, np.ndarray] = {}

    def submit(self, segment, done, level=0, variant=0, last=None):
        """Queue the batch for the engine's thread."""
        self._engine.submit(functools.partial(self._run, done))

    def outputs(self):
        """Return the outputs by name."""
        return self._outputs

    def close(self):
        """Let go of images and outputs."""
        self._pixels, self._outputs = None, {}

    def _run(self, done):
        started_s = self._engine.clock.now_s()
        try:
            answer, untypical = self._network.answer(self._pixels, self._deadline_s)
        except Exception as error:
            # whatever a network does, the engine's thread must live on
            done(Run(started_s, self._engine.clock.now_s(), str(error) or repr(error)))
            return
        self._outputs = answer.outputs
        done(Run(started_s, self._engine.clock.now_s(), units=answer.units, untypical=untypical))


def _times(table: PerformanceTable, batch) -> str:
    """Return a sentence on what the table says of a batch."""
    split = partition_batch(table, batch, method='optimal')
    alone = ', '.join(f'{table.time_ms(unit, batch):.1f} ms on {unit}' for unit in table.units)
    return f'batches of {batch} take {alone}; split {split.makespan_ms:.1f} ms'


class _Share:
    """Shares one batch out, and once more what a unit did not finish."""

    def __init__(self, network: UnitsNetwork, deadline_s):
        self.untypical = False
        self._network = network
        self._deadline_s = deadline_s
        self._asked = False

    def __call__(self, count, units):
        split, unhurried = self._network.choose(count, units, self._deadline_s)
        self.untypical = unhurried or self._asked
        self._asked = True
        return split.assignment
