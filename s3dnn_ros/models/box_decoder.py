"""What all decoders of boxes share: from each image's candidates to its final boxes."""

from __future__ import annotations

import abc
from typing import Dict, Iterable, List, Mapping, Tuple

import numpy as np

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.boxes import (
    Boxes,
    Candidates,
    Suppress,
    expect_scores,
    overlaps_of_one_class,
    select,
)
from s3dnn_ros.models.shapes import Shapes


class BoxDecoder(abc.ABC):
    """A `decoders.Decoder` that has only to find the candidates of each image.

    Their boxes are in pixels of the network's input. A subclass may say which of them `suppress`
    leaves out, and `finish` what is more than boxes.
    """

    suppress: Suppress = staticmethod(overlaps_of_one_class)

    def __init__(self, width: int, height: int):
        self._width, self._height = width, height

    @abc.abstractmethod
    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""

    @abc.abstractmethod
    def reads(self, outputs: Iterable[str]) -> Tuple[str, ...]:
        """Return which outputs it reads; see `decoders.Decoder`."""

    @abc.abstractmethod
    def scores(self, outputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the scores that it reads; see `decoders.Decoder`."""

    @abc.abstractmethod
    def candidates(self, outputs: Mapping[str, np.ndarray],
                   score_threshold: float) -> Iterable[Candidates]:
        """Yield the candidates of one image after the other; `outputs` have been checked."""

    def finish(self, boxes: Boxes, rows: np.ndarray, outputs: Mapping[str, np.ndarray],
               image: int) -> Boxes:
        """Return an image's boxes with all that the network says of them.

        `rows` (n, m) are their candidates' ones.
        """
        return boxes

    def decode(self, outputs: Mapping[str, np.ndarray], score_threshold: float,
               iou_threshold: float, max_detections: int) -> List[Boxes]:
        """Return one Boxes per image; see `decoders.Decoder`."""
        self.check({name: array.shape for name, array in outputs.items()})
        images = {name: len(outputs[name]) for name in self.reads(outputs)}
        if len(set(images.values())) > 1:
            raise ModelError('outputs', f'are of different numbers of images ({images}); export '
                                        'the network again')
        found = []
        for image, candidates in enumerate(self.candidates(outputs, score_threshold)):
            expect_scores(candidates.scores, 'choose another decoder, or an `output` of boxes, or '
                                             'export the network with its sigmoid')
            chosen = select(candidates, self._width, self._height, iou_threshold, max_detections,
                            self.suppress)
            boxes = Boxes(chosen.xyxy, chosen.scores.astype(np.float32),
                          chosen.class_ids.astype(np.int32))
            found.append(self.finish(boxes, chosen.rows, outputs, image))
        return found
