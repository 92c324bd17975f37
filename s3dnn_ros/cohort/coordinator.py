"""NeuOS's decision (ATC 2020): one configuration for all, and a variant for each instance.

Equations 3 to 9 and Algorithms 1 and 2, with LAG > 0 for ahead (reference/papers.md §1), and
no configuration that leaves more to the variants than they can give, where another does not; if
all do, the one that leaves least.
Everyone who decides on the same members decides the same.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Set,
)

from s3dnn_ros.cohort.lag import needed_speedup
from s3dnn_ros.cohort.tables import SpeedupAccuracyTable, SpeedupPowerTable

GROUPS = 3
ROUNDING = 1e-9     # a speed-up that means 1 may come out above it


@dataclasses.dataclass(frozen=True)
class Member:
    """An instance of the cohort at a segment boundary.

    `speedup_power` and `speedup_accuracy` are those of its next segment, `configuration` is
    the device's, `horizon_s` the time in which the LAG is to be made up for: by default the
    deadline, as in the paper. `variant` is that of the segment that has ended, or the last one
    where the next segment has fewer; None for the exact one. `segment` is the next one, of
    `model`: only rivals ask for them.
    """

    instance: str
    lag_s: float
    deadline_s: float
    speedup_power: SpeedupPowerTable
    speedup_accuracy: SpeedupAccuracyTable
    configuration: int
    horizon_s: Optional[float] = None
    variant: Optional[int] = None
    segment: int = 0
    model: str = ''

    @property
    def needed_speedup(self) -> float:
        """Return S_P: how much faster than now it has to run."""
        return needed_speedup(self.lag_s,
                              self.deadline_s if self.horizon_s is None else self.horizon_s)

    @property
    def proposal(self) -> Proposal:
        """Return what it would choose for the device (Algorithm 1).

        Once: it stands until the member speaks again, for all decisions that others bring about.
        """
        # functools.cached_property takes a lock before Python 3.12, and longer than all this
        kept = self.__dict__
        if '_proposal' not in kept:
            kept['_proposal'] = self._propose()
        return kept['_proposal']

    def _propose(self) -> Proposal:
        table, needed = self.speedup_power, self.needed_speedup
        target = table.speedup[self.configuration] * needed
        row = table.lookup(target)
        return Proposal(table.powerup[row], row, needed, target, self.instance, self.lag_s,
                        table.speedup, self.speedup_accuracy)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What the cohort does next.

    Attributes
    ----------
    configuration : int
        Of the device.
    variants : dict of str to int
        The variant of each instance's next segment.
    speedups : dict of str to float
        S_A, equation 4: what each instance needs of its variant; above 1 it approximates.

    """

    configuration: int
    variants: Mapping[str, int]
    speedups: Mapping[str, float]


class Proposal(NamedTuple):
    """What one member would choose for the device (Algorithm 1).

    `target` is the speed-up against the slowest configuration that it needs, `speedup` what
    every configuration gives it.
    """

    power: float
    configuration: int
    needed: float
    target: float
    instance: str
    lag_s: float
    speedup: Sequence[float]
    accuracy: SpeedupAccuracyTable

    def approximation(self, configuration: int) -> float:
        """Return S_A (equation 4, DERIVED): what a configuration leaves to the variant."""
        return self.target / self.speedup[configuration]


class Policy(Protocol):
    """Who decides for a cohort."""

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; the last member is the one that has just spoken.

        Raises ValueError if there are no members.
        """

    def ended(self, instance: str, late: float) -> None:
        """Take note of how late a job of this process ended, as a share of its deadline.

        Below 0 it was in time.
        """


class Coordinator:
    """Decides for a cohort: Algorithm 1, a mode, and Algorithm 2.

    Parameters
    ----------
    mode : str
        'min_energy', 'max_accuracy' or 'balanced'; may be set at any time.
    threshold : float, optional
        t of equation 9, for 'balanced': up to so much behind, on average, the middle group
        speaks for the cohort, beyond it the group that is most behind. By default the standard
        deviation of the members' imbalance.

    Raises
    ------
    ValueError
        If the mode is not known or the threshold is negative.

    """

    def __init__(self, mode='balanced', threshold: Optional[float] = None):
        if threshold is not None and not threshold >= 0.0:
            raise ValueError(f'threshold is {threshold}; expected a number from 0, or None')
        self.mode = mode
        self.threshold = threshold

    @property
    def mode(self) -> str:
        """Return the mode's name."""
        return self._mode

    @mode.setter
    def mode(self, name):
        if name not in MODES:
            raise ValueError(f'mode is {name!r}; expected one of ' + ', '.join(MODES))
        self._mode = name
        self._rank = MODES[name]

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        if not members:
            raise ValueError('there are no members; expected one at least')
        proposals = propose(members)
        agreed = len(_configurations(proposals)) == 1
        return approximate(proposals[0].configuration if agreed
                           else self._first_that_suffices(proposals), proposals)

    def ended(self, instance: str, late: float):
        """Do nothing: members tell their LAG."""

    def _first_that_suffices(self, proposals) -> int:
        refused: Set[int] = set()
        for row in self._rank(proposals, self.threshold):
            if row not in refused and suffices(row, proposals):
                return row
            refused.add(row)
        return _least_approximation(proposals, None)[0]


