"""Tasks that share one device, and the variants of their models, as a user writes them in YAML."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

from s3dnn_ros.base.content import Fields, full_path, yaml_fields
from s3dnn_ros.errors import DocumentError, WorkloadError
from s3dnn_ros.models.spec import load_spec, share_directory
from s3dnn_ros.profiling.find import find_table
from s3dnn_ros.strategy.scaled_table import as_model, is_scaled

MOST_TASKS, MOST_VARIANTS = 64, 100
# A day, and the memory of no board.
LONGEST_MS, LARGEST_MB = 86.4e6, 1e9
# Shorter than anything that a device does.
SHORTEST_MS = 1e-3
_TIMES = ('device_ms', 'utilization')
# The table of `s3dnn scale` does not have them.
_HOST_TIMES = ('before_ms', 'behind_ms')


@dataclasses.dataclass(frozen=True)
class Variant:
    """One size of a model: its times, and what it costs.

    `before_s` and `behind_s` are the work on the CPU before and behind the network (C1 and C2 of
    RT-mDL), `device_s` is the network's time alone on the device (G), `utilization` the share of
    the device that it takes from others, above 0 and at most 1. `loss` is in the unit of its
    model's `accuracy`. `model` is the name of the model that the executor loads; '' if none.
    """

    before_s: float
    device_s: float
    behind_s: float
    utilization: float
    loss: float
    storage_mb: float
    model: str = ''

    @property
    def alone_s(self) -> float:
        """Return the time from a frame to its result when nothing else runs."""
        return self.before_s + self.device_s + self.behind_s


@dataclasses.dataclass(frozen=True)
class ScaledModel:
    """A model in several variants, of which the first is exact.

    `accuracy` is that of the exact one, `shared_mb` the storage of layers that all its variants
    share.
    """

    name: str
    accuracy: float
    variants: Tuple[Variant, ...]
    shared_mb: float = 0.0


@dataclasses.dataclass(frozen=True)
class Task:
    """RT-mDL's periodic task; `tolerated_miss_rate` is ζ, a share of its frames."""

    name: str
    model: ScaledModel
    period_s: float
    deadline_s: float
    tolerated_miss_rate: float


@dataclasses.dataclass(frozen=True)
class Workload:
    """Tasks that share a device; `device` says where their times were measured."""

    name: str
    device: str
    storage_limit_mb: float
    tasks: Tuple[Task, ...]

    def chosen(self, variants: Sequence[int]) -> Tuple[Variant, ...]:
        """Return the variant of every task, given its index."""
        return tuple(task.model.variants[index] for task, index in zip(self.tasks, variants))

    @property
    def most_loss(self) -> float:
        """Return the largest loss that any strategy can have; see `loss`."""
        return sum(max(variant.loss for variant in task.model.variants) / task.model.accuracy
                   for task in self.tasks)

    def loss(self, variants: Sequence[int]) -> float:
        """Return the objective of RT-mDL's Eq. 1: the sum of LOSS_i / ACC_i^max."""
        return sum(variant.loss / task.model.accuracy
                   for task, variant in zip(self.tasks, self.chosen(variants)))

    def storage_mb(self, variants: Sequence[int]) -> float:
        """Return what the variants in use take on disk: each once, and shared layers once (Eq. 4).

        Tasks of one model that use the same variant use the same file.
        """
        models = {task.model.name: task.model for task in self.tasks}
        used = {(task.model.name, index) for task, index in zip(self.tasks, variants)}
        return (sum(model.shared_mb for model in models.values())
                + sum(models[name].variants[index].storage_mb for name, index in used))

    def fits(self, variants: Sequence[int]) -> bool:
        """Tell whether the variants keep the storage limit, rounding aside."""
        return self.storage_mb(variants) <= self.storage_limit_mb * (1.0 + 1e-9)

    def excess(self, missed: Sequence[float]) -> float:
        """Return by how much miss rates exceed what the tasks tolerate, summed up."""
        return sum(max(0.0, rate - task.tolerated_miss_rate)
                   for task, rate in zip(self.tasks, missed))

    @property
    def least_storage(self) -> Tuple[int, ...]:
        """Return variants that together take the least storage.

        Every task of a model uses the same one, the smallest file.
        """
        return tuple(min(range(len(task.model.variants)),
                         key=lambda index, task=task: task.model.variants[index].storage_mb)
                     for task in self.tasks)


# What a profile tells of a model: the device, the time on it in seconds, and the utilization.
Measured = Tuple[str, float, float]


def profiled(model: str) -> Measured:
    """Return what the newest profile here says of a model at batch 1.

    Raises DocumentError if there is none, ModelError for an unknown model.
    """
    table, reason = find_table('auto', load_spec(model))
    if table is None:
        raise DocumentError(f"model '{model}' has no profile ({reason})")
    return table.device, table.time_s(1, 'median'), table.whole().utilization(0, 1)


def workload_directory() -> Path:
    """Return the package's own config/workloads."""
    return share_directory().parent / 'workloads'


def known_workloads() -> List[str]:
    """Return the names of the package's own workloads, sorted."""
    return sorted(path.stem for path in workload_directory().glob('*.yaml'))


