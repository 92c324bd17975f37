"""What policies can be told, and the check of it."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Callable

from s3dnn_ros.scheduling.work import SegmentWork

SHARES = ('tb_ratio', 'utilization')
ORDERS = ('slack', 'deadline')
ROUNDING = 1e-9     # a sum of shares that means 1 may come out above it


def share_of(share: str) -> Callable[[SegmentWork], float]:
    """Return what tells a work's share of the device."""
    return operator.attrgetter(share)


def due_by(order: str) -> Callable[[SegmentWork], float]:
    """Return what tells by when a work is due: its deadline, or its latest start.

    Time takes slack from all alike, so the order of the latest starts is that of slack at any
    time: the updates of S3DNN on enqueue and dequeue change no place.
    """
    if order == 'deadline':
        return operator.attrgetter('deadline_s')
    return lambda work: work.slack_s(0.0)


def check_common(policy, capacity, share, order='deadline', max_passes=1):
    """Refuse options that several policies have; raises ValueError."""
    check(policy, 'capacity', capacity, 'a finite number above 0',
          is_number(capacity) and 0.0 < capacity < math.inf)
    check(policy, 'share', share, f'one of {SHARES}', share in SHARES)
    check(policy, 'order', order, f'one of {ORDERS}', order in ORDERS)
    check(policy, 'max_passes', max_passes, 'a whole number from 1', is_count(max_passes))


def is_number(value):
    """Tell whether this is a real number."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_count(value):
    """Tell whether this is a whole number from 1."""
    return is_number(value) and value >= 1 and value % 1 == 0


def check(policy, option, value, expected, holds):
    """Raise ValueError unless the option's value holds."""
    if not holds:
        raise ValueError(f"scheduler '{policy}': {option} is {value!r}; expected {expected}")
