"""Follows the channels of an ONNX network from the filters that make them to all that reads them.

Labels move through the graph as the numbers do, axis by axis. Two labels become one where both
channels can only go together: on both sides of an addition, in the halves of a shuffle, in the
filters of a group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, Optional, Set, Tuple

import numpy as np
import onnx
from onnx import numpy_helper

from s3dnn_ros.models.chains import attribute
from s3dnn_ros.models.flow import reads_of, tensor_types
from s3dnn_ros.models.shapes import shape_of
from s3dnn_ros.scaling.channels import ChannelMap, Layer, Numbers
from s3dnn_ros.scaling.labels import FIXED, LabelUnion
from s3dnn_ros.scaling.plain import fixed_shape, plain

_DOMAINS = ('', 'ai.onnx')
_LAYERS = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
# From this version on, sizes of a Split and axes of a Squeeze are inputs.
_SIZES_ARE_INPUTS_OPSET = 13


def channels_of(model: onnx.ModelProto) -> ChannelMap:
    """Return what goes with each filter of a network. Raises ModelError as Flow does."""
    found = ChannelMap(plain(model))
    found.unite(_Follower(found).run())
    return found


@dataclass(frozen=True, eq=False)
class Channels:
    """The labels of a tensor along the one axis where they differ."""

    axis: int
    labels: np.ndarray


class _Follower:
    """Goes through a graph once, node by node."""

    def __init__(self, found: ChannelMap):
        self._found = found
        self._union = LabelUnion()
        graph = found.model.graph
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._shapes = {name: fixed_shape(shape_of(value))
                        for name, value in tensor_types(found.model).items()}
        self._shapes.update((name, list(tensor.dims)) for name, tensor in self._stored.items())
        self._opset = max((each.version for each in found.model.opset_import
                           if each.domain in _DOMAINS), default=0)
        # Tensors that are not here keep all their channels.
        self._known: Dict[str, Channels] = {}
        # The constants of which this node has said how it reads them.
        self._held: Set[str] = set()

    def run(self) -> np.ndarray:
        """Follow all channels; return the root of each label."""
        for index, node in enumerate(self._found.model.graph.node):
            follow = None
            if node.domain in _DOMAINS and all(
                    self._shapes.get(name) is not None for name in [*node.input, *node.output]
                    if name):
                follow = getattr(self, '_' + _FOLLOWED.get(node.op_type, 'unknown'), None)
            self._held.clear()
            if follow is None or not follow(index, node):
                self._leave(node)
            for name in reads_of(node):
                if name in self._stored and name not in self._held:
                    self._hold(name, {})
        for value in self._found.model.graph.output:
            self._keep(value.name)
        return self._union.roots()

    # What a method of the table returns tells whether it could follow the node.

    def _layer(self, index: int, node: onnx.NodeProto) -> bool:
        weight = self._stored.get(node.input[1])
        if weight is None or node.input[0] in self._stored:
            return False
        dims = list(weight.dims)
        source = self._known.get(node.input[0])
        groups = attribute(node, 'group', 1) if node.op_type.startswith('Conv') else 1
        reading, writing, axis = self._axes(node, len(dims))
        if reading is None or (source is not None and source.axis != axis):
            return False
        if groups > 1:
            return node.op_type == 'Conv' and self._grouped(index, node, dims, groups, source)
        filters = self._union.fresh(dims[writing])
        labels = {writing: filters}
        if source is not None:
            labels[reading] = source.labels
        self._finish(index, node, labels, writing, filters, axis)
        return True

    def _axes(self, node, rank: int):
        """Return the axes of a weight that read and write channels, and that of a tensor's."""
        if node.op_type == 'Conv':
            return 1, 0, 1
        if node.op_type == 'ConvTranspose':
            return 0, 1, 1
        last = len(self._shapes[node.input[0]]) - 1
        if rank != 2 or last < 1 or attribute(node, 'transA', 0):
            return None, None, None
        if node.op_type == 'Gemm' and attribute(node, 'transB', 0):
            return 1, 0, last
        return 0, 1, last

    def _grouped(self, index, node, dims, groups, source) -> bool:
        channels = self._shapes[node.input[0]][1]
        if groups == channels:
            if source is None:
                return False
            self._found.groups[index] = source.labels
            each = np.repeat(source.labels, dims[0] // groups)
            self._hold(node.input[1], {0: each})
            self._bias(node, each)
            self._known[node.output[0]] = Channels(1, each)
            return True
        filters = np.tile(self._union.fresh(dims[0] // groups), groups)
        labels = {0: filters}
        if source is not None:
            rows = source.labels.reshape(groups, -1)
            for row in rows[1:]:
                self._union.unite(rows[0], row)
            labels[1] = rows[0]
        self._finish(index, node, labels, 0, filters, 1)
        return True

    def _finish(self, index, node, labels, writing, filters, axis):
        self._hold(node.input[1], labels)
        self._bias(node, filters)
        self._found.layers.append(Layer(index, node.input[1], writing, filters))
        self._known[node.output[0]] = Channels(axis, filters)

    def _bias(self, node, filters):
        if len(node.input) < 3 or not node.input[2]:
            return
        name = node.input[2]
        shape = self._shapes[name]
        if name in self._stored and shape and shape[-1] == len(filters):
            self._hold(name, {len(shape) - 1: filters})
        elif name not in self._stored or math.prod(shape) > 1:
            self._keep(name)
            self._union.fix(filters)

    def _same(self, index, node) -> bool:
        """Follow what looks at single numbers, and at windows along other axes."""
        source = self._known.get(node.input[0])
        if source is not None and self._shapes[node.output[0]][source.axis:source.axis + 1] != [
                len(source.labels)]:
            return False
        return self._pass(node, source)

    def _pass(self, node, source: Optional[Channels]) -> bool:
        if source is not None:
            self._known[node.output[0]] = source
        for name in node.input[1:]:
            self._keep(name)
        return True

    def _window(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        return (source is None or source.axis == 1) and self._same(index, node)

    def _resized(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if not self._window(index, node):
            return False
        if source is not None and len(node.input) > 3 and node.input[3]:
            values = self._values(node.input[3])
            if values is None or len(values) != len(self._shapes[node.input[0]]):
                return False
            self._found.numbers.append(Numbers(index, 3, values, {1: source.labels}))
        return True

    def _normal(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if source is None:
            return self._pass(node, None)
        if source.axis != 1 or not all(name in self._stored for name in node.input[1:]):
            return False
        for name in node.input[1:]:
            self._hold(name, {0: source.labels})
        self._known[node.output[0]] = source
        return True

    def _pointwise(self, index, node) -> bool:
        shape = self._shapes[node.output[0]]
        read = [name for name in node.input if name]
        placed = {name: self._known[name].axis + len(shape) - len(self._shapes[name])
                  for name in read if name in self._known}
        wide = {name: axis for name, axis in placed.items()
                if len(self._known[name].labels) == shape[axis] > 1}
        for name in placed.keys() - wide.keys():
            self._keep(name)
        if not wide:
            return True
        if len(set(wide.values())) > 1:
            return False
        axis = next(iter(wide.values()))
        first = self._known[next(iter(wide))].labels
        for name in read:
            own = axis - len(shape) + len(self._shapes[name])
            is_wide = own >= 0 and self._shapes[name][own] == shape[axis]
            if name in wide:
                self._union.unite(first, self._known[name].labels)
            elif is_wide and name in self._stored:
                self._hold(name, {own: first})
            elif is_wide:
                self._union.fix(first)
        self._known[node.output[0]] = Channels(axis, first)
        return True

    def _concat(self, index, node) -> bool:
        shape = self._shapes[node.output[0]]
        along = attribute(node, 'axis', 1) % len(shape)
        known = [self._known.get(name) for name in node.input]
        axes = {each.axis for each in known if each is not None}
        if not axes:
            return True
        if len(axes) > 1:
            return False
        axis = axes.pop()
        if axis != along:
            if any(each is None for each in known):
                return False
            for each in known[1:]:
                self._union.unite(known[0].labels, each.labels)
            self._known[node.output[0]] = known[0]
            return True
        self._known[node.output[0]] = Channels(axis, np.concatenate([
            np.full(self._shapes[name][axis], FIXED) if each is None else each.labels
            for name, each in zip(node.input, known)]))
        return True

    def _split(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if source is None:
            return self._pass(node, None)
        axis = attribute(node, 'axis', 0) % len(self._shapes[node.input[0]])
        if axis != source.axis:
            for name in node.output:
                self._known[name] = source
            return True
        if self._opset < _SIZES_ARE_INPUTS_OPSET:
            return False
        sizes = [self._shapes[name][axis] for name in node.output]
        parts = np.split(source.labels, np.cumsum(sizes)[:-1])
        self._found.numbers.append(Numbers(index, 1, tuple(sizes), dict(enumerate(parts))))
        for name, part in zip(node.output, parts):
            self._known[name] = Channels(axis, part)
        return True

    def _slice(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if source is None:
            return self._pass(node, None)
        given = [self._values(name) for name in node.input[1:]]
        if len(given) < 2 or any(each is None for each in given):
            return False
        rank, size = len(self._shapes[node.input[0]]), len(source.labels)
        starts, ends = given[:2]
        axes = [axis % rank for axis in (given[2] if len(given) > 2 else range(len(starts)))]
        steps = given[3] if len(given) > 3 else (1,) * len(starts)
        if source.axis not in axes:
            return self._same(index, node)
        place = axes.index(source.axis)
        if steps[place] != 1:
            return False
        start, end, _ = slice(starts[place], ends[place]).indices(size)
        for position, values, bound in ((1, starts, start), (2, ends, end)):
            told = list(values)
            told[place] = bound
            self._found.numbers.append(Numbers(index, position, tuple(told),
                                                {place: source.labels[:bound]}))
        self._known[node.output[0]] = Channels(source.axis, source.labels[start:end])
        return True

    def _transpose(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if source is not None:
            rank = len(self._shapes[node.input[0]])
            order = list(attribute(node, 'perm', range(rank)[::-1]))
            self._known[node.output[0]] = Channels(order.index(source.axis), source.labels)
        return True

    def _reshape(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if source is None:
            return self._pass(node, None)
        before, after = (self._shapes[name] for name in (node.input[0], node.output[0]))
        if math.prod(before) != math.prod(after):
            return False
        shaped = [1] * len(before)
        shaped[source.axis] = -1
        full = np.broadcast_to(source.labels.reshape(shaped), before).reshape(after)
        axis, labels = self._along_one_axis(full)
        if axis is None:
            return False
        if node.op_type == 'Reshape':
            values = self._values(node.input[1])
            if values is None or len(values) != len(after):
                return False
            if values[axis] > 0:
                self._found.numbers.append(Numbers(index, 1, values, {axis: labels}))
            elif values[axis] == 0 and (axis != source.axis or before[axis] != after[axis]):
                return False
        self._known[node.output[0]] = Channels(axis, labels)
        return True

    def _along_one_axis(self, full: np.ndarray):
        """Return the axis along which most labels differ, and the labels along it.

        Labels that differ along another axis, too, are united: only whole slices can go.
        """
        different = [axis for axis, size in enumerate(full.shape)
                     if size > 1 and (full != np.take(full, [0], axis)).any()]
        if not different:
            return None, None
        axis = max(different, key=lambda each: full.shape[each])
        rows = np.moveaxis(full, axis, 0).reshape(full.shape[axis], -1)
        for other in rows.T[1:] if len(different) > 1 else ():
            self._union.unite(rows[:, 0], other)
        return axis, rows[:, 0].copy()

    def _reduced(self, index, node) -> bool:
        source = self._known.get(node.input[0])
        if source is None:
            return self._pass(node, None)
        rank = len(self._shapes[node.input[0]])
        axes = attribute(node, 'axes', None)
        if axes is None and len(node.input) > 1 and node.input[1]:
            axes = self._values(node.input[1])
        if axes is None or source.axis in [axis % rank for axis in axes]:
            return False
        gone = 0 if attribute(node, 'keepdims', 1) else sum(
            axis % rank < source.axis for axis in axes)
        return self._pass(node, Channels(source.axis - gone, source.labels))

    def _along(self, index, node) -> bool:
        """Follow what mixes numbers along one axis."""
        source = self._known.get(node.input[0])
        rank = len(self._shapes[node.input[0]])
        default = -1 if self._opset >= _SIZES_ARE_INPUTS_OPSET else 1
        axis = attribute(node, 'axis', default) % rank
        is_mixed = source is not None and (
            axis == source.axis or (self._opset < _SIZES_ARE_INPUTS_OPSET and axis < source.axis))
        return not is_mixed and self._same(index, node)

    def _values(self, name: str) -> Optional[Tuple[int, ...]]:
        tensor = self._stored.get(name)
        return None if tensor is None else tuple(
            int(value) for value in numpy_helper.to_array(tensor).reshape(-1))

    def _hold(self, name: str, labels: Dict[int, np.ndarray]) -> None:
        """Note a use of an initializer; uses that do not agree keep what they do not agree on."""
        self._held.add(name)
        known = self._found.weights.setdefault(name, labels)
        for axis in known.keys() | labels.keys():
            if axis in known and axis in labels:
                self._union.unite(known[axis], labels[axis])
            else:
                self._union.fix(known.get(axis, labels.get(axis)))

    def _keep(self, name: str) -> None:
        """Let all channels of a tensor stay."""
        if name in self._known:
            self._union.fix(self._known[name].labels)

    def _leave(self, node: onnx.NodeProto) -> None:
        """Let everything that a node reads stay as it is, and so what it makes."""
        followed = [name for name in reads_of(node) if name in self._known]
        if followed:
            known = self._found.left_alone
            known[node.op_type] = known.get(node.op_type, 0) + 1
        for name in reads_of(node):
            self._keep(name)


_FOLLOWED = {
    **dict.fromkeys(_LAYERS, 'layer'),
    **dict.fromkeys((
        'Abs', 'Cast', 'Ceil', 'Clip', 'Dropout', 'Elu', 'Erf', 'Exp', 'Floor', 'Gelu',
        'HardSigmoid', 'HardSwish', 'Identity', 'LeakyRelu', 'Log', 'Mish', 'Neg', 'Reciprocal',
        'Relu', 'Round', 'Selu', 'Sigmoid', 'Sign', 'Softplus', 'Softsign', 'Sqrt', 'Tanh',
        'Pad'), 'same'),
    **dict.fromkeys(('AveragePool', 'GlobalAveragePool', 'GlobalMaxPool', 'MaxPool'), 'window'),
    **dict.fromkeys(('Resize', 'Upsample'), 'resized'),
    **dict.fromkeys(('BatchNormalization', 'InstanceNormalization'), 'normal'),
    **dict.fromkeys(('Add', 'Div', 'Max', 'Mean', 'Min', 'Mul', 'Pow', 'PRelu', 'Sub', 'Sum'),
                    'pointwise'),
    **dict.fromkeys(('ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceSum'), 'reduced'),
    **dict.fromkeys(('LogSoftmax', 'Softmax'), 'along'),
    **dict.fromkeys(('Flatten', 'Reshape', 'Squeeze', 'Unsqueeze'), 'reshape'),
    'Concat': 'concat', 'Slice': 'slice', 'Split': 'split', 'Transpose': 'transpose',
}
