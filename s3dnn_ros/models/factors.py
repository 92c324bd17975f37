"""A layer's weight as a chain of smaller ones, and what each way to do so costs and loses.

Three kinds. `svd`: a matrix, or a 1 × 1 convolution, as two. `tucker`: a k × k convolution
between two of 1 × 1 that change the number of channels (Tucker-2; Kim et al., Compression of
deep convolutional neural networks, 2016); where one of them would keep all channels it is left
out. `separable`: a k × k convolution as k × 1 and 1 × k (Tai et al., Convolutional neural
networks with low-rank regularization, 2016). All ranks of a kind are truncations of one
orthogonal basis, so that a lower rank never loses less. Improving a truncated Tucker basis by
alternation (HOOI) changed errors by less than 1 % on trained networks, and is not done. What a
way loses is that of the layer's outputs where the inputs are known (see `calibration`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from s3dnn_ros.models.calibration import ALIKE, Whitening

# A GPU's matrix units take channels by so many in half precision: with a rank between two
# multiples a convolution takes longer than the whole layer.
MULTIPLE = 8
# To read a weight takes a device as long as so many multiply-adds, or thereabouts: 23 on a TX2,
# 80 on an AGX Xavier, 200 on an H200, by their peaks in half precision. So a matrix that is
# applied to one row is paid for by its size.
READING = 64
# A chain that saves less than a tenth of a layer's work is not worth its launches.
WORTH = 0.9


@dataclass(frozen=True)
class Way:
    """How to write a weight, what it takes, and the share of the squares that it loses.

    The squares are those of the outputs as far as the inputs are known, else of the weight.
    `ranks` are the channels between the links of the chain; the empty kind is the exact layer.
    `macs` are multiply-adds; `work` is the same, but that a weight counts as READING at least.
    """

    kind: str
    ranks: Tuple[int, ...]
    macs: int
    work: int
    lost: float


@dataclass(frozen=True)
class Link:
    """One of a chain: a weight [outputs, inputs, *kernel].

    `axes` are those of the image along which it has the layer's stride, padding and dilation.
    """

    weight: np.ndarray
    axes: Tuple[int, ...]


class Factors:
    """The ways to write a weight [outputs, inputs, *kernel] as a chain.

    `source` and `target` are the sizes of the layer's input and output (see `macs.Cost`);
    `whitening` tells what its input is like. The weight must be finite and not all zeros.
    `stake` is 1 over the share of the outputs' squares that varies from place to place: what is
    lost of them is lost of that share, in which the information is (DERIVED).
    """

    def __init__(self, weight: np.ndarray, source: Sequence[int], target: Sequence[int],
                 whitening: Whitening = ALIKE):
        self.data_type = weight.dtype
        self.weight = np.asarray(weight, np.float64)
        self._source, self._target = tuple(source), tuple(target)
        outputs, inputs, *self._kernel = self.weight.shape
        self.outputs, self.inputs = outputs, inputs
        self._taps = math.prod(self._kernel)
        self._whitening = whitening
        white = whitening.apply(self.weight)
        self._squares = float(np.square(white).sum())
        self.stake = self._squares / (self._squares - whitening.steady(self.weight))
        self.macs, self.work = _taken([(self.weight.size, math.prod(self._target))])
        self._bases: Dict[str, Tuple[np.ndarray, ...]] = {}
        if self._taps == 1:
            self._bases['svd'] = _halves(white.reshape(outputs, inputs))
            return
        self._bases['tucker'] = self._tucker(white)
        if len(self._kernel) == 2 and min(self._kernel) > 1:
            self._bases['separable'] = _halves(self._unfolded(white))

    def ways(self) -> List[Way]:
        """Return the exact layer and all ways worth it that lose less than any as cheap.

        From the most work to the least.
        """
        least = math.inf
        front = []
        table = [way for kind in self._bases for way in self._table(kind)]
        for way in sorted(table, key=lambda way: (way.work, way.lost, way.kind, way.ranks)):
            if (way.work <= WORTH * self.work and way.macs < self.macs and way.lost < least):
                least = way.lost
                front.append(way)
        return [Way('', (), self.macs, self.work, 0.0), *front[::-1]]

    def chain(self, way: Way) -> List[Link]:
        """Return the links of a way, first to last."""
        first, *others = self._links(way)
        return [Link(self._whitening.undo(first.weight), first.axes), *others]

    def _links(self, way: Way) -> List[Link]:
        """Return the links for an input that is white."""
        axes = tuple(range(len(self._kernel)))
        pointwise = (1,) * len(self._kernel)
        if way.kind == 'tucker':
            return self._tucker_links(way.ranks, axes, pointwise)
        rank, = way.ranks
        left, right, _ = self._bases[way.kind]
        left, right = left[:, :rank], right[:rank]
        if way.kind == 'svd':
            return [Link(right.reshape(rank, self.inputs, *pointwise), axes),
                    Link(left.reshape(self.outputs, rank, *pointwise), ())]
        high, wide = self._kernel
        first = left.reshape(self.inputs, high, rank).transpose(2, 0, 1)
        second = right.reshape(rank, self.outputs, wide).transpose(1, 0, 2)
        return [Link(first[:, :, :, np.newaxis], axes[:1]),
                Link(second[:, :, np.newaxis, :], axes[1:])]

    def _tucker_links(self, ranks, axes, pointwise) -> List[Link]:
        few, many = ranks
        into, out_of, core = self._bases['tucker']
        links = []
        core = core[:many, :few]
        if few < self.inputs:
            links.append(Link(into[:, :few].T.reshape(few, self.inputs, *pointwise), ()))
        else:
            core = np.einsum('rsk,is->rik', core, into)
        if many == self.outputs:
            core = np.einsum('rsk,or->osk', core, out_of)
        links.append(Link(core.reshape(*core.shape[:2], *self._kernel), axes))
        if many < self.outputs:
            links.append(Link(out_of[:, :many].reshape(self.outputs, many, *pointwise), ()))
        return links

    def _table(self, kind: str) -> List[Way]:
        """Return the ways of a kind, of every rank or pair of ranks that is of use."""
        inputs, outputs, places = self.inputs, self.outputs, math.prod(self._target)
        if kind == 'tucker':
            return self._tucker_table(math.prod(self._source), places)
        ranks = _handy(len(self._bases[kind][2]))
        kept = np.cumsum(self._bases[kind][2])[ranks - 1]
        if kind == 'svd':
            macs, work = _taken([((inputs + outputs) * ranks, places)])
        else:
            macs, work = _taken([
                (inputs * self._kernel[0] * ranks, self._target[0] * self._source[1]),
                (outputs * self._kernel[1] * ranks, places)])
        return [Way(kind, (rank,), *taken, self._lost(share)) for rank, *taken, share in
                zip(ranks.tolist(), macs.tolist(), work.tolist(), kept.tolist())]

    def _tucker_table(self, places_in: int, places: int) -> List[Way]:
        inputs, outputs = self.inputs, self.outputs
        few, many = np.meshgrid(_handy(inputs), _handy(outputs))
        kept = np.square(self._bases['tucker'][2]).sum(2).cumsum(0).cumsum(1)[many - 1, few - 1]
        macs, work = _taken([(np.where(few < inputs, few * inputs, 0), places_in),
                             (few * many * self._taps, places),
                             (np.where(many < outputs, many * outputs, 0), places)])
        few, many, kept, macs, work = (
            array.ravel() for array in (few, many, kept, macs, work))
        # of all pairs, only those that lose less than any that takes as little are of use
        order = np.lexsort((-kept, work))
        best = np.maximum.accumulate(kept[order])
        rising = order[np.flatnonzero(np.diff(best, prepend=-1.0) > 0.0)]
        return [Way('tucker', (int(few[index]), int(many[index])), int(macs[index]),
                    int(work[index]), self._lost(kept[index])) for index in rising]

    def _lost(self, kept: float) -> float:
        return min(1.0, max(0.0, 1.0 - float(kept) / self._squares))

    def _tucker(self, weight: np.ndarray) -> Tuple[np.ndarray, ...]:
        """Return the bases of inputs and outputs, and the weight in them."""
        cube = weight.reshape(self.outputs, self.inputs, self._taps)
        out_of = _basis(cube.reshape(self.outputs, -1))
        into = _basis(cube.transpose(1, 0, 2).reshape(self.inputs, -1))
        core = np.einsum('oik,or,is->rsk', cube, out_of, into, optimize=True)
        return into, out_of, core

    def _unfolded(self, weight: np.ndarray) -> np.ndarray:
        """Return a weight as a matrix: inputs and rows of the kernel by outputs and columns."""
        high, wide = self._kernel
        return weight.transpose(1, 2, 0, 3).reshape(self.inputs * high, self.outputs * wide)


def _handy(channels: int) -> np.ndarray:
    """Return the ranks that are worth it, ascending, the full one included."""
    ranks = np.arange(1, channels + 1)
    return ranks[(ranks % MULTIPLE == 0) | (ranks < MULTIPLE) | (ranks == channels)]


def _taken(links):
    """Return multiply-adds and work of a chain; of each link its weights and how often applied."""
    return (sum(weights * places for weights, places in links),
            sum(weights * max(places, READING) for weights, places in links))


def _halves(matrix: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (left, right, squares): left @ right is the matrix, the largest of each first.

    Truncating both is the best approximation of that rank; `squares` is what each rank adds to
    the sum of squares.
    """
    if matrix.shape[0] > matrix.shape[1]:
        left, right, squares = _halves(matrix.T)
        return right.T, left.T, squares
    left = _basis(matrix)
    right = left.T @ matrix
    return left, right, np.square(right).sum(1)


def _basis(matrix: np.ndarray) -> np.ndarray:
    """Return the left singular vectors, largest first.

    From the product with itself, which takes a third of the time of an SVD. What that loses in
    precision is in the order of small ones; they are orthogonal to rounding all the same.
    """
    return np.linalg.eigh(matrix @ matrix.T)[1][:, ::-1]
