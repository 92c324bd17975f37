"""How many multiply-adds a network takes: what its convolutions and products cost an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence, Tuple

import onnx

from s3dnn_ros.models.flow import tensor_types
from s3dnn_ros.models.shapes import shape_of

_PRODUCTS = ('Gemm', 'MatMul')


@dataclass(frozen=True)
class Cost:
    """What a convolution, or a product with a matrix, takes for one image.

    `node` is its position in the graph. `source` and `target` are the sizes of its input and
    output over which the weight is applied: height and width of a convolution's, the rows of a
    product's.
    """

    node: int
    source: Tuple[int, ...]
    target: Tuple[int, ...]
    macs: int


def costs(model: onnx.ModelProto) -> List[Cost]:
    """Return what the convolutions and the products with a matrix take, in the graph's order.

    The first axis of a layer's input is the batch, unless it is the only one. A number of rows
    that is not known counts as 1; a convolution whose sizes are not known is left out.
    """
    shapes = {name: shape_of(value) for name, value in tensor_types(model).items()}
    shapes.update((tensor.name, list(tensor.dims)) for tensor in model.graph.initializer)
    found = []
    for index, node in enumerate(model.graph.node):
        if node.op_type == 'Constant':
            shapes.update((node.output[0], list(attribute.t.dims))
                          for attribute in node.attribute if attribute.name == 'value')
        elif node.op_type == 'Conv' or node.op_type in _PRODUCTS:
            cost = _cost(index, node, shapes)
            found += [cost] if cost else []
    return found


def multiply_adds(model: onnx.ModelProto) -> int:
    """Return the multiply-adds of a whole network for one image."""
    return sum(cost.macs for cost in costs(model))


def _cost(index: int, node: onnx.NodeProto, shapes: Mapping[str, Sequence]) -> Optional[Cost]:
    weight, source, target = (
        shapes.get(name, []) for name in (node.input[1], node.input[0], node.output[0]))
    if node.op_type in _PRODUCTS:
        rows = tuple(size for size in target[1:-1] if isinstance(size, int)) or (1,)
        source, target, is_known = rows, rows, len(weight) == 2
    else:
        source, target, is_known = tuple(source[2:]), tuple(target[2:]), len(weight) > 2
    if not is_known or not target or not all(
            isinstance(size, int) for size in (*weight, *source, *target)):
        return None
    return Cost(index, source, target, math.prod(target) * math.prod(weight))
