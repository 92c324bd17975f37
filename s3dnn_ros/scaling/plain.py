"""Graphs written plainly: in order, with all constants as initializers, and nothing unread."""

from __future__ import annotations

from typing import List, Optional

import onnx

from s3dnn_ros.models.flow import Flow, reads_of

# From this version of the file format on, initializers need not be inputs as well.
_IR_VERSION = 4


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in topological order whose constants are all initializers."""
    flow = Flow(model)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.ir_version = max(result.ir_version, _IR_VERSION)
    graph = result.graph
    for value in [value for value in graph.input if value.name in flow.stored]:
        graph.input.remove(value)
    del graph.node[:]
    for node in [*flow.constants, *flow.nodes]:
        value = next((item.t for item in node.attribute if item.name == 'value'), None)
        if node.op_type == 'Constant' and value is not None:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
        else:
            graph.node.add().CopyFrom(node)
    return result


def without_unread(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop, in place, nodes and constants that no output needs; return the network.

    Its nodes are in topological order.
    """
    graph = model.graph
    needed = {value.name for value in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(reads_of(node))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(nodes)]
    del graph.node[:]
    graph.node.extend(copies)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in needed]:
        graph.initializer.remove(tensor)
    return model


def fixed_shape(shape: List) -> Optional[List[int]]:
    """Return a shape for one image; None where a size other than the batch is not known."""
    sizes = [size if isinstance(size, int) or axis else 1 for axis, size in enumerate(shape)]
    return sizes if all(isinstance(size, int) for size in sizes) else None
