"""The deadlines that an ideal scheduler would miss: computed, not measured.

The device serves one job at a time, `speed` times as fast as it serves it alone, and changes
between jobs at no cost: preemptive earliest deadline first, which gives a job up once it is
hopeless. No job ends earlier than it would alone. While there is a schedule without misses,
this is one; in an overload it is an estimate of what cannot be avoided without fusion, and
no proof.
"""

from __future__ import annotations

import heapq
import math
from typing import Iterable, List, NamedTuple

# Sums of times that mean the same moment may differ by so much.
ROUNDING_S = 1e-9


class Job(NamedTuple):
    """An image, and what it takes alone."""

    release_s: float
    deadline_s: float
    alone_s: float


def jobs_of(clients, alone_s, until_s) -> List[Job]:
    """Return what periodic clients ask for in so many seconds; `alone_s` is by model."""
    jobs = []
    for client in clients:
        for index in range(max(0, math.ceil((until_s - client.phase_s) / client.period_s))):
            release_s = client.phase_s + index * client.period_s
            jobs.append(Job(release_s, release_s + client.deadline_s, alone_s[client.model]))
    return jobs


def missed_share(jobs: Iterable[Job], speed: float) -> float:
    """Return the share of jobs that miss their deadlines on a device of this speed."""
    jobs = sorted(jobs)
    waiting: List[list] = []        # [deadline, what is left in seconds], earliest first
    now_s, index, missed = 0.0, 0, 0
    while index < len(jobs) or waiting:
        if not waiting:
            now_s = max(now_s, jobs[index].release_s)
        while index < len(jobs) and jobs[index].release_s <= now_s:
            job = jobs[index]
            index += 1
            if job.release_s + job.alone_s > job.deadline_s + ROUNDING_S:
                missed += 1
            else:
                heapq.heappush(waiting, [job.deadline_s, job.alone_s / speed])
        while waiting and now_s + waiting[0][1] > waiting[0][0] + ROUNDING_S:
            heapq.heappop(waiting)
            missed += 1
        if not waiting:
            continue
        next_s = jobs[index].release_s if index < len(jobs) else math.inf
        ends_s = now_s + waiting[0][1]
        if ends_s <= next_s:
            heapq.heappop(waiting)
        else:
            waiting[0][1] = ends_s - next_s
        now_s = min(ends_s, next_s)
    return missed / len(jobs) if jobs else 0.0
