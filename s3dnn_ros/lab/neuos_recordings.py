"""Recordings of NeuOS's experiment: what everyone who decides did in the first run."""

from __future__ import annotations

from typing import Dict, Iterator, Tuple

from s3dnn_ros.lab import oracle
from s3dnn_ros.lab.neuos_lab import Cell, Plan, Simulation, contenders_of, experiment

# Stamps and boundaries that are kept: those of some seconds.
ROWS = 1 << 18


def recordings(plan: Plan) -> Iterator[Tuple[str, Dict]]:
    """Give for `write_recording` the first run of everyone who decides, with a name for its file.

    The oracle has none: its search takes minutes.
    """
    for cell in experiment(plan).cells:
        if cell.seed or cell.contender == oracle.NAME:
            continue
        contender = contenders_of(cell.board, cell.steps)[cell.contender]
        simulation = Simulation(cell, contender, ROWS)
        try:
            simulation.run()
            yield _file_name(cell), simulation.recording()
        finally:
            simulation.close()


def _file_name(cell: Cell) -> str:
    words = [cell.board, cell.cohort, *(cell.models if len(cell.models) == 1 else ()),
             f'{cell.period_factor:g}', cell.contender]
    return '_'.join(''.join(letter if letter.isalnum() else '_' for letter in word)
                    for word in words).lower()
