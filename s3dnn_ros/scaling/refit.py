"""Weights of a scaled network, fitted layer by layer to what the exact layers give.

Each layer reads what the fitted layers before it make of the images, and its weights are those
with which it comes nearest to the exact layer's outputs: a problem of least squares with one
solution, and no learning [He, Zhang and Sun, Channel pruning, 2017, section 3.2].
"""

from __future__ import annotations

import collections
import functools
from typing import Collection, Mapping, Optional

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from s3dnn_ros.engines.torch.onnx_to_torch import to_torch
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.scaling.exact import ExactLayers
from s3dnn_ros.scaling.judge import behind_image
from s3dnn_ros.scaling.rows import Rows

# What keeps weights where images say nothing of them, of the mean square of what a layer reads.
RIDGE = 1e-3


def refit(model: onnx.ModelProto, spec: ModelSpec, exact: ExactLayers,
          kept: Mapping[str, np.ndarray], frozen: Collection[str]) -> onnx.ModelProto:
    """Return a scaled network with weights that fit.

    Parameters
    ----------
    model : ModelProto
        Its layers give tensors of the same names as those of the exact network.
    kept : dict
        By name of a layer's weights, which filters of the exact layer it has; all if not there.
    frozen : collection of str
        Weights that stay as they are. So do those that several layers read.

    """
    network = behind_image(model, spec)
    student = to_torch(network, device=exact.device, fused=False, source=spec.name)
    readers = collections.Counter(name for node in network.graph.node for name in node.input)
    kinds = {tensor.name: tensor.data_type for tensor in network.graph.initializer}
    fitted = set()
    for node in network.graph.node:
        names = [name for name in node.input[1:] if name]
        if node.output[0] in exact.rows and not any(
                name in frozen or readers[name] > 1 or kinds.get(name) != TensorProto.FLOAT
                for name in names):
            fitted.update(names)
            student.around(node.output[0], functools.partial(
                _fit, exact.rows[node.output[0]], kept.get(node.input[1])))
    with torch.no_grad():
        student(exact.images)
    weights = student.weights()
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.name in fitted:
            array = weights[tensor.name].cpu().contiguous().numpy()
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
    return result


def _fit(rows: Rows, kept: Optional[np.ndarray], function, x, weight, bias=None):
    """Write weights and bias that fit into their tensors, and return what the layer gives."""
    wanted = rows.wanted if kept is None else rows.wanted[:, torch.from_numpy(kept)]
    wanted = wanted.reshape(len(wanted), rows.groups, -1).transpose(0, 1)
    read, before = rows.read(x, weight), rows.matrix(weight)
    middle = read.mean(1, keepdim=True), wanted.mean(1, keepdim=True)
    if bias is None:
        middle = torch.zeros_like(middle[0]), torch.zeros_like(middle[1])
    read = read - middle[0]
    matrix = before + _least_squares(read, wanted - middle[1] - read @ before)
    weight.copy_(rows.weights(matrix, weight.shape))
    if bias is not None:
        bias.copy_((middle[1] - middle[0] @ matrix).reshape(bias.shape))
    return function(x, weight, *(() if bias is None else (bias,)))


def _least_squares(read: torch.Tensor, missing: torch.Tensor) -> torch.Tensor:
    """Return the small matrices that give what is missing, by group."""
    turned = read.transpose(1, 2)
    count, inputs = read.shape[1:]
    ridge = RIDGE * read.square().sum((1, 2), keepdim=True) / inputs + 1e-12
    # the smaller one of two equal forms
    square = turned @ read if inputs <= count else read @ turned
    square = square + ridge * torch.eye(square.shape[1], device=read.device)
    if inputs <= count:
        return torch.linalg.solve(square, turned @ missing)
    return turned @ torch.linalg.solve(square, missing)
