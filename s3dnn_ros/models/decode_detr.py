"""DETR and its successors: a fixed number of boxes, of which none has to be left out."""

from __future__ import annotations

import numpy as np

from s3dnn_ros.models.box_decoder import BoxDecoder
from s3dnn_ros.models.boxes import Candidates, at_least, best_candidates, nothing
from s3dnn_ros.models.shapes import Shapes, fits, pick, refuse, size
from s3dnn_ros.models.yolo_tasks import corners

ACTIVATIONS = ('sigmoid', 'softmax')


class _DetrDecoder(BoxDecoder):
    """Reads boxes with centre and size in 0..1, and scores of all classes."""

    suppress = staticmethod(nothing)

    def __init__(self, width: int, height: int):
        super().__init__(width, height)
        self._scale = np.array([width, height] * 2, np.float32)

    def _of_image(self, boxes, scores, score_threshold) -> Candidates:
        """Return the candidates among boxes (n, 4), which count once for each class."""
        rows, class_ids = at_least(scores, score_threshold)
        found = scores[rows, class_ids]
        best = best_candidates(found)
        return Candidates(corners(boxes[rows[best]].astype(np.float32) * self._scale),
                          found[best], class_ids[best])


class RtDetrDecoder(_DetrDecoder):
    """Reads [N, boxes, 4 + classes] of RT-DETR as Ultralytics exports it; scores are final.

    `output` names the tensor where the network has several.
    """

    def __init__(self, width: int, height: int, output: str = ''):
        super().__init__(width, height)
        self._output = output

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected = f'{self._output or "one output"} [N, boxes, 4 + classes]'
        shape = output_shapes[pick('rtdetr', self._output, output_shapes, expected)]
        if not fits(shape, (None, None, None)) or shape[2] in range(5):
            refuse('rtdetr', expected, output_shapes)
        return max(size(shape, 2) - 4, 0)

    def reads(self, outputs):
        """Return the output that is named, or the only one."""
        return (self._output or next(iter(outputs)),)

    def scores(self, outputs):
        """Return the scores of all boxes."""
        (name,) = self.reads(outputs)
        return {name: outputs[name][..., 4:]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        (name,) = self.reads(outputs)
        for rows in outputs[name]:
            yield self._of_image(rows[:, :4], rows[:, 4:], score_threshold)


class DetrDecoder(_DetrDecoder):
    """Reads `logits` [N, boxes, classes] and `boxes` [N, boxes, 4], as Hugging Face exports them.

    They name the outputs. Logits become scores by `activation`: sigmoid (RT-DETR, D-FINE,
    Deformable DETR), or softmax (DETR), where the last class stands for no object and is left out.
    """

    def __init__(self, width: int, height: int, logits: str = 'logits', boxes: str = 'pred_boxes',
                 activation: str = 'sigmoid'):
        if activation not in ACTIVATIONS:
            raise ValueError(f'activation is {activation!r}; expected one of '
                             f'{", ".join(ACTIVATIONS)}')
        super().__init__(width, height)
        self._logits, self._boxes = logits, boxes
        self._is_softmax = activation == 'softmax'

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        logits, boxes = (output_shapes.get(name, ()) for name in (self._logits, self._boxes))
        count = boxes[1] if len(boxes) == 3 and isinstance(boxes[1], int) else None
        if (not fits(logits, (None, count, None)) or not fits(boxes, (None, None, 4))
                or logits[2] in range(1 + self._is_softmax)):
            refuse('detr', f'{self._logits} [N, boxes, classes], {self._boxes} [N, boxes, 4]',
                   output_shapes)
        return max(size(logits, 2) - self._is_softmax, 0)

    def reads(self, outputs):
        """Return the outputs of logits and boxes."""
        return self._logits, self._boxes

    def scores(self, outputs):
        """Return the logits."""
        return {self._logits: outputs[self._logits]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        for logits, boxes in zip(outputs[self._logits], outputs[self._boxes]):
            yield self._of_image(boxes, self._activated(logits.astype(np.float32)),
                                 score_threshold)

    def _activated(self, logits) -> np.ndarray:
        with np.errstate(over='ignore', invalid='ignore'):      # NaN stays, and is no score
            if self._is_softmax:
                weights = np.exp(logits - logits.max(axis=1, keepdims=True))
                return (weights / weights.sum(axis=1, keepdims=True))[:, :-1]
            return 1.0 / (1.0 + np.exp(-logits))
