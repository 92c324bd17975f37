"""NeuOS's tables of a simulated board: what each configuration gives and draws, by segment."""

from __future__ import annotations

import functools
from typing import Dict, List, Sequence, Tuple

import numpy as np

from s3dnn_ros.cohort import ModelTables, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.rivals.oracle import Costs
from s3dnn_ros.lab.board import CPU, UNITS, Board, Settings
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.roofline import Roofline, Run
from s3dnn_ros.platforms.space import ConfigurationSpace

# By segment: speed-up and score of every variant, the exact one first.
Variants = Sequence[Sequence[Tuple[float, float]]]


def model_tables(board: Board, space: ConfigurationSpace, roofline: Roofline,
                 segments: Sequence[Sequence[Layer]], variants: Variants = ()) -> ModelTables:
    """Return the tables of a network, whose segments have these layers.

    A segment takes its time on the device, and the host's before it. While it runs, one core is
    busy. Without `variants` all segments are exact.
    """
    least_host_s = board.launch_s + board.decision_s
    highest = board.highest
    times_s = [roofline.run(layers, 1, highest.gpu_mhz, highest.memory_mhz).time_s + least_host_s
               for layers in segments]
    took_s, drawn_w, _ = _by_configuration(board, space, roofline, segments)
    power = [SpeedupPowerTable(one_s.max() / one_s, one_w / one_w.min())
             for one_s, one_w in zip(took_s, drawn_w)]
    accuracy = tuple(SpeedupAccuracyTable(*zip(*each)) for each in (
        variants or [[(1.0, 1.0)]] * len(segments)))
    return ModelTables(tuple(times_s), tuple(power), accuracy,
                       tuple(took_s.sum(axis=0).tolist()))


def segment_costs(board: Board, space: ConfigurationSpace, roofline: Roofline,
                  segments: Sequence[Sequence[Layer]]) -> Costs:
    """Return what each segment of a network takes and uses in each configuration.

    The energy is that above what the board draws at rest, in the configuration of least power.
    """
    took_s, drawn_w, idle_w = _by_configuration(board, space, roofline, segments)
    rest_w = idle_w.min()
    return Costs(took_s, took_s * (drawn_w - rest_w), idle_w - rest_w)


def _by_configuration(board, space, roofline, segments):
    """Return seconds and watts of each segment, a row for each, and watts of nothing."""
    settings = [board.settings(space.settings(index)) for index in range(len(space))]
    host_s = np.array([(board.launch_s + board.decision_s) * board.clocks[CPU].steps_mhz[-1]
                       / each.cpu_mhz for each in settings])
    draws = _draws(board, settings)
    took_s, drawn_w = [], []
    for layers in segments:
        run = functools.lru_cache(maxsize=None)(functools.partial(roofline.run, layers, 1))
        runs = [run(each.gpu_mhz, each.memory_mhz) for each in settings]
        took_s.append(np.array([each.time_s for each in runs]) + host_s)
        drawn_w.append((draws * _activities(runs, took_s[-1])).sum(axis=1))
    return np.array(took_s), np.array(drawn_w), draws[:, 0]


def _activities(runs: Sequence[Run], took_s):
    """Return a row for each configuration: 1, and what is used of GPU, bandwidth and a core."""
    busy = np.array([run.time_s for run in runs]) / took_s
    return np.stack([np.ones(len(runs)),
                     busy * [run.utilization for run in runs],
                     busy * [run.traffic for run in runs], np.ones(len(runs))], axis=1)


def _draws(board: Board, settings: Sequence[Settings]):
    """Return a row for each configuration: watts of nothing, and what each full use adds."""
    # the CPUs' settings and those of GPU and memory do not touch each other's rails
    known: Dict[Tuple, List[float]] = {}
    for each in settings:
        if each not in known:
            idle_w, *full_w = (sum(board.power_w(each, activity).values())
                               for activity in UNITS)
            known[each] = [idle_w, *(power_w - idle_w for power_w in full_w)]
    return np.array([known[each] for each in settings])
