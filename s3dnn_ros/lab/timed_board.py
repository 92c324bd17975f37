"""A cohort's board in virtual time: what BoardControl and its thread do on a real one."""

from __future__ import annotations

from typing import Callable, Optional

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform


class TimedBoard:
    """Sets a simulated board as a thread would: one configuration after the other.

    Whoever decides does not wait. While clocks change, the newest wish is kept, and set once they
    have changed. What is not in force yet does not count as set.

    Parameters
    ----------
    configuration : int
        What the board is taken for until it is set.
    platform : SimulatedPlatform
        It is closed, and with that restored, at the end.
    changed : callable
        Called when `configuration` is another one.

    Attributes
    ----------
    configuration : int
        What is in force.
    is_ours : bool
        True.
    failure : str
        Empty: nothing fails.

    """

    is_ours = True
    failure = ''

    def __init__(self, configuration: int, platform: SimulatedPlatform,
                 changed: Callable[[], None] = ignore):
        self.configuration = configuration
        self._platform = platform
        self._changed = changed
        self._wanted: Optional[int] = None
        self._setting: Optional[int] = None

    def want(self, configuration: int):
        """Have a configuration set; of several the newest, once the clocks have changed."""
        self._wanted = configuration
        if self._setting is None and configuration != self._platform.current:
            self._set()

    def close(self):
        """Restore the board."""
        self._platform.close()

    def _set(self):
        self._setting = self._wanted
        self._platform.apply(self._setting, self._in_force)

    def _in_force(self):
        self.configuration, self._setting = self._setting, None
        self._changed()
        if self._wanted != self.configuration:
            self._set()
