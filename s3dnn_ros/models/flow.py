"""How tensors flow through an ONNX graph: order of nodes, constants, and what is alive where."""

from __future__ import annotations

import heapq
from typing import Dict, Iterable, Iterator, List, Set, Tuple

import onnx
from onnx import helper

from s3dnn_ros.base.content import shortened
from s3dnn_ros.errors import ModelError

# Nodes that give another result each time, so that a copy is not the same constant.
_RANDOM = {'RandomNormalLike', 'RandomUniformLike', 'Multinomial', 'Bernoulli'}
# Shape inference looks at the values of small constants only: shapes, axes, scales.
_SMALL = 1024


class Flow:
    """The computing nodes of a graph in topological order, apart from what is constant.

    `nodes` and `reads` belong together: node i reads the tensors reads[i], among them constants
    and what its subgraphs capture. A position p lies before node p; `born` is the first one at
    which a tensor exists, 0 for a network input. `stored` and `sparse` are the initializers,
    `constants` the nodes that depend on nothing else, in order.
    """

    def __init__(self, model: onnx.ModelProto):
        """Read a graph; raises ModelError if it has a circle or reads what nothing produces."""
        graph = model.graph
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer}
        fixed: Set[str] = {*self.stored, *self.sparse}
        self.inputs = [value.name for value in graph.input if value.name not in fixed]
        self.outputs = [value.name for value in graph.output]
        self.nodes: List[onnx.NodeProto] = []
        self.reads: List[Tuple[str, ...]] = []
        self.constants: List[onnx.NodeProto] = []
        self.born: Dict[str, int] = dict.fromkeys(self.inputs, 0)
        for node in _sorted(graph, {*self.inputs, *fixed}):
            reads = tuple(dict.fromkeys(reads_of(node)))
            if _is_constant(node) and fixed.issuperset(reads):
                self.constants.append(node)
                fixed.update(node.output)
                continue
            self.nodes.append(node)
            self.reads.append(reads)
            self.born.update((name, len(self.nodes)) for name in node.output if name)

    def alive(self) -> List[Tuple[str, ...]]:
        """Return the tensors that exist at each position and are read later, oldest first.

        The list has one entry more than there are nodes.
        """
        last = {
            name: index
            for index, reads in enumerate(self.reads)
            for name in reads
            if name in self.born
        }
        now = {name: None for name in self.inputs if name in last}
        result = [tuple(now)]
        for index, (node, reads) in enumerate(zip(self.nodes, self.reads)):
            for name in reads:
                if last.get(name) == index:
                    del now[name]
            now.update((name, None) for name in node.output if name in last)
            result.append(tuple(now))
        return result

    def constants_of(self, names: Iterable[str]) -> Tuple[List[onnx.NodeProto], Set[str]]:
        """Return the constant nodes behind tensors, in order, and all that they and `names` need.

        The second are names of tensors, `names` among them.
        """
        needed, nodes = set(names), []
        for node in reversed(self.constants):
            if not needed.isdisjoint(node.output):
                nodes.append(node)
                needed.update(node.input)
        return nodes[::-1], needed


def tensor_types(model: onnx.ModelProto) -> Dict[str, onnx.ValueInfoProto]:
    """Return the type of each tensor that shape inference finds; weights are not copied."""
    bare = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    graph, source = bare.graph, model.graph
    graph.name = source.name
    for field in ('node', 'input', 'output', 'value_info', 'sparse_initializer'):
        getattr(graph, field).extend(getattr(source, field))
    known = {value.name for value in source.input}
    for tensor in source.initializer:
        if _size(tensor) <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in known:
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(value)
    try:
        graph = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        # ValueError for a type of numbers that ONNX does not have, which its checker lets pass
        raise ModelError(f"ONNX graph '{source.name}'", 'has tensors whose shapes onnx cannot '
                         f'tell ({shortened(error)}); export the network again') from error
    return {value.name: value for value in [*graph.value_info, *graph.input, *graph.output]}


def _size(tensor: onnx.TensorProto) -> int:
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size


def _is_constant(node: onnx.NodeProto) -> bool:
    """Tell whether a node that reads only constants is one: not if it may act by chance."""
    if any(attribute.HasField('g') or attribute.graphs for attribute in node.attribute):
        return False
    return node.op_type == 'Constant' or (bool(node.input) and node.op_type not in _RANDOM)


def reads_of(node: onnx.NodeProto) -> Iterator[str]:
    """Give the tensors that a node reads, and those that its subgraphs take from outside."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in [*attribute.graphs, attribute.g]:
            own = {value.name for value in [*graph.input, *graph.initializer]}
            own.update(tensor.values.name for tensor in graph.sparse_initializer)
            own.update(name for inner in graph.node for name in inner.output)
            for inner in graph.node:
                yield from (name for name in reads_of(inner) if name not in own)
            yield from (value.name for value in graph.output if value.name not in own)


def _sorted(graph: onnx.GraphProto, known: Set[str]) -> List[onnx.NodeProto]:
    """Return the nodes in topological order; a graph that is in order keeps its own."""
    producer = {name: index for index, node in enumerate(graph.node) for name in node.output}
    missing: List[int] = []
    readers: Dict[int, List[int]] = {}
    for index, node in enumerate(graph.node):
        names = {name for name in reads_of(node) if name not in known}
        for name in names:
            if name not in producer:
                raise ModelError(
                    f"ONNX graph '{graph.name}'",
                    f"reads '{name}', which nothing produces; export the network again",
                )
        needed = {producer[name] for name in names}
        missing.append(len(needed))
        for other in needed:
            readers.setdefault(other, []).append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    order: List[onnx.NodeProto] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(graph.node[index])
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(graph.node):
        raise ModelError(
            f"ONNX graph '{graph.name}'", 'has nodes in a circle; export the network again'
        )
    return order
