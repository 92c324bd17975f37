"""Who decides for a cohort in the bench, and the chooser that lets the core follow them."""

from __future__ import annotations

import collections
import functools
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.cohort import (
    MODES,
    Cohort,
    Coordinator,
    Membership,
    ModelTables,
    Policy,
    SpeedupPowerTable,
)
from s3dnn_ros.cohort.rivals import ApNet, Fixed, Poet, PredJoule, Uncoordinated
from s3dnn_ros.cohort.rivals.fixed import fastest, fastest_within
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.runtime.board_control import BoardControl
from s3dnn_ros.runtime.variant_chooser import BOUNDARIES, CohortChooser
from s3dnn_ros.settings.cohort import CohortSettings

NAME = 'bench'      # of the board, and of the one process that it has
LEASE_S = 5.0


class Known(NamedTuple):
    """What contenders know of the device: the tables of all models, and of whole networks."""

    tables: Mapping[str, ModelTables]
    whole: SpeedupPowerTable

    @classmethod
    def of(cls, tables: Mapping[str, ModelTables]) -> Known:
        """Return what follows from the models' tables: each network counts once."""
        took_s = np.array([each.network_s for each in tables.values()])
        totals_s = took_s.sum(axis=0)
        power = (took_s * [each.by_network.power[0].powerup for each in tables.values()]
                 ).sum(axis=0) / totals_s
        return cls(tables, SpeedupPowerTable(totals_s.max() / totals_s, power / power.min()))


class Contender(NamedTuple):
    """Who decides, under a name for the tables.

    `horizon` is one of HORIZONS, `margin` and `by_network` are the Cohort's. With `rests` the
    device is in its configuration of least power while nothing is asked.
    """

    name: str
    make: Callable[[Known], Policy]
    horizon: str = 'deadline'
    margin: Optional[float] = None
    rests: bool = False
    by_network: bool = False


def _coordinator(mode, known):
    return Coordinator(mode)


def _modes(suffix='', **options):
    return tuple(Contender(mode + suffix, functools.partial(_coordinator, mode), **options)
                 for mode in MODES)


def _max_n(known):
    return Fixed(fastest(known.whole))


def _max_q(known):
    return Fixed(fastest_within(known.whole, MAX_Q_SHARE))


# what the executor does with its default parameters
MARGIN = CohortSettings.margin
# Of the greatest power: a Xavier's cap of 15 W, which the paper takes for Max-Q, beside its 30 W.
MAX_Q_SHARE = 0.5
CONTENDERS = (Contender('Max-N', _max_n), Contender('race to idle', _max_n, rests=True),
              Contender('uncoordinated', lambda known: Uncoordinated()),
              *_modes(margin=MARGIN))
# with slack: for where nobody sets a configuration
OTHERS = (*_modes(', by its plan alone'), *_modes(', slack', horizon='slack', margin=MARGIN),
          *_modes(', by network', margin=MARGIN, by_network=True),
          Contender('Max-Q', _max_q), Contender('POET', lambda known: Poet(known.whole)),
          Contender('POET, margin', lambda known: Poet(known.whole, MARGIN)),
          Contender('PredJoule', lambda known: PredJoule(), horizon='next'),
          Contender('ApNet', lambda known: ApNet(known.tables, fastest(known.whole))))


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
    control : callable
        Makes what sets the platform, with a BoardControl's first three parameters.
    kept : int
        How many boundaries are kept.

    Attributes
    ----------
    boundaries : deque of Boundary

    """

    def __init__(self, platform, tables: Mapping[str, ModelTables], contender: Contender, clock,
                 control=BoardControl, kept=BOUNDARIES):
        self.times_ns: List[int] = []
        self._clock = clock
        self._platform = platform
        known = Known.of(tables)
        first = fastest(known.whole)
        self._rest = known.whole.lookup(0.0) if contender.rests else None
        self._log: List[Tuple[float, int]] = []
        self._board = control(first, platform, self._changed)
        self._cohort = Cohort(Membership(NAME, LEASE_S), contender.make(known), tables, NAME,
                              self._board, horizon=contender.horizon, margin=contender.margin,
                              by_network=contender.by_network)
        self._chooser = CohortChooser(self._cohort, tables, kept)
        self.boundaries = self._chooser.boundaries
        self.scale = self._chooser.scale
        self.least = self._chooser.least
        self._board.want(first)

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

    @property
    def configurations(self) -> Sequence[str]:
        """Return the names of all configurations, by index; a board may have thousands."""
        return [one.name for one in self._platform.configurations]

    @property
    def changes(self) -> Sequence[Tuple[float, int]]:
        """Return when which configuration was set, oldest first."""
        return tuple(self._log)

    def _changed(self):
        self._log.append((self._clock.now_s(), self._board.configuration))
