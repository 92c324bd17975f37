"""S3DNN's look-ahead: a group lets one go first, whose successor then fills it up."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.scheduling.options import ROUNDING
from s3dnn_ros.scheduling.ordered import Entry
from s3dnn_ros.scheduling.patience import latest_start_s
from s3dnn_ros.scheduling.work import SegmentWork


class Reservation(NamedTuple):
    """A group in order, and the leader that it waits for; `room` is what is left beside it."""

    leader: SegmentWork
    group: Tuple[Entry, ...]
    share: Callable[[SegmentWork], float]
    room: float

    @property
    def works(self) -> Tuple[SegmentWork, ...]:
        """Return the works of the group."""
        return tuple(entry.work for entry in self.group)

    @property
    def expires_s(self) -> float:
        """Return when the least slack of the group is used up."""
        return min(map(latest_start_s, self.group))

    def is_partner(self, work: SegmentWork) -> bool:
        """Tell whether this is the work that the group waits for, and fits."""
        return ((work.instance, work.segment) == successor_of(self.leader)
                and self.share(work) <= self.room + ROUNDING)

    def is_upset_by(self, entry: Entry) -> bool:
        """Tell whether an arrival comes before one of the group."""
        return entry < self.group[-1] and not self.is_partner(entry.work)


def reservation_for(group: Sequence[Entry], left: Sequence[Entry], share, capacity, now_s
                    ) -> Optional[Reservation]:
    """Return what is reserved if one that is left goes ahead of the group; None if none should.

    It must be over before the group's slack is, and its successor must fit.
    """
    room = capacity - sum(share(entry.work) for entry in group)
    slack_s = min(map(latest_start_s, group)) - now_s
    for entry in left:
        work = entry.work
        if (work.successor is not None and entry.rank == group[0].rank
                and share(work.successor) <= room + ROUNDING and work.time_s <= slack_s):
            return Reservation(work, tuple(group), share, room)
    return None


def successor_of(work: SegmentWork) -> Tuple[str, int]:
    """Return what names the work behind this one: instance and segment."""
    return work.instance, work.segment + 1
