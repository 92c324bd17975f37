"""Low-rank variants of networks of which only the shapes are known."""

from __future__ import annotations

import collections
import math
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import onnx
from onnx import TensorProto, helper

from s3dnn_ros.lab.layers import FREE, FUSED, Layer, layers_of
from s3dnn_ros.models.chains import attribute

# What a convolution of the NeuOS authors' VGG keeps of its work, but for the first two.
KEPT = 0.52
# Gives the rank for a convolution's number, from 0 on, and for the dimensions of its weight.
Ranks = Callable[[int, Sequence[int]], int]


class Pair(NamedTuple):
    """A layer as it is, and as a chain of low rank; None if it has none."""

    exact: Layer
    low_rank: Optional[Tuple[Layer, ...]]


def pairs_of(model: onnx.ModelProto, rank: Ranks) -> List[Pair]:
    """Return a network's layers, and what each convolution of k × k becomes at a rank.

    The chain is `separable` of `models.factors` (Tai et al., 2016), as in the NeuOS authors'
    code: k × 1 to so many channels, then 1 × k. Convolutions of 1 × 1, those in groups, and
    products with matrices stay as they are. The first axis of a tensor is its batch.
    """
    rewritten, counts = _rewritten(model, rank)
    exact, chains = layers_of(model), collections.deque(layers_of(rewritten))
    pairs = []
    for layer, count in zip(exact, counts):
        links = tuple(chains.popleft() for _ in range(count))
        pairs.append(Pair(layer, links if count > 1 else None))
    return pairs


def listed(ranks: Sequence[int]) -> Ranks:
    """Return what gives the ranks of a list, one for each convolution."""
    return lambda number, dims: ranks[number]


def for_work(share: float = KEPT) -> Ranks:
    """Return what gives the rank with which a chain has this share of the multiply-adds.

    INFERRED: the authors' ranks are known for AlexNet and VGG alone. Strides do not count.
    """
    def rank(number, dims):
        outputs, inputs, high, wide = dims
        return max(1, math.floor(share * math.prod(dims) / (inputs * high + outputs * wide)))

    return rank


def _rewritten(model, rank) -> Tuple[onnx.ModelProto, List[int]]:
    """Return the network with all chains, and how many layers each of its layers became."""
    dims = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    nodes, weights, counts, number = [], [], [], 0
    for node in model.graph.node:
        if node.op_type == 'Conv':
            shape = dims[node.input[1]]
            if shape[2] > 1 and shape[3] > 1 and attribute(node, 'group', 1) == 1:
                chain, added = _chain(node, shape, rank(number, shape))
                nodes += chain
                weights += added
                counts.append(len(chain))
                number += 1
                continue
            number += 1
        if node.op_type not in FREE and node.op_type not in FUSED:
            counts.append(1)
        nodes.append(node)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(weights)
    return result, counts


def _chain(node, dims, rank):
    """Return the two convolutions that a node becomes, and their weights."""
    outputs, inputs, high, wide = dims
    name = node.output[0]
    top, left, bottom, right = attribute(node, 'pads', [0, 0, 0, 0])
    stride_y, stride_x = attribute(node, 'strides', [1, 1])
    weights = [TensorProto(name=f'{name}_{part}', dims=shape, data_type=TensorProto.FLOAT)
               for part, shape in (('first', [rank, inputs, high, 1]),
                                   ('second', [outputs, rank, 1, wide]))]
    first, second = (weight.name for weight in weights)
    return [helper.make_node('Conv', [node.input[0], first], [f'{name}_between'],
                             kernel_shape=[high, 1], strides=[stride_y, 1],
                             pads=[top, 0, bottom, 0]),
            helper.make_node('Conv', [f'{name}_between', second], [name],
                             kernel_shape=[1, wide], strides=[1, stride_x],
                             pads=[0, left, 0, right])], weights
