"""ONNX operators that move, select or sum numbers, and those that compute shapes."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import torch
import torch.nn.functional as F

from s3dnn_ros.engines.torch.onnx_layers import flat
from s3dnn_ros.engines.torch.onnx_operators import (
    Function,
    Node,
    Table,
    Unsupported,
    numbers,
    representable,
)

LAYOUT = Table()


@LAYOUT.add('Constant')
def _constant(node: Node) -> Function:
    for name, dtype in (('value', None), ('value_float', torch.float32),
                        ('value_floats', torch.float32), ('value_int', torch.int64),
                        ('value_ints', torch.int64)):
        if name in node.attributes:
            value = torch.as_tensor(node.get(name), dtype=dtype)
            return lambda: value
    raise Unsupported('of text or sparse numbers')


@LAYOUT.add('Shape', shape_only=True)
def _shape(node: Node) -> Function:
    return lambda x: torch.tensor(list(x.shape)[node.get('start', 0):node.get('end')],
                                  dtype=torch.int64)


@LAYOUT.add('Size', shape_only=True)
def _size(node: Node) -> Function:
    return lambda x: torch.tensor(x.numel())


@LAYOUT.add('ConstantOfShape', host=(0,))
def _constant_of_shape(node: Node) -> Function:
    value = node.get('value', torch.zeros(1))
    return lambda shape: value.expand(shape.tolist()).clone()


@LAYOUT.add('Range', host=(0, 1, 2))
def _range(node: Node) -> Function:
    return lambda start, limit, step: torch.arange(start.item(), limit.item(), step.item(),
                                                   dtype=start.dtype)


@LAYOUT.add('Reshape', host=(1,))
def _reshape(node: Node) -> Function:
    def run(x, shape):
        sizes = shape.tolist()
        if not node.get('allowzero', 0):
            sizes = [size or x.shape[axis] for axis, size in enumerate(sizes)]
        return x.reshape(sizes)

    return run


@LAYOUT.add('Flatten')
def _flatten(node: Node) -> Function:
    axis = node.get('axis', 1)
    return lambda x: x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@LAYOUT.add('Transpose')
def _transpose(node: Node) -> Function:
    return lambda x: x.permute(node.get('perm') or list(range(x.dim()))[::-1])


@LAYOUT.add('Squeeze', host=(1,))
def _squeeze(node: Node) -> Function:
    def run(x, axes=None):
        chosen = numbers(axes) or node.get('axes')
        if not chosen:
            return x.squeeze()
        for axis in sorted((axis % x.dim() for axis in chosen), reverse=True):
            x = x.squeeze(axis)
        return x

    return run


@LAYOUT.add('Unsqueeze', host=(1,))
def _unsqueeze(node: Node) -> Function:
    def run(x, axes=None):
        chosen = node.get('axes') or numbers(axes) or []
        rank = x.dim() + len(chosen)
        for axis in sorted(axis % rank for axis in chosen):
            x = x.unsqueeze(axis)
        return x

    return run


@LAYOUT.add('Concat')
def _concat(node: Node) -> Function:
    return lambda *xs: torch.cat(xs, node.get('axis'))


@LAYOUT.add('Split', host=(1,))
def _split(node: Node) -> Function:
    axis, parts = node.get('axis', 0), len(node.outputs)

    def run(x, sizes=None):
        chosen = numbers(sizes) or node.get('split')
        return tuple(x.split(chosen or -(-x.shape[axis] // parts), axis))

    return run


@LAYOUT.add('Slice', host=(1, 2, 3, 4))
def _slice(node: Node) -> Function:
    def run(x, starts=None, ends=None, axes=None, steps=None):
        starts, ends = (numbers(starts) or node.get('starts'), numbers(ends) or node.get('ends'))
        axes = numbers(axes) or node.get('axes') or range(len(starts))
        for start, end, axis, step in zip(starts, ends, axes,
                                          numbers(steps) or [1] * len(starts)):
            x = _sliced(x, axis % x.dim(), range(x.shape[axis])[start:end:step])
        return x

    return run


def _sliced(x: torch.Tensor, axis: int, chosen: range) -> torch.Tensor:
    if chosen.step > 0 or not chosen:
        where = slice(chosen.start, max(chosen.start, chosen.stop), chosen.step)
        return x[(slice(None),) * axis + (where,)] if chosen else x.narrow(axis, 0, 0)
    # torch knows no negative steps
    where = slice(chosen[-1], chosen[0] + 1, -chosen.step)
    return x[(slice(None),) * axis + (where,)].flip(axis)


@LAYOUT.add('Gather')
def _gather(node: Node) -> Function:
    axis, constant = node.get('axis', 0), node.constant(1)
    if constant is not None and constant.dim() == 0:
        index = int(constant)
        return lambda x, _: x.select(axis, index)
    positive = constant is not None and bool((constant >= 0).all())

    def run(x, indices):
        indices = indices if positive else _wrapped(indices, x.shape[axis])
        before, after = x.shape[:axis % x.dim()], x.shape[axis % x.dim() + 1:]
        return x.index_select(axis, indices.reshape(-1)).reshape(
            before + indices.shape + after)

    return run


@LAYOUT.add('GatherElements')
def _gather_elements(node: Node) -> Function:
    axis = node.get('axis', 0)
    return lambda x, indices: x.gather(axis, _wrapped(indices, x.shape[axis]).long())


def _wrapped(indices: torch.Tensor, size: int) -> torch.Tensor:
    return torch.where(indices < 0, indices + size, indices)


@LAYOUT.add('Pad', host=(1, 2, 3))
def _pad(node: Node) -> Function:
    mode = {'constant': 'constant', 'reflect': 'reflect', 'edge': 'replicate'}.get(
        node.get('mode', 'constant'))
    if mode is None:
        raise Unsupported(f'with mode {node.get("mode")}')

    def run(x, pads=None, value=None, axes=None):
        pads = node.get('pads') or numbers(pads)
        half = len(pads) // 2
        sides = [(0, 0)] * x.dim()
        for axis, pair in zip(numbers(axes) or range(x.dim()), zip(pads[:half], pads[half:])):
            sides[axis] = pair
        if mode == 'constant':
            number = node.get('value', 0.0) if value is None else value.item()
            return F.pad(x, flat(sides), value=representable(number, x.dtype))
        if x.dim() not in (3, 4, 5) or any(map(any, sides[:2])):
            raise Unsupported(f'with mode {mode} of other axes than those of the image')
        return F.pad(x, flat(sides[2:]), mode)

    return run


@LAYOUT.add('DepthToSpace')
def _depth_to_space(node: Node) -> Function:
    size = node.get('blocksize')
    if node.get('mode', 'DCR') == 'CRD':
        return lambda x: F.pixel_shuffle(x, size)

    def run(x):
        images, depth, height, width = x.shape
        blocks = x.reshape(images, size, size, depth // size ** 2, height, width)
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(
            images, depth // size ** 2, height * size, width * size)

    return run


@LAYOUT.add('SpaceToDepth')
def _space_to_depth(node: Node) -> Function:
    size = node.get('blocksize')

    def run(x):
        images, depth, height, width = x.shape
        blocks = x.reshape(images, depth, height // size, size, width // size, size)
        return blocks.permute(0, 3, 5, 1, 2, 4).reshape(
            images, depth * size ** 2, height // size, width // size)

    return run


@LAYOUT.add('Expand', host=(1,))
def _expand(node: Node) -> Function:
    return lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


@LAYOUT.add('Tile', host=(1,))
def _tile(node: Node) -> Function:
    return lambda x, repeats: x.repeat(repeats.tolist())


@LAYOUT.add('TopK', host=(1,))
def _top_k(node: Node) -> Function:
    axis, largest, ordered = node.get('axis', -1), node.get('largest', 1), node.get('sorted', 1)
    return lambda x, count: tuple(x.topk(int(count), axis, bool(largest), bool(ordered)))


def _arg(node: Node, function: Function) -> Function:
    if node.get('select_last_index', 0):
        raise Unsupported('with select_last_index')
    return lambda x: function(x, node.get('axis', 0), bool(node.get('keepdims', 1)))


LAYOUT.add('ArgMax')(lambda node: _arg(node, torch.argmax))
LAYOUT.add('ArgMin')(lambda node: _arg(node, torch.argmin))


def _product(x: torch.Tensor, axes: Sequence[int], keepdim: bool) -> torch.Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim)
    return x


def _norm(order: int) -> Function:
    return lambda x, axes, keepdim: torch.linalg.vector_norm(x, order, axes, keepdim)


def _add_reduction(kind: str, function: Function) -> None:
    def build(node: Node) -> Function:
        def run(x, axes: Optional[torch.Tensor] = None):
            chosen = numbers(axes) or node.get('axes')
            if not chosen and node.get('noop_with_empty_axes', 0):
                return x
            return function(x, tuple(chosen or range(x.dim())), bool(node.get('keepdims', 1)))

        return run

    LAYOUT.add(kind, host=(1,))(build)


for _kind, _function in (('ReduceMean', torch.mean), ('ReduceSum', torch.sum),
                         ('ReduceMax', torch.amax), ('ReduceMin', torch.amin),
                         ('ReduceProd', _product), ('ReduceL1', _norm(1)),
                         ('ReduceL2', _norm(2))):
    _add_reduction(_kind, _function)
