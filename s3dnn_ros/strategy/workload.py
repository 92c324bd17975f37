"""Tasks that share one device, and the variants of their models, as a user writes them in YAML."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.base.content import Fields, full_path, yaml_fields
from s3dnn_ros.base.share import share_directory
from s3dnn_ros.errors import DocumentError, ModelError, ProfileError, WorkloadError
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.profiling.find import find_table
from s3dnn_ros.profiling.table import load_table
from s3dnn_ros.settings.parameters import is_name
from s3dnn_ros.strategy.scaled_table import as_model, is_scaled

MOST_TASKS, MOST_VARIANTS = 64, 100
# A day, and the memory of no board.
LONGEST_MS, LARGEST_MB = 86.4e6, 1e9
# Shorter than anything that a device does.
SHORTEST_MS = 1e-3
_ON_DEVICE = ('device_ms', 'utilization')
# The table of `s3dnn scale` does not have them.
_ON_CPU = ('before_ms', 'behind_ms')
# How images may come.
COMPRESSED, RAW = 'compressed', 'raw'


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


class ModelTimes(NamedTuple):
    """What was measured of a model at batch 1 on a device, see Variant; None: that was not."""

    device: str
    device_s: float
    utilization: float
    before_s: Optional[float] = None
    behind_s: Optional[float] = None


def profiled(model: str, path: Optional[Path], images: str) -> ModelTimes:
    """Return what the newest profile here says of a model, or the one at `path`.

    Parameters
    ----------
    model : str
        With a path it may be '', and its file need not be here.
    path : Path or None
    images : str
        COMPRESSED or RAW.

    Raises
    ------
    ProfileError
        There is none, or that at `path` cannot be read or is of another model.
    ModelError
        The model is unknown.

    """
    if path is None:
        table, reason = find_table('auto', load_spec(model))
        if table is None:
            raise ProfileError(f"model '{model}'", f'has no profile ({reason})')
    else:
        table = load_table(path)
        if model and table.model != model:
            raise ProfileError(path, f"is of the model '{table.model}'; name one of '{model}'")
    times = ModelTimes(table.device, table.time_s(1, 'median'), table.whole().utilization(0, 1))
    if table.cpu is None:
        return times
    before_ms = table.cpu.compressed_ms if images == COMPRESSED else table.cpu.raw_ms
    return times._replace(before_s=1e-3 * before_ms, behind_s=1e-3 * table.cpu.behind_ms)


class _Source(NamedTuple):
    """Where times come from that a file leaves out: `profile` is called as `profiled`.

    `folder` is that of the file, `images` how images come. With `anew` all times come from there.
    """

    profile: Callable[[str, Optional[Path], str], ModelTimes]
    folder: Path
    images: str
    anew: bool


def workload_directory() -> Path:
    """Return the package's own config/workloads."""
    return share_directory().parent / 'workloads'


def known_workloads() -> List[str]:
    """Return the names of the package's own workloads, sorted."""
    return sorted(path.stem for path in workload_directory().glob('*.yaml'))


