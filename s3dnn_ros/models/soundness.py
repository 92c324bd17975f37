"""Whether a network is valid ONNX, and no larger than a library can look at."""

from __future__ import annotations

from typing import Dict, Tuple

import onnx

from s3dnn_ros.base.content import shortened
from s3dnn_ros.errors import ModelError

# Half a second's work. Networks have some thousand nodes.
MOST_LOOKS = 200_000


def expect_sound(model: onnx.ModelProto, source, advice: str) -> None:
    """Raise ModelError if onnx does not take it; names `source`, and ends with the advice."""
    expect_modest(model, source)
    try:
        onnx.checker.check_model(model)
        # which it does not check, and shape inference does not take
        names = [(function.domain, function.name, getattr(function, 'overload', ''))
                 for function in model.functions]
        if len(set(names)) < len(names):
            raise ValueError('two of its functions have one name')
    except (onnx.checker.ValidationError, ValueError) as error:
        # ValueError where its sentence would hold what is no text, or the network 2 GB
        raise ModelError(source, f'is not valid ONNX ({shortened(error)}); {advice}') from error


def type_name(number: int) -> str:
    """Return what ONNX calls a type of numbers, also one that it does not have."""
    known = onnx.TensorProto.DataType
    return known.Name(number) if number in known.values() else f'the unknown type {number}'


def expect_modest(model: onnx.ModelProto, source) -> None:
    """Raise ModelError, naming `source`, for subgraphs or functions in which onnx does not end.

    Its shape inference looks at what is inside a node twice for each look at the node, and so on
    inward: 30 subgraphs within each other, a few kilobytes, take it hours. A function whose
    nodes call it is endless.
    """
    functions: Dict[Tuple[str, str], onnx.FunctionProto] = {
        (function.domain, function.name): function for function in model.functions}
    waiting = [(model.graph.node, 1)]
    looks = 0
    while waiting:
        nodes, times = waiting.pop()
        looks += times * len(nodes)
        if looks > MOST_LOOKS:
            raise ModelError(
                source, f'has more than {MOST_LOOKS} nodes, or as many within each other: '
                'subgraphs in subgraphs, or functions that call functions; export it flat')
        for node in nodes:
            inside = [graph.node for attribute in node.attribute
                      for graph in (attribute.g, *attribute.graphs)]
            called = functions.get((node.domain, node.op_type))
            if called is not None:
                inside.append(called.node)
            waiting += ((inner, 2 * times) for inner in inside if len(inner))
