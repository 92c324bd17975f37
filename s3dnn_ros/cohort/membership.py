"""Who is in the cohort: what others said of themselves, for as long as it holds."""

from __future__ import annotations

import collections
import dataclasses
import logging
import math
from typing import Counter, Dict, NamedTuple, Tuple

from s3dnn_ros.base.limits import LONGEST_NAME
from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.errors import shown

_LOG = logging.getLogger(__name__)

# A LAG beyond so many deadlines behind is no measurement.
MOST_DEADLINES_BEHIND = 1000.0
# Every decision looks at all members; of other processes, no more are heard.
MOST_MEMBERS = 32


@dataclasses.dataclass(frozen=True)
class MemberState:
    """What an instance tells the others at a segment boundary.

    Attributes
    ----------
    board : str
        The device that it shares with the others.
    process : str
        Of the instance; another one after a restart.
    instance, model : str
    sequence : int
        Rises within a process.
    segment : int
        The next one.
    lag_s, deadline_s, horizon_s : float
        As in `coordinator.Member`.
    configuration, variant : int
        What it runs on, and as.
    leaves : bool
        Whether this is its last word.

    """

    board: str
    process: str
    instance: str
    model: str
    sequence: int
    segment: int
    lag_s: float
    deadline_s: float
    horizon_s: float
    configuration: int
    variant: int
    leaves: bool = False


class _Heard(NamedTuple):
    state: MemberState
    at_s: float


class Membership:
    """The cohort of one board, as heard; times are those of the listener's own clock.

    So it does not matter if clocks of other processes differ or jump. Nor does it if the
    listener's own jumps: back, and a lease begins again; ahead, and whoever is alive is back
    with the next word.

    Parameters
    ----------
    board : str
        States of another board are ignored.
    lease_s : float
        Who is silent for longer is no member any more; above 0.

    Attributes
    ----------
    ignored : Counter
        How many states were ignored, by reason: 'board', 'number' (NaN, infinite, an impossible
        deadline), 'lag' (absurd), 'old' (overtaken by a newer one), 'name' (too long), 'crowd' (of
        one member more than MOST_MEMBERS); a cohort counts 'tables' (of a model, segment or
        configuration that it has no tables of) as well.

    """

    def __init__(self, board: str, lease_s: float):
        if not 0.0 < lease_s < math.inf:
            raise ValueError(f'lease_s is {lease_s}; expected finite seconds above 0')
        self.ignored: Counter[str] = collections.Counter()
        self.board = board
        self._lease_s = lease_s
        self._log_once = OnceLogger(_LOG)
        # by process and instance, in the order of their last words; those that left, too
        self._heard: Dict[Tuple[str, str], _Heard] = {}

    def hear(self, state: MemberState, now_s: float, is_ours=False) -> bool:
        """Take note of a state; False if it was ignored. There is always room for ours."""
        reason = self._objection(state) or ('' if is_ours else self._crowding(state, now_s))
        if reason:
            self.ignored[reason] += 1
            return False
        self._heard.pop((state.process, state.instance), None)
        self._heard[state.process, state.instance] = _Heard(state, now_s)
        return True

    def members(self, now_s: float) -> Tuple[MemberState, ...]:
        """Return the states of those whose lease holds, in the order in which they spoke.

        After a restart the new process speaks for the instance, as soon as it has spoken.
        """
        self._expire(now_s)
        newest: Dict[str, MemberState] = {}
        for state, _ in self._heard.values():
            if not state.leaves:
                newest.pop(state.instance, None)
                newest[state.instance] = state
        return tuple(newest.values())

    def _expire(self, now_s):
        for key, (state, at_s) in list(self._heard.items()):
            if now_s < at_s:
                self._heard[key] = _Heard(state, now_s)
            elif now_s > at_s + self._lease_s:
                del self._heard[key]

    def _crowding(self, state, now_s) -> str:
        if ((state.process, state.instance) in self._heard
                or len(self._heard) < MOST_MEMBERS):
            return ''
        self._expire(now_s)
        if len(self._heard) < MOST_MEMBERS:
            return ''
        self._log_once.warning('crowd', (
            f'the cohort has {MOST_MEMBERS} members, and {shown(state.process)} says that it is '
            'another one: those that come now are left out of decisions here; see who publishes '
            'cohort/states'))
        return 'crowd'

    def _objection(self, state) -> str:
        if state.board != self.board:
            return 'board'
        if max(map(len, (state.process, state.instance, state.model))) > LONGEST_NAME:
            return 'name'
        if not (math.isfinite(state.lag_s) and 0.0 < state.deadline_s < math.inf
                and 0.0 <= state.horizon_s < math.inf):
            return 'number'
        # sub-deadlines sum up to the deadline, so nobody is further ahead than that
        if not -MOST_DEADLINES_BEHIND * state.deadline_s <= state.lag_s <= state.deadline_s:
            return 'lag'
        last = self._heard.get((state.process, state.instance))
        return 'old' if last and state.sequence <= last.state.sequence else ''
