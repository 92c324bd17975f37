"""Who is to be late, where not all can be in time."""

from __future__ import annotations

import heapq
from typing import List, Sequence, Tuple


def fewest_late(jobs: Sequence[Tuple[float, float]], now_s: float) -> List[int]:
    """Return which jobs are to be late, so that the fewest are, if they run one by one.

    As long as all end in time, one behind the other by their deadlines, all are to be in time;
    where one does not, the longest so far is to be late (Moore 1968, as Hodgson has it).

    Parameters
    ----------
    jobs : sequence of (float, float)
        What each takes in seconds, and its deadline; by deadlines.
    now_s : float

    """
    ends_s, late = now_s, []
    longest: List[Tuple[float, int]] = []       # a heap; of two alike, the later one is first
    for place, (takes_s, deadline_s) in enumerate(jobs):
        ends_s += takes_s
        heapq.heappush(longest, (-takes_s, -place))
        if ends_s > deadline_s:
            spared_s, where = heapq.heappop(longest)
            ends_s += spared_s
            late.append(-where)
    return late
