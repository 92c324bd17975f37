"""Boxes of one image, and what every detector does with its candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np

from s3dnn_ros.errors import ModelError

# Half precision may round a score up so far.
LARGEST_SCORE = 1.001
# Non-maximum suppression is quadratic; a threshold near zero must not stall the pipeline.
CANDIDATE_LIMIT = 1000


@dataclass(frozen=True)
class Boxes:
    """Detections of one image, best score first, in pixels of the network's input.

    `xyxy` is float32 (n, 4): left, top, right, bottom; `scores` float32 (n,);
    `class_ids` int32 (n,).
    """

    xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

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


def select(
    xyxy: np.ndarray,
    scores: np.ndarray,
    class_ids: np.ndarray,
    width: int,
    height: int,
    iou_threshold: float,
    max_detections: int,
) -> Boxes:
    """Turn an image's candidates into its final boxes.

    `xyxy` (n, 4), `scores` (n,) and `class_ids` (n,) are candidates over the score threshold.
    Boxes are clipped to the input, empty and non-finite ones are removed, and overlaps of one
    class are suppressed above `iou_threshold`.
    """
    # NumPy's clip keeps NaN, which the comparison below then drops.
    limits = np.array([width, height, width, height], np.float32)
    xyxy = np.clip(xyxy.astype(np.float32, copy=False), 0, limits)
    kept = np.flatnonzero(
        (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1]) & np.isfinite(scores)
    )
    if not len(kept):
        return Boxes.none()
    kept = kept[best_candidates(scores[kept])]
    xyxy, scores, class_ids = xyxy[kept], scores[kept], class_ids[kept]
    order = _suppress(xyxy, scores, class_ids, max(width, height), iou_threshold)
    order = order[:max_detections]
    return Boxes(
        np.ascontiguousarray(xyxy[order], np.float32),
        scores[order].astype(np.float32),
        class_ids[order].astype(np.int32),
    )


def _suppress(xyxy, scores, class_ids, span, iou_threshold) -> np.ndarray:
    # Classes are moved apart by more than an image, so that one call suppresses within each;
    # NMSBoxesBatched does the same but is missing before OpenCV 4.7.
    corner = xyxy[:, :2].astype(np.float64) + class_ids[:, np.newaxis] * (span + 1.0)
    size = xyxy[:, 2:].astype(np.float64) - xyxy[:, :2]
    kept = cv2.dnn.NMSBoxes(
        np.concatenate((corner, size), axis=1).tolist(),
        scores.astype(float).tolist(),
        0.0,
        float(iou_threshold),
    )
    # Before OpenCV 4.5.4 the indices come as (n, 1), and as an empty tuple when there are none.
    return np.asarray(kept, dtype=np.intp).reshape(-1)
