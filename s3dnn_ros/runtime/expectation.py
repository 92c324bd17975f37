"""How long a network's segments will take: from its profile, or from what they took so far."""

from __future__ import annotations

import operator
from typing import Callable, Dict, List, Optional, Protocol, Sequence

from s3dnn_ros.scheduling import SegmentWork

# Share of the newest run in the smoothed time.
SMOOTHING = 0.1
# Overheads follow longer ones more slowly: others that ran beside it are part of them.
RISE = 0.02


class Times(Protocol):
    """What is known of a network beforehand: a profile, or what tells as much."""

    def time_s(self, batch: int) -> float:
        """Return what a run takes."""

    def segment_times_s(self, batch: int) -> Sequence[float]:
        """Return what each segment takes."""

    def tb_ratio(self, segment: int, batch: int) -> float:
        """Return a segment's thread blocks over those the device can host."""

    def utilization(self, segment: int, batch: int) -> float:
        """Return how much of the device a segment takes."""


class Expectation:
    """Expected times of one network, in seconds, by segment and batch.

    A profile knows the device's time; what handing a segment over and hearing of its end take
    on top, and other work beside it, is learned. Without a profile every segment is taken to
    fill the device (tb_ratio 1), and its time is learned as a whole: 0 until its first run.

    Parameters
    ----------
    segments : int
    profile : Times, optional
    scale : callable, optional
        Returns what the device takes of the profile's times now, as it is configured.
    least : callable, optional
        Returns what it takes of each segment's profiled time at least, however it is configured
        and in whatever variant; nothing for all of it.

    """

    def __init__(self, segments: int, profile: Optional[Times] = None,
                 scale: Callable[[], float] = lambda: 1.0,
                 least: Callable[[], Sequence[float]] = tuple):
        self._segments = segments
        self._profile = profile
        self._scale = scale
        self._least = least
        self._learned: Dict[int, List[float]] = {}      # by batch: seconds per segment
        self._known: Dict[int, tuple] = {}              # by batch, of the profile
        self._overheads_s = [0.0] * segments

    @property
    def profiled(self) -> bool:
        """Tell whether the times were measured beforehand, for every batch."""
        return self._profile is not None

    def least_s(self, batch: int) -> float:
        """Return what a run takes at least: 0 unless it was profiled."""
        return self.least_left_s(0, batch) if self._profile is not None else 0.0

    def least_left_s(self, segment: int, batch: int) -> float:
        """Return what a segment and all behind it take at least.

        Who chooses configuration and variants may hurry yet: only what is late even so is.
        """
        (times_s, _, _, left_s), least = self._row(batch), self._least()
        return self.overhead_s(segment) + (
            sum(map(operator.mul, times_s[segment:], least[segment:])) if least else
            left_s[segment])

    def run_s(self, batch: int) -> float:
        """Return the time of the whole network, W(model, batch) in S3DNN's terms."""
        if self._profile is not None:
            return self._scale() * self._profile.time_s(batch) + sum(self._overheads_s)
        return sum(self._times_s(batch))

    def overhead_s(self, segment: int) -> float:
        """Return what a segment and all behind it take besides what the profile knows."""
        return sum(self._overheads_s[segment:])

    def scale(self) -> float:
        """Return what the device takes of the profile's times now."""
        return self._scale() if self._profile is not None else 1.0

    def segment_s(self, segment: int, batch: int) -> float:
        """Return the time of a segment that is submitted now."""
        return self.scale() * self._row(batch)[0][segment] + self._overheads_s[segment]

    def work(self, instance, batch, deadline_s, priority, segment=0) -> SegmentWork:
        """Return a segment as the scheduler sees it, and through it all behind it."""
        times_s, tb_ratios, utilizations, _ = self._row(batch)
        work, remaining_s = None, 0.0
        scale, overheads_s = self.scale(), self._overheads_s
        for index in range(self._segments - 1, segment - 1, -1):
            time_s = scale * times_s[index] + overheads_s[index]
            remaining_s += time_s
            work = SegmentWork(instance, index, tb_ratios[index], deadline_s, remaining_s,
                               time_s, priority, utilizations[index], work)
        return work

    def observe(self, segment, batch, took_s, factors: Sequence[float] = (1.0,)):
        """Learn from a run of consecutive segments that went well, the first of them `segment`.

        `factors` says for each what it took of the exact one's time. Of several, each is taken to
        have had its part: as they are expected, or all alike.
        """
        times_s = self._row(batch)[0][segment:segment + len(factors)]
        total_s = sum(map(operator.mul, times_s, factors))
        parts_s = ([took_s * (time_s / total_s) for time_s in times_s] if total_s
                   else [took_s / sum(factors)] * len(factors))
        if self._profile is None:
            for index, part_s in enumerate(parts_s, segment):
                self._learn_time(index, batch, part_s)
        else:
            scale = self.scale()
            for index, (time_s, part_s) in enumerate(zip(times_s, parts_s), segment):
                self._learn_overhead(index, scale * time_s, part_s)

    def lower_overheads(self):
        """Trust the overheads less, because a run was given up for them, and taught nothing."""
        self._overheads_s = [(1.0 - RISE) * overhead_s for overhead_s in self._overheads_s]

    def _learn_time(self, segment, batch, took_s):
        times_s = self._learned.setdefault(batch, [0.0] * self._segments)
        last_s = times_s[segment]
        # a stalled run must not make everything look hopeless
        times_s[segment] = (last_s + SMOOTHING * (min(took_s, 2.0 * last_s) - last_s)
                            if last_s else took_s)

    def _learn_overhead(self, segment, time_s, took_s):
        more_s = max(0.0, took_s - time_s) - self._overheads_s[segment]
        # a stalled run must not make everything look hopeless
        self._overheads_s[segment] += (
            SMOOTHING * more_s if more_s < 0.0 else RISE * min(more_s, time_s))

    def _times_s(self, batch):
        # another batch's times are a better guess than none
        nearest = sorted(self._learned, key=lambda known: abs(known - batch))
        return [next(filter(None, (self._learned[known][segment] for known in nearest)), 0.0)
                for segment in range(self._segments)]

    def _row(self, batch):
        """Return times, tb_ratios, utilizations, and the time from each segment to the end."""
        known = self._known.get(batch)
        if known is not None:
            return known
        if self._profile is None:
            times_s, ones = self._times_s(batch), [1.0] * self._segments
            return times_s, ones, ones, _left_s(times_s)
        times_s, segments = self._profile.segment_times_s(batch), range(self._segments)
        self._known[batch] = (
            times_s,
            [self._profile.tb_ratio(segment, batch) for segment in segments],
            [self._profile.utilization(segment, batch) for segment in segments],
            _left_s(times_s))
        return self._known[batch]


def _left_s(times_s) -> List[float]:
    """Return what each segment and all behind it take, and 0 behind the last."""
    return [sum(times_s[segment:]) for segment in range(len(times_s) + 1)]