def load_workload(name_or_path, profile=profiled, *, anew: bool = False) -> Workload:
    """Read a workload, by name or by the path of its YAML file.

    Parameters
    ----------
    name_or_path : str or Path
        A name is one of the package's own.
    profile : callable
        Returns what is known of a model whose times are not in the file; see `profiled`.
    anew : bool
        All times come from `profile`, whatever times, tables and device the file has.

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
        return load_workload(workload_directory() / f'{text}.yaml', profile, anew=anew)
    try:
        path = full_path(text)
        return _workload(path.stem, yaml_fields(path), path.parent, profile, anew)
    except DocumentError as error:
        raise WorkloadError(text, str(error)) from error


def _workload(name, fields, folder, profile, anew) -> Workload:
    fields.expect_only('description', 'device', 'images', 'storage_limit_mb', 'models', 'tasks')
    device = fields.text('device') if fields.has('device') and not anew else ''
    images = fields.text('images') if fields.has('images') else COMPRESSED
    if images not in (COMPRESSED, RAW):
        fields.fail('images', f'{COMPRESSED} or {RAW}')
    source = _Source(profile, folder, images, anew)
    models, devices = {}, {device} - {''}
    for model in fields.mapping('models'):
        if not isinstance(model, str):
            fields.fail('models', f'a mapping of models by name; {model!r} is no text')
        part = fields.part('models').part(model)
        models[model], found = _model(model, part, source)
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


def _model(name, fields, source) -> Tuple[ScaledModel, set]:
    if fields.has('table'):
        fields.expect_only('table', *_ON_CPU)
        path = _path(fields, source)
        times = {key: fields.number(key, 0.0, LONGEST_MS) for key in _ON_CPU if fields.has(key)}
        try:
            return _plain_model(name, _table(path, times), source._replace(folder=path.parent))
        except DocumentError as error:
            raise DocumentError(f"key 'models.{name}.table': {path}: {error}") from error
    return _plain_model(name, fields, source)


def _table(path: Path, times: Dict[str, float]) -> Fields:
    table = yaml_fields(path)
    if is_scaled(table):
        return as_model(table, path.parent, times)
    if times:
        raise DocumentError(f'has times of its own; leave out {" and ".join(times)} beside '
                            '`table`')
    return table


def _plain_model(name, fields, source) -> Tuple[ScaledModel, set]:
    fields.expect_only('accuracy', 'shared_mb', 'variants')
    accuracy = fields.number('accuracy', SHORTEST_MS, 1e6)
    devices = set()
    variants = []
    for part in fields.parts('variants'):
        variant, found = _variant(part, accuracy, source)
        variants.append(variant)
        devices |= found
    if not 1 <= len(variants) <= MOST_VARIANTS:
        fields.fail('variants', f'a list of 1 to {MOST_VARIANTS} variants')
    if variants[0].loss:
        fields.fail('variants', 'a list whose first variant is exact, and has the loss 0')
    shared_mb = fields.number('shared_mb', 0.0, LARGEST_MB) if fields.has('shared_mb') else 0.0
    return ScaledModel(name, accuracy, tuple(variants), shared_mb), devices


def _variant(fields, accuracy, source) -> Tuple[Variant, set]:
    fields.expect_only('model', 'table', 'before_ms', 'device_ms', 'behind_ms', 'utilization',
                       'loss', 'storage_mb')
    model = fields.text('model') if fields.has('model') or source.anew else ''
    on_device = [key for key in _ON_DEVICE if fields.has(key)]
    if fields.has('table') and on_device:
        fields.fail('table', f'no profile where {" and ".join(on_device)} are given')
    if source.anew:
        known = source.profile(model, None, source.images)
    elif fields.has('table') or (model and not on_device):
        known = _known(fields, model, source)
    else:
        known = ModelTimes('', 1e-3 * fields.number('device_ms', SHORTEST_MS, LONGEST_MS),
                           fields.number('utilization', 1e-6, 1.0))

    def cpu_s(key, measured_s):
        if source.anew or (not fields.has(key) and known.device):
            if measured_s is None:
                fields.fail(key, 'as its profile has no times of the work on the CPU; run `s3dnn '
                                 f'profile {model or "MODEL"}` again, or give this time')
            return measured_s
        return 1e-3 * fields.number(key, 0.0, LONGEST_MS)

    return Variant(cpu_s('before_ms', known.before_s), known.device_s,
                   cpu_s('behind_ms', known.behind_s), known.utilization,
                   fields.number('loss', 0.0, accuracy),
                   fields.number('storage_mb', 0.0, LARGEST_MB), model), {known.device} - {''}


def _known(fields, model, source) -> ModelTimes:
    """Return what a profile says of a model: the one that `table` names, or the newest here."""
    key, path = ('table', _path(fields, source)) if fields.has('table') else ('model', None)
    try:
        return source.profile(model, path, source.images)
    except (ModelError, ProfileError) as error:
        fields.fail(key, f'a model with a profile that fits: {error}')


def _path(fields, source) -> Path:
    return (source.folder / full_path(fields.text('table'))).absolute()


def _task(fields, models: Dict[str, ScaledModel]) -> Task:
    fields.expect_only('name', 'model', 'period_ms', 'deadline_ms', 'tolerated_miss_rate')
    model = fields.text('model')
    if model not in models:
        fields.fail('model', f'one of models: {", ".join(models) or "none is there"}')
    name = fields.text('name')
    if not is_name(name):
        fields.fail('name', 'the name of an instance: letters, digits and _, no digit first')
    return Task(name, models[model],
                1e-3 * fields.number('period_ms', SHORTEST_MS, LONGEST_MS),
                1e-3 * fields.number('deadline_ms', SHORTEST_MS, LONGEST_MS),
                fields.number('tolerated_miss_rate', 0.0, 1.0))
