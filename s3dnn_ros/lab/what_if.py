"""What-if sweeps over a scenario: every combination with several seeds, and what that takes."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import NamedTuple

from s3dnn_ros.bench.lab_workload_results import FORMAT
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.scenario import WhatIf
from s3dnn_ros.lab.scenario_run import Cell, Simulation, run
from s3dnn_ros.lab.sweep import Experiment

NAME = 'workload'
# More needs the user's word: these are hours on a laptop.
MOST_SIMULATIONS, MOST_IMAGES = 1000, 5e6
# Such a part of the largest run tells how long all take.
PROBE = 0.05


class Size(NamedTuple):
    """How much there is to simulate; `images` in all runs together."""

    combinations: int
    simulations: int
    images: float


def experiment(what_if: WhatIf, seeds: int) -> Experiment:
    """Return the experiment: every combination of the sweep with so many seeds."""
    cells = [Cell(what_if.scenario, choices, seed, what_if.files)
             for choices in what_if.combinations for seed in range(seeds)]
    return Experiment(NAME, FORMAT, what_if, cells, run)


def size_of(what_if: WhatIf, seeds: int, large: bool = False) -> Size:
    """Return how much there is to simulate; raises ParameterError for too much but if `large`."""
    images = [what_if.scenario.changed(choices).frames for choices in what_if.combinations]
    size = Size(len(images), len(images) * seeds, seeds * sum(images))
    if not large and (size.simulations > MOST_SIMULATIONS or size.images > MOST_IMAGES):
        raise ParameterError(
            '--large', False, f'there are {size.simulations} simulations with {size.images:.3g} '
            f'images, which is more than {MOST_SIMULATIONS} simulations or {MOST_IMAGES:.3g} '
            'images; sweep less, lower seconds or --seeds, or give --large')
    return size


def probe_s(what_if: WhatIf, seeds: int, processes: int = 1) -> float:
    """Return about how many seconds all simulations take, at most, by a part of the largest."""
    scenarios = [what_if.scenario.changed(choices) for choices in what_if.combinations]
    largest = max(scenarios, key=lambda scenario: scenario.frames * scenario.segments)
    simulation = Simulation(dataclasses.replace(largest, seconds=PROBE * largest.seconds), 0)
    begun_s = time.monotonic()
    simulation.run()
    image_s = (time.monotonic() - begun_s) / max(1.0, PROBE * largest.frames)
    return image_s * seeds * sum(each.frames for each in scenarios) / processes


def processes_of(jobs: int) -> int:
    """Return how many processes `sweep` uses; 0 jobs are one for each core."""
    return jobs or len(os.sched_getaffinity(0))