def propose(members: Sequence[Member]) -> List[Proposal]:
    """Return what each member would choose (Algorithm 1), by instance.

    In this order sums are the same for everyone, to the last bit.
    """
    return [member.proposal for member in sorted(members, key=operator.attrgetter('instance'))]


def suffices(configuration: int, proposals: Sequence[Proposal]) -> bool:
    """Tell whether in a configuration everyone's variants can make up for what is missing.

    DERIVED: the paper leaves to the variants whatever the configuration lacks, however little
    they gain.
    """
    return all(proposal.approximation(configuration) <= proposal.accuracy.most
               for proposal in proposals)


def approximate(configuration: int, proposals: Sequence[Proposal]) -> Decision:
    """Return the decision for a configuration: who has to approximate, and how (Algorithm 2)."""
    variants: Dict[str, int] = {}
    speedups: Dict[str, float] = {}
    for proposal in proposals:
        table, needed = proposal.accuracy, proposal.approximation(configuration)
        variants[proposal.instance] = (
            table.lookup(needed) if needed > 1.0 + ROUNDING else table.exact)
        speedups[proposal.instance] = needed
    return Decision(configuration, variants, speedups)


def _least_power(proposals, threshold) -> List[int]:
    """Equation 5 (DERIVED): what draws least first."""
    return [row for _, row in sorted((proposal.power, proposal.configuration)
                                     for proposal in proposals)]


def _least_approximation(proposals, threshold) -> List[int]:
    """Equation 6 (DERIVED): what leaves least to the variants of all first.

    Who is ahead makes up for nobody: only what is above 1 counts.
    """
    left = {}
    for row in _configurations(proposals):
        total = 0.0
        for proposal in proposals:
            needed = proposal.approximation(row)
            if needed > 1.0:
                total += needed - 1.0
        left[row] = total
    return [row for *_, row in sorted(
        (left[proposal.configuration], proposal.power, proposal.configuration)
        for proposal in proposals)]


def _configurations(proposals) -> Set[int]:
    """Return the configurations that are proposed: members often agree."""
    return {proposal.configuration for proposal in proposals}


def _balanced(proposals, threshold) -> Iterator[int]:
    """Equations 7 to 9 (DERIVED): first whoever is typical of those that should be listened to.

    Then the others of that group, and the next group that is further behind.
    """
    imbalances = [proposal.needed for proposal in proposals]
    mean = sum(imbalances) / len(imbalances)
    behind = mean - 1.0
    if threshold is None:
        threshold = math.sqrt(sum((imbalance - mean)**2 for imbalance in imbalances)
                              / len(imbalances))
    wanted = 2 if behind > threshold else 1 if behind > 0.0 else 0
    groups = _groups(proposals)
    for number in (*range(wanted, GROUPS), *range(wanted - 1, -1, -1)):
        group = groups[number]
        middle_s = sum(distance_s for distance_s, _ in group) / max(1, len(group))
        # to the nanosecond: two are as far from their middle as each other
        for *_, row in sorted((round(abs(distance_s - middle_s), 9), proposal.power,
                               proposal.configuration) for distance_s, proposal in group):
            yield row


def _groups(proposals):
    """Return the members in thirds by how far they are behind the first (equation 8, DERIVED)."""
    first_s = max(proposal.lag_s for proposal in proposals)
    distances_s = [first_s - proposal.lag_s for proposal in proposals]
    third_s = max(distances_s) / GROUPS
    groups: List[list] = [[] for _ in range(GROUPS)]
    for distance_s, proposal in zip(distances_s, proposals):
        number = int(distance_s / third_s) if third_s > 0.0 else 0
        groups[min(number, GROUPS - 1)].append((distance_s, proposal))
    return groups


# The proposed configurations, the one that a mode likes best first.
_Mode = Callable[[Sequence[Proposal], Optional[float]], Iterable[int]]
MODES: Mapping[str, _Mode] = {
    'min_energy': _least_power, 'max_accuracy': _least_approximation, 'balanced': _balanced}
