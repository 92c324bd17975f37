"""Queued work in the order in which it is due."""

from __future__ import annotations

import bisect
import itertools
from typing import Dict, Iterator, List, NamedTuple, Optional

from s3dnn_ros.scheduling.work import SegmentWork


class Entry(NamedTuple):
    """Work in its place; compares as a tuple, and no two arrivals are equal."""

    rank: int           # −priority
    due_s: float        # what the policy orders by: a deadline, a latest start
    arrival: int
    work: SegmentWork


class OrderedQueue:
    """Higher priority first, then what is due first, then what arrived first.

    Sorted at all times: adding and removing search in O(log n); iteration is in order.
    """

    def __init__(self):
        self._entries: List[Entry] = []
        self._by_id: Dict[int, Entry] = {}
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        """Return how many are queued."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """Return the entries, first to last."""
        return iter(self._entries)

    def __contains__(self, work) -> bool:
        """Tell whether this very work is queued."""
        return id(work) in self._by_id

    def entry(self, work: SegmentWork, due_s: float) -> Entry:
        """Return the entry of work that arrives now, without adding it."""
        return Entry(-work.priority, due_s, next(self._arrivals), work)

    def put(self, entry: Entry):
        """Add an entry in its place."""
        bisect.insort(self._entries, entry)
        self._by_id[id(entry.work)] = entry

    def remove(self, work: SegmentWork) -> Optional[Entry]:
        """Take this very work out; None if it is not queued."""
        entry = self._by_id.pop(id(work), None)
        if entry is not None:
            del self._entries[bisect.bisect_left(self._entries, entry)]
        return entry

    def pop(self) -> SegmentWork:
        """Take the first work out; IndexError if there is none."""
        work = self._entries.pop(0).work
        del self._by_id[id(work)]
        return work
