"""The strategy file: what every task is to run, at which priority, and what says that it works."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

import yaml

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import Fields, full_path, is_number, read_bytes, yaml_of
from s3dnn_ros.errors import DocumentError, StrategyError
from s3dnn_ros.strategy.strategy import Measurement, Strategy
from s3dnn_ros.strategy.workload import LARGEST_MB, LONGEST_MS, MOST_TASKS, Workload

FORMAT = 1
_ADVICE = 'write it anew with `s3dnn plan`'
_KEYS = ('format', 'workload', 'device', 'policy', 'feasible', 'loss', 'storage_mb', 'tasks',
         'measured', 'versions')


@dataclasses.dataclass(frozen=True)
class PlannedTask:
    """What a task runs: `model` in a variant.

    `variant_models` are the models that the executor loads for the variants, '' where the
    workload names none. A larger priority is more important. `missed` and `response_ms` are what
    was measured, see Measurement.
    """

    name: str
    model: str
    variant: int
    variant_models: Tuple[str, ...]
    priority: int
    tolerated_miss_rate: float
    missed: float
    response_ms: Optional[float]

    @property
    def planned_model(self) -> str:
        """Return the model that the executor loads, '' where the workload names none."""
        return self.variant_models[self.variant]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A strategy, and what it was measured with and on.

    `measured` says how, `versions` by which versions of what. `loss` is that of Eq. 1.
    """

    workload: str
    device: str
    policy: str
    feasible: bool
    loss: float
    storage_mb: float
    tasks: Tuple[PlannedTask, ...]
    measured: Mapping[str, Any]
    versions: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Write it as YAML, whole or not at all; raises StrategyError."""
        content = {'format': FORMAT, **{
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)}}
        content.update(tasks=[{**dataclasses.asdict(task),
                               'variant_models': list(task.variant_models)}
                              for task in self.tasks],
                       measured=dict(self.measured), versions=dict(self.versions))
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        try:
            write_whole(Path(path), text.encode())
        except OSError as error:
            raise StrategyError(path, f'cannot be written ({error.strerror}); name another with '
                                      '--out') from error


def plan_of(workload: Workload, strategy: Strategy, measurement: Measurement, *, policy: str,
            feasible: bool, measured: Mapping[str, Any], versions: Mapping[str, str]) -> Plan:
    """Return a strategy with all that its file says of it."""
    tasks = tuple(
        PlannedTask(task.name, task.model.name, index,
                    tuple(variant.model for variant in task.model.variants), priority,
                    task.tolerated_miss_rate, missed, response_ms)
        for task, index, priority, missed, response_ms in zip(
            workload.tasks, strategy.variants, strategy.priorities, measurement.missed,
            measurement.response_ms))
    return Plan(workload.name, workload.device, policy, feasible, workload.loss(strategy.variants),
                workload.storage_mb(strategy.variants), tasks, measured, versions)


def load_plan(path) -> Plan:
    """Read a strategy file; raises StrategyError, which names the file and the key."""
    try:
        return _plan(Fields(yaml_of(read_bytes(full_path(path)))))
    except DocumentError as error:
        raise StrategyError(path, f'{error}; {_ADVICE}') from error


def _plan(fields) -> Plan:
    fields.expect_only(*_KEYS)
    fields.whole('format', FORMAT, FORMAT)
    tasks = tuple(map(_task, fields.parts('tasks')))
    if not 1 <= len(tasks) <= MOST_TASKS or len({task.name for task in tasks}) != len(tasks):
        fields.fail('tasks', f'a list of 1 to {MOST_TASKS} tasks with different names')
    if sorted(task.priority for task in tasks) != list(range(1, len(tasks) + 1)):
        fields.fail('tasks', f'a list with the priorities from 1 to {len(tasks)}, each once')
    return Plan(fields.text('workload'), fields.text('device'), fields.text('policy'),
                fields.truth('feasible'), fields.number('loss', 0.0, MOST_TASKS),
                fields.number('storage_mb', 0.0, LARGEST_MB), tasks, fields.mapping('measured'),
                fields.mapping('versions'))


def _task(fields) -> PlannedTask:
    fields.expect_only(*(field.name for field in dataclasses.fields(PlannedTask)))
    response_ms = fields.value('response_ms')
    if response_ms is not None and not is_number(response_ms, 0.0, LONGEST_MS):
        fields.fail('response_ms', f'a number from 0 to {LONGEST_MS:g}, or nothing')
    models = fields.texts('variant_models')
    return PlannedTask(
        fields.text('name'), fields.text('model'), fields.whole('variant', 0, len(models) - 1),
        models, fields.whole('priority', 1, MOST_TASKS),
        fields.number('tolerated_miss_rate', 0.0, 1.0), fields.number('missed', 0.0, 1.0),
        response_ms)
