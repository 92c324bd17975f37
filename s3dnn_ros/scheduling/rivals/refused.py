"""What a policy has refused, and what becomes of it if nobody drops it."""

from __future__ import annotations

from typing import Dict, Tuple

from s3dnn_ros.scheduling.work import SegmentWork


class Refused:
    """Refused work, oldest first; it is told once.

    The papers' systems drop it. Where late results are wanted, it runs when nothing else wants
    to (DERIVED).
    """

    def __init__(self):
        self._works: Dict[int, SegmentWork] = {}        # by id
        self._untold: Dict[int, SegmentWork] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._works)

    def add(self, work: SegmentWork):
        """Add work, to be told with the next decision."""
        self._works[id(work)] = self._untold[id(work)] = work

    def remove(self, work: SegmentWork) -> bool:
        """Forget work; False if it is not among them."""
        self._untold.pop(id(work), None)
        return self._works.pop(id(work), None) is not None

    def tell(self) -> Tuple[SegmentWork, ...]:
        """Return those that were not told yet."""
        untold = tuple(self._untold.values())
        self._untold.clear()
        return untold

    def pop(self) -> SegmentWork:
        """Take the oldest out; it runs after all. StopIteration if there is none."""
        work = next(iter(self._works.values()))
        self.remove(work)
        return work
