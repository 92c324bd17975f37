"""Frees the batch of a network that was exported for one image at a time, where that is safe."""

from __future__ import annotations

from typing import Dict, List, Set

import onnx
from onnx import TensorProto

from s3dnn_ros.models.shapes import shape_of

BATCH = 'N'
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def free_batch(model: onnx.ModelProto, input_name: str) -> bool:
    """Make the first size of an input symbolic, in place; return whether that was possible.

    It is tried with twice the batch: every tensor of numbers computed from the input must come
    out of shape inference with twice the batch in front. A reshape or resize that carries the
    old batch in a constant shows there, even if a later addition would broadcast it away.
    """
    doubled = onnx.ModelProto()
    doubled.CopyFrom(model)
    first = _input(doubled, input_name).type.tensor_type.shape.dim[0]
    batch = first.dim_value
    first.dim_value = 2 * batch
    # What was inferred for the old batch would contradict the new one.
    del doubled.graph.value_info[:]
    for output in doubled.graph.output:
        output.type.tensor_type.ClearField('shape')
    try:
        doubled = onnx.shape_inference.infer_shapes(doubled, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError):
        # ValueError for a type of numbers that ONNX does not have
        return False
    if any(attribute.HasField('g') for node in doubled.graph.node for attribute in node.attribute):
        return False
    if not all(shape[:1] == [2 * batch] for shape in _computed(doubled, input_name)):
        return False
    del model.graph.value_info[:]
    for value in [_input(model, input_name), *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return True


def _input(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(value for value in model.graph.input if value.name == name)


def _computed(model: onnx.ModelProto, input_name: str) -> List[List]:
    """Return the shapes of the float tensors that depend on an input, [] where unknown."""
    graph = model.graph
    known: Dict[str, onnx.ValueInfoProto] = {
        value.name: value for value in [*graph.value_info, *graph.output]
    }
    reached: Set[str] = {input_name}
    shapes: List[List] = []
    for node in graph.node:
        if reached.isdisjoint(node.input):
            continue
        for name in filter(None, node.output):
            reached.add(name)
            value = known.get(name)
            if value is None:
                shapes.append([])
            elif value.type.tensor_type.elem_type in _FLOATS:
                shapes.append(shape_of(value))
    return shapes
