"""What the layers of an ONNX network ask of a GPU: arithmetic, and bytes to and from memory."""

from __future__ import annotations

import math
from typing import Dict, List, NamedTuple, Optional, Sequence

import onnx

from s3dnn_ros.models.flow import Flow, tensor_types
from s3dnn_ros.models.macs import costs
from s3dnn_ros.models.shapes import shape_of

# Engines compute these where their input is produced, and read only what else they need.
FUSED = frozenset({
    'Add', 'BatchNormalization', 'Cast', 'Clip', 'Div', 'Dropout', 'HardSigmoid', 'HardSwish',
    'LeakyRelu', 'Mul', 'PRelu', 'Relu', 'Sigmoid', 'Sub', 'Tanh'})
# These only give another view of what is there, or are known beforehand.
FREE = frozenset({'Concat', 'Constant', 'ConstantOfShape', 'Flatten', 'Identity', 'Reshape',
                  'Shape', 'Squeeze', 'Unsqueeze'})


class Layer(NamedTuple):
    """A kernel of an engine, and what is fused into it; numbers are for one image.

    `flops` counts a multiply-add as two. `moved` are the numbers that are read and written,
    `weights` those that are read once for a whole batch, `results` those that are written.
    `is_dense` tells whether it multiplies matrices that tensor cores take: no depthwise
    convolution.
    """

    flops: float
    moved: float
    weights: float
    results: float
    is_dense: bool = True


def layers_of(model: onnx.ModelProto) -> List[Layer]:
    """Return the layers of a network, or a segment, for its inputs' sizes at batch 1.

    The first axis of a tensor is its batch. An axis whose size nobody knows counts as 1. Raises
    ModelError if the graph is none.
    """
    flow = Flow(model)
    sizes = {name: _size(value) for name, value in tensor_types(model).items()}
    stored = {name: math.prod(tensor.dims) for name, tensor in flow.stored.items()}
    macs = {model.graph.node[cost.node].output[0]: cost.macs for cost in costs(model)}
    layers: List[Layer] = []
    for node, reads in zip(flow.nodes, flow.reads):
        if node.op_type in FREE:
            continue
        inputs = [sizes.get(name, 1.0) for name in reads if name in flow.born]
        if node.op_type in FUSED and layers:
            last = layers[-1]
            layers[-1] = last._replace(moved=last.moved + sum(inputs[1:]))
            continue
        results = sum(sizes.get(name, 1.0) for name in node.output if name)
        weights = sum(stored[name] for name in reads if name in stored)
        layers.append(Layer(2.0 * macs.get(node.output[0], 0.0), sum(inputs) + results, weights,
                            results, not _is_depthwise(node, flow.stored)))
    return layers


def cut(layers: Sequence[Layer], count: int) -> List[Sequence[Layer]]:
    """Return so many segments of about as many layers each; fewer if there are not so many."""
    count = min(count, len(layers))
    ends = [round(number * len(layers) / count) for number in range(count + 1)]
    return [layers[begin:end] for begin, end in zip(ends, ends[1:])]


def _size(value: onnx.ValueInfoProto) -> float:
    return float(math.prod(size if isinstance(size, int) else 1 for size in shape_of(value)[1:]))


def _is_depthwise(node: onnx.NodeProto, stored: Dict[str, onnx.TensorProto]) -> bool:
    weight: Optional[onnx.TensorProto] = (
        stored.get(node.input[1]) if node.op_type == 'Conv' else None)
    return weight is not None and weight.dims[1] == 1 and weight.dims[0] > 1
