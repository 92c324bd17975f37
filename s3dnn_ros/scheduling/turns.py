"""Whose turn it is where not everybody can be served: shares in proportion to weights.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over *streams*: a stream is a
camera as one instance sees it. Every stream has a tag, which grows by 1 / weight with each of its
frames that is run; the stream with the smallest tag is next. A stream that was idle starts again
near the tag of those that were not, so that it cannot make up for the time in which it sent
nothing. DERIVED: it keeps a claim of `CLAIM` frames, since a camera has nothing that waits between
two of its frames, and is not idle all the same; one whose frames are lost keeps `LOST_CLAIM`.
"""

from __future__ import annotations

from typing import Dict, Hashable, Iterable, NamedTuple, Tuple

CLAIM = 2.0
LOST_CLAIM = 8.0


class Need(NamedTuple):
    """A frame that waits: it takes `time_s`, ends by its deadline, starts by `start_by_s`."""

    deadline_s: float
    start_by_s: float
    time_s: float


def all_in_time(needs: Iterable[Need], now_s: float) -> bool:
    """Tell whether all can be served in time, the earliest deadline first, from now on.

    A frame that its camera's next one will replace before it starts is not served.
    """
    for need in sorted(needs):
        if now_s > need.start_by_s or now_s + need.time_s > need.deadline_s:
            return False
        now_s += need.time_s
    return True


class Turns:
    """The streams' tags."""

    def __init__(self):
        self._tags: Dict[Hashable, float] = {}
        self._waiting = set()
        self._lost = set()              # streams whose last frame was lost
        self._now = 0.0                 # the smallest tag of those that waited when one was served

    def wait(self, stream, weight=1.0):
        """Take note that a stream has a frame that waits; a newer one keeps its place."""
        self._tags[stream] = self._tag(stream)
        # what has no weight has no claim, either
        (self._waiting.add if weight > 0.0 else self._waiting.discard)(stream)

    def lose(self, stream):
        """Take note that the frame of a stream that waits will not run."""
        self._waiting.discard(stream)
        self._lost.add(stream)

    def leave(self, stream):
        """Forget a stream."""
        self._waiting.discard(stream)
        self._lost.discard(stream)
        self._tags.pop(stream, None)

    def serve(self, stream, weight, chance=1.0):
        """Take note that the frame of a stream that waits runs, with a chance to be in time.

        It counts as so much of a frame, so that shares are of what is in time.
        """
        waiting = map(self._tags.__getitem__, self._waiting)
        self._now = max(self._now, min(waiting, default=self._now))
        self._waiting.discard(stream)
        self._lost.discard(stream)
        if weight > 0.0:
            self._tags[stream] += chance / weight

    def rank(self, stream, weight) -> Tuple[bool, float]:
        """Return what the next of those that wait has least of; a weight of 0 comes last."""
        return weight <= 0.0, self._tags[stream]

    def lead(self, stream, other) -> float:
        """Return how far a stream that waits is ahead of one that does not, in its tag."""
        return self._tags[stream] - self._tag(other)

    def _tag(self, stream):
        claim = LOST_CLAIM if stream in self._lost else CLAIM
        return max(self._tags.get(stream, self._now), self._now - claim)
