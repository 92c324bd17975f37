"""The offline limit of an experiment: a plan for an Oracle, found by running it many times."""

from __future__ import annotations

import bisect
import dataclasses
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from s3dnn_ros.bench.contenders import Contender
from s3dnn_ros.cohort.rivals.oracle import Costs, Oracle, cheapest, front, front_with_idle

NAME = 'oracle'
# Plans to begin with meet these shares of the deadlines alone: others are in the way, and clocks
# take their time to change.
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
# So many configurations of a layer are gone past at once, first far, then near.
STRIDES = (16, 4, 1)


class Asked(NamedTuple):
    """An instance of the experiment: what its network costs, and its deadline from arrival on."""

    costs: Costs
    deadline_s: float


class Outcome(NamedTuple):
    """What became of all runs of an experiment, the seeds together; less is better."""

    missed: int
    energy_j: float


@dataclasses.dataclass(frozen=True)
class OraclePlan:
    """A configuration for each layer, by instance; with `rests` the board rests in between."""

    configurations: Mapping[str, Tuple[int, ...]]
    rests: bool

    def contender(self) -> Contender:
        """Return the contender that follows the plan."""
        return Contender(NAME, lambda known: Oracle(self.configurations), rests=self.rests)

    def key(self):
        """Return what is equal for equal plans."""
        return self.rests, tuple(sorted(self.configurations.items()))


class Found(NamedTuple):
    """The best plan, what became of it, and how often the experiment ran."""

    plan: OraclePlan
    outcome: Outcome
    runs: int


def search(simulate: Callable[[Contender], Outcome], asked: Mapping[str, Asked],
           budget: int = 300) -> Found:
    """Return the best fixed configuration of every layer that a search finds for an experiment.

    Fewer misses come first, then less energy. It is no proof of a limit, but it knows all that
    will happen, as it runs the experiment itself, with the same arrivals and times. It begins
    with the best of two kinds of plans: each single configuration that no other one beats in
    time and energy, and for each instance the cheapest plan that meets a share of its deadline
    alone. So no configuration that is in time is better than what it returns, as far as the
    costs tell. From there it moves all
    layers, those of one instance, or one layer to slower or faster configurations, as long as
    that helps.

    Parameters
    ----------
    simulate : callable
        Runs the whole experiment with a contender.
    asked : mapping of instance to Asked
    budget : int
        Runs of the experiment besides those of the plans to begin with.

    """
    runs: Dict[Tuple, Outcome] = {}

    def outcome(plan) -> Outcome:
        key = plan.key()
        if key not in runs:
            runs[key] = simulate(plan.contender())
        return runs[key]

    best = min(_beginnings(asked), key=outcome)
    most = len(runs) + budget
    moves = _Moves(asked)
    for stride in STRIDES:
        improved = True
        while improved:
            improved = False
            for move in moves.from_plan(best, stride):
                if len(runs) >= most:
                    return Found(best, outcome(best), len(runs))
                plan = move(best)
                if outcome(plan) < outcome(best):
                    best, improved = plan, True
    return Found(best, outcome(best), len(runs))


def _beginnings(asked) -> Iterator[OraclePlan]:
    """Return plans to begin with."""
    whole_s, _, _ = _together(asked)
    in_time = np.logical_and.reduce([each.costs.time_s.sum(axis=0) <= each.deadline_s
                                     for each in asked.values()])
    # who is late alone needs no run, and the fastest shows what cannot be in time
    in_time[whole_s.argmin()] = True
    for rests, rows in ((True, _resting(asked)), (False, _never_resting(asked))):
        for row in rows[in_time[rows]].tolist():
            yield OraclePlan({name: (row,) * len(each.costs.time_s)
                              for name, each in asked.items()}, rests)
    for share in SHARES:
        plans = {name: cheapest(each.costs, share * each.deadline_s)
                 for name, each in asked.items()}
        if all(plans.values()):
            yield from (OraclePlan(plans, rests) for rests in (False, True))


def _together(asked) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time and energy of all networks, one after the other, and the idle power."""
    whole_s, whole_j = (sum(each.costs[column].sum(axis=0) for each in asked.values())
                        for column in (0, 1))
    return whole_s, whole_j, np.broadcast_to(next(iter(asked.values())).costs.idle_w,
                                             whole_s.shape)


def _resting(asked) -> np.ndarray:
    """Return the configurations that no other one beats where the board rests in between."""
    whole_s, whole_j, _ = _together(asked)
    return front(whole_s, whole_j)


def _never_resting(asked) -> np.ndarray:
    """Return those that no other one beats where it does not."""
    return front_with_idle(*_together(asked))


class _Moves:
    """Ways from one plan to others."""

    def __init__(self, asked: Mapping[str, Asked]):
        self._layers = {name: len(each.costs.time_s) for name, each in asked.items()}
        singles = np.union1d(_resting(asked), _never_resting(asked))
        self._ladders = {
            (name, layer): _Ladder(each.costs.time_s[layer], each.costs.energy_j[layer], singles)
            for name, each in asked.items() for layer in range(self._layers[name])}

    def from_plan(self, plan, stride) -> Iterator[Callable[[OraclePlan], OraclePlan]]:
        """Return moves of all layers, of those of one instance, and of one layer."""
        places: List[Sequence[Tuple[str, int]]] = [list(self._ladders)]
        places += [[(name, layer) for layer in range(count)]
                   for name, count in self._layers.items() if len(self._layers) > 1]
        places += [[place] for place in self._ladders]
        for moved in places:
            for steps in (stride, -stride):
                yield lambda plan, moved=moved, steps=steps: self._moved(plan, moved, steps)
        yield lambda plan: dataclasses.replace(plan, rests=not plan.rests)

    def _moved(self, plan, places, steps) -> OraclePlan:
        configurations = {name: list(rows) for name, rows in plan.configurations.items()}
        for name, layer in places:
            row = configurations[name][layer]
            configurations[name][layer] = self._ladders[name, layer].moved(row, steps)
        return dataclasses.replace(plan, configurations={
            name: tuple(rows) for name, rows in configurations.items()})


class _Ladder:
    """Configurations of a layer that no other one beats, there or for all layers; by time."""

    def __init__(self, time_s: np.ndarray, energy_j: np.ndarray, singles: np.ndarray):
        rows = np.union1d(front(time_s, energy_j), singles)
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
