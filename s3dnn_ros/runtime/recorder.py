"""What became of every request, stage by stage: counted, and the newest stages kept."""

from __future__ import annotations

import collections
from typing import Deque, Dict, List, NamedTuple, Tuple

from s3dnn_ros.runtime.busy import BusyTimes
from s3dnn_ros.runtime.job import Request

# Stamps that are kept: some seconds of a thousand requests per second.
ROWS = 1 << 14


class Stage:
    """Stages of a request; SUBMITTED and ENDED come for each of its segments.

    No enumeration: to look one of its members up takes longer than to take the stamp.
    """

    ARRIVED = 'arrived'             # it was taken in
    STAGED = 'staged'               # its images are where the engine takes them
    SUBMITTED = 'submitted'         # a segment is the device's
    ENDED = 'ended'                 # the core knows that a segment has ended, well or not
    FINISHED = 'finished'           # its outputs are there, or the error that ended it
    PUBLISHED = 'published'         # a result of it is out, one for each frame
    DROPPED = 'dropped'             # it, or frames of it, got no result


class Stamp(NamedTuple):
    """When a request came to a stage, in seconds on the executor's clock.

    `request` is the request's number; `segment` is 0 where the stage has none. `images` is how
    many run together, in all requests of the job; 0 where the stage is that of a request alone.
    """

    stage: str
    request: int
    instance: str
    segment: int
    now_s: float
    images: int = 0


class RequestTimes(NamedTuple):
    """When a request came, and until when it is in time, in seconds on the executor's clock."""

    request: int
    instance: str
    arrived_s: float
    deadline_s: float


class Recorder:
    """Takes stamps from any thread, and tells what they come to.

    A stamp takes the place of the oldest, whose memory Python uses again.

    Parameters
    ----------
    rows : int
        How many stamps are kept; older ones are forgotten.

    """

    def __init__(self, rows=ROWS):
        self._rows: Deque[Tuple] = collections.deque(maxlen=rows)
        self._requests: Deque[Tuple] = collections.deque(maxlen=rows)
        self._busy = BusyTimes()

    def stamp(self, stage: str, request: Request, now_s: float, segment=0, images=0):
        """Take note that a request has come to a stage."""
        name = request.instance.name
        self._rows.append((stage, request.number, name, segment, now_s, images))
        if stage is Stage.SUBMITTED:
            self._busy.began(name, now_s)
        elif stage is Stage.ENDED:
            self._busy.ended(name, now_s)
        elif stage is Stage.STAGED:
            self._requests.append((request.number, name, request.arrived_s, request.deadline_s))

    def stamps(self) -> List[Stamp]:
        """Return the stamps that are kept, oldest first."""
        return [Stamp(*row) for row in self._rows.copy()]

    def requests(self) -> List[RequestTimes]:
        """Return the newest requests that were staged, oldest first."""
        return [RequestTimes(*row) for row in self._requests.copy()]

    def busy_s(self, now_s: float) -> float:
        """Return for how long anything was on the device, up to now; any thread."""
        return self._busy.all_until(now_s)

    def busy_s_of_instances(self, now_s: float) -> Dict[str, float]:
        """Return for how long each instance that ever ran had work on the device; any thread."""
        return self._busy.until(now_s)
