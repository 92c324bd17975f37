"""A board that stays as it is."""

from __future__ import annotations

from s3dnn_ros.platforms.base import Configuration, board_of
from s3dnn_ros.platforms.sysfs import Sysfs


class NullPlatform:
    """Has a single configuration, changes nothing and knows no power."""

    name = 'null'
    immediate = True
    configurations = (Configuration(0, 'as it is'),)
    current = 0
    transitions = 0
    transition_s = 0.0

    def __init__(self, root='/'):
        self.board = board_of(Sysfs(root))

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """Do nothing."""

    def apply(self, index) -> float:
        """Do nothing, in no time; IndexError for any configuration but the one."""
        if index != 0:
            raise IndexError(f'configuration {index} is unknown; there is 0 alone')
        return 0.0

    def power_mw(self):
        """Return None: nobody can tell."""
        return None

    def rails_mw(self):
        """Return no rails."""
        return {}

    def restore(self):
        """Do nothing."""

    def close(self):
        """Do nothing."""
