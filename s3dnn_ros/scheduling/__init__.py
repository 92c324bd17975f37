"""Scheduling policies: which segments run next. Pure; no device, clock or ROS."""

import inspect

from s3dnn_ros.scheduling.edf import Edf
from s3dnn_ros.scheduling.fifo import Fifo
from s3dnn_ros.scheduling.gated import Gated
from s3dnn_ros.scheduling.overlapping import Overlapping
from s3dnn_ros.scheduling.packing import Packing
from s3dnn_ros.scheduling.streams import Streams
from s3dnn_ros.scheduling.supervised import Supervised
from s3dnn_ros.scheduling.work import Dispatch, Scheduler, SegmentWork

__all__ = ['POLICIES', 'Dispatch', 'Scheduler', 'SegmentWork', 'make_scheduler']

POLICIES = {'edf': Edf, 'fifo': Fifo, 'gated': Gated, 'overlapping': Overlapping,
            'packing': Packing, 'streams': Streams, 'supervised': Supervised}


def make_scheduler(name, **options) -> Scheduler:
    """Return a new scheduler of this policy; ValueError names known policies and options."""
    if name not in POLICIES:
        raise ValueError(f"scheduler '{name}' is unknown; known are {', '.join(sorted(POLICIES))}")
    known = inspect.signature(POLICIES[name]).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"scheduler '{name}' has no option '{option}'; "
                             + (f"known are {', '.join(known)}" if known else 'it takes none'))
    return POLICIES[name](**options)
