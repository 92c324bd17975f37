"""Runs a network on images, and keeps what its layers read from them."""

from __future__ import annotations

import hashlib
from typing import Dict, Iterable

import numpy as np
import onnx

from s3dnn_ros.models.calibration import Calibration, Moments, Reading
from s3dnn_ros.models.flow import Flow, tensor_types
from s3dnn_ros.models.lowrank import readings
from s3dnn_ros.models.shapes import shape_of

COLOURS = 3


def calibrate(engine, spec, model: onnx.ModelProto, images: np.ndarray, source: str
              ) -> Calibration:
    """Return the moments of all inputs of layers that low rank may change.

    A layer that reads colours is left out: they are nearly alike in most images, and to lose
    the little in which they differ cost SqueezeNet more than all else. One image runs at a
    time, so that the tensors of no more than one are in memory.

    Parameters
    ----------
    engine, spec
        As for `Engine.load`.
    model : ModelProto
        The whole network, the image input in front.
    images : ndarray
        uint8 (N, H, W, 3), fitted to the network; `source` says what they are.

    """
    types, born = tensor_types(model), Flow(model).born
    read = [(name, axis) for name, axis in readings(model) if name in types.keys() & born.keys()
            and shape_of(types[name])[axis] != COLOURS]
    names = list(dict.fromkeys(name for name, _ in read))
    moments: Dict[Reading, Moments] = {}
    if read:
        exposed = _exposed(model, [types[name] for name in names])
        network = engine.load(spec.name, [exposed], names, spec, max_batch=1, keep=False)
        for image in images:
            tensors = network.run(image[np.newaxis])
            for name, axis in read:
                found = Moments.of(tensors[name], axis)
                known = moments.get((name, axis))
                moments[name, axis] = known + found if known else found
    digest = hashlib.sha256(model.SerializeToString(deterministic=True))
    digest.update(images.tobytes())
    return Calibration(source, digest.hexdigest(), moments)


def _exposed(model: onnx.ModelProto, values: Iterable[onnx.ValueInfoProto]) -> onnx.ModelProto:
    """Return a copy of a network that returns these tensors as well."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    given = {value.name for value in model.graph.output}
    result.graph.output.extend(value for value in values if value.name not in given)
    return result
