"""S3DNN's supervised streaming: least slack first, small segments side by side."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Dict, List, NamedTuple, Optional, Tuple

from s3dnn_ros.scheduling.ordered import Entry, OrderedQueue
from s3dnn_ros.scheduling.overlap import Overlap
from s3dnn_ros.scheduling.work import Dispatch, SegmentWork

SHARES = ('tb_ratio', 'utilization')
ORDERS = ('slack', 'deadline')
ROUNDING = 1e-9     # a sum of ratios that means 1 may come out above it


class _Reservation(NamedTuple):
    """A group that lets a leader go first, to run together with its successor."""

    leader: SegmentWork
    group: Tuple[Entry, ...]    # in order

    @property
    def works(self):
        return tuple(entry.work for entry in self.group)

    @property
    def expires_s(self):
        return min(map(_latest_start_s, self.group))


class _Running(NamedTuple):
    """What runs, and how urgent it is to the device."""

    entry: Entry
    level: int


class Supervised:
    """S3DNN (RTAS 2018), Algorithm 2, as corrected in reference/papers.md §6 (DERIVED).

    Work goes in order of slack, least first, side by side while the thread-block
    ratios of all that runs sum up to no more than `capacity`; the first on an empty
    device goes in any case. Higher priority goes first: nothing is submitted
    while work of higher priority stays queued.

    Also DERIVED, where the paper decides for an empty device only: if the first of
    the queue does not fit beside what runs, one behind it may slip past only if it is
    expected to end within the first one's slack. Work that `max_passes` dispatches
    left behind, because others kept the device too full for it, goes next within its
    priority whatever its slack; so even endless slack ends. (Work of less slack that
    keeps an empty device taken is no such case: that is least slack first.)

    Parameters
    ----------
    capacity : float
        Limit of the sum of shares; above 0.
    share : str
        What counts as work's share of the device: 'tb_ratio' as in the paper, or
        'utilization', which a profile measures (DERIVED).
    order : str
        What goes first: the least 'slack' as in the paper, or the earliest 'deadline'
        (DERIVED), which does not let jobs of like slack take turns and end late together.
    overlap : bool
        Beyond the capacity, let work join where all that runs has the slack for it, even if
        the device ran it one after another (DERIVED; the paper's rule is False). Large devices
        are seldom full at a ratio of 1: more side by side means more throughput.
    levels : int
        Levels of urgency that the device tells apart among what runs (DERIVED); at least 1.
        With more than one, work that comes before all that runs starts at once, and the device
        prefers it.
    look_ahead : bool
        Let one go ahead of a group that has the slack, if its successor will then
        fill the group up; until then the group is reserved. That ends early, and all is
        decided anew, when work arrives that comes before one of the group, when the
        group's least slack is used up, or when one of the group is withdrawn.
    successor_wait_s : float
        For so long after a completion room is kept for the finished work's successor,
        where its slack gives it a right to it.
    max_passes : int
        How often work may be left behind as above; at least 1.

    Raises
    ------
    ValueError
        If an option is out of its range.

    """

    whole_networks = False

    def __init__(self, capacity=1.0, share='tb_ratio', order='slack', overlap=False, levels=1,
                 look_ahead=True, successor_wait_s=50e-6, max_passes=64):
        _check('capacity', capacity, 'a finite number above 0',
               _is_number(capacity) and 0.0 < capacity < math.inf)
        _check('share', share, f'one of {SHARES}', share in SHARES)
        _check('order', order, f'one of {ORDERS}', order in ORDERS)
        _check('overlap', overlap, 'True or False', isinstance(overlap, bool))
        _check('levels', levels, 'a whole number from 1', _is_count(levels))
        _check('look_ahead', look_ahead, 'True or False', isinstance(look_ahead, bool))
        _check('successor_wait_s', successor_wait_s, 'a finite number of seconds from 0',
               _is_number(successor_wait_s) and 0.0 <= successor_wait_s < math.inf)
        _check('max_passes', max_passes, 'a whole number from 1', _is_count(max_passes))
        self._capacity = capacity
        self._share = operator.attrgetter(share)
        self._order = order
        self._overlap = overlap
        self._levels = levels
        self._look_ahead = look_ahead
        self._successor_wait_s = successor_wait_s
        self._max_passes = max_passes
        self._queue = OrderedQueue()
        self._running: Dict[int, _Running] = {}     # by id of the work
        self._reservation: Optional[_Reservation] = None
        # successors of finished work by (instance, segment): (end of the wait, entry)
        self._expected: Dict[Tuple[str, int], Tuple[float, Entry]] = {}
        self._passes: Dict[int, int] = {}       # by arrival

    def enqueue(self, work, now_s):
        """Add work in the place that its slack gives it."""
        # Time takes slack from all alike, so the order of the latest starts is that of
        # slack at any time: the paper's updates on enqueue and dequeue change no place.
        entry = self._queue.entry(work, self._due_s(work))
        self._queue.put(entry)
        self._expected.pop((work.instance, work.segment), None)
        if self._reservation and self._is_upset_by(entry):
            self._drop_reservation()

    def dequeue(self, now_s):
        """Return the group to submit beside what runs, and what is reserved."""
        self._expected = {name: wait for name, wait in self._expected.items() if now_s < wait[0]}
        honoured: List[_Running] = []
        if self._reservation:
            leads = id(self._reservation.leader) in self._running
            awaited = leads or _successor(self._reservation.leader) in self._expected
            if awaited and now_s < self._reservation.expires_s:
                return Dispatch(reserved=self._reservation.works)
            if leads:
                self._drop_reservation()
            else:
                honoured = self._honour()
        if not self._queue:
            return self._dispatch(honoured)
        room = self._capacity - sum(self._share(run.entry.work) for run in self._running.values())
        chosen, left = self._choose(room, now_s)
        group, left = self._queued(chosen), self._queued(left)
        if not self._running and self._look_ahead and len(group) == len(chosen) > 0:
            leader = self._leader(group, left, now_s)
            if leader:
                return self._reserve(leader, group)
        if group and self._running:
            self._pass_over(entry for entry in left if self._share(entry.work) > room + ROUNDING)
        return self._dispatch([*honoured, *self._start(group)])

    def complete(self, work, now_s):
        """Free the room of submitted work, and expect its successor."""
        if self._running.pop(id(work), None) is None or work.successor is None:
            return
        entry = self._queue.entry(work.successor, self._due_s(work.successor))
        self._expected[_successor(work)] = (now_s + self._successor_wait_s, entry)

    def withdraw(self, work):
        """Forget queued or reserved work; False if it was submitted already."""
        if self._reservation and any(work is kept for kept in self._reservation.works):
            self._drop_reservation()
        entry = self._queue.remove(work)
        if entry is None:
            return False
        self._passes.pop(entry.arrival, None)
        return True

    def next_wake_s(self, now_s):
        """Return when a wait or a reservation ends; None if nothing waits for one."""
        ends_s = []
        if self._queue or self._reservation:
            ends_s += [until_s for until_s, _ in self._expected.values()]
        if self._reservation and self._reservation.expires_s < math.inf:
            ends_s.append(self._reservation.expires_s)
        return max(now_s, min(ends_s)) if ends_s else None

    def _due_s(self, work):
        return work.deadline_s if self._order == 'deadline' else work.slack_s(0.0)

    def _choose(self, room, now_s) -> Tuple[List[Entry], List[Entry]]:
        """Return who goes beside what runs, and who stays behind for want of room."""
        entries = self._queue
        if self._expected:
            # in the choice as if they were here already, so that none takes their room
            entries = sorted([*entries, *(entry for _, entry in self._expected.values())])
        group, left = [], []
        beside = Overlap((run.entry for run in self._running.values()), self._levels > 1, now_s)
        first = beside.first
        blocked_slack_s = math.inf      # of the first, if it does not fit
        for entry in entries:
            work = entry.work
            if left and entry.rank > left[0].rank:
                break
            alone = not (group or self._running)
            # the device prefers it to all that runs, which what is lost has no right to
            preempts = (self._levels > 1 and first and entry < first and not (group or left)
                        and work.slack_s(now_s) >= 0.0)
            fits = (self._share(work) <= room + ROUNDING
                    or (self._overlap and beside.bears(entry)))
            if alone or preempts or (fits and work.time_s <= blocked_slack_s):
                group.append(entry)
                beside.add(entry)
                room -= self._share(work)
                continue
            if not (group or left):
                blocked_slack_s = _latest_start_s(entry) - now_s
            left.append(entry)
        return group, left

    def _leader(self, group, left, now_s) -> Optional[Entry]:
        """Return who should go ahead of the group to let its successor join it."""
        room = self._capacity - sum(self._share(entry.work) for entry in group)
        slack_s = min(map(_latest_start_s, group)) - now_s
        for entry in left:
            work = entry.work
            if (work.successor is not None and entry.rank == group[0].rank
                    and self._share(work.successor) <= room + ROUNDING and work.time_s <= slack_s):
                return entry
        return None

    def _reserve(self, leader, group):
        for entry in group:
            self._queue.remove(entry.work)
        self._reservation = _Reservation(leader.work, tuple(group))
        return self._dispatch(self._start([leader]))

    def _is_partner(self, work):
        """Tell whether this is the work that the reserved group waits for, and fits."""
        return ((work.instance, work.segment) == _successor(self._reservation.leader)
                and sum(map(self._share, self._reservation.works)) + self._share(work)
                <= self._capacity + ROUNDING)

    def _is_upset_by(self, entry):
        """Tell whether an arrival comes before one of the reserved."""
        return entry < self._reservation.group[-1] and not self._is_partner(entry.work)

    def _honour(self):
        group = list(self._reservation.group)
        group += [entry for entry in self._queue if self._is_partner(entry.work)][:1]
        self._reservation = None
        return self._start(group)

    def _drop_reservation(self):
        group, self._reservation = self._reservation.group, None
        for entry in group:
            self._queue.put(entry)
        self._pass_over(group)      # by the leader

    def _pass_over(self, entries):
        """Count one more dispatch that left these behind; enough of them make it next."""
        for entry in entries:
            passes = self._passes[entry.arrival] = self._passes.get(entry.arrival, 0) + 1
            if passes == self._max_passes:
                self._queue.remove(entry.work)
                self._queue.put(entry._replace(due_s=-math.inf))

    def _queued(self, entries):
        """Return those that are here, without the expected ones."""
        if not self._expected:
            return entries
        return [entry for entry in entries if entry.work in self._queue]

    def _start(self, entries) -> List[_Running]:
        """Count work as running, each at a level between what comes before it and behind it."""
        started = []
        for entry in entries:
            self._queue.remove(entry.work)
            self._passes.pop(entry.arrival, None)
            before, behind = -1, self._levels
            for run in self._running.values():
                if run.entry < entry:
                    before = max(before, run.level)
                else:
                    behind = min(behind, run.level)
            # halfway leaves room for what comes between; where none is left, neighbours share
            level = max(0, min((before + behind) // 2, self._levels - 1))
            self._running[id(entry.work)] = _Running(entry, level)
            started.append(self._running[id(entry.work)])
        return started

    def _dispatch(self, runs):
        return Dispatch(tuple(run.entry.work for run in runs),
                        self._reservation.works if self._reservation else (),
                        tuple(run.level for run in runs) if self._levels > 1 else ())


def _latest_start_s(entry):
    """Return the end of the slack; long ago for work that goes next in any case."""
    return min(entry.due_s, entry.work.slack_s(0.0))


def _successor(work):
    return work.instance, work.segment + 1


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_count(value):
    return _is_number(value) and value >= 1 and value % 1 == 0


def _check(option, value, expected, holds):
    if not holds:
        raise ValueError(f"scheduler 'supervised': {option} is {value!r}; expected {expected}")
