"""Finds jobs that make no progress on the device, though nothing holds them."""

from __future__ import annotations

from typing import Iterable, List, Optional

from s3dnn_ros.runtime.job import Job

# Progress is looked at so often.
LOOK_S = 0.25
# A job stands still that has not ended a segment for so long, or for so many times what its whole
# network takes: others beside it may take the device for a while.
LEAST_STANDSTILL_S = 2.0
STANDSTILL_RUNS = 20.0


class ProgressWatch:
    """Looks now and then how far the jobs on a device with gates are.

    Flights that cannot tell their progress are not watched.
    """

    def __init__(self):
        self._due_s: Optional[float] = None

    @property
    def due_s(self) -> Optional[float]:
        """Return when to look next; None while nothing runs."""
        return self._due_s

    def due(self, now_s: float) -> bool:
        """Tell whether it is time to look."""
        return self._due_s is None or now_s >= self._due_s

    def standing(self, running: Iterable[Job], now_s: float) -> List[Job]:
        """Return the jobs that stand still."""
        running = list(running)
        self._due_s = now_s + LOOK_S if running else None
        return [job for job in running if self._stands(job, now_s)]

    @staticmethod
    def _stands(job, now_s):
        reached = None if job.flight is None else job.flight.progress()
        if reached is None or job.is_held or reached != job.reached or not job.moved_s:
            job.reached, job.moved_s = reached, now_s
            return False
        return now_s - job.moved_s > max(
            LEAST_STANDSTILL_S, STANDSTILL_RUNS * job.queue.known_run_s(job.frames)[0])


def sentence_of(job: Job, now_s: float) -> str:
    """Return what is said of a job that stands still."""
    return (f'segment {job.reached} has not ended for {now_s - job.moved_s:.1f} s; the device or '
            'its driver hangs, or another program takes all of it')
