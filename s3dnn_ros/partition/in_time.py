"""Whether a batch is split at all: where it pays, and where the deadline wants it."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, Sequence

from s3dnn_ros.partition.split import Split, partition_batch

# A unit alone is in time if it needs at most this share of what is left: tables are estimates.
SAFE = 0.8
# A split pays if it ends within this share of the time of the best unit alone: it wakes more
# units, and takes their memory's bandwidth from each other.
PAYS = 0.9


class TimelySplit(NamedTuple):
    """A split; `unhurried` says that another one would end sooner, and is not needed."""

    split: Split
    unhurried: bool


@dataclasses.dataclass(frozen=True)
class Alternatives:
    """A batch on the quickest unit alone, and split so that it ends soonest."""

    alone: Split
    soonest: Split

    @classmethod
    def of(cls, table, batch: int, units: Sequence[str]) -> Alternatives:
        """Return those of a batch; arguments and errors are those of `partition_batch`."""
        return cls(*(partition_batch(table, batch, units, method)
                     for method in ('alone', 'optimal')))

    def within(self, left_ms: float) -> TimelySplit:
        """Return the split of a batch that has to end within a time; inf: at any time.

        One unit runs it, if it is in time, or if a split would end hardly sooner.
        """
        if self.soonest.makespan_ms > PAYS * self.alone.makespan_ms:
            return TimelySplit(self.alone, False)
        in_time = self.alone.makespan_ms <= SAFE * left_ms
        return TimelySplit(self.alone if in_time else self.soonest, in_time)
