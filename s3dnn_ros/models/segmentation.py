"""Cuts an ONNX network into segments that run one after the other, where few tensors are alive.

A segment is the unit that S3DNN schedules and at whose end NeuOS shares its LAG: a stretch of
consecutive layers. Between two segments only the tensors at the cut exist, so that the fewer
are alive there, the less memory a waiting network holds.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import onnx

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.flow import Flow, tensor_types
from s3dnn_ros.models.soundness import expect_sound

# From this version of the file format on, initializers need not be inputs as well.
_IR_VERSION = 4
# What belongs to the layer before it.
_FINISHING = {
    'BatchNormalization',
    'Clip',
    'Elu',
    'HardSigmoid',
    'HardSwish',
    'LeakyRelu',
    'PRelu',
    'Relu',
    'Sigmoid',
    'Tanh',
}


@dataclass(frozen=True)
class CutPoint:
    """A place before the node number `position`, and the activations that are alive there.

    Constants do not count as nodes. An output of the network counts as alive only if a later
    node reads it.
    """

    position: int
    tensors: Tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A stretch of a network as a network of its own; its names are those of the whole.

    `inputs` and `outputs` are those of `model`, in order. The outputs are what later segments
    read and the outputs of the network that are made here. `carried` are the tensors that
    exist before this segment and are read after it: they pass by, and the model returns none
    of them. So the inputs of a segment, and what it carries, are all among the outputs and the
    carried tensors of the one before it; for the first they are inputs of the network.
    """

    index: int
    model: onnx.ModelProto
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    carried: Tuple[str, ...] = ()


def cut_points(
    model: onnx.ModelProto, max_alive: int = 1, whole_layers: bool = False
) -> Tuple[CutPoint, ...]:
    """Return the places where at most `max_alive` tensors are alive, in the order of the nodes.

    Where the same tensors are alive at several places, because what lies between only makes
    outputs of the network, the first one stands for all: a set of tensors names one place. A
    place where the type or the rank of a tensor is unknown is left out. With `whole_layers`, so
    are those just before an activation function or a normalisation, which engines compute
    together with the layer before. Raises ModelError if the graph has a circle or reads what
    nothing produces.
    """
    flow = Flow(model)
    return tuple(
        cut
        for cut in _places(flow, tensor_types(model)).values()
        if len(cut.tensors) <= max_alive
        and not (whole_layers and _is_inside_a_layer(flow, cut.position))
    )


def split(model: onnx.ModelProto, cuts: Sequence[CutPoint]) -> Tuple[Segment, ...]:
    """Return the segments between the cuts; run in order, they compute what the network does.

    Each node is in exactly one segment. Constants, and nodes that depend on constants only, are
    copied into each segment that reads them; those that are outputs of the network come from
    the last one. Raises ModelError if a cut is not one of this network (see `cut_points`).
    """
    flow, types = Flow(model), tensor_types(model)
    places = _places(flow, types)
    bounds = [0, *(cut.position for cut in cuts), len(flow.nodes)]
    for cut, before in zip(cuts, bounds):
        if cut.position <= before or places.get(cut.tensors) != cut:
            raise ModelError(
                f"cut at {', '.join(cut.tensors)}",
                f"does not fit the network '{model.graph.name}' and the cut before; "
                'take cuts from cut_points of this network, in their order',
            )
    alive = flow.alive()
    segments: List[Segment] = []
    for index, (start, end) in enumerate(zip(bounds, bounds[1:])):
        # Inputs are born at 0; what is not born is constant.
        outputs = [
            name
            for name in flow.outputs
            if bisect.bisect_left(bounds[1:], flow.born.get(name, bounds[-1])) == index
        ]
        passed = [name for name in alive[end] if flow.born[name] > start]
        names = tuple(dict.fromkeys([*passed, *outputs]))
        used = {name for reads in flow.reads[start:end] for name in reads}.union(outputs)
        inputs = tuple(name for name in (alive[start] if start else flow.inputs) if name in used)
        segments.append(
            Segment(
                index,
                _standalone(model, flow, types, flow.nodes[start:end], used, inputs, names),
                inputs,
                names,
                tuple(name for name in alive[end] if flow.born[name] <= start),
            )
        )
    return tuple(segments)


def _places(flow: Flow, types) -> Dict[Tuple[str, ...], CutPoint]:
    """Return the first place of each set of tensors whose types are known."""
    places: Dict[Tuple[str, ...], CutPoint] = {}
    for position, tensors in enumerate(flow.alive()[1:-1], 1):
        if tensors and all(_is_known(types.get(name)) for name in tensors):
            places.setdefault(tensors, CutPoint(position, tensors))
    return places


def _is_inside_a_layer(flow: Flow, position: int) -> bool:
    before, after = (node.op_type for node in flow.nodes[position - 1 : position + 1])
    # SiLU is exported as x * Sigmoid(x).
    return after in _FINISHING or (before, after) == ('Sigmoid', 'Mul')


def _standalone(model, flow, types, nodes, used, inputs, outputs) -> onnx.ModelProto:
    """Return some nodes, which read or return `used`, as a checked network of their own."""
    constants, needed = flow.constants_of(used)
    result = onnx.ModelProto(
        ir_version=max(model.ir_version, _IR_VERSION), producer_name='s3dnn_ros'
    )
    result.opset_import.extend(model.opset_import)
    result.functions.extend(model.functions)
    graph = result.graph
    graph.name = model.graph.name
    graph.node.extend(constants)
    graph.node.extend(nodes)
    graph.input.extend(types[name] for name in inputs)
    graph.output.extend(types[name] for name in outputs)
    made = {name for node in [*constants, *nodes] for name in node.output}.difference(outputs)
    graph.value_info.extend(types[name] for name in sorted(made) if name in types)
    graph.initializer.extend(t for name, t in flow.stored.items() if name in needed)
    graph.sparse_initializer.extend(t for name, t in flow.sparse.items() if name in needed)
    expect_sound(result, f"segment of the network '{graph.name}'", 'export the network again')
    return result


def _is_known(value) -> bool:
    """Tell whether a tensor's element type and rank are known."""
    tensor = value.type.tensor_type if value is not None else onnx.TypeProto.Tensor()
    return bool(tensor.elem_type) and tensor.HasField('shape')
