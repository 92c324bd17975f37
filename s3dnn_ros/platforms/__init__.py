"""Boards that can be set to configurations, and what they draw. Files only; no ROS, no device."""

import inspect

from s3dnn_ros.platforms.base import Configuration, Platform, board_of
from s3dnn_ros.platforms.guard import restored_at_end
from s3dnn_ros.platforms.jetson import JetsonPlatform, is_jetson
from s3dnn_ros.platforms.null import NullPlatform
from s3dnn_ros.platforms.sm_partition import SmPartitionPlatform
from s3dnn_ros.platforms.sysfs import Sysfs

__all__ = ['PLATFORMS', 'Configuration', 'JetsonPlatform', 'NullPlatform', 'Platform',
           'SmPartitionPlatform', 'board_here', 'is_jetson', 'make_platform', 'restored_at_end']

PLATFORMS = {'jetson': JetsonPlatform, 'null': NullPlatform,
             'sm_partition': SmPartitionPlatform}


def board_here() -> str:
    """Return a name for this board that all processes on it share."""
    return board_of(Sysfs())


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
