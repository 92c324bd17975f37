"""The offline limit: a fixed configuration for each layer, chosen with everything known."""

from __future__ import annotations

import dataclasses
import math
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from s3dnn_ros.cohort.coordinator import Decision, Member
from s3dnn_ros.cohort.rivals.fixed import exact

# A plan that uses less than this part less is not looked for: with many layers there are endless
# plans that are next to equal.
TOLERANCE = 1e-3
# The price of time, in watts, is searched up to here, and halved so often; these multiples of it
# bound what plans use.
MOST_PRICE = 1e12
HALVINGS = 60
PRICES = (0.7, 0.9, 1.0, 1.1, 1.4)


class Costs(NamedTuple):
    """What each layer of a network takes and uses in each configuration.

    Attributes
    ----------
    time_s : array of float64, layers × configurations
    energy_j : array of float64, layers × configurations
        Above what the device draws at rest.
    idle_w : array of float64, by configuration, or float
        What the device draws while it has nothing to do, above what it draws at rest.

    """

    time_s: np.ndarray
    energy_j: np.ndarray
    idle_w: Union[np.ndarray, float] = 0.0


class Oracle:
    """Runs each layer of each instance in the configuration, and as the variant, of its plan.

    Where several instances are under way, the fastest configuration that one of their next layers
    has is set, so that none waits for another's slow one.

    Parameters
    ----------
    configurations, variants : mapping of instance to sequence of int
        Of each of its layers.

    """

    def __init__(self, configurations: Mapping[str, Sequence[int]],
                 variants: Mapping[str, Sequence[int]]):
        self._configurations, self._variants = configurations, variants

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        decision = exact(0, members)
        planned = [self._configurations[member.instance][member.segment] for member in members]
        variants = {member.instance: self._variants[member.instance][member.segment]
                    for member in members}
        speed = members[-1].speedup_power.speedup
        return dataclasses.replace(
            decision, configuration=max(planned, key=speed.__getitem__), variants=variants,
            speedups={member.instance: member.speedup_accuracy.speedup[variants[member.instance]]
                      for member in members})

    def ended(self, instance, late):
        """Do nothing: the plan stands."""


def front(time_s: np.ndarray, energy_j: np.ndarray) -> np.ndarray:
    """Return which configurations no other one beats in both, by time from fast to slow.

    Of equal ones the first.
    """
    order = np.lexsort((energy_j, time_s))
    least = np.minimum.accumulate(energy_j[order])
    return order[np.concatenate(([True], energy_j[order][1:] < least[:-1]))]


