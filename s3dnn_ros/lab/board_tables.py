"""NeuOS's tables of a simulated board: what each configuration gives and draws, by segment."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from s3dnn_ros.cohort import ModelTables, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals.oracle import Costs
from s3dnn_ros.lab.board import CPU, UNITS, Board, Settings
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.platforms.space import ConfigurationSpace

# By segment: speed-up and score of every variant, the exact one first.
Variants = Sequence[Sequence[Tuple[float, float]]]


class BoardTables:
    """Makes the tables of networks on a board: what all of them share is worked out once.

    A segment takes its time on the device, and the host's before it. While it runs, one core is
    busy.

    Parameters
    ----------
    board : Board
    space : ConfigurationSpace
        A table has a row for each of these configurations.
    roofline : Roofline

    """

    def __init__(self, board: Board, space: ConfigurationSpace, roofline: Roofline):
        settings = [board.settings(space.settings(index)) for index in range(len(space))]
        self._least_host_s = board.launch_s + board.decision_s
        self._host_s = np.array([self._least_host_s * board.clocks[CPU].steps_mhz[-1]
                                 / each.cpu_mhz for each in settings])
        self._draws = _draws(board, settings)
        self._highest = board.highest
        self._roofline = roofline
        # few clocks are another configuration's, and of those a segment's time goes by
        places: Dict[Tuple[float, float], int] = {}
        self._place = np.array([places.setdefault((each.gpu_mhz, each.memory_mhz), len(places))
                                for each in settings])
        self._clocks = list(places)

    def of(self, segments: Sequence[Sequence[Layer]], variants: Variants = ()) -> ModelTables:
        """Return the tables of a network, whose segments have these layers.

        Without `variants` all segments are exact.
        """
        highest = self._highest.gpu_mhz, self._highest.memory_mhz
        times_s, power, network_s = [], [], np.zeros(len(self._place))
        for layers in segments:
            took_s, drawn_w = self._run(layers)
            times_s.append(self._roofline.run(layers, 1, *highest).time_s + self._least_host_s)
            power.append(SpeedupPowerTable(took_s.max() / took_s, drawn_w / drawn_w.min()))
            network_s += took_s
        accuracy = tuple(SpeedupAccuracyTable(*zip(*each)) for each in (
            variants or [[(1.0, 1.0)]] * len(segments)))
        return ModelTables(tuple(times_s), tuple(power), accuracy, tuple(network_s.tolist()))

    def costs(self, segments: Sequence[Sequence[Layer]]) -> Costs:
        """Return what each segment of a network takes and uses in each configuration.

        The energy is that above what the board draws at rest, in the configuration of least
        power.
        """
        took_s, drawn_w = map(np.array, zip(*map(self._run, segments)))
        idle_w = self._draws[:, 0]
        rest_w = idle_w.min()
        return Costs(took_s, took_s * (drawn_w - rest_w), idle_w - rest_w)

    def _run(self, layers):
        """Return what layers take, in seconds, and draw meanwhile, in watts, by configuration."""
        runs = np.array([self._roofline.run(layers, 1, *clocks)
                         for clocks in self._clocks])[self._place]
        took_s = runs[:, 0] + self._host_s
        busy = runs[:, 0] / took_s
        used = np.stack([np.ones(len(runs)), busy * runs[:, 1], busy * runs[:, 2],
                         np.ones(len(runs))], axis=1)
        return took_s, (self._draws * used).sum(axis=1)


def _draws(board: Board, settings: Sequence[Settings]):
    """Return a row for each configuration: watts of nothing, and what each full use adds."""
    known: Dict[Settings, List[float]] = {}
    for each in settings:
        if each not in known:
            idle_w, *full_w = (sum(board.power_w(each, activity).values())
                               for activity in UNITS)
            known[each] = [idle_w, *(power_w - idle_w for power_w in full_w)]
    return np.array([known[each] for each in settings])
