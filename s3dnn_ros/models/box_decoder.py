"""What all decoders of boxes share: from each image's candidates to its final boxes."""

from __future__ import annotations

import abc
from typing import Iterable, List, Mapping, Tuple

import numpy as np

from s3dnn_ros.models.boxes import Boxes, select
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
    def candidates(self, outputs: Mapping[str, np.ndarray],
                   score_threshold: float) -> Iterable[Candidates]:
        """Yield the candidates of one image after the other; `outputs` have been checked."""

    def decode(self, outputs: Mapping[str, np.ndarray], score_threshold: float,
               iou_threshold: float, max_detections: int) -> List[Boxes]:
        """Return one Boxes per image; see `decoders.Decoder`."""
        self.check({name: array.shape for name, array in outputs.items()})
        return [select(*candidates, self._width, self._height, iou_threshold, max_detections)
                for candidates in self.candidates(outputs, score_threshold)]
