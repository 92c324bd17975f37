"""Which object is which, from one frame of a camera to the next: SORT, by the library trackforge.

A. Bewley et al., Simple Online and Realtime Tracking, ICIP 2016.
"""

from __future__ import annotations

import dataclasses
import functools
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
            from trackforge import SORT
        except ImportError as error:
            raise ParameterError(parameter, 'sort', f'its library is missing ({error}); run: pip '
                                 'install "trackforge>=0.4,<0.5"') from None
        self._make_sort = functools.partial(SORT, max_age=kept_frames, min_hits=0,
                                            iou_threshold=LEAST_IOU)
        self._lock = threading.Lock()
        self._cameras: Dict[str, _Camera] = {}      # the one heard of last comes last

    def follow(self, frame: FrameInfo, boxes: Boxes) -> Tuple[Tuple[int, ...], TrackChange]:
        """Return the number of each box's object, from 1 on for each camera, and what changed.

        It is 0 for all boxes of a frame that is older than one before it.
        """
        with self._lock:
            camera = self._cameras.pop(frame.camera, None)
            if camera is None or frame.taken_s < camera.taken_s - ANEW_S:
                camera = _Camera(self._make_sort(), frame.taken_s)
            elif frame.taken_s <= camera.taken_s:
                self._cameras[frame.camera] = camera
                return (0,) * len(boxes), TrackChange()
            camera.taken_s = frame.taken_s
            self._cameras[frame.camera] = camera
            if len(self._cameras) > MOST_CAMERAS:
                del self._cameras[next(iter(self._cameras))]
            return camera.follow(boxes)


class _Camera:
    """The objects of one camera, which the library numbers from 1 on."""

    def __init__(self, sort: Any, taken_s: float):
        self.taken_s = taken_s
        self._sort = sort
        self._begun = 0
        self._seen: Set[int] = set()    # in the last frame

    def follow(self, boxes: Boxes) -> Tuple[Tuple[int, ...], TrackChange]:
        """Return the numbers of a frame's boxes, and what changed."""
        numbers = [0] * len(boxes)
        # whatever their scores and classes are
        for number, _, _, _, place in self._sort.update([
                ((left, top, right - left, bottom - top), 1.0, 0)
                for left, top, right, bottom in boxes.xyxy.tolist()]):
            numbers[place] = number
        seen = set(numbers)
        newest = max(numbers, default=0)
        begun = max(0, newest - self._begun)
        change = TrackChange(begun, len(self._seen - seen), len(seen - self._seen) - begun)
        self._begun += begun
        self._seen = seen
        return tuple(numbers), change
