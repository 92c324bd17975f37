"""How long a network's segments will take: from its profile, or from what they took so far."""

from __future__ import annotations

import collections
from typing import Deque, Dict, List

from s3dnn_ros.scheduling import SegmentWork

# Share of the newest run in the smoothed time.
SMOOTHING = 0.1
# The least overhead of so many segments counts: the others waited for other work as well.
OVERHEAD_RUNS = 64


class Expectation:
    """Expected times of one network, in seconds, by segment and batch.

    A profile knows the device's time; what handing a segment over and hearing of its end take
    on top is learned. Without a profile every segment is taken to fill the device (tb_ratio 1),
    and its time is learned as a whole: 0 until its first run.
    """

    def __init__(self, segments: int, profile=None):
        self._segments = segments
        self._profile = profile
        self._learned: Dict[int, List[float]] = {}      # by batch: seconds per segment
        self._known: Dict[int, tuple] = {}              # by batch, of the profile
        # none at first: a stalled run must not make everything look hopeless
        self._overheads_s: Deque[float] = collections.deque([0.0] * OVERHEAD_RUNS, OVERHEAD_RUNS)
        self._overhead_s = 0.0                          # of a segment

    @property
    def profiled(self) -> bool:
        """Tell whether the times were measured beforehand, for every batch."""
        return self._profile is not None

    def least_s(self, batch: int) -> float:
        """Return what a run takes at least: 0 unless it was profiled."""
        return self.run_s(batch) if self._profile is not None else 0.0

    def run_s(self, batch: int) -> float:
        """Return the time of the whole network, W(model, batch) in S3DNN's terms."""
        if self._profile is not None:
            return self._profile.time_s(batch) + self._segments * self._overhead_s
        return sum(self._times_s(batch))

    def work(self, instance, segment, batch, deadline_s, priority) -> SegmentWork:
        """Return a segment as the scheduler sees it, with the one behind it as successor."""
        times_s, remaining_s, tb_ratios, utilizations = self._row(batch)
        overhead_s, successor = self._overhead_s, None
        for index in range(min(segment + 1, self._segments - 1), segment - 1, -1):
            successor = SegmentWork(
                instance, index, tb_ratios[index], deadline_s,
                remaining_s[index] + (self._segments - index) * overhead_s,
                times_s[index] + overhead_s, priority, utilizations[index], successor)
        return successor

    def observe(self, segment, batch, took_s):
        """Learn from a segment that went well."""
        if self._profile is not None:
            self._overheads_s.append(max(0.0, took_s - self._row(batch)[0][segment]))
            self._overhead_s = min(self._overheads_s)
            return
        times_s = self._learned.setdefault(batch, [0.0] * self._segments)
        last_s = times_s[segment]
        times_s[segment] = last_s + SMOOTHING * (took_s - last_s) if last_s else took_s

    def _times_s(self, batch):
        # another batch's times are a better guess than none
        nearest = sorted(self._learned, key=lambda known: abs(known - batch))
        return [next(filter(None, (self._learned[known][segment] for known in nearest)), 0.0)
                for segment in range(self._segments)]

    def _row(self, batch):
        if self._profile is None:
            times_s = self._times_s(batch)
            remaining_s = [sum(times_s[segment:]) for segment in range(self._segments)]
            ones = [1.0] * self._segments
            return times_s, remaining_s, ones, ones
        if batch not in self._known:
            segments = range(self._segments)
            self._known[batch] = (
                self._profile.segment_times_s(batch),
                [self._profile.remaining_s(segment, batch) for segment in segments],
                [self._profile.tb_ratio(segment, batch) for segment in segments],
                [self._profile.utilization(segment, batch) for segment in segments])
        return self._known[batch]
