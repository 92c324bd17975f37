"""Policies of other systems, for the lab and the benches: executors do not offer them."""

from s3dnn_ros.scheduling import POLICIES, Scheduler, make_scheduler
from s3dnn_ros.scheduling.rivals.clockwork import Clockwork
from s3dnn_ros.scheduling.rivals.daris import Daris

__all__ = ['KNOWN', 'RIVALS', 'make_known']

RIVALS = {'clockwork': Clockwork, 'daris': Daris}
KNOWN = {**POLICIES, **RIVALS}


def make_known(name, **options) -> Scheduler:
    """Return a new scheduler, a rival's or one of ours; raises ValueError as `make_scheduler`."""
    return RIVALS[name](**options) if name in RIVALS else make_scheduler(name, **options)
