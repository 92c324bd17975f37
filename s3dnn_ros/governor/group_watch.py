"""Notices a group of cameras of which no moment is ever complete, and finds the likely reason."""

from __future__ import annotations

import collections
import math
from typing import Deque, Dict, Optional, Tuple

# For so long, and of so many, no moment must have been complete. A camera that sends nothing has
# longer, since drivers do not start at once.
INCOMPLETE_S = 2.0
INCOMPLETE_MOMENTS = 3
SILENT_S = 5.0
# Newest stamps that are kept of each camera. The frames of one moment are found although one
# camera's images arrive half a second after another's, at 30 fps.
STAMPS_KEPT = 16
# Stamps further apart than this are of two clocks, and no neighbours in time.
CLOCKS_APART_S = 1.0


class GroupWatch:
    """Watches the moments of one group. Times are seconds on one clock, given by the caller."""

    def __init__(self, cameras):
        self._cameras = tuple(cameras)
        self._stamps_s: Dict[str, Deque[float]] = {
            camera: collections.deque(maxlen=STAMPS_KEPT) for camera in self._cameras}
        self._arrived_s = dict.fromkeys(self._cameras, -math.inf)
        self._start(-math.inf)

    def frame(self, camera, stamp_s, now_s):
        """Take note of a frame that was offered to the group."""
        if now_s < self._arrived_s[camera]:
            self._start(now_s)      # simulated time has started again
        # while moments are complete, nobody asks how near stamps are
        if self._moments:
            for other, stamps_s in self._stamps_s.items():
                if other != camera and stamps_s:
                    pair = self._pair(camera, other)
                    self._nearest_s[pair] = min(
                        self._nearest_s.get(pair, math.inf),
                        *(abs(stamp_s - other_s) for other_s in stamps_s))
        self._stamps_s[camera].append(stamp_s)
        self._arrived_s[camera] = now_s

    def moment(self, complete, now_s):
        """Take note of a moment that went on."""
        if complete or self._since_s == -math.inf:
            self._start(now_s)
        if not complete:
            self._moments += 1
            self._last_s = now_s

    def lack(self, now_s, max_skew_s, max_wait_s) -> Optional[str]:
        """Return why no moment is complete, or None if some are or none come at all."""
        if (self._moments < INCOMPLETE_MOMENTS or now_s - self._since_s < INCOMPLETE_S
                or now_s - self._last_s > SILENT_S):
            return None
        heard_s = max(self._since_s, now_s - SILENT_S)
        silent = [f"'{camera}'" for camera in self._cameras if self._arrived_s[camera] <= heard_s]
        if silent and now_s - self._since_s < SILENT_S:
            return None
        reason = (f'no usable frame of {" and ".join(silent)} arrives' if silent
                  else self._reason(max_skew_s, max_wait_s))
        return (f'no moment was complete in the last {now_s - self._since_s:.0f} s (of '
                f'{self._moments}): {reason}')

    def _start(self, now_s):
        """Begin to count anew, from a moment that was complete or from the first one."""
        self._since_s, self._moments, self._last_s = now_s, 0, now_s
        self._nearest_s: Dict[Tuple[str, str], float] = {}

    def _reason(self, max_skew_s, max_wait_s):
        pair = max(self._nearest_s, key=self._nearest_s.__getitem__)
        nearest_s = self._nearest_s[pair]
        if nearest_s > max_skew_s:
            apart = (f'{self._offset_s(pair):.1f} s' if nearest_s > CLOCKS_APART_S
                     else f'at least {1e3 * nearest_s:.1f} ms')
            return (f"stamps of '{pair[0]}' and '{pair[1]}' are {apart} apart, more than "
                    f'max_skew_ms ({1e3 * max_skew_s:g})')
        pair = max(self._nearest_s, key=self._offset_s)
        return (f"frames of '{pair[0]}' and '{pair[1]}' that belong together arrive "
                f'{1e3 * self._offset_s(pair):.1f} ms after one another; max_wait_ms is '
                f'{1e3 * max_wait_s:g}')

    def _offset_s(self, pair):
        """Return how far the clocks, or the ways of the frames of one moment, are apart."""
        first_s, second_s = (self._stamps_s[camera][-1] - self._arrived_s[camera]
                             for camera in pair)
        return abs(first_s - second_s)

    def _pair(self, *cameras):
        return tuple(sorted(cameras, key=self._cameras.index))
