"""What all decoders of boxes share: from each image's candidates to its final boxes."""

from __future__ import annotations

import abc
from typing import Dict, Iterable, List, Mapping, Tuple

import numpy as np

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.boxes import Boxes, expect_scores, select
from s3dnn_ros.models.shapes import Shapes

# Boxes (n, 4) as left, top, right, bottom in pixels of the network's input, scores (n,) and
# class ids (n,) of one image.
Candidates = Tuple[np.ndarray, np.ndarray, np.ndarray]


class BoxDecoder(abc.ABC):
    """A `decoders.Decoder` that has only to find the candidates of each image."""

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

    def decode(self, outputs: Mapping[str, np.ndarray], score_threshold: float,
               iou_threshold: float, max_detections: int) -> List[Boxes]:
        """Return one Boxes per image; see `decoders.Decoder`."""
        self.check({name: array.shape for name, array in outputs.items()})
        images = {name: len(outputs[name]) for name in self.reads(outputs)}
        if len(set(images.values())) > 1:
            raise ModelError('outputs', f'are of different numbers of images ({images}); export '
                                        'the network again')
        found = []
        for xyxy, scores, class_ids in self.candidates(outputs, score_threshold):
            expect_scores(scores, 'choose another decoder, or an `output` of boxes, or export the '
                                  'network with its sigmoid')
            found.append(select(xyxy, scores, class_ids, self._width, self._height,
                                iou_threshold, max_detections))
        return found
