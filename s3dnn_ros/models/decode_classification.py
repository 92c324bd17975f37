"""Classification: the best classes of an image, each as a box around the whole of it."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Tuple

import numpy as np

from s3dnn_ros.models.boxes import Boxes, best_candidates, expect_scores
from s3dnn_ros.models.shapes import Shapes, pick, refuse, size


class ClassificationDecoder:
    """Reads [N, classes] (or [N, classes, 1, 1]); gives the `top_k` best classes.

    `softmax` turns logits into scores; leave it off where the network ends in a softmax.
    `output` names the tensor where the network has several.
    """

    def __init__(
        self, width: int, height: int, top_k: int = 1, softmax: bool = False, output: str = ''
    ):
        if top_k < 1:
            raise ValueError(f'top_k is {top_k}; expected 1 or more')
        self._box = np.array([0, 0, width, height], np.float32)
        self._top_k, self._softmax, self._output = top_k, softmax, output

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected = f'{self._output or "one output"} [N, classes]'
        shape = output_shapes[pick('classification', self._output, output_shapes, expected)]
        if (len(shape) < 2 or shape[1] == 0
                or any(size(shape, axis) != 1 for axis in range(2, len(shape)))):
            refuse('classification', expected, output_shapes)
        return size(shape, 1)

    def reads(self, outputs: Iterable[str]) -> Tuple[str, ...]:
        """Return the output that is named, or the only one."""
        return (self._output or next(iter(outputs)),)

    def scores(self, outputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Return all that it reads."""
        (name,) = self.reads(outputs)
        return {name: outputs[name]}

    def decode(
        self,
        outputs: Mapping[str, np.ndarray],
        score_threshold: float,
        iou_threshold: float,
        max_detections: int,
    ) -> List[Boxes]:
        """Return one Boxes per image; see `decoders.Decoder`."""
        self.check({name: array.shape for name, array in outputs.items()})
        (output,) = self.scores(outputs).values()
        scores = output.reshape(output.shape[:2]).astype(np.float32)
        if self._softmax:
            scores = np.exp(scores - np.nanmax(scores, axis=1, keepdims=True))
            scores /= np.nansum(scores, axis=1, keepdims=True)
        limit = min(self._top_k, max_detections)
        return [self._top(row, score_threshold, limit) for row in scores]

    def _top(self, scores: np.ndarray, score_threshold: float, limit: int) -> Boxes:
        best = best_candidates(scores, limit)
        best = best[scores[best] >= score_threshold]
        best = best[np.argsort(-scores[best], kind='stable')]
        expect_scores(scores[best], 'set decoder_options: {softmax: true} for logits')
        xyxy = np.tile(self._box, (len(best), 1))
        return Boxes(xyxy, scores[best], best.astype(np.int32))
