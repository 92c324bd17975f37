"""ONNX graphs as torch modules: what follows from constants is computed here, once."""

from __future__ import annotations

import dataclasses
from typing import Collection, Dict, Iterable, List, Optional, Set

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from s3dnn_ros.engines.torch.module import INSTEAD, Step, TranslatedNetwork
from s3dnn_ros.engines.torch.onnx_fusion import fuse, used
from s3dnn_ros.engines.torch.onnx_layers import LAYERS
from s3dnn_ros.engines.torch.onnx_layout import LAYOUT
from s3dnn_ros.engines.torch.onnx_operators import POINTWISE, Node, Unsupported
from s3dnn_ros.engines.torch.onnx_resize import RESIZE
from s3dnn_ros.errors import ModelError

OPERATORS = {**POINTWISE, **LAYERS, **RESIZE, **LAYOUT}
OLDEST_OPSET = 9

_DOMAINS = ('', 'ai.onnx')


def to_torch(model: onnx.ModelProto, *, half=False, device='cpu', keep_half: Collection[str] = (),
             fused=True, source='ONNX graph') -> TranslatedNetwork:
    """Return a module that computes the outputs of a network.

    With `half`, floating-point numbers are float16 inside and, except in the outputs
    `keep_half`, float32 in the outputs. What is not `fused` has each weight as it is in the
    network, so that it can be trained. Raises ModelError, naming `source`, if torch cannot do
    exactly what the network asks for.
    """
    opset = max((entry.version for entry in model.opset_import if entry.domain in _DOMAINS),
                default=0)
    if opset < OLDEST_OPSET:
        raise ModelError(source, f'has opset {opset}; export it again with opset {OLDEST_OPSET} '
                                 f'or later, or {INSTEAD}')
    constants = {item.name: _tensor(item) for item in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in constants]
    outputs = [value.name for value in model.graph.output]
    translation = _Translation(constants, torch.float16 if half else None)
    nodes = used((read_node(proto, opset) for proto in model.graph.node), outputs)
    nodes = translation.folded(nodes)
    steps = translation.steps(fuse(nodes, constants, outputs) if fused else nodes)
    if translation.problems:
        raise ModelError(source, 'cannot be translated to torch because of '
                                 f'{", ".join(sorted(translation.problems))}; {INSTEAD}')
    return TranslatedNetwork(inputs, outputs, steps, constants, half=half, keep_half=keep_half,
                             source=str(source)).to(device)


def _tensor(proto: onnx.TensorProto) -> torch.Tensor:
    array = np.array(numpy_helper.to_array(proto))
    try:
        return torch.from_numpy(array)
    except TypeError:
        # bfloat16 and large unsigned integers: NumPy and torch have no type in common
        wide = np.int64 if array.dtype.kind == 'u' else np.float32
        return torch.from_numpy(array.astype(wide))


def read_node(proto: onnx.NodeProto, opset: int) -> Node:
    """Return a node as operators take it."""
    kind = proto.op_type if proto.domain in _DOMAINS else f'{proto.domain}.{proto.op_type}'
    attributes = {item.name: _attribute(item) for item in proto.attribute}
    return Node(kind, tuple(proto.input), tuple(proto.output), attributes, opset)


def _attribute(proto: onnx.AttributeProto):
    value = helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode()
    return _tensor(value) if isinstance(value, onnx.TensorProto) else value


class _Translation:
    """Turns nodes into constants and steps; `problems` are what stands in the way."""

    def __init__(self, constants: Dict[str, torch.Tensor], floats: Optional[torch.dtype]):
        self.problems: Set[str] = set()
        self._constants = constants
        self._floats = floats

    def folded(self, nodes: Iterable[Node]) -> List[Node]:
        """Return the nodes that depend on an input; the others become constants."""
        rest = []
        for node in nodes:
            if not all(name in self._constants for name in filter(None, node.inputs)):
                rest.append(node)
                continue
            step = self._step(node, set(self._constants))
            if step:
                self._constants.update(
                    step.run([self._constants.get(name) for name in step.arguments]))
        return rest

    def steps(self, nodes: Iterable[Node]) -> List[Step]:
        """Return the nodes as steps."""
        known, steps = set(self._constants), []
        for node in nodes:
            step = self._step(node, known)
            if step:
                steps.append(step)
                known.update(step.results if step.shapes_only else ())
        return steps

    def _step(self, node: Node, known: Set[str]) -> Optional[Step]:
        """Return a node as a step, None (and a problem) if that is impossible.

        `known` are the tensors whose values the host has, at the latest when shapes are known.
        """
        operator = OPERATORS.get(node.kind)
        if operator is None:
            self.problems.add(node.kind)
            return None
        here = [not name or name in known for name in node.inputs]
        if not all(here[index] for index in operator.host if index < len(here)):
            self.problems.add(f'{node.kind} with sizes that depend on the data')
            return None
        shapes_only = operator.shape_only or all(here)
        on_host = (here if all(here)
                   else [index in operator.host for index in range(len(here))])
        try:
            function = operator.build(dataclasses.replace(
                node, constants=tuple(map(self._constants.get, node.inputs)),
                floats=None if shapes_only else self._floats))
        except Unsupported as error:
            self.problems.add(f'{node.kind} {error}')
            return None
        return Step(node.kind, function, node.inputs, tuple(on_host), node.outputs, shapes_only)
