"""What a network's layers read on real images, and which change of a weight matters there.

An error of a weight matters as much as the input that it meets. With the second moments C of a
layer's input channels, the squares of the change of its outputs are ‖(W − Ŵ) C½‖², so that the
nearest weight of low rank is found on W C½. Fitting outputs instead of weights is that of Zhang
et al. (Accelerating very deep convolutional networks, 2016); the form is DERIVED, and so is that
the taps of a kernel share one C, as if they met inputs of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Mapping, Tuple

import numpy as np

# Of more channels only their own squares are kept. Such are the inputs of products, which see
# one place an image, so that little is known of how channels vary together, at great cost.
MOST_CHANNELS = 2048
# A tensor that a layer reads, and the axis of its channels.
Reading = Tuple[str, int]


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of channels, summed over `samples` places.

    `sums` are [channels], `products` [channels, channels]; of more than MOST_CHANNELS only the
    diagonal of these, [channels].
    """

    sums: np.ndarray
    products: np.ndarray
    samples: int

    @classmethod
    def of(cls, array: np.ndarray, axis: int) -> Moments:
        """Return those of the channels that lie along an axis."""
        rows = np.moveaxis(np.asarray(array, np.float64), axis, 0)
        rows = rows.reshape(len(rows), -1)
        products = (rows @ rows.T if len(rows) <= MOST_CHANNELS
                    else np.einsum('ij,ij->i', rows, rows))
        return cls(rows.sum(1), products, rows.shape[1])

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.sums + other.sums, self.products + other.products,
                       self.samples + other.samples)


@dataclass(frozen=True, eq=False)
class Whitening:
    """C½, its inverse and the mean input, for matrices, for diagonals, or for one number."""

    root: np.ndarray
    inverse: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, moments: Moments) -> Whitening:
        """Return that of moments, scaled to a mean square of 1 and never singular.

        As many places as there are channels are added in which all channels are alike and
        independent (DERIVED). So few images say little about many channels, and a channel that
        was dead on them keeps its weight. ALIKE if all were dead, or not all were finite.
        """
        products, channels = moments.products, len(moments.sums)
        squares = float((np.trace(products) if products.ndim == 2 else products.sum()) / channels)
        if not np.isfinite(products).all() or not squares > 0.0:
            return ALIKE
        # squares / samples is the mean square
        scale, count = moments.samples / squares, moments.samples + channels
        if products.ndim == 1:
            root = np.sqrt((products * scale + channels) / count)
            # how channels vary together is not known, so neither is what is steady
            return cls(root, 1.0 / root, np.zeros(()))
        values, vectors = np.linalg.eigh(products * scale)
        # rounding may leave less than nothing
        roots = np.sqrt((np.maximum(values, 0.0) + channels) / count)
        return cls((vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T,
                   moments.sums / np.sqrt(squares * count))

    def apply(self, weight: np.ndarray) -> np.ndarray:
        """Return W C½ of a weight [outputs, inputs, *kernel]."""
        return _times(weight, self.root)

    def steady(self, weight: np.ndarray) -> float:
        """Return the part of the squares of `apply` that the mean input makes."""
        return float(np.square((np.swapaxes(weight, 1, -1) * self.mean).sum(-1)).sum())

    def undo(self, weight: np.ndarray) -> np.ndarray:
        """Return the weight [outputs, inputs, *kernel] that `apply` was given."""
        return _times(weight, self.inverse)


@dataclass(frozen=True)
class Calibration:
    """What was read from images: moments by tensor and axis.

    `source` says which images these are; `sha256` is that of network and images, empty where
    there are none.
    """

    source: str
    sha256: str
    moments: Mapping[Reading, Moments]


# Of an input about which nothing is known, and of a network about which nothing is.
ALIKE = Whitening(np.ones(()), np.ones(()), np.zeros(()))
WEIGHTS_ALONE = Calibration('none, the weights alone', '', MappingProxyType({}))


def _times(weight: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return the product along the axis of the inputs, which all roots are symmetric for."""
    last = np.swapaxes(weight, 1, -1)
    return np.swapaxes(last @ root if root.ndim == 2 else last * root, 1, -1)
