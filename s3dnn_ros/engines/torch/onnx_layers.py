"""ONNX layers that look at neighbours: convolutions, pooling and normalisation."""

from __future__ import annotations

import functools
from typing import List, Sequence, Tuple

import torch
import torch.nn.functional as F

from s3dnn_ros.engines.torch.onnx_operators import Function, Node, Table, Unsupported

LAYERS = Table()

Sides = Sequence[Tuple[int, int]]       # what is added before and after, per spatial axis

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def flat(sides: Sides) -> List[int]:
    """Return sides in the order of torch: last axis first."""
    return [size for pair in reversed(sides) for size in pair]


class _Window:
    """The window of a convolution or pooling: its attributes, and what it pads."""

    def __init__(self, node: Node, kernel: Sequence[int]):
        axes = len(kernel)
        self.kernel = tuple(kernel)
        self.stride = tuple(node.get('strides') or [1] * axes)
        self.dilation = tuple(node.get('dilations') or [1] * axes)
        self.auto = node.get('auto_pad', 'NOTSET')
        pads = node.get('pads') or [0] * (2 * axes)
        self._pads = list(zip(pads[:axes], pads[axes:]))

    def reach(self) -> List[int]:
        """Return the width of the window, with its holes."""
        return [(size - 1) * gap + 1 for size, gap in zip(self.kernel, self.dilation)]

    def sides(self, shape: Sequence[int]) -> Sides:
        """Return what is padded to an input of this spatial shape."""
        if self.auto == 'NOTSET':
            return self._pads
        if self.auto == 'VALID':
            return [(0, 0)] * len(shape)
        missing = (max((-(-size // step) - 1) * step + reach - size, 0)
                   for size, step, reach in zip(shape, self.stride, self.reach()))
        return [halves(total, self.auto) for total in missing]


def halves(total: int, auto_pad: str) -> Tuple[int, int]:
    """Split a padding in two; the odd one goes to the end with SAME_UPPER."""
    small, large = total // 2, total - total // 2
    return (small, large) if auto_pad == 'SAME_UPPER' else (large, small)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    """Return images with their channels last in memory: no copy where they are so already."""
    if x.dim() == 4 and x.is_floating_point():
        return x.contiguous(memory_format=torch.channels_last)
    return x


@LAYERS.add('Conv')
def _conv(node: Node) -> Function:
    def run(x, weight, bias=None):
        window = _Window(node, weight.shape[2:])
        sides = window.sides(x.shape[2:])
        if any(before != after for before, after in sides):
            x, sides = F.pad(x, flat(sides)), [(0, 0)] * len(sides)
        return _CONV[len(sides)](nhwc(x), weight, bias, window.stride,
                                 tuple(before for before, _ in sides), window.dilation,
                                 node.get('group', 1))

    return run


@LAYERS.add('ConvTranspose')
def _conv_transpose(node: Node) -> Function:
    def run(x, weight, bias=None):
        window = _Window(node, weight.shape[2:])
        extra = tuple(node.get('output_padding') or [0] * len(window.kernel))
        whole = [(size - 1) * step + reach + more for size, step, reach, more
                 in zip(x.shape[2:], window.stride, window.reach(), extra)]
        sides = _cut(node, window, x.shape[2:], whole)
        even = all(before == after >= 0 for before, after in sides)
        y = _CONV_TRANSPOSE[len(sides)](
            nhwc(x), weight, bias, window.stride,
            tuple(before for before, _ in sides) if even else 0, extra,
            node.get('group', 1), window.dilation)
        return y if even else F.pad(y, [-size for size in flat(sides)])

    return run


def _cut(node: Node, window: _Window, shape: Sequence[int], whole: Sequence[int]) -> Sides:
    """Return what is cut off the whole result of a transposed convolution."""
    wanted = node.get('output_shape')
    if wanted is None and window.auto in ('NOTSET', 'VALID'):
        return window.sides(shape)
    wanted = wanted or [size * step for size, step in zip(shape, window.stride)]
    totals = [size - want for size, want in zip(whole, wanted[-len(shape):])]
    if min(totals) < 0:
        raise Unsupported('with an output larger than what it computes')
    return [halves(total, window.auto) for total in totals]


@LAYERS.add('MaxPool')
def _max_pool(node: Node) -> Function:
    if any(node.outputs[1:]):
        raise Unsupported('with indices')
    window = _Window(node, node.get('kernel_shape'))
    ceil = bool(node.get('ceil_mode', 0))

    def run(x):
        sides = window.sides(x.shape[2:])
        if not _inside(sides, window.kernel):
            info = torch.finfo if x.is_floating_point() else torch.iinfo
            x = F.pad(x, flat(sides), value=info(x.dtype).min)
            sides = [(0, 0)] * len(sides)
        return _MAX_POOL[len(sides)](x, window.kernel, window.stride,
                                     tuple(before for before, _ in sides), window.dilation, ceil)

    return run


@LAYERS.add('AveragePool')
def _average_pool(node: Node) -> Function:
    window = _Window(node, node.get('kernel_shape'))
    if max(window.dilation) > 1:
        raise Unsupported('with dilations')
    ceil, padded = bool(node.get('ceil_mode', 0)), bool(node.get('count_include_pad', 0))

    def run(x):
        sides = window.sides(x.shape[2:])
        pool = functools.partial(_AVERAGE_POOL[len(sides)], kernel_size=window.kernel,
                                 stride=window.stride, ceil_mode=ceil)
        if _inside(sides, window.kernel):
            return pool(x, padding=tuple(before for before, _ in sides),
                        count_include_pad=padded)
        average = pool(F.pad(x, flat(sides)))
        if padded:
            return average
        return average / pool(F.pad(torch.ones_like(x[:1, :1]), flat(sides)))

    return run


def _inside(sides: Sides, kernel: Sequence[int]) -> bool:
    """Tell whether torch's pooling can do this padding itself."""
    return all(before == after <= size // 2 for (before, after), size in zip(sides, kernel))


@LAYERS.add('GlobalAveragePool')
def _global_average_pool(node: Node) -> Function:
    return lambda x: x.mean(tuple(range(2, x.dim())), keepdim=True)


@LAYERS.add('GlobalMaxPool')
def _global_max_pool(node: Node) -> Function:
    return lambda x: x.amax(tuple(range(2, x.dim())), keepdim=True)


@LAYERS.add('BatchNormalization')
def _batch_normalization(node: Node) -> Function:
    if node.get('training_mode', 0) or any(node.outputs[1:]):
        raise Unsupported('in training mode')
    epsilon = node.get('epsilon', 1e-5)
    return lambda x, scale, shift, mean, variance: F.batch_norm(
        x, mean, variance, scale, shift, False, 0.0, epsilon)


@LAYERS.add('InstanceNormalization')
def _instance_normalization(node: Node) -> Function:
    epsilon = node.get('epsilon', 1e-5)
    # as many groups as channels; torch refuses one pixel in instance_norm but not here
    return lambda x, scale, shift: torch.group_norm(x, x.shape[1], scale, shift, epsilon)


@LAYERS.add('LayerNormalization')
def _layer_normalization(node: Node) -> Function:
    if any(node.outputs[1:]):
        raise Unsupported('with statistics')
    axis, epsilon = node.get('axis', -1), node.get('epsilon', 1e-5)
    return lambda x, scale, shift=None: F.layer_norm(x, x.shape[axis:], scale, shift, epsilon)


@LAYERS.add('LRN')
def _lrn(node: Node) -> Function:
    size, bias = node.get('size'), node.get('bias', 1.0)
    alpha, beta = node.get('alpha', 1e-4), node.get('beta', 0.75)
    before, after = (size - 1) // 2, size // 2

    def run(x):
        # float32, because squares of activations leave the range of float16
        squares = x.float().square().flatten(2).transpose(1, 2)
        means = F.avg_pool1d(F.pad(squares, (before, after)), size, 1)
        means = means.transpose(1, 2).reshape(x.shape)
        return (x / (bias + alpha * means).pow(beta)).to(x.dtype)

    return run
