"""Boxes of one image, and what every detector does with its candidates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Iterator, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from s3dnn_ros.errors import ModelError
from s3dnn_ros.transport.frames import Transform

# Half precision may round a score up so far.
LARGEST_SCORE = 1.001
# Non-maximum suppression is quadratic; a threshold near zero must not stall the pipeline.
CANDIDATE_LIMIT = 1000


class Found(NamedTuple):
    """One object of Boxes."""

    class_id: int
    score: float
    box: Tuple[float, ...]
    mask: Optional[np.ndarray] = None
    keypoints: Optional[Sequence[Sequence[float]]] = None
    oriented: Optional[Tuple[float, ...]] = None


@dataclass(frozen=True)
class Boxes:
    """Detections of one image, best score first, in pixels of the network's input or the source.

    What a network does not give is None, or no masks.

    Attributes
    ----------
    xyxy : ndarray
        float32 (n, 4): left, top, right, bottom.
    scores : ndarray
        float32 (n,).
    class_ids : ndarray
        int32 (n,).
    masks : tuple of ndarray
        uint8 (h, w) for each box, of any size, stretched over it: 255 on the object, 0 beside it.
    keypoints : ndarray, optional
        float32 (n, k, 3): x, y and score of each point.
    oriented : ndarray, optional
        float32 (n, 5): centre x, y, width, height, and the angle in radians by which the width
        is turned from x towards y. `xyxy` is what is around it.

    """

    xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    masks: Tuple[np.ndarray, ...] = ()
    keypoints: Optional[np.ndarray] = None
    oriented: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Found]:
        """Give one object after the other, as plain numbers."""
        none = [None] * len(self)
        return map(Found, self.class_ids.tolist(), self.scores.tolist(),
                   map(tuple, self.xyxy.tolist()), self.masks or none,
                   none if self.keypoints is None else self.keypoints.tolist(),
                   none if self.oriented is None else map(tuple, self.oriented.tolist()))

    def in_source(self, transform: Transform, width: int, height: int) -> Boxes:
        """Return them in pixels of the image of this size that was fitted into the input so."""
        keypoints = self.keypoints
        if keypoints is not None:
            keypoints = np.concatenate((transform.points_to_source(keypoints[..., :2]),
                                        keypoints[..., 2:]), axis=2)
        return replace(
            self, xyxy=transform.to_source(self.xyxy, width, height), keypoints=keypoints,
            oriented=None if self.oriented is None else transform.oriented_to_source(
                self.oriented))

    @classmethod
    def none(cls) -> Boxes:
        """Return the boxes of an image in which nothing was found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def at_least(scores: np.ndarray, threshold: float) -> Tuple[np.ndarray, ...]:
    """Return the indices of entries of `scores` that reach `threshold`, one array per axis.

    They come in row-major order.
    """
    # For few hits among many, nonzero() of a flat array is fifty times as fast.
    return np.unravel_index(np.flatnonzero(scores >= threshold), scores.shape)


def best_candidates(scores: np.ndarray, limit: int = CANDIDATE_LIMIT) -> np.ndarray:
    """Return the indices of the `limit` best finite entries of `scores` (n,), in any order."""
    finite = np.flatnonzero(np.isfinite(scores))
    if len(finite) <= limit:
        return finite
    return finite[np.argpartition(-scores[finite], limit)[:limit]]


def expect_scores(scores: np.ndarray, advice: str) -> None:
    """Raise ModelError, with advice, if any of the scores that count (n,) is above 1."""
    if len(scores) and scores.max() > LARGEST_SCORE:
        raise ModelError('outputs', f'hold a score of {scores.max():.4g}, and scores are from 0 '
                                    f'to 1; {advice}')


@dataclass(frozen=True)
class Candidates:
    """What may be boxes in one image, at or over the score threshold.

    `xyxy` (n, 4), `scores` (n,) and `class_ids` (n,) are as in Boxes, in any order; `rows` (n, m)
    is what else the network says of each.
    """

    xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    rows: Optional[np.ndarray] = None

    def at(self, chosen: np.ndarray) -> Candidates:
        """Return some of them, by their indices."""
        return Candidates(self.xyxy[chosen], self.scores[chosen], self.class_ids[chosen],
                          None if self.rows is None else self.rows[chosen])


# Returns the indices of the candidates that are left, best score first, given an IoU threshold.
Suppress = Callable[[Candidates, float], np.ndarray]


def select(candidates: Candidates, width: int, height: int, iou_threshold: float,
           max_detections: int, suppress: Suppress) -> Candidates:
    """Return those of an image's candidates that are its boxes, best score first.

    Boxes are clipped to the input, empty and non-finite ones are removed, and what `suppress`
    leaves out above `iou_threshold`.
    """
    limits = np.array([width, height, width, height], np.float32)
    xyxy = np.clip(candidates.xyxy.astype(np.float32, copy=False), 0, limits)
    kept = np.flatnonzero((xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
                          & np.isfinite(candidates.xyxy).all(axis=1)
                          & np.isfinite(candidates.scores))
    kept = kept[best_candidates(candidates.scores[kept])]
    candidates = replace(candidates, xyxy=xyxy).at(kept)
    if len(kept):
        candidates = candidates.at(suppress(candidates, iou_threshold)[:max_detections])
    return candidates


def overlaps_of_one_class(candidates: Candidates, iou_threshold: float) -> np.ndarray:
    """Suppress overlaps of one class."""
    xyxy = candidates.xyxy.astype(np.float64)
    corner = _apart(xyxy[:, :2], candidates.class_ids, xyxy.max())
    return _indices(cv2.dnn.NMSBoxes(
        np.concatenate((corner, xyxy[:, 2:] - xyxy[:, :2]), axis=1).tolist(),
        candidates.scores.astype(float).tolist(), 0.0, float(iou_threshold)))


def overlaps_of_one_class_turned(candidates: Candidates, iou_threshold: float) -> np.ndarray:
    """Suppress overlaps of one class among boxes as in Boxes.oriented, which are the rows."""
    rows = candidates.rows.astype(np.float64)
    centre = _apart(rows[:, :2], candidates.class_ids, np.abs(rows[:, :2]).max()
                    + rows[:, 2:4].max())
    return _indices(cv2.dnn.NMSBoxesRotated(
        [((x, y), (width, height), angle) for (x, y), width, height, angle in zip(
            centre.tolist(), *rows[:, 2:4].T.tolist(), np.degrees(rows[:, 4]).tolist())],
        candidates.scores.astype(float).tolist(), 0.0, float(iou_threshold)))


def nothing(candidates: Candidates, iou_threshold: float) -> np.ndarray:
    """Suppress nothing: the network has done so itself."""
    return np.argsort(-candidates.scores, kind='stable')


def _apart(points, class_ids, largest) -> np.ndarray:
    """Return points (n, 2), moved apart by class, so that one call suppresses within each.

    NMSBoxesBatched does the same but is missing before OpenCV 4.7.
    """
    return points + class_ids[:, np.newaxis] * (2.0 * largest + 1.0)


def _indices(kept) -> np.ndarray:
    # Before OpenCV 4.5.4 the indices come as (n, 1), and as an empty tuple when there are none.
    return np.asarray(kept, dtype=np.intp).reshape(-1)
