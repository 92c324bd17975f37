"""What a camera's stamps are good for: which frames go on, and when each was taken.

Which frames go on. A stamp that is not later than the last one is refused: the camera repeats a
frame, or two came in the wrong order. It is a restart (a bag that loops, a clock that was set
back) if it is more than RESTART_S before the last one, or if it is later than the one refused
just before it: a camera that swaps two frames goes on past its last stamp, a bag that loops goes
on from its first. So a loop of two frames or more loses one frame each time, however short it is.

When a frame was taken. That is its stamp, if the stamp is of this machine's clock. All rules are
DERIVED. The age of a frame is its arrival minus its stamp.

- No image arrives before it is taken, so a frame counts as taken at its arrival at the latest.
  A stamp in the future gains nothing, however far it is ahead.
- An age below -AHEAD_S is of another clock. Clocks kept by NTP differ by a few milliseconds, and
  simulated time that is published 10 times a second lags by up to 0.1 s.
- An age above BEHIND_S is of another clock, too. Real ways are shorter: the middleware's queue
  of 5 frames holds 5 s at 1 fps, and video streams buffer for 2 s at most. GPS time differs by
  18 s, TAI by 37 s, time zones by hours, and times since the start of a board by decades.
  An offset below BEHIND_S cannot be told from a slow way, and counts as lateness.
- A way may be slow for a while. After frames of plausible age, others are only taken for those
  of another clock once WINDOW_FRAMES of them, over WINDOW_S or longer, had nothing plausible
  between them. Frames that were held up and come all at once are late. At the start and after a
  restart there is no such past, and the first frame decides.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Optional

NS_PER_S = 1_000_000_000

RESTART_S = 1.0
AHEAD_S = 0.1
BEHIND_S = 5.0
WINDOW_S = 2.0
WINDOW_FRAMES = 5
# An offset is told again when it has changed by this share of what was told, and by a second.
CHANGED_SHARE = 0.5
CHANGED_S = 1.0


@dataclasses.dataclass(frozen=True)
class Reading:
    """What one stamp says: why the frame is refused (empty: it is not), and when it was taken."""

    refusal: str
    taken_s: float


class Stamps:
    """The stamps of one camera. Times of arrival are seconds on this machine's clock."""

    def __init__(self):
        self._last_ns: Optional[int] = None
        self._refused_ns: Optional[int] = None      # if the last frame was refused
        self._received_s = -math.inf
        self._offset_s = 0.0        # stamps minus their arrivals, by the frame that came fastest
        # the newest frames whose ages are all too small (-1), plausible (0) or too large (1)
        self._side = 0
        self._run_start_s = 0.0
        self._run_frames = 0
        self._has_past = False      # whether other frames came before those
        self._told_s: Optional[float] = None

    @property
    def offset_s(self) -> Optional[float]:
        """Stamps minus arrival where they are of another clock, else None."""
        return self._offset_s if self._is_foreign() else None

    def read(self, stamp_ns: int, received_s: float) -> Reading:
        """Take note of a frame's stamp and arrival."""
        stamp_s = stamp_ns / NS_PER_S
        back_s = 0.0 if self._last_ns is None else (self._last_ns - stamp_ns) / NS_PER_S
        repeats = self._last_ns is not None and stamp_ns <= self._last_ns
        continues = self._refused_ns is not None and stamp_ns > self._refused_ns
        if repeats and back_s <= RESTART_S and not continues:
            self._refused_ns = stamp_ns
            return Reading(f'stamp {stamp_ns} is {1e3 * back_s:.1f} ms before the last one; the '
                           'camera repeats itself or its clock was set back', received_s)
        self._last_ns, self._refused_ns = stamp_ns, None
        self._note_age(received_s - stamp_s, received_s, restarted=back_s > RESTART_S)
        return Reading('', received_s if self._is_foreign() else min(stamp_s, received_s))

    def news(self) -> Optional[float]:
        """Return the offset if it has to be told now: once, and again when it changes much."""
        if not (self._is_foreign() and self._persists()):
            return None
        if self._told_s is not None and abs(self._offset_s - self._told_s) <= max(
                CHANGED_S, CHANGED_SHARE * abs(self._told_s)):
            return None
        self._told_s = self._offset_s
        return self._told_s

    def _note_age(self, age_s, received_s, restarted):
        side = (age_s > BEHIND_S) - (age_s < -AHEAD_S)
        # simulated time may start again, too
        if restarted or received_s < self._received_s:
            self._has_past = False
        elif side != self._side and self._run_frames:
            self._has_past = True
        if side != self._side or received_s < self._run_start_s:
            self._run_start_s, self._run_frames, self._offset_s = received_s, 0, -age_s
        # one that came slowly tells little, unless the clock has drifted
        if not 0.0 <= self._offset_s + age_s <= CHANGED_S:
            self._offset_s = -age_s
        self._run_frames += 1
        self._side, self._received_s = side, received_s

    def _is_foreign(self):
        return self._side != 0 and (not self._has_past or self._persists())

    def _persists(self):
        return (self._run_frames >= WINDOW_FRAMES
                and self._received_s - self._run_start_s >= WINDOW_S)


def clock_sentence(camera, offset_s) -> str:
    """Say that a camera stamps by another clock, and what to do."""
    side = 'ahead of' if offset_s > 0.0 else 'behind'
    return (f"camera '{camera}': its stamps are {abs(offset_s):.1f} s {side} this machine's "
            'clock; deadlines are counted from arrival; synchronise with chrony or PTP, or set '
            'use_sim_time for a bag')
