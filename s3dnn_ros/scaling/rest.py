"""What nobody reads any more once a part of a graph is gone."""

from __future__ import annotations

import onnx

from s3dnn_ros.models.flow import reads_of


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
