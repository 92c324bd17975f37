"""YOLO: one output with a box and its class scores per candidate."""

from __future__ import annotations

from typing import List, Mapping

import numpy as np

from s3dnn_ros.models.boxes import Boxes, best_candidates, select
from s3dnn_ros.models.shapes import Shapes, fits, pick, refuse, size


class YoloV5Decoder:
    """Reads [N, boxes, 5 + classes]: centre x, y, width, height in pixels, objectness, scores.

    YOLOv3, v5 and v7 export this layout. A box's score is objectness × its best class.
    `output` names the tensor where the network has several.
    """

    def __init__(self, width: int, height: int, output: str = ''):
        self._width, self._height, self._output = width, height, output

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected = f'{self._output or "one output"} [N, boxes, 5 + classes]'
        shape = output_shapes[pick('yolov5', self._output, output_shapes, expected)]
        if not fits(shape, (None, None, None)) or 0 < size(shape, 2) < 6:
            refuse('yolov5', expected, output_shapes)
        return max(size(shape, 2) - 5, 0)

    def decode(
        self,
        outputs: Mapping[str, np.ndarray],
        score_threshold: float,
        iou_threshold: float,
        max_detections: int,
    ) -> List[Boxes]:
        """Return one Boxes per image; see `decoders.Decoder`."""
        self.check({name: array.shape for name, array in outputs.items()})
        found = []
        for rows in outputs[self._output or next(iter(outputs))]:
            # No class can lift a box over its objectness: most boxes end here.
            rows = rows[rows[:, 4] >= score_threshold]
            scores = rows[:, 5:] * rows[:, 4:5]
            found.append((rows[:, :4], *_best_class(scores, score_threshold)))
        return [
            _finish(*candidates, self._width, self._height, iou_threshold, max_detections)
            for candidates in found
        ]


class YoloV8Decoder:
    """Reads [N, 4 + classes, boxes]: centre x, y, width, height in pixels, then scores.

    YOLOv8, v9 and v11 export this layout. `output` names the tensor where the network has
    several.
    """

    def __init__(self, width: int, height: int, output: str = ''):
        self._width, self._height, self._output = width, height, output

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected = f'{self._output or "one output"} [N, 4 + classes, boxes]'
        shape = output_shapes[pick('yolov8', self._output, output_shapes, expected)]
        if not fits(shape, (None, None, None)) or 0 < size(shape, 1) < 5:
            refuse('yolov8', expected, output_shapes)
        if size(shape, 1) > size(shape, 2) > 0:
            refuse('yolov8', f'{expected} with more boxes than classes', output_shapes)
        return max(size(shape, 1) - 4, 0)

    def decode(
        self,
        outputs: Mapping[str, np.ndarray],
        score_threshold: float,
        iou_threshold: float,
        max_detections: int,
    ) -> List[Boxes]:
        """Return one Boxes per image; see `decoders.Decoder`."""
        self.check({name: array.shape for name, array in outputs.items()})
        found = []
        for columns in outputs[self._output or next(iter(outputs))]:
            kept = np.flatnonzero((columns[4:] >= score_threshold).any(axis=0))
            rows = columns[:, kept].T
            found.append((rows[:, :4], *_best_class(rows[:, 4:], score_threshold)))
        return [
            _finish(*candidates, self._width, self._height, iou_threshold, max_detections)
            for candidates in found
        ]


def _best_class(scores: np.ndarray, score_threshold: float):
    """Return which rows of (n, classes) count, the score and the class of each."""
    # A NaN would win argmax and hide a good class beside it.
    scores = np.where(np.isfinite(scores), scores, -1.0)
    class_ids = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), class_ids]
    kept = np.flatnonzero(best >= score_threshold)
    kept = kept[best_candidates(best[kept])]
    return kept, best[kept], class_ids[kept]


def _finish(centred, kept, scores, class_ids, width, height, iou_threshold, max_detections):
    centre, half = centred[kept, :2], centred[kept, 2:] / 2
    xyxy = np.concatenate((centre - half, centre + half), axis=1)
    return select(xyxy, scores, class_ids, width, height, iou_threshold, max_detections)
