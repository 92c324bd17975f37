"""Low-rank variants of ONNX networks: less work for less exact layers.

NeuOS swaps layers for low-rank ones to gain time. Here any network, or segment of one, is
rewritten without training, on its weights and, where it is known, on what its layers read from
real images: names and shapes of inputs and outputs stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models.calibration import ALIKE, WEIGHTS_ALONE, Moments, Reading, Whitening
from s3dnn_ros.models.chains import ChainWriter, attribute
from s3dnn_ros.models.factors import Factors, Way
from s3dnn_ros.models.flow import Flow
from s3dnn_ros.models.macs import Cost, costs

# Work is dealt out to the layers in so many parts.
UNITS = 2000
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_DOMAINS = ('', 'ai.onnx')
# Before this version a Gemm must have a bias.
_BIASLESS_GEMM_OPSET = 11


@dataclass(frozen=True)
class Layer:
    """A layer that became a chain; `kind` and `ranks` as in `factors`.

    `error` is the norm of the change of its outputs, before the bias, over that of the outputs;
    of the weight instead where the input is not known.
    """

    name: str
    kind: str
    ranks: Tuple[int, ...]
    macs_before: int
    macs_after: int
    error: float


@dataclass(frozen=True)
class LowRank:
    """A rewritten network, and the layers that were changed in it."""

    model: onnx.ModelProto
    layers: Tuple[Layer, ...]


def low_rank(
    model: onnx.ModelProto,
    ratio: float,
    moments: Mapping[Reading, Moments] = WEIGHTS_ALONE.moments,
) -> LowRank:
    """Return a network that takes about `ratio` of the work; see `low_ranks`."""
    return low_ranks(model, (ratio,), moments)[0]


def low_ranks(
    model: onnx.ModelProto,
    ratios: Sequence[float],
    moments: Mapping[Reading, Moments] = WEIGHTS_ALONE.moments,
) -> List[LowRank]:
    """Return a network for each ratio; the network that is given stays as it is.

    Changed are convolutions of one group and products (Gemm, MatMul) with a constant matrix on
    the right. Together they take at most `ratio` of their work (see `factors`), or the least
    there is; what each layer gets of that is chosen so that the product of the shares of squares
    that layers keep, each to the power of its stake, is as large as it can be (DERIVED: the
    paper gives fixed ranks). So layers that lose much stay exact. The squares are those of a
    layer's outputs where `moments` (see `readings`) has its input, else those of its weight,
    at a stake of 1. A ratio of 1 or more gives the network itself. Raises ParameterError for a
    ratio that is not above 0.
    """
    for ratio in ratios:
        check_ratio(ratio)
    if all(ratio >= 1 for ratio in ratios):
        return [LowRank(model, ()) for _ in ratios]
    layers = decomposable(model, moments)
    ways = [layer.factors.ways() for layer in layers]
    stakes = [layer.factors.stake for layer in layers]
    found = []
    for ratio in ratios:
        if ratio >= 1 or not layers:
            found.append(LowRank(model, ()))
            continue
        chosen = [ways[place] for ways, place in zip(ways, _allot(ways, stakes, ratio))]
        found.append(rewritten(model, layers, chosen))
    return found


def check_ratio(ratio: float) -> None:
    """Raise ParameterError if a ratio is not above 0."""
    if not ratio > 0:
        raise ParameterError('ratio', ratio, 'expected a share of the work above 0, such '
                             'as 0.7; from 1 on the network stays exact')


@dataclass(frozen=True)
class Decomposable:
    """A layer that may become a chain: its node's position and the ways of its weight."""

    node: int
    factors: Factors


def readings(model: onnx.ModelProto) -> List[Reading]:
    """Return what the layers that may become chains read, each once, in the graph's order.

    A Gemm whose input is transposed is left out, because its images do not lie along the first
    axis.
    """
    found = [_reading(node) for _, node, _ in _candidates(model)
             if not attribute(node, 'transA', 0)]
    return list(dict.fromkeys(found))


def decomposable(
    model: onnx.ModelProto, moments: Mapping[Reading, Moments] = WEIGHTS_ALONE.moments
) -> List[Decomposable]:
    """Return the layers that may become chains, in the graph's order.

    A layer whose weight is not finite, or all zeros, or of which the sizes are not known, is
    none. Layers that share a weight go by the sum of their moments, so that they can share its
    factors.
    """
    candidates = list(_candidates(model))
    read: Dict[Tuple, Moments] = {}
    for _, node, _ in candidates:
        key, reading = _matrix(node), _reading(node)
        if reading in moments:
            read[key] = read[key] + moments[reading] if key in read else moments[reading]
    whitenings = {key: Whitening.of(total) for key, total in read.items()}
    known: Dict[Tuple, Factors] = {}
    found = []
    for cost, node, tensor in candidates:
        key = *_matrix(node), cost.source, cost.target
        if key not in known:
            weight = numpy_helper.to_array(tensor)
            if not np.isfinite(weight).all() or not weight.any():
                continue
            known[key] = Factors(weight.T if _is_transposed(node) else weight, cost.source,
                                 cost.target, whitenings.get(_matrix(node), ALIKE))
        found.append(Decomposable(cost.node, known[key]))
    return found


