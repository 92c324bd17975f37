"""KCC 2020's study in virtual time: who gets how many images of a batch, and what that gives.

Tables are measured ones, from files, or simulated: parts of a board's GPU by their
multiprocessors, as no board's file describes a second unit that runs networks. A part has its
share of the arithmetic and of the bandwidth (INFERRED: nothing else uses either).
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import hashlib
import itertools
import math
import random
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.lab_partition_results import FORMAT
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.errors import ParameterError, TableError
from s3dnn_ros.lab.board import Board
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.calibrate import NETWORKS, network_layers
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.sweep import Experiment
from s3dnn_ros.lab.virtual_executor import JITTER
from s3dnn_ros.partition import PerformanceTable, Row, Split, partition_batch
from s3dnn_ros.partition.in_time import Alternatives
from s3dnn_ros.partition.learned import CorrectedTable, LearnedTimes
from s3dnn_ros.units.measure import batches_to_measure

# Largest batch of simulated tables.
LARGEST = 128
# How long another program keeps a unit busy, and how long none does: means, exponential.
BUSY_S, FREE_S = 10.0, 20.0
# Mostly splits are of tables that were asked for before.
KEPT = 10_000
# Who decides: the quickest unit of the table and equal shares never change, the table's split
# does not know of busy units, the learned table's does, and the last one is told.
DECIDERS = ('alone', 'equal', 'table', 'learned', 'told')


@dataclasses.dataclass(frozen=True)
class Source:
    """A table; `whole` says what the whole GPU takes for a batch in place of its parts, in ms."""

    name: str
    table: PerformanceTable
    whole: Mapping[int, float] = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return what stands for the table's rows."""
        return hashlib.sha256(repr(self.table.rows).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class StillCell:
    """One batch on the units of a table as they were measured: computed, with no chance in it."""

    table: str
    digest: str
    batch: int

    def run(self, source: Source) -> Dict:
        """Return the time of each unit alone and of each split, in ms, ready for JSON."""
        table = source.table
        splits = {method: partition_batch(table, self.batch, method=method)
                  for method in ('alone', 'equal', 'greedy', 'optimal')}
        return {'units': {unit: table.time_ms(unit, self.batch) for unit in table.units},
                'whole_ms': source.whole.get(self.batch),
                **{f'{method}_ms': split.makespan_ms for method, split in splits.items()},
                'split': dict(splits['greedy'].assignment)}


@dataclasses.dataclass(frozen=True)
class BusyCell:
    """Batches one after the other, while other programs keep units busy now and then.

    Parameters
    ----------
    table, digest : str
    batch : int
    factor : float
        A busy unit takes so many times as long.
    jitter : float
        Each run takes up to this part longer.
    seconds : float
        Of virtual time for each of DECIDERS.
    seed : int

    """

    table: str
    digest: str
    batch: int
    factor: float
    jitter: float
    seconds: float
    seed: int

    def run(self, source: Source) -> Dict:
        """Return by decider what a batch takes in the mean, in ms, ready for JSON."""
        busy = {unit: _busy_times(random.Random(f'{self.seed} {unit}'), self.seconds)
                for unit in source.table.units}
        return {decider: self._mean_ms(source.table, decider, busy) for decider in DECIDERS}

    def _mean_ms(self, table, decider, busy) -> float:
        clock, learned = VirtualClock(), LearnedTimes(table)
        # the same chance for all deciders, and for each of the units whatever others do
        chances = {unit: random.Random(f'{self.seed} {unit} jitter') for unit in table.units}
        decide = _deciders(table, self.batch)[decider]
        count = 0
        while clock.now_s() < self.seconds:
            factors = {unit: self.factor if _is_busy(busy[unit], clock.now_s()) else 1.0
                       for unit in table.units}
            split = decide(learned.at(clock.now_s()), tuple(factors.values()))
            took_ms = {
                unit: factors[unit] * table.time_ms(unit, images)
                * (1.0 + chances[unit].uniform(0.0, self.jitter))
                for unit, images in split.assignment.items() if images}
            clock.advance(max(took_ms.values()) / 1e3)
            for unit, ms in took_ms.items():
                learned.observe(unit, split.assignment[unit], ms, clock.now_s())
            count += 1
        return 1e3 * clock.now_s() / count


Cell = Union[StillCell, BusyCell]
Decide = Callable[[CorrectedTable, Tuple[float, ...]], Split]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to simulate; `folder` is the name of that of the tables, '' without one.

    Units are busy in the runs with batches of `busy_batch` images.
    """

    folder: str = ''
    boards: Sequence[str] = ('tx2', 'agx_xavier')
    networks: Sequence[str] = ('mobilenet_v2', 'resnet50', 'vgg16')
    batches: Sequence[int] = (1, 8, 32, 100, 200)
    busy_batch: int = 100
    factors: Sequence[float] = (1.0, 2.0, 4.0)
    jitter: float = JITTER
    seconds: float = 120.0
    seeds: int = 5

    def __post_init__(self):
        """Refuse what cannot be simulated; raises ParameterError."""
        at_least_one('--batches', self.batches)
        at_least_one('--busy-batch', [self.busy_batch])
        at_least_one('--factors', self.factors)
        above_zero('--seconds', [self.seconds])
        at_least_one('--seeds', [self.seeds])
        for name in self.networks:
            if name not in NETWORKS:
                raise ParameterError('--networks', name, 'expected some of '
                                     + ', '.join(NETWORKS))


def experiment(plan: Plan, folder: Optional[Path] = None) -> Experiment:
    """Return KCC 2020's study, with the tables of a folder and of simulated boards.

    Raises TableError for tables that cannot be read, ParameterError for a board that is not known.
    """
    sources = [*(_read(folder) if folder else ()),
               *(_simulated(load_board(board), network, plan.batches)
                 for board, network in itertools.product(plan.boards, plan.networks))]
    if not sources:
        raise ParameterError('--boards', '', 'expected one at least, or --tables with a folder')
    cells: List[Cell] = [StillCell(source.name, source.digest, batch)
                         for source, batch in itertools.product(sources, plan.batches)]
    cells += [BusyCell(source.name, source.digest, plan.busy_batch, factor, plan.jitter,
                       plan.seconds, seed)
              for source, factor, seed in itertools.product(sources, plan.factors,
                                                            range(plan.seeds))]
    return Experiment('partition', FORMAT, plan, cells, functools.partial(
        _run, {source.name: source for source in sources}))


def _run(sources: Mapping[str, Source], cell: Cell) -> Dict:
    return cell.run(sources[cell.table])


def _read(folder: Path) -> List[Source]:
    paths = sorted(folder.glob('*.csv'))
    if not paths:
        raise TableError(folder, 'has no table in it; name a folder of CSV files that '
                                 '`s3dnn table measure` wrote, or the study')
    return [Source(path.stem, PerformanceTable.from_csv(path)) for path in paths]


def _simulated(board: Board, network: str, batches: Sequence[int]) -> Source:
    """Return the table of a GPU's parts: half of the multiprocessors, and the rest in halves."""
    half = max(1, board.multiprocessors // 2)
    parts = [half, *_halves(board.multiprocessors - half)]
    measured = sorted({*batches_to_measure(LARGEST), *batches})
    rows = []
    for number, size in enumerate(parts, 1):
        part = _part(board, size)
        rows += [Row(f'part {number} ({size} SM)', batch, _run_ms(part, network, batch) / batch,
                     0.0) for batch in measured]
    return Source(f'{board.name}, {network}', PerformanceTable(rows),
                  {batch: _run_ms(board, network, batch) for batch in batches})


def _halves(count: int) -> List[int]:
    return [size for size in (count - count // 2, count // 2) if size]


def _part(board: Board, multiprocessors: int) -> Board:
    share = multiprocessors / board.multiprocessors
    return dataclasses.replace(
        board, multiprocessors=multiprocessors,
        bytes_per_clock=share * board.bytes_per_clock,
        flops_per_clock={name: share * flops for name, flops in board.flops_per_clock.items()})


def _run_ms(board, network, batch) -> float:
    highest = board.highest
    return 1e3 * Roofline(board).run(network_layers(network), batch, highest.gpu_mhz,
                                     highest.memory_mhz).time_s


def _deciders(table: PerformanceTable, batch: int) -> Dict[str, Decide]:
    """Return who splits batches: of what was learned, and of the true factors of the units."""
    # as a network on units does it for a batch in a hurry
    alternatives = functools.lru_cache(KEPT)(
        lambda corrected: Alternatives.of(corrected, batch, table.units).within(-math.inf).split)
    alone, equal = (partition_batch(table, batch, method=method) for method in ('alone', 'equal'))
    as_measured = CorrectedTable(table, (1.0,) * len(table.units))
    return {'alone': lambda learned, factors: alone, 'equal': lambda learned, factors: equal,
            'table': lambda learned, factors: alternatives(as_measured),
            'learned': lambda learned, factors: alternatives(learned.rounded()),
            'told': lambda learned, factors: alternatives(CorrectedTable(table, factors))}


def _busy_times(chance: random.Random, seconds: float) -> List[float]:
    """Return when a unit becomes busy and free in turn, first busy."""
    times = [chance.expovariate(1.0 / FREE_S)]
    while times[-1] < seconds:
        times.append(times[-1] + chance.expovariate(1.0 / (BUSY_S if len(times) % 2 else FREE_S)))
    return times


def _is_busy(times: Sequence[float], now_s: float) -> bool:
    return bisect.bisect_right(times, now_s) % 2 == 1
