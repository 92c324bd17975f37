"""Depth scaling: a network without some of its repeating units.

A unit is a stretch between two tensors of one shape through which everything passes that gets
from the first to the second. Units repeat where one begins at the end of another and has the
same operators, attributes and shapes of weights. Of each run of units at least one stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

import numpy as np
import onnx

from s3dnn_ros.models.flow import reads_of, tensor_types
from s3dnn_ros.models.shapes import shape_of
from s3dnn_ros.scaling.layers import Layers
from s3dnn_ros.scaling.plain import plain, without_unread

# A unit ends at most so many tensors of its shape behind its begin.
MOST_STEPS = 40


@dataclass(frozen=True)
class Unit:
    """A stretch of a network, from tensor `begin` to tensor `end`; `nodes` are positions."""

    begin: str
    end: str
    nodes: FrozenSet[int]


class Depth:
    """Makes a network shallower; the shallower of two networks has no unit more.

    Parameters
    ----------
    model : ModelProto
        Stays as it is.

    Attributes
    ----------
    layers : Layers
    left_alone : dict
        Empty: units may hold any operator.
    runs : list of tuple of Unit
        What repeats.

    Raises ModelError as `Flow` does.

    """

    def __init__(self, model: onnx.ModelProto):
        self._model = plain(model)
        self.layers = Layers(self._model)
        self.left_alone: Dict[str, int] = {}
        self.runs = _runs(_Graph(self._model), {cost.node for cost in self.layers.costs})

    def at_most(self, macs: int, shared_layers: int = 0) -> Optional[onnx.ModelProto]:
        """Return the deepest network of at most so many multiply-adds for an image.

        The first `shared_layers` layers, in topological order, are there, and so is all that
        lies before the next one. None if no network is as small.
        """
        gone: List[Unit] = []
        waiting, left = self._order(shared_layers), self.layers.macs
        while left > macs:
            unit = next(waiting, None)
            if unit is None:
                return None
            gone.append(unit)
            left -= sum(cost.macs for cost in self.layers.costs if cost.node in unit.nodes)
        return self._without(gone)

    def kept_filters(self, macs: int, shared_layers: int = 0) -> Dict[str, np.ndarray]:
        """Return nothing: every layer that stays has all of its filters."""
        return {}

    def _order(self, shared_layers: int) -> Iterator[Unit]:
        """Give units as they go: the last one of the run of which the most are left."""
        end = self.layers.end(shared_layers)
        runs = [list(run) for run in self.runs]
        free = [[unit for unit in run[1:] if min(unit.nodes) >= end] for run in runs]
        while any(free):
            index = max((index for index, units in enumerate(free) if units),
                        key=lambda index: (len(runs[index]), index))
            unit = free[index].pop()
            runs[index].remove(unit)
            yield unit

    def _without(self, gone: List[Unit]) -> onnx.ModelProto:
        result = onnx.ModelProto()
        result.CopyFrom(self._model)
        instead = {unit.end: unit.begin for unit in gone}

        def source(name: str) -> str:
            while name in instead:
                name = instead[name]
            return name

        for node in result.graph.node:
            node.input[:] = map(source, node.input)
        return without_unread(result)


class _Graph:
    """Who makes and reads the tensors of a graph, and which tensors all paths to one pass."""

    def __init__(self, model: onnx.ModelProto):
        graph = model.graph
        self.nodes = graph.node
        self.outputs = {value.name for value in graph.output}
        self.stored = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        self.kinds = {name: (value.type.tensor_type.elem_type, tuple(shape_of(value)))
                      for name, value in tensor_types(model).items()}
        self.maker: Dict[str, int] = {}
        self.readers: Dict[str, Set[int]] = {}
        self._passed: Dict[str, str] = {}
        self._levels = {'': 0}
        for value in graph.input:
            self._enter(value.name, '')
        for index, node in enumerate(graph.node):
            reads = [name for name in reads_of(node) if name in self._levels]
            for name in reads:
                self.readers.setdefault(name, set()).add(index)
            for name in filter(None, node.output):
                self.maker[name] = index
                if reads:
                    self._enter(name, self._common(reads))

    def passed(self, name: str) -> Iterator[str]:
        """Give the tensors that all paths to one pass, the nearest first."""
        while self._passed.get(name):
            name = self._passed[name]
            yield name

    def between(self, begin: str, end: str) -> Optional[FrozenSet[int]]:
        """Return the nodes between two tensors; None if others read what they make."""
        found: Set[int] = set()
        waiting = [end]
        while waiting:
            name = waiting.pop()
            index = self.maker.get(name)
            if name == begin or index is None or index in found:
                continue
            found.add(index)
            waiting += reads_of(self.nodes[index])
        for index in found:
            for name in self.nodes[index].output:
                if name != end and (name in self.outputs
                                    or not self.readers.get(name, set()) <= found):
                    return None
        return frozenset(found)

    def signature(self, nodes: FrozenSet[int]) -> Tuple:
        """Return what units must have in common."""
        return tuple(
            (self.nodes[index].domain, self.nodes[index].op_type,
             tuple(sorted(item.SerializeToString() for item in self.nodes[index].attribute)),
             tuple(self.stored.get(name) for name in self.nodes[index].input))
            for index in sorted(nodes))

    def _enter(self, name: str, passed: str) -> None:
        self._passed[name] = passed
        self._levels[name] = self._levels[passed] + 1

    def _common(self, names: List[str]) -> str:
        """Return the nearest tensor that all paths to all of these pass, itself counting."""
        common = names[0]
        for name in names[1:]:
            while name != common:
                if self._levels[name] < self._levels[common]:
                    name, common = common, name
                name = self._passed[name]
        return common


def _runs(graph: _Graph, layers: Set[int]) -> List[Tuple[Unit, ...]]:
    """Return the runs of units, in the order of the graph; no two share a node."""
    units: Dict[Tuple, Unit] = {}
    for end in graph.maker:
        kind = graph.kinds.get(end)
        if kind is None or end in graph.outputs:
            continue
        for step, begin in enumerate(graph.passed(end)):
            if step == MOST_STEPS:
                break
            nodes = graph.between(begin, end) if graph.kinds.get(begin) == kind else None
            if nodes and not layers.isdisjoint(nodes):
                units[begin, graph.signature(nodes)] = Unit(begin, end, nodes)
    found = []
    for (_, signature), unit in units.items():
        run = [unit]
        while (run[-1].end, signature) in units:
            run.append(units[run[-1].end, signature])
        found.append(run)
    # the most nodes that can go, in the smallest parts
    found.sort(key=lambda run: (-(len(run) - 1) * len(run[0].nodes), len(run[0].nodes)))
    taken: Set[int] = set()
    kept = []
    for run in found:
        nodes = {index for unit in run for index in unit.nodes}
        if len(run) > 1 and taken.isdisjoint(nodes):
            taken |= nodes
            kept.append(tuple(run))
    return sorted(kept, key=lambda run: min(run[0].nodes))
