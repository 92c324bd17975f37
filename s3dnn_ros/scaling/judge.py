"""How near a scaled network is to the exact one, and how often it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Mapping, Optional

import numpy as np
import onnx

from s3dnn_ros.models.fidelity import fidelity, same_answers
from s3dnn_ros.models.graph import as_far_as_read, with_image_input
from s3dnn_ros.models.metadata import metadata_of
from s3dnn_ros.models.spec import ModelSpec


@dataclass(frozen=True)
class Figures:
    """What was measured of one network, each from 0 to 1; see `models.fidelity`.

    `accuracy` is the share of images whose best class is their label; None without labels.
    """

    fidelity: float
    answers: float
    accuracy: Optional[float] = None


def behind_image(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return a copy of a network that takes images, without outputs that nobody reads."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return with_image_input(as_far_as_read(copy, metadata_of(copy).complete(spec)), spec)


class Judge:
    """Compares networks with the exact one on the same images.

    Parameters
    ----------
    engine, spec
        As for `Engine.load`.
    exact : ModelProto
    images : ndarray
        uint8 [N, H, W, 3], fitted to the network.
    labels : ndarray, optional
        The classes of the images, [N].

    """

    def __init__(self, engine, spec: ModelSpec, exact: onnx.ModelProto, images: np.ndarray,
                 labels: Optional[np.ndarray] = None):
        self._engine, self._spec = engine, metadata_of(exact).complete(spec)
        self._images, self._labels = images, labels
        self._expected = self._outputs(exact)

    def fidelity(self, model: onnx.ModelProto) -> float:
        """Return how much of the exact outputs a network keeps, from 0 to 1."""
        return fidelity(self._expected, self._outputs(model))

    def figures(self, model: onnx.ModelProto) -> Figures:
        """Return all that is measured of a network."""
        found = self._outputs(model)
        return Figures(fidelity(self._expected, found),
                       same_answers(self._spec, self._expected, found),
                       None if self._labels is None else self._accuracy(found))

    def _accuracy(self, outputs: List[Mapping[str, np.ndarray]]) -> float:
        decoder = self._spec.make_decoder()
        best = [decoder.decode(each, 0.0, 1.0, 1)[0].class_ids for each in outputs]
        return float(np.mean([len(ids) > 0 and ids[0] == label
                              for ids, label in zip(best, self._labels)]))

    def _outputs(self, model: onnx.ModelProto) -> List[Mapping[str, np.ndarray]]:
        network = behind_image(model, self._spec)
        names = [value.name for value in network.graph.output]
        loaded = self._engine.load(self._spec.name, [network], names, self._spec, keep=False)
        return [loaded.run(image[np.newaxis]) for image in self._images]
