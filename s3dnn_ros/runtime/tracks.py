"""Which object is which, from one frame of a camera to the next: SORT, by the library Similari.

A. Bewley et al., Simple Online and Realtime Tracking, ICIP 2016.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from typing import Any, Dict, Set, Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.transport.frames import FrameInfo

# A box that overlaps less with where an object should be is another one's, as SORT has it.
LEAST_IOU = 0.3
# Time that goes back by more begins anew: a bag that is played again, a clock that was set.
ANEW_S = 1.0
# Cameras of which an instance follows objects; beyond, the one heard of longest ago is forgotten.
MOST_CAMERAS = 64


@dataclasses.dataclass(frozen=True)
class TrackChange:
    """What a frame has changed.

    `begun` counts objects that are new, `lost` those that were seen in the frame before and are
    not any more, and `found` those that had been lost.
    """

    begun: int = 0
    lost: int = 0
    found: int = 0


class Tracks:
    """Follows the objects that one instance sees, each camera by itself; any thread.

    Parameters
    ----------
    parameter : str
        Who asks for it, for the error.
    kept_frames : int
        For so many frames an object that is not seen is remembered.

    Raises
    ------
    ParameterError
        The library is not installed.

    """

    def __init__(self, parameter: str, kept_frames: int):
        try:
            import similari
        except ImportError as error:
            raise ParameterError(parameter, 'sort', f'its library is missing ({error}); run: pip '
                                 'install similari-trackers-rs (for Python 3.8 to 3.12)') from None
        self._box = similari.BoundingBox
        self._sort = similari.Sort(
            shards=1, bbox_history=1, max_idle_epochs=kept_frames + 1,
            method=similari.PositionalMetricType.iou(threshold=LEAST_IOU))
        self._kept_frames = kept_frames
        self._lock = threading.Lock()
        self._scenes = itertools.count()
        self._cameras: Dict[str, _Camera] = {}      # the one heard of last comes last

    def follow(self, frame: FrameInfo, boxes: Boxes) -> Tuple[Tuple[int, ...], TrackChange]:
        """Return the number of each box's object, from 1 on for each camera, and what changed.

        It is 0 for all boxes of a frame that is older than one before it.
        """
        with self._lock:
            camera = self._cameras.pop(frame.camera, None)
            if camera is None or frame.taken_s < camera.taken_s - ANEW_S:
                camera = _Camera(next(self._scenes), frame.taken_s, self._kept_frames)
            elif frame.taken_s <= camera.taken_s:
                self._cameras[frame.camera] = camera
                return (0,) * len(boxes), TrackChange()
            camera.taken_s = frame.taken_s
            self._cameras[frame.camera] = camera
            if len(self._cameras) > MOST_CAMERAS:
                del self._cameras[next(iter(self._cameras))]
            found = self._sort.predict_with_scene(camera.scene, [
                (self._box(left, top, right - left, bottom - top).as_xyaah(), place)
                for place, (left, top, right, bottom) in enumerate(boxes.xyxy.tolist())])
            # the library keeps what it gives up until it is asked
            self._sort.clear_wasted()
            return camera.numbers({track.custom_object_id: track.id for track in found})


class _Camera:
    """The objects of one camera; the library's own numbers are of all cameras."""

    def __init__(self, scene: int, taken_s: float, kept_frames: int):
        self.scene = scene
        self.taken_s = taken_s
        self._kept_frames = kept_frames
        self._frame = 0
        self._begun = 0
        self._numbers: Dict[Any, int] = {}      # by the library's
        self._last_frame: Dict[Any, int] = {}   # in which each was seen, the longest ago first
        self._seen: Set[Any] = set()            # in the last frame

    def numbers(self, by_place: Dict[int, Any]) -> Tuple[Tuple[int, ...], TrackChange]:
        """Return the numbers of a frame's boxes, and what changed, of the library's."""
        self._frame += 1
        before = self._begun
        for _, theirs in sorted(by_place.items()):
            if theirs not in self._numbers:
                self._begun += 1
                self._numbers[theirs] = self._begun
            self._last_frame.pop(theirs, None)
            self._last_frame[theirs] = self._frame
        seen, begun = set(by_place.values()), self._begun - before
        change = TrackChange(begun, len(self._seen - seen), len(seen - self._seen) - begun)
        self._seen = seen
        numbers = tuple(self._numbers[by_place[place]] for place in range(len(by_place)))
        self._forget()
        return numbers, change

    def _forget(self):
        """Forget objects that the library remembers no more."""
        while self._last_frame:
            theirs, frame = next(iter(self._last_frame.items()))
            if frame >= self._frame - self._kept_frames - 1:
                return
            del self._last_frame[theirs], self._numbers[theirs]
