"""What a simulated board makes of networks whose times on a real one are published."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import onnx

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab import skeletons
from s3dnn_ros.lab.board import Activity, Board
from s3dnn_ros.lab.layers import Layer, layers_of
from s3dnn_ros.lab.roofline import Roofline

PRECISION = 'fp16'
NETWORKS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    'resnet18': functools.partial(skeletons.resnet, 'resnet18', (2, 2, 2, 2), deep=False),
    'resnet50': functools.partial(skeletons.resnet, 'resnet50', (3, 4, 6, 3), deep=True),
    'mobilenet_v2': skeletons.mobilenet_v2, 'vgg16': skeletons.vgg16,
    'inception_v4': skeletons.inception_v4}
# Fitted constants lie within these bounds, and are found on ever finer grids.
BOUNDS = {'efficiency': (0.02, 1.0), 'kernel_s': (1e-6, 1e-4)}
GRID, REFINEMENTS = 12, 8


class Figure(NamedTuple):
    """A published time of a network at batch 1, all clocks at their highest step."""

    network: str
    time_ms: float
    source: str


_TORCH2TRT = 'torch2trt, FP16'
_TF_TRT = 'TF-TRT, FP16, MAX-N'
PUBLISHED: Mapping[str, Tuple[Figure, ...]] = {
    'agx_xavier': (Figure('resnet18', 1.64, _TORCH2TRT), Figure('resnet50', 3.37, _TORCH2TRT),
                   Figure('mobilenet_v2', 1.67, _TORCH2TRT), Figure('vgg16', 7.46, _TORCH2TRT)),
    'tx2': (Figure('resnet50', 12.5, _TF_TRT), Figure('inception_v4', 38.5, _TF_TRT))}
# Two figures do not tell two constants: a kernel on the TX2 has as many clocks as on the Xavier.
FITTED: Mapping[str, Tuple[str, ...]] = {
    'agx_xavier': ('efficiency', 'kernel_s'), 'tx2': ('efficiency',)}


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure, and what the model says: as it is, and fitted to all the other figures.

    `left_out_ms` is None where the others do not tell the constants.
    """

    figure: Figure
    model_ms: float
    left_out_ms: Optional[float]

    @property
    def residual(self) -> float:
        """Return by which share of the published time the model is above it."""
        return self.model_ms / self.figure.time_ms - 1.0

    @property
    def left_out_residual(self) -> Optional[float]:
        """Return the same of the model that was fitted without it."""
        return None if self.left_out_ms is None else self.left_out_ms / self.figure.time_ms - 1.0


@functools.lru_cache(maxsize=None)
def network_layers(name: str) -> Tuple[Layer, ...]:
    """Return the layers of one of NETWORKS."""
    return tuple(layers_of(NETWORKS[name]()))


def figures_of(board: Board) -> Tuple[Figure, ...]:
    """Return what is published of a board; raises ParameterError if nothing is known."""
    if board.name not in PUBLISHED:
        raise ParameterError('board', board.name, 'no published times of it are known; expected '
                             f'one of {", ".join(sorted(PUBLISHED))}')
    return PUBLISHED[board.name]


def time_ms(board: Board, network: str) -> float:
    """Return what the model says that a network takes, alone, with the highest clocks."""
    highest = board.highest
    return 1e3 * Roofline(board, PRECISION).run(network_layers(network), 1, highest.gpu_mhz,
                                                highest.memory_mhz).time_s


def fitted(board: Board, figures: Sequence[Figure], names: Sequence[str]) -> Board:
    """Return the board with those constants that come closest to the figures.

    Closest is the least sum of squared logarithms of model over published.
    """
    middles = {name: math.sqrt(math.prod(BOUNDS[name])) for name in names}
    reach = {name: math.sqrt(BOUNDS[name][1] / BOUNDS[name][0]) for name in names}
    for _ in range(REFINEMENTS):
        grids = [[middles[name] * reach[name] ** (2.0 * step / GRID - 1.0)
                  for step in range(GRID + 1)] for name in names]
        tried = [dict(zip(names, values)) for values in itertools.product(*grids)]
        middles = min((_bounded(values) for values in tried),
                      key=lambda values: _misfit(_with(board, values), figures))
        reach = {name: value ** (3.0 / GRID) for name, value in reach.items()}
    return _with(board, middles)


def calibration(board: Board) -> List[Row]:
    """Return a row for every published figure of a board."""
    figures, names = figures_of(board), FITTED[board.name]
    rows = []
    for figure in figures:
        others = [other for other in figures if other is not figure]
        left_out_ms = (time_ms(fitted(board, others, names), figure.network)
                       if len(others) >= len(names) else None)
        rows.append(Row(figure, time_ms(board, figure.network), left_out_ms))
    return rows


def budgets(board: Board) -> Dict[str, Tuple[float, float]]:
    """Return for every mode with a budget that budget, and the model's power at full load, in W.

    Full load is all of the GPU, of the bandwidth and of the cores that are on.
    """
    space = board.space('all')
    full = Activity(1.0, 1.0, math.inf)
    return {name: (mode.budget_w, sum(board.power_w(board.settings(space.settings(
        board.mode_index(space, name))), full).values()))
            for name, mode in board.modes.items() if mode.budget_w is not None}


def _with(board, values: Mapping[str, float]) -> Board:
    efficiency = values['efficiency']
    return dataclasses.replace(board, efficiency=dict.fromkeys(board.efficiency, efficiency),
                               kernel_s=values.get('kernel_s', board.kernel_s))


def _bounded(values):
    return {name: min(max(value, BOUNDS[name][0]), BOUNDS[name][1])
            for name, value in values.items()}


def _misfit(board, figures) -> float:
    return sum(math.log(time_ms(board, figure.network) / figure.time_ms)**2 for figure in figures)
