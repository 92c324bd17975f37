"""What a scheduler sees of the world: work items, and its decisions about them."""

from __future__ import annotations

import dataclasses
from typing import Optional, Protocol, Tuple


@dataclasses.dataclass(frozen=True)
class SegmentWork:
    """One segment of one job, ready to run. Times in seconds on one clock.

    `tb_ratio` is the kernel's thread blocks over those the GPU can host (S3DNN),
    `remaining_s` the time the job still needs, this segment included, `time_s`
    the time of this segment alone, `utilization` the share of the GPU that
    packing counts with (RT-mDL).
    """

    instance: str
    segment: int
    tb_ratio: float
    deadline_s: float
    remaining_s: float
    time_s: float
    priority: int = 0
    utilization: Optional[float] = None
    successor: Optional[SegmentWork] = None

    def __post_init__(self):
        """Let utilization default to tb_ratio."""
        if self.utilization is None:
            object.__setattr__(self, 'utilization', self.tb_ratio)

    def slack_s(self, now_s):
        """Return how long the job can wait and still meet its deadline."""
        return self.deadline_s - now_s - self.remaining_s


@dataclasses.dataclass(frozen=True)
class Dispatch:
    """A decision: submit these now, one stream each; keep those reserved.

    `levels` says for each submitted how urgent it is beside what runs, 0 the most; empty: the
    device shares itself out as it likes. A device that tells fewer levels apart takes its last one
    for those beyond. Of networks that run whole, those in `hold` stop behind the segment that
    runs, and those in `resume` go on. Those in `late` are queued, and cannot be in time any more:
    whoever may drop them should, since they keep a lane from others. Those in `refuse` are queued,
    and the policy does not expect them to be in time: whoever may drop them does.
    """

    submit: Tuple[SegmentWork, ...] = ()
    reserved: Tuple[SegmentWork, ...] = ()
    levels: Tuple[int, ...] = ()
    hold: Tuple[SegmentWork, ...] = ()
    resume: Tuple[SegmentWork, ...] = ()
    late: Tuple[SegmentWork, ...] = ()
    refuse: Tuple[SegmentWork, ...] = ()

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to do now."""
        return not (self.submit or self.hold or self.resume or self.late or self.refuse)


NOTHING = Dispatch()


class Scheduler(Protocol):
    """Decides what runs next. Pure: no device, no clock, one thread.

    Work items are told apart by identity: equal ones may be queued at once.
    """

    whole_networks: bool    # whether a network that has started runs to its end
    holds: bool             # whether it holds what it submitted; then it has `reached`,
    #                         `allow_holding` and `carried_out`

    def enqueue(self, work: SegmentWork, now_s: float) -> None:
        """Add work that is ready to run."""

    def dequeue(self, now_s: float) -> Dispatch:
        """Decide what to submit now; empty when nothing should be."""

    def reached(self, work: SegmentWork, segments: int, now_s: float) -> None:
        """Take note of how many segments of a submitted network have ended."""

    def allow_holding(self, allowed: bool) -> None:
        """Hold nothing any more, from the next decision on, or be free to."""

    def carried_out(self, took_s: float) -> None:
        """Take note of how long after it was asked for the last decision was carried out."""

    def complete(self, work: SegmentWork, now_s: float) -> None:
        """Take note that submitted work has finished."""

    def withdraw(self, work: SegmentWork) -> bool:
        """Forget queued work; False if it was submitted already."""

    def next_wake_s(self, now_s: float) -> Optional[float]:
        """Return when to dequeue again though nothing arrives or completes; None: never.

        Asked after a dequeue; not before now_s.
        """
