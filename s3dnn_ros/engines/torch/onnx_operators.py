"""ONNX operators as torch functions: nodes, tables, and everything that works on single numbers.

A table maps an operator type to a builder, which reads a node's attributes once and returns the
function that runs it. Semantics are those of https://onnx.ai/onnx/operators, opset 9 and later.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import torch
import torch.nn.functional as F
from onnx import TensorProto

from s3dnn_ros.models.soundness import type_name

Function = Callable[..., Any]

DTYPES = {
    TensorProto.FLOAT: torch.float32, TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.UINT8: torch.uint8, TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16, TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64, TensorProto.BOOL: torch.bool,
}


class Unsupported(Exception):
    """What a node asks for has no exact counterpart in torch; the text says what that is."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the graph, '' for inputs that are absent and outputs that nobody uses.

    `constants` holds the inputs that are constants, None for others; `floats` is the type of
    all floating-point numbers (None: as in the file); `inplace` tells that the function may
    write over its first argument.
    """

    kind: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    constants: Tuple[Optional[torch.Tensor], ...] = ()
    floats: Optional[torch.dtype] = None
    inplace: bool = False

    def get(self, name: str, default=None):
        """Return an attribute."""
        return self.attributes.get(name, default)

    def constant(self, index: int) -> Optional[torch.Tensor]:
        """Return an input that is a constant, or None."""
        return self.constants[index] if index < len(self.constants) else None


@dataclasses.dataclass(frozen=True)
class Operator:
    """How a node becomes a function.

    Arguments at the positions `host` are passed as CPU tensors, whose values the function may
    read. `shape_only` marks functions that read nothing but the shape of their argument.
    """

    build: Callable[[Node], Function]
    host: Tuple[int, ...] = ()
    shape_only: bool = False


class Table(Dict[str, Operator]):
    """Operators by type."""

    def add(self, kind: str, host: Tuple[int, ...] = (), shape_only: bool = False):
        """Return a decorator that enters a builder."""
        def enter(build):
            self[kind] = Operator(build, host, shape_only)
            return build
        return enter

    def add_functions(self, functions: Mapping[str, Function]) -> None:
        """Enter functions of nodes that have no attributes."""
        for kind, function in functions.items():
            self[kind] = Operator(lambda node, function=function: function)


def numbers(tensor: Optional[torch.Tensor]) -> Optional[List]:
    """Return the values of a host argument as a flat list, None if it is absent."""
    return None if tensor is None else tensor.reshape(-1).tolist()


def representable(number: float, dtype: torch.dtype) -> float:
    """Return the number of a type that is nearest to one that may lie out of its range."""
    limits = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    if dtype.is_floating_point and number in (float('inf'), float('-inf')):
        return number
    return min(max(number, limits.min), limits.max)


POINTWISE = Table()
POINTWISE.add_functions({
    'Abs': torch.abs, 'Ceil': torch.ceil, 'Cos': torch.cos, 'Erf': torch.erf, 'Exp': torch.exp,
    'Floor': torch.floor, 'Identity': lambda x: x, 'Log': torch.log, 'Neg': torch.neg,
    'Not': torch.logical_not, 'Reciprocal': torch.reciprocal, 'Round': torch.round,
    'Sigmoid': torch.sigmoid, 'Sign': torch.sign, 'Sin': torch.sin, 'Softplus': F.softplus,
    'Softsign': F.softsign, 'Sqrt': torch.sqrt, 'Tanh': torch.tanh,
    'Add': torch.add, 'Sub': torch.sub, 'Mul': torch.mul, 'MatMul': torch.matmul,
    'And': torch.logical_and, 'Or': torch.logical_or, 'Xor': torch.logical_xor,
    'Equal': torch.eq, 'Greater': torch.gt, 'GreaterOrEqual': torch.ge,
    'Less': torch.lt, 'LessOrEqual': torch.le, 'Where': torch.where,
    'Max': lambda *xs: functools.reduce(torch.maximum, xs),
    'Min': lambda *xs: functools.reduce(torch.minimum, xs),
    'Sum': lambda *xs: functools.reduce(torch.add, xs),
    'Mean': lambda *xs: functools.reduce(torch.add, xs) / len(xs),
    # the exponent may have another type; the result has that of the base
    'Pow': lambda x, exponent: torch.pow(x, exponent).to(x.dtype),
    'PRelu': lambda x, slope: torch.where(x < 0, x * slope, x),
    'Div': lambda x, y: torch.div(x, y, rounding_mode=None if x.is_floating_point() else 'trunc'),
})


@POINTWISE.add('ScaleShift')
def _scale_shift(node: Node) -> Function:
    """Build what onnx_fusion makes of a normalisation: one factor and addend per channel."""
    def run(x, scale, shift):
        per_channel = (-1,) + (1,) * (x.dim() - 2)
        return torch.addcmul(shift.reshape(per_channel), x, scale.reshape(per_channel))

    return run


@POINTWISE.add('Relu')
def _relu(node: Node) -> Function:
    return functools.partial(F.relu, inplace=node.inplace)


@POINTWISE.add('LeakyRelu')
def _leaky_relu(node: Node) -> Function:
    slope = node.get('alpha', 0.01)
    return lambda x: F.leaky_relu(x, slope, inplace=node.inplace)


@POINTWISE.add('Elu')
def _elu(node: Node) -> Function:
    alpha = node.get('alpha', 1.0)
    return lambda x: F.elu(x, alpha, inplace=node.inplace)


@POINTWISE.add('Selu')
def _selu(node: Node) -> Function:
    alpha = node.get('alpha', 1.6732632423543772)
    gamma = node.get('gamma', 1.0507009873554805)
    return lambda x: gamma * F.elu(x, alpha)


@POINTWISE.add('Silu')
def _silu(node: Node) -> Function:
    return functools.partial(F.silu, inplace=node.inplace)


@POINTWISE.add('Mish')
def _mish(node: Node) -> Function:
    return functools.partial(F.mish, inplace=node.inplace)


@POINTWISE.add('HardSwish')
def _hard_swish(node: Node) -> Function:
    return functools.partial(F.hardswish, inplace=node.inplace)


@POINTWISE.add('HardSigmoid')
def _hard_sigmoid(node: Node) -> Function:
    if is_sixth(node):
        return F.hardsigmoid
    alpha, beta = node.get('alpha', 0.2), node.get('beta', 0.5)
    return lambda x: torch.clamp(x * alpha + beta, 0.0, 1.0)


def is_sixth(node: Node) -> bool:
    """Tell whether a HardSigmoid is that of torch, clip(x / 6 + 1 / 2, 0, 1)."""
    return abs(node.get('alpha', 0.2) - 1 / 6) < 1e-6 and node.get('beta', 0.5) == 0.5


@POINTWISE.add('Gelu')
def _gelu(node: Node) -> Function:
    return functools.partial(F.gelu, approximate=node.get('approximate', 'none'))


@POINTWISE.add('Clip', host=(1, 2))
def _clip(node: Node) -> Function:
    def run(x, low=None, high=None):
        low = node.get('min') if low is None else low.item()
        high = node.get('max') if high is None else high.item()
        if low is None and high is None:
            return x
        low, high = (bound if bound is None else representable(bound, x.dtype)
                     for bound in (low, high))
        return clamp(x, low, high)

    clamp = torch.clamp_ if node.inplace else torch.clamp
    return run


@POINTWISE.add('Mod')
def _mod(node: Node) -> Function:
    return torch.fmod if node.get('fmod', 0) else torch.remainder


@POINTWISE.add('Cast')
def _cast(node: Node) -> Function:
    dtype = DTYPES.get(node.get('to'))
    if dtype is None:
        raise Unsupported(f'to {type_name(node.get("to"))}')
    if dtype.is_floating_point and node.floats:
        dtype = node.floats
    return lambda x: x.to(dtype)


@POINTWISE.add('Dropout')
def _dropout(node: Node) -> Function:
    if any(node.outputs[1:]):
        raise Unsupported('with its mask')
    return lambda x, ratio=None, training=None: x


@POINTWISE.add('Softmax')
def _softmax(node: Node) -> Function:
    return _normalised(node, torch.softmax)


@POINTWISE.add('LogSoftmax')
def _log_softmax(node: Node) -> Function:
    return _normalised(node, torch.log_softmax)


def _normalised(node: Node, function: Function) -> Function:
    if node.opset >= 13:
        return lambda x: function(x, node.get('axis', -1))
    # before opset 13 all axes from this one on count as one
    axis = node.get('axis', 1)
    return lambda x: function(x.flatten(axis), -1).reshape(x.shape)


@POINTWISE.add('Gemm')
def _gemm(node: Node) -> Function:
    alpha, beta = node.get('alpha', 1.0), node.get('beta', 1.0)

    def run(a, b, c=None):
        a = a.t() if node.get('transA', 0) else a
        b = b.t() if node.get('transB', 0) else b
        if c is None:
            return torch.mm(a, b) * alpha
        return torch.addmm(c, a, b, beta=beta, alpha=alpha)

    return run
