"""Captured graphs without branches, in one context.

CUDA runs the branches of a graph, and what is of another context than its stream, in streams of
its own, and these share connections to the device with others. What waits in such a connection for
a job that waits holds up all behind it: in an armed job, the branches behind its gate. So a job
with gates must have neither.
"""

from __future__ import annotations

import functools
from typing import Collection, Dict, List, Sequence, Tuple

from s3dnn_ros.engines.cuda import checked

# From when on CUDA's calls take data of edges: under a second name, and under the first.
_DATA_UNDER_SECOND_NAME, _DATA = 12030, 13000


class OutsideError(RuntimeError):
    """A graph leaves its part of the device, and must not wait."""


def line_up(driver, captured: int, context=None) -> None:
    """Have the nodes of a captured graph run one behind the other.

    cuDNN captures branches: it spreads some convolutions of float32 over streams of its own. They
    are of the context of the whole device, and no call moves a kernel to another context.

    Parameters
    ----------
    driver : module
        Of cuda-bindings.
    captured : int
        The graph; one that is as it must be stays as it is.
    context : CUcontext, optional
        Where it is to run; without, it may be of several.

    Raises
    ------
    OutsideError
        A kernel is of another context.
    RuntimeError
        CUDA does not tell the nodes, or does not let them be changed.

    """
    graph = driver.CUgraph(captured)
    nodes, _ = _counted(functools.partial(driver.cuGraphGetNodes, graph))
    if context and any(_is_of_another(driver, node, context) for node in nodes):
        raise OutsideError('a library runs a part of it outside the part of the device that is to '
                           'be used')
    version = getattr(driver, 'CUDA_VERSION', 0)
    name = '_v2' if _DATA_UNDER_SECOND_NAME <= version < _DATA else ''

    def call(what, *arguments):
        return getattr(driver, f'cuGraph{what}{name}')(graph, *arguments)

    # sources and targets, in later versions their data, and how many
    edges = _counted(functools.partial(call, 'GetEdges'))
    pairs = {(int(source), int(target)) for source, target in zip(*edges[:2])}
    order = _in_order([int(node) for node in nodes], pairs)
    if pairs == set(zip(order, order[1:])):
        return
    if pairs:
        checked(call('RemoveDependencies', *edges))
    handles = {int(node): node for node in nodes}
    line = [handles[number] for number in order]
    data = [None] if version >= _DATA_UNDER_SECOND_NAME else []
    checked(call('AddDependencies', line[:-1], line[1:], *data, len(line) - 1))


def _is_of_another(driver, node, context) -> bool:
    """Tell whether a node is a kernel of another context."""
    kernel = driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_KERNEL
    return (checked(driver.cuGraphNodeGetType(node)) == kernel
            and int(checked(driver.cuGraphKernelNodeGetParams(node)).ctx) not in (0, int(context)))


def _counted(call) -> Sequence:
    """Return what a call gives that must be told how much that is; the last is how much."""
    *_, count = checked(call(0))
    return checked(call(count))


def _in_order(nodes: Sequence[int], edges: Collection[Tuple[int, int]]) -> List[int]:
    """Return nodes so that each comes behind those that have an edge to it."""
    waits_for = dict.fromkeys(nodes, 0)
    behind: Dict[int, List[int]] = {node: [] for node in nodes}
    for source, target in edges:
        waits_for[target] += 1
        behind[source].append(target)
    order = [node for node in nodes if not waits_for[node]]
    for node in order:
        for target in behind[node]:
            waits_for[target] -= 1
            if not waits_for[target]:
                order.append(target)
    return order
