"""Boards that can be set to configurations, and what they draw. Files only; no ROS, no device."""

from __future__ import annotations

import inspect
import logging
from typing import Optional, Union

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.base import (
    Configuration,
    EnergyMeter,
    MonotonicClock,
    Platform,
    board_of,
)
from s3dnn_ros.platforms.guard import restored_at_end
from s3dnn_ros.platforms.jetson import JetsonPlatform, is_jetson
from s3dnn_ros.platforms.null import NullPlatform
from s3dnn_ros.platforms.nvml import NvmlMeter
from s3dnn_ros.platforms.power import PowerMeter, PowerSampler
from s3dnn_ros.platforms.sm_partition import SmPartitionPlatform
from s3dnn_ros.platforms.sysfs import Sysfs

_LOG = logging.getLogger(__name__)
__all__ = ['PLATFORMS', 'Configuration', 'EnergyMeter', 'JetsonPlatform', 'NullPlatform',
           'Platform', 'SmPartitionPlatform', 'board_here', 'find_meter', 'is_jetson',
           'make_platform', 'restored_at_end']

PLATFORMS = {'jetson': JetsonPlatform, 'null': NullPlatform,
             'sm_partition': SmPartitionPlatform}


def board_here(gpu: Union[int, str, None] = None, root='/') -> str:
    """Return a name for this board that all processes on it share.

    Processes with a discrete GPU, `gpu` as NvmlMeter takes it, share that and no other.
    """
    board = board_of(Sysfs(root))
    return board if gpu is None or is_jetson(root) else f'{board}/{gpu}'


def find_meter(gpu: Union[int, str, None], root='/') -> Optional[EnergyMeter]:
    """Return what tells the energy here; None, with a warning if there ought to be something.

    A board's own sensors come first, as they see all of it; `gpu` is the discrete GPU in use, as
    NvmlMeter takes it, or None.
    """
    try:
        rails = PowerMeter(Sysfs(root))
        if rails.knows_total:
            return PowerSampler(rails, MonotonicClock())
        return None if gpu is None else NvmlMeter(gpu)
    except PlatformError as error:
        _LOG.warning(f'nobody can tell power and energy: {error}')
        return None


def make_platform(name, **options) -> Platform:
    """Return a platform; ValueError names known ones and options.

    'auto' is a Jetson where its files are found, and else 'null', which leaves options out that
    only a Jetson has.
    """
    known = [*sorted(PLATFORMS), 'auto']
    if name not in known:
        raise ValueError(f"platform '{name}' is unknown; known are {', '.join(known)}")
    allowed = inspect.signature(PLATFORMS['jetson' if name == 'auto' else name]).parameters
    for option in options:
        if option not in allowed:
            raise ValueError(f"platform '{name}' has no option '{option}'; "
                             f"known are {', '.join(allowed)}")
    root = options.get('root', '/')
    if name == 'auto' and not is_jetson(root):
        return NullPlatform(root)
    return PLATFORMS['jetson' if name == 'auto' else name](**options)
