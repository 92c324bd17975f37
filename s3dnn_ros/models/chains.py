"""Nodes of a graph written as chains of nodes with smaller weights."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from s3dnn_ros.models.factors import Factors, Link, Way


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute of a node, or the default where it is not stated."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


class ChainWriter:
    """Writes chains of nodes, and their weights once, under names that are free."""

    def __init__(self, model: onnx.ModelProto):
        graph = model.graph
        self.initializers: List[onnx.TensorProto] = []
        self._taken = {tensor.name for tensor in [*graph.initializer, *graph.input]}
        self._taken.update(name for node in graph.node for name in node.output)
        self._stored: Dict[Tuple, List[str]] = {}

    def chain(self, node: onnx.NodeProto, factors: Factors, way: Way) -> List[onnx.NodeProto]:
        """Return the nodes instead of `node`; the last one writes its output."""
        links = factors.chain(way)
        turned = attribute(node, 'transB', 0)
        key = node.input[1], node.op_type, turned, way.kind, way.ranks
        if key not in self._stored:
            self._stored[key] = [self._store(node, index, link, factors.data_type)
                                 for index, link in enumerate(links)]
        nodes, source = [], node.input[0]
        for index, (link, weight) in enumerate(zip(links, self._stored[key])):
            is_last = index == len(links) - 1
            target = node.output[0] if is_last else self._free(f'{node.output[0]}/low{index}')
            name = f'{node.name or node.output[0]}/low{index}'
            write = _convolution if node.op_type == 'Conv' else _product
            nodes.append(write(node, link, [source, weight], target, name, is_last))
            source = target
        return nodes

    def _store(self, node, index: int, link: Link, data_type) -> str:
        name = self._free(f'{node.input[1]}/low{index}')
        weight = link.weight if node.op_type == 'Conv' else link.weight.T
        array = np.ascontiguousarray(weight, data_type)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += '_'
        self._taken.add(name)
        return name


def _convolution(node, link: Link, inputs, target, name, is_last) -> onnx.NodeProto:
    """Return a link with the stride, padding and dilation of its axes, the last with the bias."""
    kernel = link.weight.shape[2:]
    count = len(kernel)
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    attributes = {'kernel_shape': kernel}
    for key in ('strides', 'dilations'):
        if key in values:
            attributes[key] = [value if axis in link.axes else 1
                               for axis, value in enumerate(values[key])]
    if values.get('auto_pad', b'NOTSET') != b'NOTSET':
        if link.axes:
            attributes['auto_pad'] = values['auto_pad']
    elif 'pads' in values:
        attributes['pads'] = [value if axis % count in link.axes else 0
                              for axis, value in enumerate(values['pads'])]
    bias = list(node.input[2:]) if is_last else []
    return helper.make_node('Conv', [*inputs, *bias], [target], name, **attributes)


def _product(node, link: Link, inputs, target, name, is_last) -> onnx.NodeProto:
    """Return a link of a product: of a Gemm, the first transposes and the last adds."""
    if node.op_type == 'Gemm' and is_last:
        scales = {key: attribute(node, key, 1.0) for key in ('alpha', 'beta')}
        return helper.make_node('Gemm', [*inputs, *node.input[2:]], [target], name, **scales)
    if node.op_type == 'Gemm' and attribute(node, 'transA', 0):
        return helper.make_node('Gemm', inputs, [target], name, transA=1)
    return helper.make_node('MatMul', inputs, [target], name)
