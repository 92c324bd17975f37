"""Who decides for a cohort in the bench, and the chooser that lets the core follow them."""

from __future__ import annotations

import collections
import functools
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.cohort import MODES, Cohort, Coordinator, Membership, ModelTables
from s3dnn_ros.cohort.rivals import MaxN, Uncoordinated
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.runtime.board_control import BoardControl
from s3dnn_ros.runtime.variant_chooser import CohortChooser
from s3dnn_ros.settings.cohort import CohortSettings

NAME = 'bench'      # of the board, and of the one process that it has
LEASE_S = 5.0


class Contender(NamedTuple):
    """Who decides, under a name for the tables; `make` is given the fastest configuration.

    `horizon` is one of HORIZONS, `margin` the Cohort's. With `rests` the device is in its
    configuration of least power while nothing is asked.
    """

    name: str
    make: Callable[[int], Any]
    horizon: str = 'deadline'
    margin: Optional[float] = None
    rests: bool = False


def _coordinator(mode, fastest):
    return Coordinator(mode)


def _modes(suffix='', **options):
    return tuple(Contender(mode + suffix, functools.partial(_coordinator, mode), **options)
                 for mode in MODES)


# what the executor does with its default parameters
MARGIN = CohortSettings.margin
CONTENDERS = (Contender('Max-N', MaxN), Contender('race to idle', MaxN, rests=True),
              Contender('uncoordinated', lambda fastest: Uncoordinated()),
              *_modes(margin=MARGIN))
# with slack: for where nobody sets a configuration
OTHERS = (*_modes(', by its plan alone'), *_modes(', slack', horizon='slack', margin=MARGIN))


def contenders(names: Sequence[str]) -> Sequence[Contender]:
    """Return contenders by name; raises ParameterError that lists the known ones."""
    known = {contender.name: contender for contender in (*CONTENDERS, *OTHERS)}
    for name in names:
        if name not in known:
            raise ParameterError('--contenders', name, 'expected some of '
                                 + ', '.join(map(repr, known)))
    return tuple(known[name] for name in names)


class ContenderChooser:
    """A contender in charge of the device, for one run; a VariantChooser for the core.

    Parameters
    ----------
    platform : Platform
        It is closed at the end.
    tables : mapping of model name to ModelTables
    contender : Contender
    clock : Clock

    """

    def __init__(self, platform, tables: Mapping[str, ModelTables], contender: Contender, clock):
        self.times_ns: List[int] = []
        self._clock = clock
        self._tables = tables
        self._platform = platform
        totals_s = [sum(column) for column in zip(*(each.network_s for each in tables.values()))]
        fastest = min(range(len(totals_s)), key=totals_s.__getitem__)
        self._rest = self._least_power() if contender.rests else None
        self._log: List[Tuple[float, int]] = []
        self._board = BoardControl(fastest, platform, self._changed)
        self._cohort = Cohort(Membership(NAME, LEASE_S), contender.make(fastest), tables, NAME,
                              self._board, horizon=contender.horizon, margin=contender.margin)
        self._chooser = CohortChooser(self._cohort, tables)
        self.scale = self._chooser.scale
        self.least = self._chooser.least
        self._board.want(fastest)

    def choose(self, job, segment, now_s):
        """Choose as the contender does."""
        begun_ns = time.perf_counter_ns()
        choice = self._chooser.choose(job, segment, now_s)
        self.times_ns.append(time.perf_counter_ns() - begun_ns)
        return choice

    def ended(self, job, now_s):
        """Take a job out of the cohort."""
        self._chooser.ended(job, now_s)
        if self._rest is not None and not self._cohort.membership.members(now_s):
            self._board.want(self._rest)

    def close(self):
        """Restore the device; raises RuntimeError if a configuration could not be set."""
        self.transitions = self._platform.transitions
        self.transition_s = self._platform.transition_s
        self._board.close()
        if self._board.failure:
            raise RuntimeError(self._board.failure)

    def shares(self, begin_s, end_s) -> Dict[int, float]:
        """Return which share of the time between two moments each configuration was set."""
        moments = [max(begin_s, min(moment_s, end_s)) for moment_s, _ in self._log] + [end_s]
        shares: Dict[int, float] = collections.defaultdict(float)
        for (_, configuration), first_s, last_s in zip(self._log, moments, moments[1:]):
            shares[configuration] += (last_s - first_s) / (end_s - begin_s)
        return {configuration: share for configuration, share in shares.items() if share > 0.0}

    def _changed(self):
        self._log.append((self._clock.now_s(), self._board.configuration))

    def _least_power(self):
        powerup = next(iter(self._tables.values())).power[0].powerup
        return min(range(len(powerup)), key=powerup.__getitem__)
