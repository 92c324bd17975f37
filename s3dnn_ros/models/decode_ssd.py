"""SSD: boxes and scores in separate outputs, decoded by the network itself."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from s3dnn_ros.models.box_decoder import BoxDecoder
from s3dnn_ros.models.boxes import Candidates, at_least, best_candidates
from s3dnn_ros.models.shapes import Shapes, fits, refuse, size

ORDERS = ('xyxy', 'yxyx')


class SsdDecoder(BoxDecoder):
    """Reads boxes [N, n, 4] with scores [N, n, classes], or scores [N, n] with classes [N, n].

    `boxes`, `scores` and `classes` name the outputs; `classes` stays empty where scores are
    given per class. Boxes are in 0..1 if `normalised`, else in pixels of the network's input,
    their corners in `order` xyxy or yxyx. The first `background` classes are not objects and
    are left out of the numbering.
    """

    def __init__(
        self,
        width: int,
        height: int,
        boxes: str = 'boxes',
        scores: str = 'scores',
        classes: str = '',
        normalised: bool = True,
        order: str = 'xyxy',
        background: int = 1,
    ):
        if order not in ORDERS:
            raise ValueError(f'order is {order!r}; expected one of {", ".join(ORDERS)}')
        super().__init__(width, height)
        self._boxes, self._scores, self._classes = boxes, scores, classes
        self._scale = np.array([width, height] * 2 if normalised else [1] * 4, np.float32)
        self._columns = [1, 0, 3, 2] if order == 'yxyx' else [0, 1, 2, 3]
        self._background = int(background)

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes, 0 if `classes` is an output; see `decoders.Decoder`."""
        boxes = output_shapes.get(self._boxes, ())
        count = boxes[1] if len(boxes) == 3 and isinstance(boxes[1], int) else None
        per_box = (None, count) if self._classes else (None, count, None)
        wanted = [(self._boxes, (None, None, 4)), (self._scores, per_box)]
        if self._classes:
            wanted.append((self._classes, per_box))
        if not all(fits(output_shapes.get(name, ()), pattern) for name, pattern in wanted):
            shapes = ['[N, n, 4]', '[N, n]' if self._classes else '[N, n, classes]', '[N, n]']
            expected = ', '.join(f'{name} {text}' for (name, _), text in zip(wanted, shapes))
            refuse('ssd', expected, output_shapes)
        if self._classes:
            return 0
        return max(size(output_shapes[self._scores], 2) - self._background, 0)

    def reads(self, outputs):
        """Return the outputs of boxes, scores and classes."""
        return tuple(filter(None, (self._boxes, self._scores, self._classes)))

    def scores(self, outputs):
        """Return the scores of all candidates."""
        return {self._scores: outputs[self._scores]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        for image, boxes in enumerate(outputs[self._boxes]):
            rows, scores, class_ids = self._hits(outputs, image, score_threshold)
            best = best_candidates(scores)
            yield Candidates(boxes[rows[best]][:, self._columns] * self._scale, scores[best],
                             class_ids[best])

    def _hits(self, outputs, image, threshold) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores = outputs[self._scores][image]
        if self._classes:
            class_ids = outputs[self._classes][image].astype(np.int32) - self._background
            rows = np.flatnonzero((scores >= threshold) & (class_ids >= 0))
            return rows, scores[rows], class_ids[rows]
        scores = scores[:, self._background:]
        rows, class_ids = at_least(scores, threshold)
        return rows, scores[rows, class_ids], class_ids
