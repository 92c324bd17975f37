"""An instance is a network with its settings; a job is one batch on its way through it."""

from __future__ import annotations

import dataclasses
from typing import Optional

from s3dnn_ros.engines.base import Network, Run
from s3dnn_ros.frames import FrameBatch
from s3dnn_ros.scheduling import SegmentWork


@dataclasses.dataclass
class Instance:
    """A loaded network; `settings` is replaced as a whole when parameters change."""

    name: str
    spec: object
    network: Network
    decoder: object
    settings: object
    expected_s: float = 0.0     # engine time of a run, smoothed over the last ones

    def observe(self, run: Run):
        """Learn from a finished run how long the next may take."""
        took_s = run.ended_s - run.started_s
        self.expected_s += 0.1 * (took_s - self.expected_s) if self.expected_s else took_s


@dataclasses.dataclass(eq=False)
class Job:
    """One batch from arrival to result."""

    instance: Instance
    batch: FrameBatch
    arrived_s: float
    work: Optional[SegmentWork] = None
    run: Optional[Run] = None

    def next_work(self) -> SegmentWork:
        """Return the work to schedule next: the whole network as one segment."""
        expected_s = self.instance.expected_s
        self.work = SegmentWork(
            self.instance.name, 0, 1.0, self.batch.deadline_s, expected_s, expected_s,
            self.instance.settings.priority)
        return self.work