def rewritten(
    model: onnx.ModelProto, layers: Sequence[Decomposable], ways: Sequence[Way]
) -> LowRank:
    """Return the network with these layers written in these ways."""
    writer = ChainWriter(model)
    chains: Dict[int, List[onnx.NodeProto]] = {}
    changed = []
    for layer, way in zip(layers, ways):
        if way.kind:
            node = model.graph.node[layer.node]
            chains[layer.node] = writer.chain(node, layer.factors, way)
            changed.append(Layer(node.name or node.output[0], way.kind, way.ranks,
                                 layer.factors.macs, way.macs, math.sqrt(way.lost)))
    if not changed:
        return LowRank(model, ())
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    for index, node in enumerate(model.graph.node):
        result.graph.node.extend(chains.get(index, [node]))
    result.graph.initializer.extend(writer.initializers)
    _drop_unused(result, {model.graph.node[index].input[1] for index in chains})
    return LowRank(result, tuple(changed))


def _allot(
    ways: Sequence[Sequence[Way]], stakes: Sequence[float], ratio: float
) -> List[int]:
    """Return which way each layer goes: the most squares kept within the work.

    Dynamic programming over the layers, work in UNITS parts of all, rounded up. Of equal
    choices the one of least work. What may be spent only shrinks with the
    ratio, so that the product of kept squares does too.
    """
    total = sum(options[0].work for options in ways)
    worst = np.full(UNITS * 2 + 1, np.inf)
    spent, choices = worst.copy(), []
    spent[0] = 0.0
    for options, stake in zip(ways, stakes):
        best, choice = worst.copy(), np.zeros(len(worst), int)
        for place, way in enumerate(options):
            part = -(-way.work * UNITS // total)
            price = -stake * math.log(max(1.0 - way.lost, 1e-12))
            cost = spent[:len(spent) - part] + price
            better = cost < best[part:]
            best[part:][better] = cost[better]
            choice[part:][better] = place
        choices.append(choice)
        spent = best
    within = spent[:int(ratio * UNITS) + 1]
    left = int(np.argmin(within) if np.isfinite(within).any() else np.argmax(np.isfinite(spent)))
    chosen: List[int] = []
    for options, choice in zip(reversed(ways), reversed(choices)):
        chosen.append(int(choice[left]))
        left -= -(-options[chosen[-1]].work * UNITS // total)
    return chosen[::-1]


def _candidates(
    model: onnx.ModelProto,
) -> Iterator[Tuple[Cost, onnx.NodeProto, onnx.TensorProto]]:
    """Give cost, node and weight of each layer of a kind that can become a chain."""
    constants = _constants(model)
    opset = max((entry.version for entry in model.opset_import if entry.domain in _DOMAINS),
                default=0)
    for cost in costs(model):
        node = model.graph.node[cost.node]
        tensor = constants.get(node.input[1])
        if tensor is not None and _fits(node, tensor, opset):
            yield cost, node, tensor


def _constants(model: onnx.ModelProto) -> Mapping[str, onnx.TensorProto]:
    """Return the tensors that are stored in the graph, also as nodes."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == 'Constant':
            found.update((node.output[0], item.t) for item in node.attribute
                         if item.name == 'value')
    return found


def _fits(node: onnx.NodeProto, tensor: onnx.TensorProto, opset: int) -> bool:
    """Tell whether a node with this weight can become a chain."""
    if node.domain not in _DOMAINS or tensor.data_type not in _FLOATS:
        return False
    if node.op_type == 'Conv':
        return len(tensor.dims) > 2 and attribute(node, 'group', 1) == 1
    return not (node.op_type == 'Gemm' and opset < _BIASLESS_GEMM_OPSET
                and attribute(node, 'transA', 0))


def _is_transposed(node: onnx.NodeProto) -> bool:
    """Tell whether a weight is [inputs, outputs]."""
    return node.op_type == 'MatMul' or (
        node.op_type == 'Gemm' and not attribute(node, 'transB', 0))


def _matrix(node: onnx.NodeProto) -> Tuple[str, bool]:
    """Return which weight a node reads, and in which direction."""
    return node.input[1], _is_transposed(node)


def _reading(node: onnx.NodeProto) -> Reading:
    return node.input[0], 1 if node.op_type == 'Conv' else -1


def _drop_unused(model: onnx.ModelProto, names) -> None:
    """Remove weights, given by name, that nothing reads any more."""
    flow, graph = Flow(model), model.graph
    read = {name for reads in flow.reads for name in reads}.union(flow.outputs)
    read.update(name for node in flow.constants for name in node.input)
    unused = set(names) - read
    # old files list their weights among the inputs as well
    for field in (graph.initializer, graph.input, graph.value_info):
        for item in [item for item in field if item.name in unused]:
            field.remove(item)
    for node in [node for node in graph.node if unused.issuperset(node.output)]:
        graph.node.remove(node)
