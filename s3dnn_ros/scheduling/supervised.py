"""S3DNN's supervised streaming: least slack first, small segments side by side."""

from __future__ import annotations

import math
from typing import Dict, List, Optional, Tuple

from s3dnn_ros.scheduling.options import ROUNDING, check, check_common, due_by, is_number, share_of
from s3dnn_ros.scheduling.ordered import Entry, OrderedQueue
from s3dnn_ros.scheduling.patience import Patience, latest_start_s
from s3dnn_ros.scheduling.reservation import Reservation, reservation_for, successor_of
from s3dnn_ros.scheduling.work import NOTHING, Dispatch, SegmentWork


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
    holds = False

    def __init__(self, capacity=1.0, share='tb_ratio', order='slack', look_ahead=True,
                 successor_wait_s=50e-6, max_passes=64):
        check_common('supervised', capacity, share, order, max_passes)
        check('supervised', 'look_ahead', look_ahead, 'True or False',
              isinstance(look_ahead, bool))
        check('supervised', 'successor_wait_s', successor_wait_s,
              'a finite number of seconds from 0',
              is_number(successor_wait_s) and 0.0 <= successor_wait_s < math.inf)
        self._capacity = capacity
        self._share = share_of(share)
        self._due_s = due_by(order)
        self._look_ahead = look_ahead
        self._successor_wait_s = successor_wait_s
        self._queue = OrderedQueue()
        self._patience = Patience(self._queue, max_passes)
        self._running: Dict[int, SegmentWork] = {}      # by id
        self._reservation: Optional[Reservation] = None
        # successors of finished work by (instance, segment): (end of the wait, entry)
        self._expected: Dict[Tuple[str, int], Tuple[float, Entry]] = {}

    def enqueue(self, work, now_s):
        """Add work in the place that its slack gives it."""
        entry = self._queue.entry(work, self._due_s(work))
        self._queue.put(entry)
        self._expected.pop((work.instance, work.segment), None)
        if self._reservation and self._reservation.is_upset_by(entry):
            self._drop_reservation()

    def dequeue(self, now_s):
        """Return the group to submit beside what runs, and what is reserved."""
        self._expected = {name: wait for name, wait in self._expected.items() if now_s < wait[0]}
        honoured: List[SegmentWork] = []
        if self._reservation:
            leads = id(self._reservation.leader) in self._running
            awaited = leads or successor_of(self._reservation.leader) in self._expected
            if awaited and now_s < self._reservation.expires_s:
                return Dispatch(reserved=self._reservation.works)
            if leads:
                self._drop_reservation()
            else:
                honoured = self._honour()
        if not self._queue:
            return self._dispatch(honoured)
        room = self._capacity - sum(map(self._share, self._running.values()))
        chosen, left = self._choose(room, now_s)
        group, left = self._queued(chosen), self._queued(left)
        if not self._running and self._look_ahead and len(group) == len(chosen) > 0:
            reservation = reservation_for(group, left, self._share, self._capacity, now_s)
            if reservation:
                return self._reserve(reservation)
        if group and self._running:
            self._patience.passed(entry for entry in left
                                  if self._share(entry.work) > room + ROUNDING)
        return self._dispatch([*honoured, *self._start(group)])

    def complete(self, work, now_s):
        """Free the room of submitted work, and expect its successor."""
        if self._running.pop(id(work), None) is None or work.successor is None:
            return
        entry = self._queue.entry(work.successor, self._due_s(work.successor))
        self._expected[successor_of(work)] = (now_s + self._successor_wait_s, entry)

    def withdraw(self, work):
        """Forget queued or reserved work; False if it was submitted already."""
        if self._reservation and any(work is kept for kept in self._reservation.works):
            self._drop_reservation()
        entry = self._queue.remove(work)
        if entry is None:
            return False
        self._patience.forget(entry)
        return True

    def next_wake_s(self, now_s):
        """Return when a wait or a reservation ends; None if nothing waits for one."""
        ends_s = []
        if self._queue or self._reservation:
            ends_s += [until_s for until_s, _ in self._expected.values()]
        if self._reservation and self._reservation.expires_s < math.inf:
            ends_s.append(self._reservation.expires_s)
        return max(now_s, min(ends_s)) if ends_s else None

    def _choose(self, room, now_s) -> Tuple[List[Entry], List[Entry]]:
        """Return who goes beside what runs, and who stays behind for want of room."""
        # in the choice as if they were here already, so that none takes their room
        expected = [entry for _, entry in self._expected.values()]
        group, left = [], []
        blocked_slack_s = math.inf      # of the first, if it does not fit
        for entry in sorted([*self._queue, *expected]) if expected else self._queue:
            work = entry.work
            if left and entry.rank > left[0].rank:
                break
            alone = not (group or self._running)
            fits = self._share(work) <= room + ROUNDING
            if alone or (fits and work.time_s <= blocked_slack_s):
                group.append(entry)
                room -= self._share(work)
                continue
            if not (group or left):
                blocked_slack_s = latest_start_s(entry) - now_s
            left.append(entry)
        return group, left

    def _reserve(self, reservation):
        self._reservation = reservation
        for work in reservation.works:
            self._queue.remove(work)
        leader = self._queue.remove(reservation.leader)
        return self._dispatch(self._start([leader]))

    def _honour(self):
        group = list(self._reservation.group)
        group += [entry for entry in self._queue if self._reservation.is_partner(entry.work)][:1]
        self._reservation = None
        return self._start(group)

    def _drop_reservation(self):
        group, self._reservation = self._reservation.group, None
        for entry in group:
            self._queue.put(entry)
        self._patience.passed(group)      # by the leader

    def _queued(self, entries):
        """Return those that are here, without the expected ones."""
        if not self._expected:
            return entries
        return [entry for entry in entries if entry.work in self._queue]

    def _start(self, entries) -> List[SegmentWork]:
        """Count work as running."""
        for entry in entries:
            self._queue.remove(entry.work)
            self._patience.forget(entry)
            self._running[id(entry.work)] = entry.work
        return [entry.work for entry in entries]

    def _dispatch(self, works):
        if not (works or self._reservation):
            return NOTHING
        return Dispatch(tuple(works), self._reservation.works if self._reservation else ())
