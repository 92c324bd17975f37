"""The offline limit of an experiment: a plan for an Oracle, found by running it many times."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from s3dnn_ros.bench.contenders import Contender
from s3dnn_ros.cohort import ModelTables
from s3dnn_ros.cohort.rivals import apnet
from s3dnn_ros.cohort.rivals.oracle import Costs, Oracle, cheapest, front

NAME = 'oracle'
# Networks and their variants are planned to take these shares of the deadline alone: others are
# in the way, and clocks take their time to change.
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
# A plan to begin with may use this part more than the cheapest: finer ones take long to find, and
# the search goes on from there.
TOLERANCE = 1e-2
# So many configurations are skipped at once, first far, then near.
STRIDES = (16, 4, 1)
# The place of a configuration in a plan: a network, and one of its layers.
_Place = Tuple[str, int]


class Asked(NamedTuple):
    """A network of the experiment, and what is asked of it.

    Attributes
    ----------
    instances : sequence of str
        All instances of a network follow the same plan.
    tables : ModelTables
    costs : Costs
        Of the exact network.
    deadline_s : float
        From the arrival of a frame on.
    period_s : float
        From one frame of an instance to the next.

    """

    instances: Sequence[str]
    tables: ModelTables
    costs: Costs
    deadline_s: float
    period_s: float


class Outcome(NamedTuple):
    """What became of a run of an experiment; less is better.

    `missed` counts what was missed beyond what is tolerated.
    """

    missed: int
    energy_j: float


@dataclasses.dataclass(frozen=True)
class OraclePlan:
    """A configuration and a variant for each layer, by network.

    With `rests` the board is in its configuration of least power while nothing is asked.
    """

    configurations: Mapping[str, Tuple[int, ...]]
    variants: Mapping[str, Tuple[int, ...]]
    rests: bool

    def contender(self, asked: Mapping[str, Asked]) -> Contender:
        """Return the contender that follows the plan."""
        return Contender(NAME, lambda known: Oracle(
            *({instance: layers[name] for name, each in asked.items()
               for instance in each.instances}
              for layers in (self.configurations, self.variants))), rests=self.rests)

    def key(self):
        """Return what is equal for equal plans."""
        return (self.rests, tuple(sorted(self.configurations.items())),
                tuple(sorted(self.variants.items())))


class Found(NamedTuple):
    """The best plan, what became of it, and how often the experiment ran.

    It was not `searched` for if even the fastest configurations miss more than is tolerated.
    """

    plan: OraclePlan
    outcome: Outcome
    runs: int
    searched: bool


def search(simulate: Callable[[Contender], Outcome], asked: Mapping[str, Asked],
           budget: int = 100) -> Found:
    """Return the best plan that a search finds: a fixed configuration for every layer.

    No more misses than are tolerated come first, then exact networks, then less energy. It is no
    proof of a limit, but it knows all that will happen: it runs the experiment itself.

    1. Networks are exact, or as near to exact as the fastest configurations have to have them to
       be in time. If these miss too much with the fastest variants, nothing is searched: slower
       configurations would hardly miss less.
    2. One configuration for all layers: the slowest that is in time, of those that no other one
       beats in time and power. From there, one for all layers of each network.
    3. A configuration for each layer: the slowest of the cheapest plans by layer that is in time,
       if that is better. From there, layer by layer.

    Parameters
    ----------
    simulate : callable
        Runs the whole experiment with a contender.
    asked : mapping of network to Asked
    budget : int
        Runs after which step 2 does not go on, and as many for step 3.

    """
    runs: Dict[Tuple, Outcome] = {}

    def outcome(plan) -> Outcome:
        key = plan.key()
        if key not in runs:
            runs[key] = simulate(plan.contender(asked))
        return runs[key]

    fastest: List[OraclePlan] = []
    for variants in _variants(asked):
        space = _Space(asked, variants)
        fastest.append(space.fastest())
        if not outcome(fastest[-1]).missed:
            break
    best = min(fastest, key=outcome)
    if outcome(best).missed:
        return Found(best, outcome(best), len(runs), searched=False)
    for beginnings, moves in ((space.alike(), space.network_moves()),
                              (space.cheapest(), space.layer_moves())):
        most = len(runs) + budget
        for plans in beginnings:
            best = min(best, _slowest_in_time(plans, outcome), key=outcome)
        best = _descended(best, moves, outcome, lambda most=most: len(runs) >= most)
    return Found(best, outcome(best), len(runs), searched=True)


def _variants(asked) -> Iterator[Dict[str, Tuple[int, ...]]]:
    """Return variants for all networks, from exact to fastest; each different choice once.

    They are ApNet's for shares of the deadlines, in the fastest configuration.
    """
    fastest = {name: int(each.costs.time_s.sum(axis=0).argmin()) for name, each in asked.items()}
    last = None
    for share in (math.inf, *SHARES, 0.0):
        variants = {name: apnet.plan(each.tables, share * each.deadline_s, fastest[name])
                    for name, each in asked.items()}
        if variants != last:
            yield variants
        last = variants


def _slowest_in_time(plans: Sequence[OraclePlan], outcome) -> OraclePlan:
    """Return the slowest of some plans that is in time, or the first one.

    They are sorted from fast to slow, so that bisection finds it.
    """
    in_time, late = 0, len(plans)
    while late - in_time > 1:
        middle = (in_time + late) // 2
        if outcome(plans[middle]).missed:
            late = middle
        else:
            in_time = middle
    return plans[in_time]


def _descended(best: OraclePlan, moves: _Moves, outcome, enough) -> OraclePlan:
    """Return a plan that no move improves, or the best when it is enough."""
    for stride in STRIDES:
        improved = True
        while improved:
            improved = False
            for move in moves.of(stride):
                if enough():
                    return best
                plan = move(best)
                if outcome(plan) < outcome(best):
                    best, improved = plan, True
    return best


class _Space:
    """The plans for networks whose variants are chosen."""

    def __init__(self, asked: Mapping[str, Asked], variants: Mapping[str, Tuple[int, ...]]):
        self._asked, self._variants = asked, variants
        self._costs = {name: _costs_of(each, variants[name]) for name, each in asked.items()}
        self._layers = {name: len(each) for name, each in variants.items()}
        self._alike_rows = {rests: front(self._load(), self._power_w(rests))
                            for rests in (True, False)}
        self._singles = np.union1d(*self._alike_rows.values())

    def fastest(self) -> OraclePlan:
        """Return the fastest plan; of those alike the one of the fastest networks."""
        return self._plan({
            name: tuple(int(np.lexsort((costs.time_s.sum(axis=0), layer_s))[0])
                        for layer_s in costs.time_s)
            for name, costs in self._costs.items()}, rests=False)

    def alike(self) -> Iterator[Sequence[OraclePlan]]:
        """Give the plans of one configuration for all layers, from fast to slow."""
        for rests, rows in self._alike_rows.items():
            yield [self._plan({name: (row,) * layers for name, layers in self._layers.items()},
                              rests) for row in rows.tolist()]

    def cheapest(self) -> Iterator[Sequence[OraclePlan]]:
        """Give the plans that are cheapest for shares of the deadlines, from fast to slow."""
        choices = [{name: cheapest(costs, share * self._asked[name].deadline_s,
                                   tolerance=TOLERANCE)
                    for name, costs in self._costs.items()} for share in sorted(SHARES)]
        possible = [each for each in choices if all(each.values())]
        for rests in (True, False) if possible else ():
            yield [self._plan(each, rests) for each in possible]

    def network_moves(self) -> _Moves:
        """Return moves of all networks together, and of each; all layers of one are alike."""
        ladders = {name: _Ladder(costs.time_s.sum(axis=0), self._singles)
                   for name, costs in self._costs.items()}
        return _Moves({(name, layer): ladders[name] for name, layer in self._places()},
                      [list(self._places()), *self._of_networks()])

    def layer_moves(self) -> _Moves:
        """Return moves of all layers of a network, and of each layer."""
        return _Moves({
            (name, layer): _Ladder(time_s, np.union1d(front(time_s, energy_j), self._singles))
            for name, costs in self._costs.items()
            for layer, (time_s, energy_j) in enumerate(zip(costs.time_s, costs.energy_j))},
            [*self._of_networks(), *([place] for place in self._places())])

    def _plan(self, configurations, rests) -> OraclePlan:
        return OraclePlan(configurations, self._variants, rests)

    def _places(self) -> Iterator[_Place]:
        return ((name, layer) for name, count in self._layers.items() for layer in range(count))

    def _of_networks(self) -> List[List[_Place]]:
        return [[(name, layer) for layer in range(count)]
                for name, count in self._layers.items()]

    def _load(self) -> np.ndarray:
        """Return which part of the time all networks ask for, by configuration."""
        return sum(self._frames_hz(name) * costs.time_s.sum(axis=0)
                   for name, costs in self._costs.items())

    def _power_w(self, rests) -> np.ndarray:
        """Return what they draw in the mean, by configuration, if the board rests in between."""
        busy_w = sum(self._frames_hz(name) * costs.energy_j.sum(axis=0)
                     for name, costs in self._costs.items())
        if rests:
            return busy_w
        return busy_w + (1.0 - self._load()) * next(iter(self._costs.values())).idle_w

    def _frames_hz(self, name) -> float:
        return len(self._asked[name].instances) / self._asked[name].period_s


def _costs_of(asked: Asked, variants: Sequence[int]) -> Costs:
    """Return what the layers of a network cost as these variants."""
    gains = np.array([[table.speedup[variant] / table.speedup[table.exact]]
                      for table, variant in zip(asked.tables.accuracy, variants)])
    return asked.costs._replace(time_s=asked.costs.time_s / gains,
                                energy_j=asked.costs.energy_j / gains)


class _Moves:
    """Ways from one plan to others: some of its places move on the ladders that they have."""

    def __init__(self, ladders: Mapping[_Place, _Ladder], scopes: Sequence[Sequence[_Place]]):
        self._ladders, self._scopes = ladders, scopes

    def of(self, stride) -> Iterator[Callable[[OraclePlan], OraclePlan]]:
        """Return the moves: first to slower configurations, then to faster ones."""
        for steps in (stride, -stride):
            for places in self._scopes:
                yield functools.partial(self._moved, places, steps)

    def _moved(self, places, steps, plan) -> OraclePlan:
        configurations = {name: list(rows) for name, rows in plan.configurations.items()}
        for name, layer in places:
            row = configurations[name][layer]
            configurations[name][layer] = self._ladders[name, layer].moved(row, steps)
        return dataclasses.replace(plan, configurations={
            name: tuple(rows) for name, rows in configurations.items()})


class _Ladder:
    """Some configurations by time, from fast to slow."""

    def __init__(self, time_s: np.ndarray, rows: np.ndarray):
        self._rows = rows[np.argsort(time_s[rows], kind='stable')]
        self._times_s = time_s[self._rows].tolist()
        self._time_s = time_s

    def moved(self, row: int, steps: int) -> int:
        """Return the configuration so many steps slower, or faster; an end at most.

        From a configuration that is not among them, the next one on this side is the first step.
        """
        time_s = self._time_s[row]
        if steps > 0:
            place = bisect.bisect_right(self._times_s, time_s) - 1 + steps
        else:
            place = bisect.bisect_left(self._times_s, time_s) + steps
        return int(self._rows[min(max(place, 0), len(self._times_s) - 1)])
