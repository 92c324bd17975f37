"""How much work beside it each of what runs can bear (DERIVED)."""

from __future__ import annotations

import bisect
import math
from typing import Iterable, List, Optional

from s3dnn_ros.scheduling.ordered import Entry

# Less urgent work beside it adds at most this part to a segment's time where the device prefers
# the segment: on an H200 0.4 to 0.6 were measured on 8 multiprocessors, 0.7 to 0.9 on all.
INTERFERENCE = 0.9
# Of the slack of what runs, this part is kept for what has not arrived yet.
RESERVE = 0.9
# So many that cannot join are looked at; with hundreds queued, to look at all would take long.
TRIES = 8
# More than so many side by side bring no device anything.
MOST = 16


class Overlap:
    """What runs side by side, in order, and who else may join.

    However the device shares itself out, others delay a work no more than if all of them went
    first; and those behind it take only a part of a device that prefers it. What is lost needs
    no slack.

    Parameters
    ----------
    entries : iterable of Entry
    prefers : bool
        Whether the device prefers what is urgent.
    now_s : float

    """

    def __init__(self, entries: Iterable[Entry], prefers: bool, now_s: float):
        self._entries: List[Entry] = sorted(entries)
        self._prefers = prefers
        self._now_s = now_s
        self._tries = TRIES
        # by the place of a joiner: how long it may keep the device; None until asked for
        self._limits_s: Optional[List[float]] = None

    @property
    def first(self) -> Optional[Entry]:
        """Return the most urgent; None if nothing runs."""
        return self._entries[0] if self._entries else None

    def add(self, entry: Entry):
        """Let one join."""
        bisect.insort(self._entries, entry)
        self._limits_s = None

    def bears(self, joiner: Entry) -> bool:
        """Tell whether all that runs has the slack for one more; after some that did not: no."""
        if not self._tries or len(self._entries) >= MOST:
            return False
        if self._limits_s is None:
            self._limits_s = self._find_limits_s()
        place = bisect.bisect_left(self._entries, joiner)
        bears = _load_s(joiner.work) <= self._limits_s[place]
        self._tries -= not bears
        return bears

    def _find_limits_s(self):
        # plain comparisons: this is most of what a decision costs
        loads_s = [_load_s(entry.work) for entry in self._entries]
        before_s, behind_s = 0.0, sum(loads_s)
        limits_s, limit_s = [math.inf], math.inf    # of a joiner behind the first, the first two …
        if_before_s = []
        for (*_, work), load_s in zip(self._entries, loads_s):
            behind_s -= load_s
            slack_s = work.slack_s(self._now_s)
            if slack_s < 0.0:
                if_before_s.append(math.inf)
            else:
                # what fits beside it into what it leaves free delays nothing
                spare_s = (1.0 - RESERVE) * slack_s + work.time_s - load_s - before_s
                most_s = INTERFERENCE * work.time_s if self._prefers else math.inf
                if spare_s < most_s and spare_s - behind_s < limit_s:
                    limit_s = spare_s - behind_s
                if_before_s.append(spare_s - (behind_s if behind_s < most_s else most_s))
            limits_s.append(limit_s)
            before_s += load_s
        limit_s = math.inf
        for place in range(len(if_before_s) - 1, -1, -1):
            if if_before_s[place] < limit_s:
                limit_s = if_before_s[place]
            if limit_s < limits_s[place]:
                limits_s[place] = limit_s
        return limits_s


def _load_s(work):
    """Return how long a work keeps the whole device busy."""
    return work.time_s * work.utilization if work.utilization < 1.0 else work.time_s
