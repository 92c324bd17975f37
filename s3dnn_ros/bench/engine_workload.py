"""A workload on an engine: its models are loaded there, and the times that it lacks measured."""

from __future__ import annotations

import collections
import hashlib
import logging
from pathlib import Path
from typing import Dict, Optional, Tuple

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.bench.task_models import TaskModels, TaskSetup, load_task_models
from s3dnn_ros.errors import WorkloadError
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.strategy.times_file import load_times, save_times
from s3dnn_ros.strategy.workload import ModelTimes, Workload, load_workload

_LOG = logging.getLogger(__name__)


def workload_on(engine, clock, source, setup: TaskSetup, *, anew: bool = False,
                file: Optional[Path] = None) -> Tuple[Workload, TaskModels]:
    """Return a workload with times of an engine, and its models there.

    Parameters
    ----------
    engine, clock : Engine, Clock
    source : str or Path
        As for `load_workload`.
    setup : TaskSetup
    anew : bool
        Measure all times, also those that the workload's file has.
    file : Path, optional
        Keeps measured times: what it has of the same models, device and setup is not measured
        again.

    Raises
    ------
    WorkloadError
        The workload cannot be used, has a variant without a model, or times of another device.
    ModelError
        A model is not known, or its file is not there.
    StrategyError
        The file cannot be read or written.

    """
    # which models there are; nothing depends on these times
    first = load_workload(source, lambda *_: ModelTimes(engine.device, 1.0, 1.0, 0.0, 0.0),
                          anew=anew)
    lanes = model_lanes(first, str(source))
    if first.device != engine.device:
        raise WorkloadError(source, f"has times of '{first.device}', and this is "
                            f"'{engine.device}'; have them measured here with --measure")
    models = load_task_models(engine, clock, lanes, setup)
    return load_workload(source, _Measuring(models, file).times, anew=anew), models


def model_lanes(workload: Workload, source: str) -> Dict[str, int]:
    """Return all models that tasks may run, each with how many tasks that are.

    Raises WorkloadError for a variant that names no model.
    """
    lanes: Dict[str, int] = collections.Counter()
    for task in workload.tasks:
        for index, variant in enumerate(task.model.variants):
            if not variant.model:
                raise WorkloadError(source, f"lacks the key 'models.{task.model.name}.variants."
                                    f"{index}.model': an engine runs models; name one, such as "
                                    '`s3dnn scale` writes, or leave --on out')
            lanes[variant.model] += 1
    return lanes


class _Measuring:
    """Measures models, unless a file knows them already."""

    def __init__(self, models: TaskModels, file: Optional[Path]):
        self._models = models
        self._file = file
        engine = models.prepared.engine
        self._key = hashlib.sha256(repr((engine.device, sorted(engine.versions.items()),
                                         models.setup)).encode()).hexdigest()
        self._known = load_times(file, self._key) if file else {}

    def times(self, model: str, _table, _images) -> ModelTimes:
        """Return what was measured of a model here; images come compressed."""
        sha256 = sha256_of(load_spec(model).onnx)
        if self._known.get(model, ('',))[0] != sha256:
            self._known[model] = sha256, self._models.times(model)
            if self._file:
                save_times(self._file, self._key, self._known)
        known = self._known[model][1]
        _LOG.info(f'{model}: before {1e3 * known.before_s:.2f} ms, on the device '
                  f'{1e3 * known.device_s:.2f} ms, behind {1e3 * known.behind_s:.2f} ms, '
                  f'utilization {known.utilization:.2f}')
        return known
