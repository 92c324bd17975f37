"""What is wanted of the board, and what it is set to: known here alone."""

from __future__ import annotations

import logging
import threading
from typing import Callable, Optional

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.platforms import Platform

_LOG = logging.getLogger(__name__)


class BoardControl:
    """A board for a cohort: this process sets it, or hears from the one that does.

    The newest wish counts; those before it that nobody came to are forgotten. A kernel takes
    milliseconds to change a clock, so a thread of its own does that, and whoever runs segments
    does not wait. What is immediate is set before `want` returns, so that the next segment runs
    there.

    Parameters
    ----------
    configuration : int
        What the board is taken for until somebody sets it.
    platform : Platform, optional
        If this process sets the board. It is closed, and with that restored, at the end.
    changed : callable
        Called when `configuration` is another one, in any thread; it must not take long.
    announce : callable
        Called in the thread with the configuration that is set; of several in a row, with the
        newest.

    Attributes
    ----------
    configuration : int
        What the board is set to, as far as this process knows.
    failure : str
        Why a configuration could not be set or announced, the last time; empty if all could.

    """

    def __init__(self, configuration: int, platform: Optional[Platform] = None,
                 changed: Callable[[], None] = ignore, announce: Callable[[int], None] = ignore):
        self.configuration = configuration
        self._platform = platform
        self._changed = changed
        self._announce = announce
        self._wanted: Optional[int] = None      # the last wish
        self._pending = False                   # whether the thread has not come to it
        self.failure = ''
        self._closing = False
        self._wish = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='s3dnn-board', daemon=True)
        if platform is not None:
            self._thread.start()

    @property
    def is_ours(self) -> bool:
        """Tell whether this process sets the board."""
        return self._platform is not None

    def want(self, configuration: int):
        """Have a configuration set, if this process sets the board; any thread."""
        with self._wish:
            # also if it is set: a wish of before may be on its way
            if (self._closing or not self.is_ours
                    or configuration == self.configuration == self._wanted):
                return
            self._wanted = configuration
            if self._platform.immediate and not self._set(configuration):
                return
            self._pending = True
            self._wish.notify()

    def was_set(self, configuration: int):
        """Take note of what the board is set to now; any thread."""
        self.configuration = configuration
        self._changed()

    def close(self):
        """Set no more, and restore the board; raises PlatformError if that fails."""
        if not self.is_ours:
            return
        with self._wish:
            self._closing = True
            self._wish.notify()
        self._thread.join()
        self._platform.close()

    def _run(self):
        while True:
            with self._wish:
                self._wish.wait_for(lambda: self._closing or self._pending)
                if self._closing:
                    return
                wanted, self._pending = self._wanted, False
            if self._platform.immediate or self._set(wanted):
                self._works(self._announce, wanted)

    def _set(self, configuration) -> bool:
        """Set a configuration; tell whether that worked."""
        works = self._works(self._platform.apply, configuration)
        if works:
            self.was_set(configuration)
        return works

    def _works(self, call, configuration) -> bool:
        """Call this with a configuration; report what it raises, and tell whether that was none.

        Whatever a board or the middleware refuses, the cohort goes on with what is set, and asks
        again at the next boundary.
        """
        try:
            call(configuration)
        except Exception as error:
            said = (str(error) if isinstance(error, S3dnnError)
                    else f'configuration {configuration}: {type(error).__name__}: {error}')
            if said != self.failure:
                self.failure = said
                _LOG.warning(said)
            return False
        return True
