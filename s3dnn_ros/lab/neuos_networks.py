"""The networks of NeuOS's experiment on a simulated board: layers, variants, deadlines, tables."""

from __future__ import annotations

import dataclasses
import functools
from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import onnx

from s3dnn_ros.cohort import ModelTables
from s3dnn_ros.cohort.rivals.oracle import Costs
from s3dnn_ros.lab import skeletons
from s3dnn_ros.lab.board import Board
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.board_tables import BoardTables
from s3dnn_ros.lab.layers import Layer, cut
from s3dnn_ros.lab.low_rank_layers import Pair, Ranks, for_work, listed, pairs_of
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.models.fidelity import points

# As torch2trt and TF-TRT had when the times were measured that the boards are calibrated to.
PRECISION = 'fp16'
NUMBER_BYTES = 2


class Source(NamedTuple):
    """A network of the experiment: its graph, and the ranks of its convolutions."""

    graph: Callable[[], onnx.ModelProto]
    ranks: Ranks


# Ranks of AlexNet and VGG are those in the NeuOS authors' code; there it is VGG-19, whose first
# layers of each stage VGG-16 has. Those of the other two are INFERRED.
SOURCES: Mapping[str, Source] = {
    'AlexNet': Source(skeletons.alexnet, listed((8, 40, 60, 100, 200))),
    'GoogLeNet': Source(skeletons.googlenet, for_work()),
    'ResNet-50': Source(functools.partial(skeletons.resnet, 'resnet50', (3, 4, 6, 3), deep=True),
                        for_work()),
    'VGG-16': Source(skeletons.vgg16, listed((8, 40, 60, 100, 200, 200, 200, 200, 400, 400, 200,
                                              400, 400)))}
# Of the paper, in ms and in the order of SOURCES, by board.
DEADLINES_MS: Mapping[str, Tuple[float, ...]] = {
    'tx2': (10.0, 30.0, 150.0, 40.0), 'agx_xavier': (5.0, 10.0, 25.0, 30.0)}


@dataclasses.dataclass(frozen=True)
class Network:
    """A network in segments on a board.

    Attributes
    ----------
    segments : sequence of sequence of Layer
        The exact layers of each.
    speedups : tuple of tuple of float
        What each variant of each segment gains on the device against the exact one, the first.
    tables : ModelTables
        Their variants have NeuOS's points as a share of 1: one point less for each layer of low
        rank.
    costs : Costs
    weights_mb, low_rank_mb : float
        Weights of the exact network, and of the copy of low rank, which are both resident.

    """

    segments: Sequence[Sequence[Layer]]
    speedups: Tuple[Tuple[float, ...], ...]
    tables: ModelTables
    costs: Costs
    weights_mb: float
    low_rank_mb: float


@functools.lru_cache(maxsize=None)
def networks_of(board_name: str, steps: str, count: int) -> Dict[str, Network]:
    """Return the networks of SOURCES in so many segments each, with their tables; takes seconds.

    `steps` is as for `Board.space`. A segment of several layers of low rank has a variant for
    each number of them: first those that save most. What saves no time at the highest clocks is
    not offered.
    """
    board = load_board(board_name)
    roofline = Roofline(board, PRECISION)
    tables = BoardTables(board, board.space(steps), roofline)
    return {name: in_variants(board, roofline, tables, pairs, count)
            for name, pairs in _pairs().items()}


@functools.lru_cache(maxsize=None)
def _pairs() -> Dict[str, List[Pair]]:
    return {name: pairs_of(source.graph(), source.ranks) for name, source in SOURCES.items()}


def in_variants(board: Board, roofline: Roofline, tables: BoardTables, pairs: Sequence[Pair],
                count: int) -> Network:
    """Return a network of layers in so many segments, each with its variants of low rank."""
    highest = board.highest

    def time_s(layers):
        return roofline.run(layers, 1, highest.gpu_mhz, highest.memory_mhz).time_s

    host_s = board.launch_s + board.decision_s
    segments, variants, speedups = [], [], []
    for part in cut(pairs, count):
        exact = tuple(pair.exact for pair in part)
        times_s = _times_s(part, time_s)
        segments.append(exact)
        speedups.append(tuple(times_s[0] / each_s for each_s in times_s))
        variants.append([((times_s[0] + host_s) / (each_s + host_s), points(layers))
                         for layers, each_s in enumerate(times_s)])
    return Network(segments, tuple(speedups), tables.of(segments, variants),
                   tables.costs(segments),
                   _megabytes(pair.exact for pair in pairs),
                   _megabytes(layer for pair in pairs
                              for layer in pair.low_rank or (pair.exact,)))


def _times_s(part, time_s) -> List[float]:
    """Return what a segment takes with 0, 1, … layers of low rank."""
    saved_s = sorted((time_s([pair.exact]) - time_s(pair.low_rank)
                      for pair in part if pair.low_rank), reverse=True)
    times_s = [time_s([pair.exact for pair in part])]
    for each_s in saved_s:
        if each_s > 0.0:
            times_s.append(times_s[-1] - each_s)
    return times_s


def _megabytes(layers) -> float:
    return NUMBER_BYTES * sum(layer.weights for layer in layers) / 1e6
