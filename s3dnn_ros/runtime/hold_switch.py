"""No job waits on the device while memory is taken or given back."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator

from s3dnn_ros.runtime.events import HoldingChanged


class HoldSwitch:
    """Has the core hold no job, and the engine arm no lane, for a while.

    While a job waits on the device, CUDA loads no kernel that runs for the first time, and frees
    no memory. Who does that waits until the job goes on, with locks of the driver that the core
    may need to let it go on.

    Parameters
    ----------
    post : callable
        Hands an event to the core; tells whether the core will take it in.
    arm : callable
        Called with whether lanes may be armed.

    """

    def __init__(self, post: Callable[[Any], bool], arm: Callable[[bool], None]):
        self._post = post
        self._arm = arm
        self._lock = threading.Lock()
        self._users = 0
        self._none_held = threading.Event()

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """Wait until no job is held, and let none wait until the end.

        Any thread but the core's may be in it, also several at once.
        """
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._none_held.clear()
                self._arm(False)
                # a core that has ended holds nothing
                if not self._post(HoldingChanged(False, self._none_held.set)):
                    self._none_held.set()
        try:
            self._none_held.wait()
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._post(HoldingChanged(True, lambda: None))
                    self._arm(True)
