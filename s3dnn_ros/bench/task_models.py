"""Models of periodic tasks on an engine, with the work that their images need on the CPU."""

from __future__ import annotations

import dataclasses
from typing import Dict, Mapping

from s3dnn_ros.bench.networks import Prepared, prepare, ready
from s3dnn_ros.bench.task_run import CpuWork
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.profiling.cpu_work import measure_cpu, noise_jpeg
from s3dnn_ros.settings.executor import ExecutorInstanceSettings
from s3dnn_ros.strategy.workload import ModelTimes

# How often networks run to learn what they take.
REPEATS = 30


@dataclasses.dataclass(frozen=True)
class TaskSetup:
    """How tasks run: images are JPEGs of this size, segments take about `target_ms`."""

    width: int = 1280
    height: int = 720
    target_ms: float = 2.0


@dataclasses.dataclass(frozen=True)
class TaskModels:
    """Networks that are loaded and profiled, and by model the work on the CPU."""

    setup: TaskSetup
    prepared: Prepared
    works: Dict[str, CpuWork]
    jpeg: bytes

    def times(self, model: str) -> ModelTimes:
        """Return what a task of a model takes, sub-task by sub-task; nothing else may run."""
        prepared = self.prepared
        cpu = measure_cpu(load_spec(model), prepared.networks[model], self.jpeg,
                          ExecutorInstanceSettings(), prepared.rig)
        return ModelTimes(prepared.engine.device, prepared.alone_s[model],
                          prepared.profiles[model].utilization(0, 1), 1e-3 * cpu.compressed_ms,
                          1e-3 * cpu.behind_ms)


def load_task_models(engine, clock, lanes: Mapping[str, int], setup: TaskSetup) -> TaskModels:
    """Load models, each with so many lanes.

    Raises as `ready`, and ModelError for a model that is not known.
    """
    ready(lanes)
    # what waits on the device for its turn keeps a lane, as in the executor
    prepared = prepare(engine, clock, {name: count + engine.gated
                                       for name, count in lanes.items()},
                       max_batch=1, target_ms=setup.target_ms, repeats=REPEATS)
    jpeg = noise_jpeg(setup.width, setup.height)
    works = {name: CpuWork(load_spec(name), prepared.networks[name], jpeg) for name in lanes}
    return TaskModels(setup, prepared, works, jpeg)
