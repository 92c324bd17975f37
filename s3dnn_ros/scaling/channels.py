"""Which channels of an ONNX network must go together, and the network without some of them.

Every filter gets a label. What has one label goes or stays as a whole: the labels of a constant
say which of its numbers belong to which filters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Mapping, Tuple

import numpy as np
import onnx
from onnx import numpy_helper

from s3dnn_ros.scaling.labels import FIXED


@dataclass(frozen=True, eq=False)
class Numbers:
    """A constant of whole numbers, some of which count channels; the input `place` of a node."""

    node: int
    place: int
    values: Tuple[int, ...]
    counts: Mapping[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Layer:
    """A node with filters: its position, and the label of each of its filters along an axis."""

    node: int
    weight: str
    axis: int
    filters: np.ndarray


@dataclass
class ChannelMap:
    """What goes with each label of a network.

    Attributes
    ----------
    model : ModelProto
        The network, its nodes in topological order and every constant an initializer.
    layers : list of Layer
        In topological order.
    left_alone : dict of str to int
        Operators through which channels cannot be followed, and how many there are of each.
    weights : dict
        By name of an initializer and axis, the labels along it.
    numbers : list of Numbers
    groups : dict
        By position of a depthwise convolution, the labels of its groups.

    """

    model: onnx.ModelProto
    layers: List[Layer] = field(default_factory=list)
    left_alone: Dict[str, int] = field(default_factory=dict)
    weights: Dict[str, Dict[int, np.ndarray]] = field(default_factory=dict)
    numbers: List[Numbers] = field(default_factory=list)
    groups: Dict[int, np.ndarray] = field(default_factory=dict)

    def labels_of(self, weight: str) -> Mapping[int, np.ndarray]:
        """Return the labels of an initializer by axis; none where nothing of it can go."""
        return self.weights.get(weight, {})

    def filters(self) -> Dict[str, np.ndarray]:
        """Return the label of each filter, by name of the weights of its layer."""
        found = {layer.weight: layer.filters for layer in self.layers}
        # a depthwise convolution has no filters of its own
        found.update((name, self.weights[name][0]) for name in (
            self.model.graph.node[index].input[1] for index in self.groups))
        return found

    def sizes(self, weight: str, dims: Iterable[int], gone: np.ndarray) -> List[int]:
        """Return the sizes of an initializer once the labels are gone that are true in `gone`."""
        labels = self.labels_of(weight)
        return [_count(labels[axis], gone) if axis in labels else size
                for axis, size in enumerate(dims)]

    @property
    def labels(self) -> int:
        """Return how many labels there are, FIXED among them."""
        return 1 + max((int(layer.filters.max()) for layer in self.layers), default=FIXED)

    def without(self, gone: np.ndarray) -> onnx.ModelProto:
        """Return the network without the labels that are true in `gone` [labels]."""
        result = onnx.ModelProto()
        result.CopyFrom(self.model)
        graph = result.graph
        # their shapes are no longer true
        del graph.value_info[:]
        for tensor in graph.initializer:
            labels = self.labels_of(tensor.name)
            if not any(gone[each].any() for each in labels.values()):
                continue
            array = numpy_helper.to_array(tensor)
            for axis, each in labels.items():
                array = np.compress(~gone[each], array, axis)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
        for numbers in self.numbers:
            values = list(numbers.values)
            for place, each in numbers.counts.items():
                values[place] = _count(each, gone)
            if tuple(values) != numbers.values:
                _give(graph, numbers, values)
        for index, each in self.groups.items():
            node = graph.node[index]
            for item in node.attribute:
                if item.name == 'group':
                    item.i = _count(each, gone)
        return result

    def unite(self, roots: np.ndarray) -> None:
        """Replace each label by the one that `roots` [labels] has for it."""
        self.layers = [Layer(each.node, each.weight, each.axis, roots[each.filters])
                       for each in self.layers]
        self.weights = {name: {axis: roots[each] for axis, each in axes.items()}
                         for name, axes in self.weights.items()}
        self.numbers = [Numbers(each.node, each.place, each.values, {
            place: roots[labels] for place, labels in each.counts.items()})
            for each in self.numbers]
        self.groups = {index: roots[each] for index, each in self.groups.items()}


def _count(labels: np.ndarray, gone: np.ndarray) -> int:
    return int((~gone[labels]).sum())


def _give(graph: onnx.GraphProto, numbers: Numbers, values: List[int]) -> None:
    """Let a node read these numbers as a constant of its own."""
    node = graph.node[numbers.node]
    name = f'{node.output[0]}/sizes{numbers.place}'
    graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    while len(node.input) <= numbers.place:
        node.input.append('')
    node.input[numbers.place] = name
    # what told a Split to make equal parts
    for item in [item for item in node.attribute if item.name == 'num_outputs']:
        node.attribute.remove(item)
