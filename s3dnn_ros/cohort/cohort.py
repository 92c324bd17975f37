"""The cohort as one process sees it: its own instances at once, others by what they tell."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import threading
from typing import Callable, Dict, Mapping, Optional, Protocol, Sequence, Set, Tuple

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.cohort.caution import Caution
from s3dnn_ros.cohort.coordinator import ROUNDING, Decision, Member, Policy
from s3dnn_ros.cohort.demand import Demand
from s3dnn_ros.cohort.lag import (
    HORIZONS,
    lag_s,
    needed_speedup,
    proportional_sub_deadlines,
)
from s3dnn_ros.cohort.membership import Membership, MemberState
from s3dnn_ros.cohort.tables import SpeedupAccuracyTable, SpeedupPowerTable

# Of so many models tables are looked for: whoever forges names does not keep us busy.
MOST_UNKNOWN_MODELS = 64


@dataclasses.dataclass(frozen=True)
class ModelTables:
    """What is known of a model's segments on this board.

    Attributes
    ----------
    times_s : tuple of float
        Of the exact segments, alone, as everything else expects them.
    power : tuple of SpeedupPowerTable
    accuracy : tuple of SpeedupAccuracyTable
    network_s : tuple of float
        Of the whole exact network, by configuration.

    """

    times_s: Tuple[float, ...]
    power: Tuple[SpeedupPowerTable, ...]
    accuracy: Tuple[SpeedupAccuracyTable, ...]
    network_s: Tuple[float, ...]

    def __post_init__(self):
        """Refuse tables of other segments than there are; raises ValueError."""
        if not len(self.times_s) == len(self.power) == len(self.accuracy) > 0:
            raise ValueError(f'times of {len(self.times_s)} segments, power of {len(self.power)}, '
                             f'accuracy of {len(self.accuracy)}; expected as many of each')

    def fits(self, segment: int, variant: int) -> bool:
        """Tell whether there is such a segment, and such a variant of the one before it."""
        return (0 <= segment < len(self.times_s)
                and 0 <= variant < len(self.accuracy[max(segment - 1, 0)].speedup))

    def standing_s(self, segment: int, deadline_s: float, elapsed_s: float, horizon: str,
                   configuration: int) -> Tuple[float, float]:
        """Return LAG and horizon of a job before a segment, so long after its arrival.

        Equation 1 with the sub-deadlines of equation 2 (both DERIVED), of the segments that have
        ended taken as one layer: what has passed is known of all of them together. Before the
        first segment there is nothing to sum up. `horizon` is one of HORIZONS.
        """
        if horizon == 'slack':
            remaining_s = self._remaining_s(segment, configuration)
            return deadline_s - elapsed_s - remaining_s, remaining_s
        behind, last = self.plan[segment], segment + 1 if horizon == 'next' else -1
        ahead_s = lag_s([deadline_s * behind], [elapsed_s]) if segment else 0.0
        return ahead_s, deadline_s * (
            1.0 if horizon == 'deadline' else self.plan[last] - behind)

    def pressed_s(self, segment: int, left_s: float, careful_s: float,
                  configuration: int) -> Tuple[float, float]:
        """Return LAG and horizon of a job that has so long for what remains of it (DERIVED).

        `careful_s` is what it has if everything comes that usually does. For that alone it asks
        for the fastest configuration at most: what may come is no reason to approximate.
        """
        remaining_s = self._remaining_s(segment, configuration)
        power = self.power[segment]
        fastest_s = remaining_s * power.speedup[configuration] / power.most
        return min(left_s, max(careful_s, (1.0 + ROUNDING) * fastest_s)) - remaining_s, remaining_s

    @functools.cached_property
    def by_network(self) -> ModelTables:
        """Return tables in which each segment has the whole network's speed-up and power (ours).

        For boards whose clocks take longer to change than a segment runs: what is chosen for a
        segment would act on others, which may ask for the opposite. Power is the mean over the
        time, as if all segments had the same least power.
        """
        speedups = np.array([power.speedup for power in self.power])
        slowest_s = np.array(self.times_s) * speedups.max(axis=1)
        took_s = slowest_s[:, None] / speedups
        powerup = (took_s * [power.powerup for power in self.power]).sum(axis=0)
        powerup /= took_s.sum(axis=0)
        network_s = np.array(self.network_s)
        whole = SpeedupPowerTable(network_s.max() / network_s, powerup / powerup.min())
        return dataclasses.replace(self, power=(whole,) * len(self.power))

    @functools.cached_property
    def total_s(self) -> float:
        """Return the sum of `times_s`."""
        return sum(self.times_s)

    @functools.cached_property
    def plan(self) -> Tuple[float, ...]:
        """Return the part of any deadline before each segment, and at the end (equation 2)."""
        return (0.0, *itertools.accumulate(proportional_sub_deadlines(self.times_s, 1.0)))

    # once: a board may have tens of thousands of configurations
    @functools.cached_property
    def least_s(self) -> float:
        """Return what the exact network takes in its fastest configuration."""
        return min(self.network_s)

    @functools.cached_property
    def least(self) -> Tuple[float, ...]:
        """Return what each segment takes at least, as a multiple of `times_s`."""
        fastest = self.least_s / self.total_s
        return tuple(fastest / accuracy.most for accuracy in self.accuracy)

    def scale(self, configuration: int) -> float:
        """Return what the network takes in a configuration, as a multiple of `times_s`."""
        return self.network_s[configuration] / self.total_s

    def _remaining_s(self, segment, configuration):
        return self.scale(configuration) * sum(self.times_s[segment:])


class Board(Protocol):
    """What a cohort knows of its board, and asks of it."""

    configuration: int      # what it is set to

    @property
    def is_ours(self) -> bool:
        """Tell whether this process sets it."""

    def want(self, configuration: int) -> None:
        """Have a configuration set, if this process sets it; whatever is wanted already."""


class Cohort:
    """Decides at every segment boundary of its own instances; thread-safe.

    Parameters
    ----------
    membership : Membership
    coordinator : Policy
        A Coordinator, or a rival.
    tables : mapping of model name to ModelTables
        Of our own models. Members with another one are left out of decisions, and what they say
        counts as ignored ('tables'), until `know` is called for it.
    process : str
        This one, under a name that no other has, nor the same after a restart.
    board : Board
        Exactly one process of a board has one that `is_ours`: the owner.
    say : callable, optional
        Called with a MemberState for the others, at every boundary.
    horizon : str
        One of HORIZONS.
    margin : float, optional
        Share of every deadline that is kept free; more, where jobs were late. With it, who
        would not be in time if what usually comes came asks for more than its LAG does;
        without, the LAG alone counts, as in the paper.
    by_network : bool
        Decide by what configurations give whole networks; by the next segment's otherwise, as in
        the paper.
    unknown : callable, optional
        Called with the name of a model that another process runs and of which there are no
        tables; once for each, and it must not take long.

    Attributes
    ----------
    told : MemberState or None
        What the newest boundary told.

    """

    def __init__(self, membership: Membership, coordinator: Policy,
                 tables: Mapping[str, ModelTables], process: str, board: Board, *,
                 say: Callable[[MemberState], None] = ignore, horizon='deadline',
                 margin: Optional[float] = None, by_network=False,
                 unknown: Callable[[str], None] = ignore):
        if horizon not in HORIZONS:
            raise ValueError(f'horizon is {horizon!r}; expected one of ' + ', '.join(HORIZONS))
        self.told: Optional[MemberState] = None
        self._tables: Dict[str, ModelTables] = {}
        self._size = 0
        self._by_network = by_network
        for model, known in tables.items():
            self._add(model, known)
        self.coordinator = coordinator
        self.horizon = horizon
        self.margin = margin
        self.board = board
        self.membership = membership
        self._process = process
        self._say = say
        self._unknown = unknown
        self._asked: Set[str] = set()
        self._sequence = 0
        self._known: Dict[str, Tuple[MemberState, Optional[Member]]] = {}
        self._demand = Demand()
        self._caution = Caution()
        self._lock = threading.Lock()       # a topic's thread hears, the runtime's decides

    @property
    def configuration(self) -> int:
        """Return what the board is set to."""
        return self.board.configuration

    def boundary(self, instance: str, model: str, segment: int, elapsed_s: float,
                 deadline_s: float, variant: int, now_s: float,
                 overhead_s: float = 0.0) -> int:
        """Return the variant for the next segment, `segment`, of one of our instances.

        `elapsed_s` has passed since its job arrived, which has `deadline_s` from then on;
        `variant` is that of the segment that has ended, `overhead_s` what remains takes
        besides what the tables know, in any configuration.
        """
        tables = self._tables[model]
        with self._lock:
            if segment == 0:
                self._demand.started(instance, tables.least_s + overhead_s, deadline_s, now_s)
            taken = self._demand.of_others(instance, now_s)
            caution = self._caution.share(instance)
        ahead_s, horizon_s = self._standing_s(tables, segment, deadline_s, elapsed_s, overhead_s,
                                              taken, caution)
        state = self.told = MemberState(
            self.membership.board, self._process, instance, model, self._next(), segment,
            ahead_s, deadline_s, horizon_s, self.configuration, variant)
        with self._lock:
            self.membership.hear(state, now_s, is_ours=True)
            decision = self._decide(now_s)
        self._say(state)
        # an absurd LAG of our own is no reason to stop
        exact = tables.accuracy[segment].exact
        return decision.variants.get(instance, exact) if decision else exact

    def ended(self, instance: str, late: float):
        """Take note of how late one of our jobs ended, as a share of its deadline."""
        with self._lock:
            self._caution.ended(instance, late)
            self.coordinator.ended(instance, late)

    def leave(self, instance: str, model: str, now_s: float):
        """Take one of our instances out, because its job has ended."""
        state = MemberState(self.membership.board, self._process, instance, model, self._next(),
                            0, 0.0, 1.0, 1.0, self.configuration, 0, leaves=True)
        with self._lock:
            self.membership.hear(state, now_s, is_ours=True)
        self._say(state)

    def hear(self, state: MemberState, now_s: float):
        """Take note of what another process tells; the owner decides anew."""
        if state.process == self._process:
            return      # our own word, by way of the topic
        with self._lock:
            if not self.membership.hear(state, now_s):
                return
            is_news = self._is_news(state)
            if state.segment == 0 and not state.leaves and state.model in self._tables:
                self._demand.started(state.instance, self._tables[state.model].least_s,
                                     state.deadline_s, now_s)
            if self.board.is_ours:
                self._decide(now_s)
        if is_news:
            self._unknown(state.model)

    def know(self, model: str, tables: ModelTables):
        """Take a model's tables; from now on its members count. Raises ValueError as at first."""
        with self._lock:
            self._add(model, tables)
            # what was left out is looked at again
            self._known = {}

    def _standing_s(self, tables, segment, deadline_s, elapsed_s, overhead_s, taken, caution
                    ) -> Tuple[float, float]:
        """Return LAG and horizon by the plan, or by what is left if that asks for more speed."""
        planned = tables.standing_s(segment, deadline_s, elapsed_s, self.horizon,
                                    self.configuration)
        if self.margin is None:
            return planned
        left_s = deadline_s - elapsed_s
        free_s = (self.margin + caution) * deadline_s
        careful_s = (left_s - free_s) * (1.0 - taken) - overhead_s
        pressed = tables.pressed_s(segment, left_s - overhead_s, careful_s, self.configuration)
        return pressed if needed_speedup(*pressed) > needed_speedup(*planned) else planned

    def _decide(self, now_s) -> Optional[Decision]:
        members = self._members(now_s)
        if not members:
            return None
        decision = self.coordinator.decide(members)
        self.board.want(decision.configuration)
        return decision

    def _members(self, now_s) -> Sequence[Member]:
        # who has not spoken since is the member that it was
        before, self._known = self._known, {}
        for state in self.membership.members(now_s):
            told, member = before.get(state.instance, (None, None))
            if told is not state:
                member = self._member(state)
            self._known[state.instance] = state, member
        return [member for _, member in self._known.values() if member]

    def _member(self, state) -> Optional[Member]:
        """Return what a state makes of an instance; None if it is of other tables than ours."""
        if not self._fits(state):
            return None
        tables = self._tables[state.model]
        accuracy = tables.accuracy[state.segment]
        # of the configuration in which it told: since then others may have changed it
        return Member(state.instance, state.lag_s, state.deadline_s, tables.power[state.segment],
                      accuracy, state.configuration, state.horizon_s,
                      min(state.variant, len(accuracy.speedup) - 1), state.segment, state.model)

    def _is_news(self, state) -> bool:
        """Count what fits no table; tell whether its model is heard of for the first time."""
        if state.leaves or self._fits(state):
            return False
        self.membership.ignored['tables'] += 1
        if (state.model in self._tables or state.model in self._asked
                or len(self._asked) >= MOST_UNKNOWN_MODELS):
            return False
        self._asked.add(state.model)
        return True

    def _fits(self, state) -> bool:
        """Tell whether we have tables of what an instance runs."""
        tables = self._tables.get(state.model)
        # another version of the model may have other segments
        return (tables is not None and tables.fits(state.segment, state.variant)
                and 0 <= state.configuration < self._size)

    def _add(self, model, tables):
        sizes = {self._size, len(tables.network_s),
                 *(len(table.speedup) for table in tables.power)} - {0}
        if len(sizes) > 1:
            raise ValueError(f"tables of '{model}' and others have {sorted(sizes)} "
                             'configurations; expected those of one board')
        self._size, = sizes
        self._tables[model] = tables.by_network if self._by_network else tables

    def _next(self):
        self._sequence += 1
        return self._sequence