def load_workload(name_or_path, profile: Callable[[str], Measured] = profiled) -> Workload:
    """Read a workload, by name or by the path of its YAML file.

    Parameters
    ----------
    name_or_path : str or Path
        A name is one of the package's own.
    profile : callable
        Returns what is known of a model whose times are not in the file.

    Raises
    ------
    WorkloadError
        It cannot be used; names the file and the key.

    """
    text = str(name_or_path)
    if not text.endswith(('.yaml', '.yml')):
        if text not in known_workloads():
            raise WorkloadError(f"workload '{text}'", 'is not known; known are '
                                f'{", ".join(known_workloads())}; name one, or a YAML file')
        return load_workload(workload_directory() / f'{text}.yaml', profile)
    try:
        path = full_path(text)
        return _workload(path.stem, yaml_fields(path), path.parent, profile)
    except DocumentError as error:
        raise WorkloadError(text, str(error)) from error


def _workload(name, fields, folder, profile) -> Workload:
    fields.expect_only('description', 'device', 'storage_limit_mb', 'models', 'tasks')
    device = fields.text('device') if fields.has('device') else ''
    models, devices = {}, {device} - {''}
    for model in fields.mapping('models'):
        part = fields.part('models').part(model)
        models[model], found = _model(model, part, folder, profile)
        devices |= found
    if len(devices) != 1:
        fields.fail('device', 'the device that all times are of' + (
            f', and there are {" and ".join(sorted(devices))}' if devices else ''))
    tasks = tuple(_task(part, models) for part in fields.parts('tasks'))
    if not 1 <= len(tasks) <= MOST_TASKS:
        fields.fail('tasks', f'a list of 1 to {MOST_TASKS} tasks')
    if len({task.name for task in tasks}) != len(tasks):
        fields.fail('tasks', 'a list of tasks with different names')
    workload = Workload(name, devices.pop(), fields.number('storage_limit_mb', 0.0, LARGEST_MB),
                        tasks)
    least_mb = workload.storage_mb(workload.least_storage)
    if not workload.fits(workload.least_storage):
        fields.fail('storage_limit_mb', f'at least {least_mb:g}, which the smallest variants of '
                    f'all tasks take: {least_mb - workload.storage_limit_mb:g} more')
    return workload


def _model(name, fields, folder, profile) -> Tuple[ScaledModel, set]:
    if fields.has('table'):
        fields.expect_only('table', *_HOST_TIMES)
        path = (folder / full_path(fields.text('table'))).absolute()
        times = {key: fields.number(key, 0.0, LONGEST_MS) for key in _HOST_TIMES
                 if fields.has(key)}
        try:
            return _plain_model(name, _table(path, times), profile)
        except DocumentError as error:
            raise DocumentError(f"key 'models.{name}.table': {path}: {error}") from error
    return _plain_model(name, fields, profile)


def _table(path: Path, times: Dict[str, float]) -> Fields:
    table = yaml_fields(path)
    if is_scaled(table):
        if len(times) < len(_HOST_TIMES):
            raise DocumentError('tells no times of the work on the CPU; write '
                                f'{" and ".join(_HOST_TIMES)} beside `table`')
        return as_model(table, path.parent, times)
    if times:
        raise DocumentError(f'has times of its own; leave out {" and ".join(times)} beside '
                            '`table`')
    return table


def _plain_model(name, fields, profile) -> Tuple[ScaledModel, set]:
    fields.expect_only('accuracy', 'shared_mb', 'variants')
    accuracy = fields.number('accuracy', SHORTEST_MS, 1e6)
    devices = set()
    variants = []
    for part in fields.parts('variants'):
        variant, found = _variant(part, accuracy, profile)
        variants.append(variant)
        devices |= found
    if not 1 <= len(variants) <= MOST_VARIANTS:
        fields.fail('variants', f'a list of 1 to {MOST_VARIANTS} variants')
    if variants[0].loss:
        fields.fail('variants', 'a list whose first variant is exact, and has the loss 0')
    shared_mb = fields.number('shared_mb', 0.0, LARGEST_MB) if fields.has('shared_mb') else 0.0
    return ScaledModel(name, accuracy, tuple(variants), shared_mb), devices


def _variant(fields, accuracy, profile) -> Tuple[Variant, set]:
    fields.expect_only('model', 'before_ms', 'device_ms', 'behind_ms', 'utilization', 'loss',
                       'storage_mb')
    model = fields.text('model') if fields.has('model') else ''
    devices = set()
    if model and not any(map(fields.has, _TIMES)):
        device, device_s, utilization = profile(model)
        devices = {device}
    else:
        device_s = 1e-3 * fields.number('device_ms', SHORTEST_MS, LONGEST_MS)
        utilization = fields.number('utilization', 1e-6, 1.0)
    return Variant(1e-3 * fields.number('before_ms', 0.0, LONGEST_MS), device_s,
                   1e-3 * fields.number('behind_ms', 0.0, LONGEST_MS), utilization,
                   fields.number('loss', 0.0, accuracy),
                   fields.number('storage_mb', 0.0, LARGEST_MB), model), devices


def _task(fields, models: Dict[str, ScaledModel]) -> Task:
    fields.expect_only('name', 'model', 'period_ms', 'deadline_ms', 'tolerated_miss_rate')
    model = fields.text('model')
    if model not in models:
        fields.fail('model', f'one of models: {", ".join(models) or "none is there"}')
    return Task(fields.text('name'), models[model],
                1e-3 * fields.number('period_ms', SHORTEST_MS, LONGEST_MS),
                1e-3 * fields.number('deadline_ms', SHORTEST_MS, LONGEST_MS),
                fields.number('tolerated_miss_rate', 0.0, 1.0))
