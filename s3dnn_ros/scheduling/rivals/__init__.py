"""Policies of other systems, for the lab and the benches: executors do not offer them."""

from __future__ import annotations

from typing import Dict

from s3dnn_ros.scheduling import POLICIES, Scheduler, make_scheduler
from s3dnn_ros.scheduling.rivals.clockwork import Clockwork
from s3dnn_ros.scheduling.rivals.daris import Daris

__all__ = ['KNOWN', 'RIVALS', 'lead_of', 'make_known']

RIVALS = {'clockwork': Clockwork, 'daris': Daris}
KNOWN = {**POLICIES, **RIVALS}
# They send work before the device is free.
_LEADING = ('clockwork', 'gated')


def make_known(name, **options) -> Scheduler:
    """Return a new scheduler, a rival's or one of ours; raises ValueError as `make_scheduler`."""
    return RIVALS[name](**options) if name in RIVALS else make_scheduler(name, **options)


def lead_of(name, engine) -> Dict[str, float]:
    """Return the option `lead_s` of a scheduler that takes one: the engine's."""
    return {'lead_s': engine.lead_s} if name in _LEADING else {}
