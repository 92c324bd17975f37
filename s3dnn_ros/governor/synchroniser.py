"""Keeps the frames that belong to one moment together (approximate time).

A moment collects at most one frame per camera of the group, all within the
group's skew. It goes on when it is complete, when its first frame has waited
long enough, or as soon as no missing camera can still contribute: cameras send
in the order of their stamps, so one that has sent a later frame will not.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional

from s3dnn_ros.governor.group_watch import GroupWatch

# Incomplete moments in a row after which a camera is no longer waited for, until
# it sends again: one dead camera must not delay the others for ever.
PATIENCE = 3


@dataclasses.dataclass(frozen=True)
class Stamped:
    """A frame as the synchroniser sees it; `item` is passed through."""

    camera: str
    stamp_s: float
    item: Any


@dataclasses.dataclass
class _Moment:
    frames: Dict[str, Stamped]
    due_s: float

    def accepts(self, frame, max_skew_s):
        """Tell whether the frame is of this moment, which has none of its camera."""
        stamps = [other.stamp_s for other in self.frames.values()] + [frame.stamp_s]
        return max(stamps) - min(stamps) <= max_skew_s

    @property
    def latest_s(self):
        return max(frame.stamp_s for frame in self.frames.values())

    @property
    def earliest_s(self):
        return min(frame.stamp_s for frame in self.frames.values())


class Synchroniser:
    """One group of cameras. Times are seconds on one clock, given by the caller."""

    def __init__(self, cameras, max_skew_s, max_wait_s):
        self.max_skew_s = max_skew_s
        self.max_wait_s = max_wait_s
        self._watch = GroupWatch(cameras)
        self._newest_s: Dict[str, float] = {}
        self._absences: Dict[str, int] = dict.fromkeys(cameras, 0)
        self._open: List[_Moment] = []

    def offer(self, frame, now_s) -> List[List[Stamped]]:
        """Take a frame in; return the moments that are ready, oldest first.

        A stamp that jumped back (a bag that starts again) begins a new history:
        what waited goes on as it is.
        """
        ready = []
        self._watch.frame(frame.camera, frame.stamp_s, now_s)
        if frame.stamp_s < self._newest_s.get(frame.camera, frame.stamp_s):
            ready = self._close(self._open, now_s)
            self._newest_s.clear()
        self._newest_s[frame.camera] = frame.stamp_s
        self._absences[frame.camera] = 0
        for moment in self._after_last_of(frame.camera):
            if moment.accepts(frame, self.max_skew_s):
                moment.frames[frame.camera] = frame
                break
        else:
            self._open.append(_Moment({frame.camera: frame}, now_s + self.max_wait_s))
        return ready + self.poll(now_s)

    def watch(self, cameras) -> List[Stamped]:
        """Have another set of cameras from now on; remove and return frames of those that left."""
        if set(cameras) == set(self._absences):
            return []
        self._watch = GroupWatch(cameras)
        self._absences = {camera: self._absences.get(camera, 0) for camera in cameras}
        removed = []
        for moment in list(self._open):
            for camera in moment.frames.keys() - self._absences.keys():
                removed.append(moment.frames.pop(camera))
            if not moment.frames:
                self._open.remove(moment)
        for camera in self._newest_s.keys() - self._absences.keys():
            del self._newest_s[camera]
        return removed

    def poll(self, now_s) -> List[List[Stamped]]:
        """Return the moments that are ready now; each camera's frames stay in order."""
        ready, cameras = [], set()
        for moment in reversed(self._open):
            # an older moment goes too if it holds a frame of a camera whose newer one goes
            if (self._complete(moment) or now_s >= moment.due_s
                    or not cameras.isdisjoint(moment.frames)):
                ready.insert(0, moment)
                cameras.update(moment.frames)
        return self._close(ready, now_s)

    def discard(self) -> List[Stamped]:
        """Remove and return every frame that waits."""
        frames = [frame for moment in self._open for frame in moment.frames.values()]
        self._open.clear()
        return frames

    def next_due_s(self) -> Optional[float]:
        """Return when `poll` next has something to return, if no frame comes before."""
        return min((moment.due_s for moment in self._open), default=None)

    def lack(self, now_s) -> Optional[str]:
        """Return why no moment of this group is ever complete, None if all is well."""
        return self._watch.lack(now_s, self.max_skew_s, self.max_wait_s)

    def _after_last_of(self, camera):
        """Return the moments that a new frame of this camera may join, to keep its order."""
        having = [index for index, moment in enumerate(self._open) if camera in moment.frames]
        return self._open[having[-1] + 1:] if having else self._open

    def _complete(self, moment):
        return not any(
            absences < PATIENCE and camera not in moment.frames
            and self._newest_s.get(camera, moment.earliest_s) <= moment.latest_s
            for camera, absences in self._absences.items())

    def _close(self, moments, now_s):
        moments = list(moments)
        for moment in moments:
            self._open.remove(moment)
            self._watch.moment(len(moment.frames) == len(self._absences), now_s)
            for camera in self._absences:
                if camera not in moment.frames:
                    self._absences[camera] += 1
        return [sorted(moment.frames.values(), key=lambda frame: frame.camera)
                for moment in moments]
