"""What the cohort costs: decisions, beside others that look at all configurations, and tables."""

from __future__ import annotations

import itertools
import logging
import random
import statistics
import time
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.memory import memory_kb
from s3dnn_ros.bench.option_checks import at_least_one
from s3dnn_ros.bench.record import percentiles_us
from s3dnn_ros.bench.sampling_cost import sampling_cost
from s3dnn_ros.cohort import MODES, Coordinator, Member, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals.poet import all_pairs

_LOG = logging.getLogger(__name__)

FORMAT = 1
MEMBERS = 8
DEADLINE_S = 0.04
# LAGs are drawn from this part of a deadline behind and ahead.
LAG_SHARE = 0.5
VARIANTS = ((1.0, 1.0), (1.2, 0.99), (1.5, 0.97), (1.9, 0.94), (2.4, 0.9))
DECISIONS = 5000
# What looks at all rows, or at all pairs of them, is asked less often.
LINEAR_DECISIONS = 300
POET_DECISIONS = 1
SAMPLING_S = 10.0


class Board(NamedTuple):
    """The configuration space of a board in NeuOS's experiments (reference/papers.md, §1.4).

    Knobs are (name, values relative to the fastest, share of a layer's time that slows down
    with it, share of the board's power).
    """

    name: str
    knobs: Tuple[Tuple[str, Tuple[float, ...], float, float], ...]


def _steps(count):
    return tuple((step + 1) / count for step in range(count))


BOARDS = (
    Board('TX2', (('A57', _steps(7), 0.1, 0.15), ('A57 cores', _steps(4), 0.05, 0.1),
                  ('Denver', _steps(15), 0.05, 0.15), ('GPU', _steps(7), 0.6, 0.5),
                  ('EMC', _steps(4), 0.2, 0.1))),
    Board('AGX Xavier', (('CPU', _steps(29), 0.1, 0.2), ('core masks', _steps(128), 0.1, 0.2),
                         ('GPU', _steps(14), 0.8, 0.6))))


def run(boards: Sequence[Board] = BOARDS, runs=3, decisions=DECISIONS,
        sampling_s=SAMPLING_S) -> Dict:
    """Time decisions on both boards' spaces; returns the results as a dict that JSON can hold.

    The tables are made up, of the boards' sizes: a layer's time and a board's power follow its
    knobs, with some noise. What it costs to know the energy comes last. Raises ParameterError
    if there is nothing to measure.
    """
    at_least_one('--runs', [runs])
    at_least_one('--decisions', [decisions])
    results: Dict[str, Any] = {'format': FORMAT, 'environment': environment(), 'members': MEMBERS,
                               'tables': 'made up', 'decisions': []}
    for board in boards:
        speedups, powerups = _tables(board)
        started_s = time.perf_counter()
        tables = [SpeedupPowerTable(speedup, powerup)
                  for speedup, powerup in zip(speedups, powerups)]
        built_ms = 1e3 * (time.perf_counter() - started_s) / MEMBERS
        table_kb = memory_kb(SpeedupPowerTable, speedups[0], powerups[0])[0]
        _LOG.info(f'{board.name:10} a table of {len(speedups[0])} configurations: '
                  f'{table_kb:.0f} kB, built in {built_ms:.0f} ms')
        policies = [(f'coordinator, {mode}', Coordinator(mode).decide, decisions)
                    for mode in MODES]
        policies += [('linear search', _Linear(speedups, powerups).decide,
                      min(decisions, LINEAR_DECISIONS)),
                     ('POET', _Poet(speedups, powerups).decide, POET_DECISIONS)]
        for name, decide, count in policies:
            repeats = 1 if count == POET_DECISIONS else runs
            rows = [_time_us(decide, tables, count, seed) for seed in range(repeats)]
            results['decisions'].append({
                'board': board.name, 'configurations': len(speedups[0]), 'policy': name,
                'decisions': count, 'built_ms': built_ms, 'table_kb': table_kb, 'us': rows})
            _LOG.info(_line(results['decisions'][-1]))
    results['sampling'] = [sampling_cost(sampling_s) for _ in range(runs)]
    shares = [1e2 * run['share_of_core'] for run in results['sampling']]
    _LOG.info(f'power is sampled at {spread(shares, 2)} % of a core')
    return results


def _line(row):
    p50, p99 = (statistics.median(run[name] for run in row['us']) for name in ('p50', 'p99'))
    return (f"{row['board']:10} {row['configurations']:6} configurations, {row['policy']:25} "
            f'p50 {p50:10.1f} µs, p99 {p99:10.1f} µs ({len(row["us"])} × {row["decisions"]})')


def _time_us(decide, tables, count, seed):
    chance = random.Random(seed)
    accuracy = [SpeedupAccuracyTable(*zip(*VARIANTS)) for _ in tables]
    times_ns: List[int] = []
    for _ in range(count):
        configuration = chance.randrange(len(tables[0].speedup))
        members = [Member(f'net_{index}', DEADLINE_S * chance.uniform(-LAG_SHARE, LAG_SHARE),
                          DEADLINE_S, table, accuracy[index], configuration)
                   for index, table in enumerate(tables)]
        begun_ns = time.perf_counter_ns()
        decide(members)
        times_ns.append(time.perf_counter_ns() - begun_ns)
    return percentiles_us(times_ns)


def _tables(board):
    """Return speed-up and power-up of every configuration, a row for each member."""
    chance = np.random.default_rng(0)
    levels = np.array(list(itertools.product(*(values for _, values, _, _ in board.knobs))))
    shares = np.array([share for _, _, share, _ in board.knobs])
    powers = np.array([share for _, _, _, share in board.knobs])
    speedups, powerups = [], []
    for _ in range(MEMBERS):
        slow = shares * chance.uniform(0.7, 1.3, shares.shape)
        took = (slow / levels).sum(axis=1) * chance.uniform(0.98, 1.02, len(levels))
        power = 0.3 + (powers * levels**2).sum(axis=1) * chance.uniform(0.98, 1.02, len(levels))
        speedups.append(took.max() / took)
        powerups.append(power / power.min())
    return speedups, powerups


class _Linear:
    """Looks at every configuration for every member, with NumPy."""

    def __init__(self, speedups, powerups):
        self._speedups = speedups
        self._powerups = powerups

    def decide(self, members):
        best = []
        for member, speedup, powerup in zip(members, self._speedups, self._powerups):
            target = speedup[member.configuration] * member.needed_speedup
            enough = np.flatnonzero(speedup >= target)
            row = enough[powerup[enough].argmin()] if len(enough) else speedup.argmax()
            best.append((powerup[row], row))
        return min(best)[1]


class _Poet:
    """POET's translation as published: it looks at all pairs of configurations."""

    def __init__(self, speedups, powerups):
        self._speedups = speedups
        self._powerups = powerups

    def decide(self, members):
        for member, speedup, powerup in zip(members, self._speedups, self._powerups):
            target = speedup[member.configuration] * member.needed_speedup
            all_pairs(speedup, powerup, min(max(target, speedup.min()), speedup.max()))
