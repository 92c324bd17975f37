"""What the product runs where a GPU takes several segments at once: S3DNN, and more (DERIVED)."""

from __future__ import annotations

import math
from typing import Dict, List, NamedTuple, Tuple

from s3dnn_ros.scheduling.options import ROUNDING, check, check_common, due_by, is_count, share_of
from s3dnn_ros.scheduling.ordered import Entry, OrderedQueue
from s3dnn_ros.scheduling.overlap import Overlap
from s3dnn_ros.scheduling.patience import Patience, latest_start_s
from s3dnn_ros.scheduling.work import NOTHING, Dispatch


class _Running(NamedTuple):
    """What runs, and how urgent it is to the device."""

    entry: Entry
    level: int


class Overlapping:
    """Supervised streaming that fills the device beyond its capacity where slack allows it.

    As in `Supervised`, the first goes first, and others go beside it while their shares fit.
    Beyond the capacity, work joins where all that runs has the slack for it, even if the device
    ran it one after another: large devices are seldom full at a ratio of 1, and more side by
    side means more throughput. There is no look-ahead, as there is no room that a group could
    wait for.

    Parameters
    ----------
    capacity : float
        Limit of the sum of shares that needs no slack; above 0.
    share : str
        What counts as work's share of the device: 'tb_ratio' or 'utilization'.
    order : str
        What goes first: the earliest 'deadline', or the least 'slack'.
    levels : int
        Levels of urgency that the device tells apart among what runs; at least 1. With more
        than one, work that comes before all that runs starts at once, and the device prefers
        it.
    max_passes : int
        How often work may be left behind, as in `Supervised`; at least 1.

    Raises
    ------
    ValueError
        If an option is out of its range.

    """

    whole_networks = False
    holds = False

    def __init__(self, capacity=1.0, share='tb_ratio', order='deadline', levels=1,
                 max_passes=64):
        check_common('overlapping', capacity, share, order, max_passes)
        check('overlapping', 'levels', levels, 'a whole number from 1', is_count(levels))
        self._capacity = capacity
        self._share = share_of(share)
        self._due_s = due_by(order)
        self._levels = levels
        self._queue = OrderedQueue()
        self._patience = Patience(self._queue, max_passes)
        self._running: Dict[int, _Running] = {}     # by id of the work
        self._decided_s = math.nan      # when all was decided, unless something has come since

    def enqueue(self, work, now_s):
        """Add work in the place that the order gives it."""
        self._queue.put(self._queue.entry(work, self._due_s(work)))
        self._decided_s = math.nan

    def dequeue(self, now_s):
        """Return the group to submit beside what runs."""
        if not self._queue or now_s == self._decided_s:
            return NOTHING
        self._decided_s = now_s
        room = self._capacity - sum(self._share(run.entry.work) for run in self._running.values())
        group, left = self._choose(room, now_s)
        if not group:
            return NOTHING
        if self._running and self._patience.passed(
                entry for entry in left if self._share(entry.work) > room + ROUNDING):
            self._decided_s = math.nan
        started = [self._start(entry) for entry in group]
        return Dispatch(tuple(run.entry.work for run in started), (),
                        tuple(run.level for run in started) if self._levels > 1 else ())

    def complete(self, work, now_s):
        """Free the room of submitted work."""
        self._running.pop(id(work), None)
        self._decided_s = math.nan

    def withdraw(self, work):
        """Forget queued work; False if it was submitted already."""
        entry = self._queue.remove(work)
        if entry is None:
            return False
        self._patience.forget(entry)
        self._decided_s = math.nan
        return True

    def next_wake_s(self, now_s):
        """Return None: it waits for nothing but arrivals and completions."""
        return None

    def _choose(self, room, now_s) -> Tuple[List[Entry], List[Entry]]:
        """Return who goes beside what runs, and who stays behind for want of room."""
        group, left = [], []
        beside = Overlap((run.entry for run in self._running.values()), self._levels > 1, now_s)
        first = beside.first
        blocked_slack_s = math.inf      # of the first, if it does not fit
        for entry in self._queue:
            work = entry.work
            if left and entry.rank > left[0].rank:
                break
            alone = not (group or self._running)
            # the device prefers it to all that runs, which what is lost has no right to
            preempts = (self._levels > 1 and first and entry < first and not (group or left)
                        and work.slack_s(now_s) >= 0.0)
            fits = self._share(work) <= room + ROUNDING or beside.bears(entry)
            if alone or preempts or (fits and work.time_s <= blocked_slack_s):
                group.append(entry)
                beside.add(entry)
                room -= self._share(work)
                continue
            if not (group or left):
                blocked_slack_s = latest_start_s(entry) - now_s
            left.append(entry)
        return group, left

    def _start(self, entry) -> _Running:
        """Count work as running, at a level between what comes before it and behind it."""
        self._queue.remove(entry.work)
        self._patience.forget(entry)
        before, behind = -1, self._levels
        for run in self._running.values():
            if run.entry < entry:
                before = max(before, run.level)
            else:
                behind = min(behind, run.level)
        # halfway leaves room for what comes between; where none is left, neighbours share
        level = max(0, min((before + behind) // 2, self._levels - 1))
        self._running[id(entry.work)] = _Running(entry, level)
        return self._running[id(entry.work)]
