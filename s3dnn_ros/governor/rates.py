"""What rate a camera publishes at, what arrives of it, and what the middleware loses on the way.

The published rate is what arrived and what the middleware reports as lost, over one window: so it
holds for cameras whose own rate varies. Gaps between stamps would need a usual period. Images that
a full queue of the subscription overwrites are not reported, and are in neither rate.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Deque, Optional, Tuple

WINDOW_S = 5.0
# Single images are lost on any best-effort way; from this share and number on it is reported.
LOST_SHARE = 0.02
LOST_IMAGES = 2
# They must be lost between so many readings of the window: where this process itself stood still
# for a while, the images of that time are lost all at once, and no memory would help.
LOSSY_READINGS = 3


@dataclasses.dataclass(frozen=True)
class Rate:
    """The rates of one camera over the last window.

    Where the middleware does not report losses, `published_hz` and `lost` (images since the
    start) are None.
    """

    arrived_hz: float
    published_hz: Optional[float]
    lost: Optional[int]
    is_lossy: bool = False


class Rates:
    """Counts the images of one camera. Times are seconds on one clock, given by the caller."""

    def __init__(self, knows_losses: bool):
        self._arrived = 0
        self._lost = 0
        self._knows_losses = knows_losses
        # (time, arrived, lost) at every reading of the last window, and at the one before it
        self._marks: Deque[Tuple[float, int, int]] = collections.deque()

    def arrived(self):
        """Count an image that came, whether it can be used or not."""
        self._arrived += 1

    def lost(self, images: int):
        """Count images that the middleware lost on the way."""
        self._lost += images

    def reading(self, now_s: float) -> Rate:
        """Return the rates now; to be asked about once a second."""
        marks = self._marks
        if marks and now_s < marks[-1][0]:
            marks.clear()       # simulated time has started again
        if not marks or now_s > marks[-1][0]:
            marks.append((now_s, self._arrived, self._lost))
        while len(marks) > 2 and now_s - marks[1][0] >= WINDOW_S:
            marks.popleft()
        seconds = now_s - marks[0][0]
        arrived, lost = self._arrived - marks[0][1], self._lost - marks[0][2]
        arrived_hz = arrived / seconds if seconds else 0.0
        if not self._knows_losses:
            return Rate(arrived_hz, None, None)
        lossy = sum(later[2] > mark[2] for mark, later in zip(marks, list(marks)[1:]))
        return Rate(arrived_hz, (arrived + lost) / seconds if seconds else 0.0, self._lost,
                    lost >= LOST_IMAGES and lost >= LOST_SHARE * (arrived + lost)
                    and lossy >= LOSSY_READINGS)


def loss_sentence(camera, rate: Rate, export: str) -> str:
    """Say that images are lost on the way; `export` is the shell line that helps, or empty."""
    remedy = 'publish compressed images, or look at the network'
    if export:
        remedy = (f'Fast DDS keeps little memory for raw images: run `{export}` before the camera '
                  'driver starts; from another host, publish compressed images')
    return (f"camera '{camera}': {rate.published_hz - rate.arrived_hz:.1f} of its "
            f'{rate.published_hz:.1f} images/s are lost on the way; {remedy}')
