"""YOLO: one output with a box and its class scores per candidate."""

from __future__ import annotations

import numpy as np

from s3dnn_ros.models.box_decoder import BoxDecoder, Candidates
from s3dnn_ros.models.boxes import best_candidates
from s3dnn_ros.models.shapes import Shapes, fits, pick, refuse, size


class _YoloDecoder(BoxDecoder):
    """Reads a single output."""

    def __init__(self, width: int, height: int, output: str = ''):
        super().__init__(width, height)
        self._output = output

    def reads(self, outputs):
        """Return the output that is named, or the only one."""
        return (self._output or next(iter(outputs)),)


class YoloV5Decoder(_YoloDecoder):
    """Reads [N, boxes, 5 + classes]: centre x, y, width, height in pixels, objectness, scores.

    YOLOv3, v5 and v7 export this layout. A box's score is objectness × its best class.
    `output` names the tensor where the network has several.
    """

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected = f'{self._output or "one output"} [N, boxes, 5 + classes]'
        shape = output_shapes[pick('yolov5', self._output, output_shapes, expected)]
        if not fits(shape, (None, None, None)) or shape[2] in range(6):
            refuse('yolov5', expected, output_shapes)
        return max(size(shape, 2) - 5, 0)

    def scores(self, outputs):
        """Return objectness and class scores of all candidates."""
        (name,) = self.reads(outputs)
        return {name: outputs[name][..., 4:]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        (name,) = self.reads(outputs)
        for rows in outputs[name]:
            # No class can lift a box over its objectness: most boxes end here.
            rows = rows[rows[:, 4] >= score_threshold]
            yield _best_class(rows[:, :4], rows[:, 5:] * rows[:, 4:5], score_threshold)


class YoloV8Decoder(_YoloDecoder):
    """Reads [N, 4 + classes, boxes]: centre x, y, width, height in pixels, then scores.

    YOLOv8, v9 and v11 export this layout. `output` names the tensor where the network has
    several.
    """

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected = f'{self._output or "one output"} [N, 4 + classes, boxes]'
        shape = output_shapes[pick('yolov8', self._output, output_shapes, expected)]
        if not fits(shape, (None, None, None)) or shape[1] in range(5):
            refuse('yolov8', expected, output_shapes)
        if size(shape, 1) > size(shape, 2) > 0:
            refuse('yolov8', f'{expected} with more boxes than classes', output_shapes)
        return max(size(shape, 1) - 4, 0)

    def scores(self, outputs):
        """Return the class scores of all candidates."""
        (name,) = self.reads(outputs)
        return {name: outputs[name][:, 4:]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        (name,) = self.reads(outputs)
        for columns in outputs[name]:
            rows = columns[:, (columns[4:] >= score_threshold).any(axis=0)].T
            yield _best_class(rows[:, :4], rows[:, 4:], score_threshold)


def _best_class(centred: np.ndarray, scores: np.ndarray, score_threshold: float) -> Candidates:
    """Return the boxes that count, of (n, 4) with centre and size, by their best class."""
    # A NaN would win argmax and hide a good class beside it.
    scores = np.where(np.isfinite(scores), scores, -1.0)
    class_ids = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), class_ids]
    kept = np.flatnonzero(best >= score_threshold)
    kept = kept[best_candidates(best[kept])]
    centre, half = centred[kept, :2], centred[kept, 2:] / 2
    xyxy = np.concatenate((centre - half, centre + half), axis=1)
    return xyxy, best[kept], class_ids[kept]
