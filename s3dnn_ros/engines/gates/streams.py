"""The streams of jobs that wait on the device."""

from __future__ import annotations

import weakref
from typing import Any, Callable, List

from s3dnn_ros.engines.gates.arming import Arming
from s3dnn_ros.engines.gates.connections import most_waiting


class GateStreams:
    """Streams for jobs that wait, each with a connection to the device of its own.

    What waits in a connection holds up all streams of it. Streams that are made one after the
    other get connections one after the other; so all are made at once.

    Parameters
    ----------
    make : callable
        Returns a new stream.
    clock : Clock

    Attributes
    ----------
    quiet : Stream
        For what is captured and measured while no job waits.
    arming : Arming
        Of all lanes.
    lost : list
        What jobs still write into that stood still when their lanes were dropped.

    """

    def __init__(self, make: Callable[[], Any], clock):
        self._free = [make() for _ in range(most_waiting() - 1)]
        self.quiet = make()
        self.arming = Arming(clock)
        self.lost: List[Any] = []
        self._lanes_left = len(self._free)

    def lane(self, make: Callable[[], Any]) -> Any:
        """Return the lane that `make` makes; None if as many jobs as may wait have one."""
        if not self._lanes_left:
            return None
        lane = make()
        self._lanes_left -= 1
        weakref.finalize(lane, self._forget_lane)
        return lane

    def borrow(self) -> Any:
        """Return a stream; any thread. Raises RuntimeError if jobs that stood still keep all."""
        try:
            return self._free.pop()
        except IndexError:
            raise RuntimeError('no stream is left, since too many jobs stood still on the device; '
                               'start the executor again') from None

    def give_back(self, stream):
        """Take a stream back; any thread."""
        self._free.append(stream)

    def _forget_lane(self):
        self._lanes_left += 1
