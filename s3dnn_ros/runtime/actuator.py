"""Sets a platform's configuration: at once where that costs nothing, else in a thread."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.platforms import Platform


class Actuator:
    """The newest wish counts; those before it that nobody came to are forgotten.

    A kernel takes milliseconds to change a clock, and whoever runs segments does not wait for it.
    What is immediate is set before `apply` returns, so that the next segment runs there.

    Parameters
    ----------
    platform : Platform
        It is closed, and with that restored, at the end.
    applied : callable
        Called with the configuration that is set, as soon as it is; it must not take long.
    report : callable
        Called with a sentence when a configuration cannot be set or announced; with the same
        sentence once only.
    announce : callable
        Called in the thread with the configuration that is set; of several in a row, with the
        newest.

    """

    def __init__(self, platform: Platform, applied: Callable[[int], None],
                 report: Callable[[str], None],
                 announce: Callable[[int], None] = lambda configuration: None):
        self.platform = platform
        self._applied = applied
        self._report = report
        self._announce = announce
        self._wanted: Optional[int] = None
        self._said = ''
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='s3dnn-actuator', daemon=True)
        self._thread.start()

    def apply(self, configuration: int):
        """Have a configuration set; any thread."""
        with self._changed:
            if self._closing or (self.platform.immediate and not self._set(configuration)):
                return
            self._wanted = configuration
            self._changed.notify()

    def close(self):
        """Set no more, and restore the platform; raises PlatformError if that fails."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self.platform.close()

    def _run(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._wanted is not None)
                if self._closing:
                    return
                wanted, self._wanted = self._wanted, None
            if self.platform.immediate or self._set(wanted):
                self._works(self._announce, wanted)

    def _set(self, configuration) -> bool:
        """Set a configuration; tell whether that worked."""
        works = self._works(self.platform.apply, configuration)
        if works:
            self._applied(configuration)
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
            if said != self._said:
                self._said = said
                self._report(said)
            return False
        return True
