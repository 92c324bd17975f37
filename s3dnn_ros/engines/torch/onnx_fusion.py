"""Fusions that save a GPU passes over memory and leave results equal, within rounding."""

from __future__ import annotations

import collections
import dataclasses
from typing import Callable, Dict, Iterable, List, Optional, Sequence

import torch

from s3dnn_ros.engines.torch.onnx_operators import Node, is_sixth

Constants = Dict[str, torch.Tensor]

# Operators whose result is always new memory, and those that can write over it.
_FRESH = {'Conv', 'ConvTranspose', 'ScaleShift', 'Add'}
_INPLACE = {'Relu', 'LeakyRelu', 'Elu', 'Silu', 'Mish', 'HardSwish', 'Clip'}


def fuse(nodes: Iterable[Node], constants: Constants, outputs: Sequence[str]) -> List[Node]:
    """Return the nodes with those fused that allow it; adds the constants this makes."""
    for fusion in (_normalised, _gated, _inplace):
        nodes = used(_Pass(nodes, constants, outputs).run(fusion), outputs)
    return list(nodes)


def used(nodes: Iterable[Node], outputs: Sequence[str]) -> List[Node]:
    """Return the nodes that the outputs need, without the names of results nobody needs."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted.isdisjoint(node.outputs):
            continue
        wanted.update(filter(None, node.inputs))
        kept.append(dataclasses.replace(node, outputs=tuple(
            name if name in wanted else '' for name in node.outputs)))
    return kept[::-1]


class _Pass:
    """One way through the nodes; a fusion returns what replaces a node, or None."""

    def __init__(self, nodes: Iterable[Node], constants: Constants, outputs: Sequence[str]):
        self.constants = constants
        self._nodes = list(nodes)
        self._users = collections.Counter(outputs)
        self._users.update(name for node in self._nodes for name in node.inputs)
        self._makers: Dict[str, Node] = {}

    def run(self, fusion: Callable[[_Pass, Node], Optional[Node]]) -> Iterable[Node]:
        for node in self._nodes:
            node = fusion(self, node) or node
            self._makers.update(dict.fromkeys(node.outputs, node))
            yield node

    def sole(self, name: str) -> Optional[Node]:
        """Return the node that makes a tensor, if that is used only once."""
        return self._makers.get(name) if self._users[name] == 1 else None

    def constant(self, names: Iterable[str]) -> Optional[List[torch.Tensor]]:
        """Return constants as float64, None if not all are known."""
        tensors = [self.constants.get(name) for name in names]
        return None if any(item is None for item in tensors) else [x.double() for x in tensors]

    def store(self, node: Node, dtype: torch.dtype, **tensors: torch.Tensor) -> List[str]:
        """Keep constants of a node; return their names."""
        named = {f'{node.outputs[0]}/{role}/fused': x.to(dtype) for role, x in tensors.items()}
        self.constants.update(named)
        return list(named)


def _normalised(graph: _Pass, node: Node) -> Optional[Node]:
    """Fold a normalisation into the convolution before it, or into one scale and shift."""
    known = graph.constant(node.inputs[1:]) if node.kind == 'BatchNormalization' else None
    if known is None or node.get('training_mode', 0):
        return None
    gain, offset, mean, variance = known
    dtype = graph.constants[node.inputs[1]].dtype
    scale = gain / (variance + node.get('epsilon', 1e-5)).sqrt()
    shift = offset - mean * scale
    conv = graph.sole(node.inputs[0])
    weights = graph.constant(filter(None, conv.inputs[1:])) if conv else None
    if conv is None or conv.kind != 'Conv' or weights is None:
        names = graph.store(node, dtype, scale=scale, shift=shift)
        return dataclasses.replace(node, kind='ScaleShift', inputs=(node.inputs[0], *names))
    weight = weights[0] * scale.reshape(-1, *[1] * (weights[0].dim() - 1))
    bias = shift + weights[1] * scale if len(weights) > 1 else shift
    names = graph.store(node, dtype, weight=weight, bias=bias)
    return dataclasses.replace(conv, inputs=(conv.inputs[0], *names), outputs=node.outputs)


def _gated(graph: _Pass, node: Node) -> Optional[Node]:
    """Make x · sigmoid(x) one SiLU, x · hardsigmoid(x) one HardSwish."""
    if node.kind != 'Mul':
        return None
    for x, name in (node.inputs, node.inputs[::-1]):
        gate = graph.sole(name)
        if gate is None or gate.inputs != (x,):
            continue
        if gate.kind == 'Sigmoid' or (gate.kind == 'HardSigmoid' and is_sixth(gate)):
            kind = 'Silu' if gate.kind == 'Sigmoid' else 'HardSwish'
            return dataclasses.replace(node, kind=kind, inputs=(x,))
    return None


def _inplace(graph: _Pass, node: Node) -> Optional[Node]:
    """Let an activation write over the result that it alone reads."""
    maker = graph.sole(node.inputs[0]) if node.inputs and node.kind in _INPLACE else None
    if maker is None or maker.kind not in _FRESH:
        return None
    return dataclasses.replace(node, inplace=True)
