"""The layers of a network in topological order, and what belongs to the first ones of them."""

from __future__ import annotations

from typing import FrozenSet

import onnx

from s3dnn_ros.models.flow import reads_of
from s3dnn_ros.models.macs import costs


class Layers:
    """The convolutions and products of a graph whose nodes are in topological order.

    Attributes
    ----------
    costs : list of Cost
        In that order.
    macs : int
        The multiply-adds of all for one image.

    """

    def __init__(self, model: onnx.ModelProto):
        self._graph = model.graph
        self.costs = costs(model)
        self.macs = sum(cost.macs for cost in self.costs)

    def __len__(self):
        return len(self.costs)

    def end(self, count: int) -> int:
        """Return the position of the layer behind the first `count` ones, 0 for a count of 0."""
        if not count:
            return 0
        return self.costs[count].node if count < len(self) else len(self._graph.node)

    def constants(self, count: int) -> FrozenSet[str]:
        """Return the names of the constants that are read before that position."""
        stored = {tensor.name for tensor in self._graph.initializer}
        return frozenset(name for node in self._graph.node[:self.end(count)]
                         for name in reads_of(node) if name in stored)
