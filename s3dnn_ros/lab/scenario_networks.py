"""The networks of a scenario: their layers by segment, and how long these take on its device."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import onnx

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cohort import ModelTables
from s3dnn_ros.errors import ModelError
from s3dnn_ros.lab import skeletons
from s3dnn_ros.lab.board import Board
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.board_tables import BoardTables
from s3dnn_ros.lab.calibrate import NETWORKS
from s3dnn_ros.lab.layers import Layer, cut, layers_of
from s3dnn_ros.lab.low_rank_layers import for_work, pairs_of
from s3dnn_ros.lab.neuos_networks import in_variants
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.scenario import Scenario
from s3dnn_ros.models.graph import load_graph, parse
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.profiling.table import ProfileTable, load_table

# Networks that need no file: only their shapes matter.
SHAPES = {**NETWORKS, 'alexnet': skeletons.alexnet, 'googlenet': skeletons.googlenet}
NETWORK, DESCRIPTION, PROFILE = '.onnx', '.yaml', '.json'
FILES = (NETWORK, DESCRIPTION, '.yml', PROFILE)


class CohortNetwork(NamedTuple):
    """What a cohort knows of a network, and what each variant of each segment gains."""

    tables: ModelTables
    speedups: Tuple[Tuple[float, ...], ...]


class LabNetwork(NamedTuple):
    """A network's times, and the layers of its segments; without a board nobody asks for them."""

    profile: ProfileTable
    segments: Sequence[Sequence[Layer]] = ()


def networks_of(scenario: Scenario) -> Dict[str, LabNetwork]:
    """Return the networks of all models.

    Times are those of a profile where the model is one, else those of the roofline of the board,
    with all clocks at their highest step. Raises ModelError, ProfileError and PlatformError.
    """
    return {model: _network(model, scenario.board, scenario.precision, scenario.segments,
                            scenario.max_batch)
            for model in dict.fromkeys(each.model for each in scenario.instances)}


def device_of(models: Sequence[str]) -> Optional[str]:
    """Return the device that these profiles were measured on; None if it is not one for all."""
    devices = {load_table(model).device if model.endswith(PROFILE) else None for model in models}
    return devices.pop() if len(devices) == 1 else None


def files_of(models: Sequence[str], boards: Sequence[str]) -> Tuple[Tuple[str, str], ...]:
    """Return the path and the SHA-256 of every file that networks and boards come from."""
    paths = {Path(board) for board in boards if board.endswith(('.yaml', '.yml'))}
    for model in models:
        if model.endswith(FILES):
            paths.add(Path(model))
        if model.endswith(('.yaml', '.yml')) or not (model.endswith(FILES) or model in SHAPES):
            paths.add(load_spec(model).onnx)
    return tuple(sorted((str(path), sha256_of(path)) for path in paths))


@functools.lru_cache(maxsize=None)
def layers_named(model: str) -> Tuple[Layer, ...]:
    """Return the layers of a network; of a profile those of the model that it names.

    Raises ModelError and ProfileError.
    """
    layers = tuple(layers_of(_graph(model)))
    if not any(layer.flops for layer in layers):
        raise ModelError(model, 'has no layers that compute anything; name another network')
    return layers


@functools.lru_cache(maxsize=None)
def cohort_network(board: str, precision: str, model: str, segments: int,
                   low_rank: bool) -> CohortNetwork:
    """Return what a cohort knows of a network on a board; it takes seconds to work out.

    With `low_rank` every segment has NeuOS's variants. Their ranks are those with which chains
    keep the share of the work that the NeuOS authors' VGG keeps (INFERRED), and their score is
    NeuOS's points.
    """
    described, roofline, tables = _tables_on(board, precision)
    if low_rank:
        network = in_variants(described, roofline, tables, pairs_of(_graph(model), for_work()),
                              segments)
        return CohortNetwork(network.tables, network.speedups)
    parts = cut(layers_named(model), segments)
    return CohortNetwork(tables.of(parts), ((1.0,),) * len(parts))


@functools.lru_cache(maxsize=None)
def _tables_on(board, precision) -> Tuple[Board, Roofline, BoardTables]:
    described = load_board(board)
    roofline = Roofline(described, precision)
    return described, roofline, BoardTables(described, described.space(), roofline)


def _graph(model: str) -> onnx.ModelProto:
    if model in SHAPES:
        return SHAPES[model]()
    if model.endswith(PROFILE):
        return _graph(load_table(model).model)
    return (parse(Path(model), 'export it again') if model.endswith(NETWORK)
            else load_graph(load_spec(model)))


@functools.lru_cache(maxsize=None)
def _network(model, board, precision, segments, max_batch) -> LabNetwork:
    measured = load_table(model) if model.endswith(PROFILE) else None
    if measured is not None and not board:
        return LabNetwork(measured)
    parts = cut(layers_named(model), measured.segments if measured else segments)
    if measured is None:
        return LabNetwork(Roofline(load_board(board), precision).profile(
            model, parts, _batches(max_batch)), parts)
    if len(parts) < measured.segments:
        raise ModelError(model, f'has {measured.segments} segments, and the network '
                         f'{measured.model} has {len(parts)} layers; measure it again')
    return LabNetwork(measured, parts)


def _batches(most) -> List[int]:
    """Return 1, 2, 4, … and the largest batch; between them times are linear."""
    return sorted({most, *(1 << power for power in range(most.bit_length()))})
