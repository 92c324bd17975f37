"""What each channel is worth: what layers lose without it, once others have taken over.

A layer that no longer reads a channel can have other weights for those that are left. What it
loses then has a closed form [Hassibi and Stork, Optimal brain surgeon, 1993], here with all
weights of a channel at once: tr(Wᵀ (H⁻¹)⁻¹ W), where W are the channel's weights, and H⁻¹ is the
block of the inverse covariance of what the layer reads.
"""

from __future__ import annotations

import collections
from typing import Dict, List, Sequence

import numpy as np
import torch
from onnx import numpy_helper

from s3dnn_ros.scaling.channels import ChannelMap
from s3dnn_ros.scaling.exact import ExactLayers

# Of the mean variance, what is added to each.
RIDGE = 1e-3
# This part of the channels that are left goes at once, one at least: twins must not go together.
PART = 256


class _Reader:
    """What a layer reads of a group of labels: weights, and that part of the inverse covariance.

    What goes changes nothing else in that part but what is in it.
    """

    def __init__(self, weight: torch.Tensor, along: np.ndarray, labels: Sequence[int],
                 moments: torch.Tensor, inverse: torch.Tensor):
        taps = len(moments) // len(along)
        owners = np.repeat(along, taps)
        read = np.flatnonzero(np.isin(owners, labels))
        self._inputs = {label: np.flatnonzero(owners[read] == label) for label in labels}
        self._whole = float((weight * (moments @ weight)).sum()) or 1.0
        own = torch.from_numpy(read).to(moments.device)
        self._weight, self._inverse = weight[own], inverse[own[:, None], own]

    def losses(self, labels: Sequence[int]) -> np.ndarray:
        """Return what the layer loses without each of these, as a share of what it gives."""
        found = np.zeros(len(labels))
        sizes: Dict[int, List[int]] = collections.defaultdict(list)
        for place, label in enumerate(labels):
            sizes[len(self._inputs[label])].append(place)
        for size, places in sizes.items():
            if size:
                index = torch.from_numpy(np.array([self._inputs[labels[place]]
                                                   for place in places]))
                weight = self._weight[index]
                block = self._inverse[index[:, :, None], index[:, None, :]]
                lost = (weight * torch.linalg.solve(block, weight)).sum((1, 2)) / self._whole
                found[places] = lost.cpu().numpy()
        return found

    def drop(self, labels: Sequence[int]) -> None:
        """Let the others take over."""
        index = torch.from_numpy(np.concatenate([self._inputs[label] for label in labels]))
        if len(index):
            rows = torch.linalg.solve(self._inverse[index][:, index], self._inverse[index])
            self._weight -= rows.T @ self._weight[index]
            self._inverse -= self._inverse[:, index] @ rows


def worth(channels: ChannelMap, groups: Sequence[Sequence[int]], exact: ExactLayers
          ) -> Dict[int, float]:
    """Return what each label is worth that some layer reads; the first to go is worth least.

    The labels of a group go one after the other, the least first, while all others stay.
    """
    weights = {tensor.name: _by_input(numpy_helper.to_array(tensor), axis).to(exact.device)
               for tensor in channels.model.graph.initializer
               for axis, _ in _reading(channels, tensor.name) if tensor.name in exact.moments}
    inverses = {name: _inverse(exact.moments[name]) for name in weights}
    found: Dict[int, float] = {}
    for labels in groups:
        readers = [_Reader(weights[name], along, labels, exact.moments[name], inverses[name])
                   for name in weights
                   for _, along in _reading(channels, name) if np.isin(along, labels).any()]
        left, lost = list(labels), 0.0
        while readers and left:
            losses = sum(reader.losses(left) for reader in readers)
            first = np.argsort(losses, kind='stable')[:1 + len(left) // PART]
            for place in first:
                # what goes later is worth more
                lost += max(float(losses[place]), 1e-12)
                found[left[place]] = lost
            gone = [left[place] for place in first]
            for reader in readers:
                reader.drop(gone)
            left = [label for label in left if label not in set(gone)]
    return found


def _by_input(weight: np.ndarray, axis: int) -> torch.Tensor:
    """Return the weights of a layer as [inputs of a filter, filters]."""
    filters = weight.shape[1 - axis]
    rows = np.moveaxis(weight, 1 - axis, -1).reshape(-1, filters)
    return torch.from_numpy(np.ascontiguousarray(rows))


def _inverse(moments: torch.Tensor) -> torch.Tensor:
    ridge = RIDGE * moments.diagonal().mean().clamp(min=1e-12)
    size = torch.eye(len(moments), device=moments.device)
    while True:
        factor, failed = torch.linalg.cholesky_ex(moments + ridge * size)
        if not failed:
            return torch.cholesky_inverse(factor)
        # rounding has left a direction without variance a negative one
        ridge = 10 * ridge


def _reading(channels: ChannelMap, name: str):
    """Give the axis along which a layer reads channels, and the labels along it."""
    writing = {layer.weight: layer.axis for layer in channels.layers}
    return [(axis, labels) for axis, labels in channels.labels_of(name).items()
            if axis != writing.get(name)]
