"""RT-mDL's packing: two streams, and beside the more important work what fits there."""

from __future__ import annotations

import math
from typing import List, Optional

from s3dnn_ros.scheduling.options import SHARES, check, is_number, share_of
from s3dnn_ros.scheduling.ordered import OrderedQueue
from s3dnn_ros.scheduling.work import NOTHING, Dispatch, SegmentWork

HIGH, LOW = 0, 1        # the levels of the two streams


class Packing:
    """RT-mDL (SenSys 2021), the three rules of its packing, as in reference/papers.md §7.

    There is a stream of high priority (HS) and one of low priority (LS). Each runs one work at a
    time.

    1. When HS is empty, the first of the queue goes to HS. If LS runs something, the first goes
       only if its priority is higher than that of the work in LS.
    2. When LS is empty, the first of the queue for which the packing condition holds goes to LS.
    3. The packing condition, for work i' beside work i in HS: share_i + share_i' < threshold, and
       priority_i' < priority_i.

    So work of equal priority never runs side by side. The queue is in order of priority; equal
    priorities go by deadline, then by arrival (DERIVED). The rules decide about segments, where
    the paper decides about whole networks (DERIVED): work of higher priority waits for the end of
    a segment only.

    Parameters
    ----------
    threshold : float
        θ, the limit of the sum of both shares; from 0. With 0 nothing is packed.
    share : str
        What counts as work's share of the device: 'utilization' as in the paper, or 'tb_ratio'.

    Raises
    ------
    ValueError
        If an option is out of its range.

    """

    whole_networks = False
    holds = False

    def __init__(self, threshold=1.0, share='utilization'):
        check('packing', 'share', share, f'one of {SHARES}', share in SHARES)
        self.threshold = threshold
        self._share = share_of(share)
        self._queue = OrderedQueue()
        # the streams, by level
        self._running: List[Optional[SegmentWork]] = [None, None]

    @property
    def threshold(self) -> float:
        """Return θ; it may be set at any time, and raises ValueError if it is out of range."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold):
        check('packing', 'threshold', threshold, 'a finite number from 0',
              is_number(threshold) and 0.0 <= threshold < math.inf)
        self._threshold = threshold

    def enqueue(self, work, now_s):
        """Add work in the place that priority and deadline give it."""
        self._queue.put(self._queue.entry(work, work.deadline_s))

    def dequeue(self, now_s):
        """Return what goes to each stream that is empty."""
        levels = []
        for level, choose in ((HIGH, self._for_high), (LOW, self._for_low)):
            work = choose() if self._running[level] is None else None
            if work is not None:
                self._queue.remove(work)
                self._running[level] = work
                levels.append(level)
        if not levels:
            return NOTHING
        return Dispatch(tuple(self._running[level] for level in levels), (), tuple(levels))

    def complete(self, work, now_s):
        """Empty the stream that ran the work."""
        self._running = [None if running is work else running for running in self._running]

    def withdraw(self, work):
        """Forget queued work; False if it was submitted already."""
        return self._queue.remove(work) is not None

    def next_wake_s(self, now_s):
        """Return None: only arrivals and completions change a decision."""
        return None

    def _for_high(self) -> Optional[SegmentWork]:
        """Return the first of the queue, unless LS runs something that is as important."""
        low = self._running[LOW]
        first = next((entry.work for entry in self._queue), None)
        if first is None or low is None or first.priority > low.priority:
            return first
        return None

    def _for_low(self) -> Optional[SegmentWork]:
        """Return the first of the queue that may run beside the work in HS."""
        high = self._running[HIGH]
        if high is None:
            return None
        return next((entry.work for entry in self._queue if self._packs(high, entry.work)), None)

    def _packs(self, high, low) -> bool:
        """Tell whether the packing condition holds for a work beside the one in HS."""
        return (self._share(high) + self._share(low) < self._threshold
                and low.priority < high.priority)