def cheapest(costs: Costs, deadline_s: float, change_s: float = 0.0, change_j: float = 0.0,
             tolerance: float = TOLERANCE) -> Optional[Tuple[int, ...]]:
    """Return the configuration of each layer that meets a deadline with the least energy.

    Exact but for the tolerance, for an instance that has the device to itself. Lagrange
    multipliers put a price on time: the best plan at a price bounds what any plan uses. A dynamic
    program over layers then keeps every choice of the first ones that these bounds do not
    exclude, and that no other choice beats in both time and energy. None if the deadline cannot
    be met. With costs of changes it may take minutes for many layers.

    Parameters
    ----------
    costs : Costs
    deadline_s : float
    change_s, change_j : float
        What it costs to run a layer in another configuration than the layer before it.
    tolerance : float
        Part of the energy that the plan may use above the least.

    """
    problem = _Problem(costs, deadline_s, change_s, change_j, tolerance)
    if problem.best is None:
        return None
    # of each partial choice: time, energy and its last configuration
    time_s, energy_j, last = np.zeros(1), np.zeros(1), np.full(1, -1)
    steps: List[Tuple[np.ndarray, np.ndarray]] = []     # configurations, and what they go on from
    for layer, rows in enumerate(problem.choices()):
        changes = (last[:, None] != rows) & (layer > 0)
        all_s = (time_s[:, None] + costs.time_s[layer, rows] + change_s * changes).ravel()
        all_j = (energy_j[:, None] + costs.energy_j[layer, rows] + change_j * changes).ravel()
        kept = np.flatnonzero(
            problem.may_be_best(layer, np.tile(rows, len(last)), all_s, all_j))
        kept = kept[_unbeaten(all_s[kept], all_j[kept], kept % len(rows), change_s, change_j)]
        time_s, energy_j, last = all_s[kept], all_j[kept], rows[kept % len(rows)]
        steps.append((last, kept // len(rows)))
    if not len(energy_j) or energy_j.min() >= problem.best_j:
        return problem.best
    place, plan = int(energy_j.argmin()), []
    for configurations, before in reversed(steps):
        plan.append(int(configurations[place]))
        place = int(before[place])
    return tuple(plan[::-1])


class _Problem:
    """What prices of time tell of the best plan.

    Attributes
    ----------
    best : tuple of int, optional
        The best plan in time at any of the prices; None if no plan is in time.
    best_j : float
        Its energy.

    """

    def __init__(self, costs, deadline_s, change_s, change_j, tolerance):
        self._costs, self._deadline_s = costs, deadline_s
        self._change, self._tolerance = (change_s, change_j), tolerance
        self.best, self.best_j = None, math.inf
        self._quickest = self._values(costs.time_s, change_s)
        if self._try(_plan(self._quickest, change_s)) and not self._try(self._at(0.0)):
            self._prices = self._near_the_best_price()
        else:
            self._prices = [0.0]
        self._values_at = [self._values(*self._priced(price)) for price in self._prices]

    def choices(self) -> List[np.ndarray]:
        """Return of each layer the configurations that the best plan may have."""
        may = np.ones(self._costs.time_s.shape, bool)
        for price, behind in zip(self._prices, self._values_at):
            each, change = self._priced(price)
            before = self._values(each[::-1], change)[::-1]
            may &= before + behind - each - price * self._deadline_s <= self._most_j
        before = self._values(self._costs.time_s[::-1], self._change[0])[::-1]
        may &= before + self._quickest - self._costs.time_s <= self._most_s
        return [np.flatnonzero(row) for row in may]

    def may_be_best(self, layer, rows, time_s, energy_j):
        """Tell which choices up to a layer, the last one `rows`, the best plan may begin with."""
        may = time_s + self._left(self._quickest, layer, self._change[0])[rows] <= self._most_s
        for price, values in zip(self._prices, self._values_at):
            left = self._left(values, layer, self._priced(price)[1])[rows]
            may &= energy_j + price * (time_s - self._deadline_s) + left <= self._most_j
        return may

    @property
    def _most_j(self):
        return (1.0 - self._tolerance) * self.best_j

    @property
    def _most_s(self):
        return self._deadline_s * (1.0 + 1e-12)

    def _near_the_best_price(self) -> List[float]:
        """Return prices around the one at which the best plan is just in time."""
        low, high = 0.0, 1.0
        while not self._try(self._at(high)) and high < MOST_PRICE:
            low, high = high, 2.0 * high
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self._try(self._at(middle)) else (middle, high)
        return [factor * high for factor in PRICES]

    def _try(self, plan) -> bool:
        """Tell whether a plan is in time, and keep it if it is the best so far."""
        time_s, energy_j = _cost(self._costs, plan, *self._change)
        if time_s > self._deadline_s:
            return False
        if energy_j < self.best_j:
            self.best, self.best_j = plan, energy_j
        return True

    def _at(self, price) -> Tuple[int, ...]:
        each, change = self._priced(price)
        return _plan(self._values(each, change), change)

    def _priced(self, price):
        """Return energy and price of each layer and configuration, and of a change."""
        change_s, change_j = self._change
        return self._costs.energy_j + price * self._costs.time_s, change_j + price * change_s

    @staticmethod
    def _values(each, change) -> np.ndarray:
        """Return the least sum of a layer in each configuration and of all layers behind it."""
        values = each.copy()
        for layer in range(len(each) - 2, -1, -1):
            values[layer] += np.minimum(values[layer + 1], values[layer + 1].min() + change)
        return values

    @staticmethod
    def _left(values, layer, change) -> np.ndarray:
        """Return the least sum of all behind a layer, by the layer's configuration."""
        if layer + 1 == len(values):
            return np.zeros(values.shape[1])
        return np.minimum(values[layer + 1], values[layer + 1].min() + change)


def _plan(values, change) -> Tuple[int, ...]:
    """Return the plan that has the least sum."""
    plan = [int(values[0].argmin())]
    for row in values[1:]:
        other = int(row.argmin())
        plan.append(plan[-1] if row[plan[-1]] <= row[other] + change else other)
    return tuple(plan)


def _cost(costs, plan, change_s, change_j) -> Tuple[float, float]:
    """Return time and energy of a plan."""
    layers = np.arange(len(plan))
    changes = sum(one != other for one, other in zip(plan, plan[1:]))
    return (costs.time_s[layers, plan].sum() + changes * change_s,
            costs.energy_j[layers, plan].sum() + changes * change_j)


def _unbeaten(time_s, energy_j, last, change_s, change_j) -> np.ndarray:
    """Return which partial choices no other one beats, even if it has to change once more."""
    if not len(time_s):
        return np.zeros(0, int)
    best = front(time_s, energy_j)
    if not change_s and not change_j:
        return best
    kept = np.concatenate([rows[front(time_s[rows], energy_j[rows])] for rows in (
        np.flatnonzero(last == one) for one in np.unique(last))])
    place = np.searchsorted(time_s[best], time_s[kept] - change_s, side='right') - 1
    least_j = np.where(place >= 0, energy_j[best][place], math.inf)
    return kept[least_j + change_j > energy_j[kept]]
