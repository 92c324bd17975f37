"""Scheduling policies: which segments run next. Pure; no device, clock or ROS."""

from s3dnn_ros.scheduling.fifo import Fifo
from s3dnn_ros.scheduling.work import Dispatch, Scheduler, SegmentWork

__all__ = ['POLICIES', 'Dispatch', 'Scheduler', 'SegmentWork', 'make_scheduler']

POLICIES = {'fifo': Fifo}


def make_scheduler(name, **options) -> Scheduler:
    """Return a new scheduler of this policy; ValueError names the known ones."""
    if name not in POLICIES:
        raise ValueError(f"scheduler '{name}' is unknown; known are {', '.join(sorted(POLICIES))}")
    return POLICIES[name](**options)
