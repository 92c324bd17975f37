"""Which waiting frames go into the next batch of an instance, and when.

S3DNN's governor (RTAS 2018, Algorithm 1; the rule itself is DERIVED) fuses
requests of one model and shape. Per camera only the newest frame waits, so that
nothing queues without bound.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Tuple


@dataclasses.dataclass(frozen=True)
class Request:
    """A frame that waits for a run of an instance; `item` is passed through."""

    camera: str
    deadline_s: float
    ready_s: float
    item: Any


class FusionQueue:
    """The waiting frames of one instance. Times are seconds, given by the caller."""

    def __init__(self, cameras, max_batch, max_delay_s):
        self.cameras = frozenset(cameras)
        self.max_batch = max_batch
        self.max_delay_s = max_delay_s
        self._waiting: Dict[str, Request] = {}

    def __len__(self):
        return len(self._waiting)

    def put(self, request) -> Optional[Request]:
        """Add a request; return the older one of the same camera that it replaces."""
        replaced = self._waiting.pop(request.camera, None)
        self._waiting[request.camera] = request
        return replaced

    def due_s(self) -> Optional[float]:
        """Return from when on a batch should be taken, None while nothing waits."""
        if not self._waiting:
            return None
        oldest_s = min(request.ready_s for request in self._waiting.values())
        full = min(self.max_batch, len(self.cameras))
        return oldest_s if len(self._waiting) >= full else oldest_s + self.max_delay_s

    def take(self) -> Tuple[Request, ...]:
        """Remove and return the next batch, earliest deadline first."""
        order: List[Request] = sorted(self._waiting.values(),
                                      key=lambda request: (request.deadline_s, request.ready_s))
        batch = tuple(order[:self.max_batch])
        for request in batch:
            del self._waiting[request.camera]
        return batch

    def discard(self) -> Tuple[Request, ...]:
        """Remove and return everything."""
        waiting = tuple(self._waiting.values())
        self._waiting.clear()
        return waiting
