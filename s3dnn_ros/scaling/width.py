"""Width scaling: a network without those of its filters that weigh least.

Filters that can only go together are one unit, and units that touch the same layers in the same
way are a group [RT-mDL, filter pruning]. Those units go first that lose least for each
multiply-add that they save. Without a measure of that, all groups keep about the same share, and
of each the units go first whose filters have the least L1 norm.
"""

from __future__ import annotations

import collections
from operator import itemgetter
from typing import Callable, Collection, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
import onnx
from onnx import numpy_helper

from s3dnn_ros.scaling.channels import ChannelMap
from s3dnn_ros.scaling.follow import channels_of
from s3dnn_ros.scaling.labels import FIXED
from s3dnn_ros.scaling.layers import Layers
from s3dnn_ros.scaling.plain import without_unread

# Groups that have more units keep a multiple of this, as engines like it.
MULTIPLE = 8

# Returns, given groups of units, what is lost once a unit and all of its group that are worth less
# have gone; groups of which nothing is known are not there.
Worth = Callable[[ChannelMap, Sequence[Sequence[int]]], Dict[int, float]]
# Units that go at once, behind what they are ordered by.
Steps = List[Tuple[Tuple[float, ...], List[int]]]


class Width:
    """Makes a network narrower; the narrower of two networks has no channel more.

    Parameters
    ----------
    model : ModelProto
        Stays as it is.
    worth : callable, optional
        See `Worth`.

    Attributes
    ----------
    layers : Layers
    left_alone : dict of str to int
        Operators through which channels cannot be followed, and how many there are of each.

    Raises ModelError as `channels_of` does.

    """

    def __init__(self, model: onnx.ModelProto, worth: Optional[Worth] = None):
        self._map = channels_of(model)
        self.layers = Layers(self._map.model)
        self.left_alone = self._map.left_alone
        arrays = {tensor.name: tensor for tensor in self._map.model.graph.initializer}
        self._dims = {name: tuple(tensor.dims) for name, tensor in arrays.items()}
        self._weights = self._weights_of_units(
            [_norms(arrays[layer.weight], layer.axis) for layer in self._map.layers])
        self._worth: Dict[int, float] = {}
        if worth is not None:
            self._worth = worth(self._map, list(self._groups().values()))

    def at_most(self, macs: int, shared_layers: int = 0) -> Optional[onnx.ModelProto]:
        """Return the widest network of at most so many multiply-adds for an image.

        The first `shared_layers` layers, in topological order, are as they were, and so is all
        that lies before the next one. None if no network is as small.
        """
        gone = self._gone_for(macs, shared_layers)
        return None if gone is None else without_unread(self._map.without(gone))

    def kept_filters(self, macs: int, shared_layers: int = 0) -> Dict[str, np.ndarray]:
        """Return which filters `at_most` has of each layer, by name of its weights.

        There must be a network of at most so many multiply-adds.
        """
        gone = self._gone_for(macs, shared_layers)
        return {name: np.flatnonzero(~gone[labels])
                for name, labels in self._map.filters().items()}

    def _gone_for(self, macs: int, shared_layers: int) -> Optional[np.ndarray]:
        """Return which labels go, [labels], None if there is no network as small."""
        steps = self._steps(shared_layers)
        low, high = 0, len(steps)
        if self._macs(self._gone(steps)) > macs:
            return None
        while low < high:
            middle = (low + high) // 2
            if self._macs(self._gone(steps[:middle])) > macs:
                low = middle + 1
            else:
                high = middle
        return self._gone(steps[:low])

    def _gone(self, steps) -> np.ndarray:
        gone = np.zeros(self._map.labels, bool)
        for units in steps:
            gone[units] = True
        return gone

    def _macs(self, gone: np.ndarray) -> int:
        total = 0
        for cost in self.layers.costs:
            macs, weight = cost.macs, self._map.model.graph.node[cost.node].input[1]
            dims = self._dims.get(weight, ())
            for before, after in zip(dims, self._map.sizes(weight, dims, gone)):
                macs = macs // before * after
            total += macs
        return total

    def _steps(self, shared_layers: int) -> List[List[int]]:
        """Return the units that go at each step, from the exact network to the narrowest.

        Those of known worth and the others have an order each, and go in proportion.
        """
        priced: Steps = []
        others: Steps = []
        for units in self._groups(self._held(shared_layers)).values():
            if units[0] in self._worth:
                priced += self._by_price(units)
            else:
                others += self._by_share(units)
        found = [((place + 1) / len(steps), units) for steps in (priced, others)
                 for place, (_, units) in enumerate(sorted(steps, key=itemgetter(0)))]
        return [units for _, units in sorted(found, key=itemgetter(0))]

    def _by_price(self, units: List[int]) -> Steps:
        """Return steps of a group, each with what it loses for a multiply-add that it saves."""
        gone = np.zeros(self._map.labels, bool)
        gone[units] = True
        saved = (self.layers.macs - self._macs(gone)) / len(units)
        found: Steps = []
        price = lost = 0.0
        for _, going in _parts(sorted(units, key=lambda unit: (self._worth[unit], unit))):
            before, lost = lost, self._worth[going[-1]]
            # no step goes before the one that it follows
            price = max(price, (lost - before) / (saved * len(going)))
            found.append(((price,), going))
        return found

    def _by_share(self, units: List[int]) -> Steps:
        """Return steps of a group, each with how little of it is left, and the mean norm."""
        norms = {unit: self._weights[unit][1] for unit in units}
        return [((-kept / len(units), sum(map(norms.get, going)) / len(going)), going)
                for kept, going in _parts(sorted(units, key=lambda unit: (norms[unit], unit)))]

    def _groups(self, held: Collection[int] = ()) -> Dict[Tuple, List[int]]:
        """Return the units of each group but those that are held."""
        groups: Dict[Tuple, List[int]] = collections.defaultdict(list)
        for unit, (kind, _) in self._weights.items():
            if unit not in held:
                groups[kind].append(unit)
        return groups

    def _weights_of_units(self, layer_norms: List[np.ndarray]) -> Dict[int, Tuple[Tuple, float]]:
        """Return which layers each unit touches, how often, and its mean share of their norms."""
        norms: Dict[int, List[float]] = collections.defaultdict(list)
        kinds: Dict[int, List[Tuple[int, int]]] = collections.defaultdict(list)
        for index, (layer, each) in enumerate(zip(self._map.layers, layer_norms)):
            labels, counts = np.unique(layer.filters, return_counts=True)
            for label, count in zip(labels.tolist(), counts.tolist()):
                kinds[label].append((index, count))
            for label, norm in zip(layer.filters.tolist(), each.tolist()):
                norms[label].append(norm)
        return {label: (tuple(kinds[label]), float(np.mean(norms[label])))
                for label in kinds if label != FIXED}

    def _held(self, shared_layers: int) -> Set[int]:
        """Return the labels of all constants that belong to the first layers."""
        return {label for name in self.layers.constants(shared_layers)
                for labels in self._map.labels_of(name).values() for label in labels.tolist()}


def _norms(tensor: onnx.TensorProto, axis: int) -> np.ndarray:
    """Return the L1 norm of each filter over their mean; filters of zeros have 0."""
    array = np.abs(numpy_helper.to_array(tensor).astype(np.float64))
    norms = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).sum(1)
    return norms / (norms.mean() or 1.0)


def _parts(units: List[int]):
    """Give how many units stay and which ones go, step by step."""
    size = len(units)
    if size > MULTIPLE:
        stays = range((size - 1) // MULTIPLE * MULTIPLE, 0, -MULTIPLE)
    else:
        stays = range(size - 1, 0, -1)
    before = size
    for kept in stays:
        yield kept, units[size - before:size - kept]
        before = kept
