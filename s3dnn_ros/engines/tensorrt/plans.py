"""Which plans a network needs, from the cache where they are there, else built."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import logging
import operator
import queue
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import onnx
from onnx import TensorProto

from s3dnn_ros.base.cache import locked
from s3dnn_ros.engines.base import DEFAULTS, BuildOptions
from s3dnn_ros.engines.tensorrt import int8
from s3dnn_ros.engines.tensorrt.builder import Built, Order, build, with_float_image
from s3dnn_ros.engines.tensorrt.child_process import ChildProcess
from s3dnn_ros.engines.tensorrt.plan_cache import (
    Plan,
    PlanKey,
    Refusal,
    forget_refusal,
    plans_dir,
    read_plan,
    read_refusal,
    write_plan,
    write_refusal,
)
from s3dnn_ros.errors import BuildError, PassingBuildError, SlowBuildError
from s3dnn_ros.models.graph import IMAGE_INPUT

_LOG = logging.getLogger(__name__)

# Where contexts cannot share a profile: for so many lanes at least, so that profiling, building
# and running a network take the same plan.
LANES_AT_LEAST = 4
# Tensor cores, from this compute capability on, take halves with their channels last, eight at a
# time: at a cut nothing has to be turned round for them.
TENSOR_CORES = (7, 0)
CHANNELS = 8

# A segment and one of its variants.
Place = Tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Machine:
    """What plans are built with and for; `sms` multiprocessors alone, 0 for all."""

    tensorrt: str
    shares_profiles: bool
    compute_capability: str
    sms: int = 0

    @property
    def has_tensor_cores(self) -> bool:
        """Tell whether the GPU has them."""
        return tuple(map(int, self.compute_capability.split('.'))) >= TENSOR_CORES


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A plan that a network needs, and the ONNX that it is built from."""

    key: PlanKey
    onnx: bytes

    @property
    def place(self) -> Place:
        """Return the segment and the variant."""
        return self.key.segment, self.key.variant


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """What calibrates the plans of a network to int8.

    `images` are uint8 (N, H, W, 3), fitted to the network, `batch` is what that is fixed to, or 1.
    Where ranges were found before, on other images, it goes by these unless it `replaces` them.
    """

    wanted: Sequence[Wanted]
    images: np.ndarray
    batch: int
    replaces: bool = True

    @functools.cached_property
    def images_sha256(self) -> str:
        """Return the hash of the images."""
        return hashlib.sha256(self.images.tobytes()).hexdigest()

    @functools.cached_property
    def read(self) -> Mapping[Place, Sequence[int8.Feed]]:
        """Return what every segment and variant reads, batch by batch.

        Raises ParameterError if ONNX Runtime is not here, ModelError if it cannot run a segment.
        """
        exact = [each.onnx for each in self.wanted if each.key.variant == 0]
        read = int8.feeds(self.wanted[0].key.model, exact, self.images, self.batch)
        return {each.place: read[each.key.segment] for each in self.wanted}


class Provided(NamedTuple):
    """The plans of a network, why some could not be built, and what was wrong with old ones."""

    plans: Dict[Place, Plan]
    refused: Dict[Place, BuildError]
    built: int
    faults: Tuple[str, ...]


def wanted_plans(model: str, models: Sequence[Sequence[onnx.ModelProto]], outputs: Sequence[str],
                 batches: Sequence[int], lanes: int, options: BuildOptions, machine: Machine
                 ) -> List[Wanted]:
    """Return what a network needs: its segments, each in its variants, the exact one first.

    Between segments floats are halves where the precision is fp16, and lie as tensor cores take
    them; `outputs`, those of the network, stay as they are. A DLA takes the largest batch alone.
    """
    fewest, most = batches[0], batches[-1]
    copies = 1 if machine.shares_profiles else len(batches) * max(LANES_AT_LEAST, lanes)
    result = []
    for segment, variants in enumerate(models):
        for variant, one in enumerate(variants):
            fed = with_float_image(one)
            content = fed.SerializeToString(deterministic=True)
            half = _between(fed, outputs) if options.precision == 'fp16' else {}
            channels_last = [name for name, shape in half.items() if _fits(shape)] \
                if machine.has_tensor_cores and options.dla < 0 else []
            result.append(Wanted(PlanKey(
                model=model, segment=segment, variant=variant,
                segment_sha256=hashlib.sha256(content).hexdigest(), precision=options.precision,
                fewest=fewest, optimum=min(max(fewest, options.optimum or most), most), most=most,
                profiles=copies, half=tuple(half), channels_last=tuple(channels_last),
                dla=options.dla, workspace_mb=options.workspace_mb, tactics=options.tactics,
                optimization_level=options.optimization_level, calibration_sha256='',
                tensorrt=machine.tensorrt,
                compute_capability=machine.compute_capability, sms=machine.sms), content))
    return result


def provide(wanted: Sequence[Wanted], clock, *, limit_s: float = DEFAULTS.limit_s,
            calibration: Optional[Calibration] = None, jobs: int = 1, keep: bool = True,
            again: bool = False) -> Provided:
    """Return the plans of a network, and build those that are not there.

    Two processes that want the same do not build it twice: the second waits. A build that takes
    longer than `limit_s` counts as refused. What was refused before is not built but told, unless
    it is to be tried `again`, or took longer than a limit that was less. Without `keep`, the cache
    stays as it is. Every build is logged when it ends. Raises BuildError for
    int8 that was not calibrated, or if the cache cannot be written, and what `Calibration.read`
    does.
    """
    plans, refused, missing, faults = _look(wanted, calibration, limit_s, again)
    built = 0
    if missing:
        folder = plans_dir(missing[0].key.model)
        with contextlib.ExitStack() as held:
            with _writing(folder):
                held.enter_context(locked(folder))
            theirs = _look(missing, calibration, limit_s, again)
            plans.update(theirs.plans)
            refused.update(theirs.refused)
            faults = theirs.faults
            for place, result in _build(theirs.missing, calibration, jobs, limit_s, keep, clock):
                if isinstance(result, BuildError):
                    refused[place] = result
                else:
                    plans[place] = result
                    built += 1
    return Provided(plans, refused, built, tuple(faults))


class _Found(NamedTuple):
    """What is there, what was refused, what is missing, and what is wrong with what is there."""

    plans: Dict[Place, Plan]
    refused: Dict[Place, BuildError]
    missing: List[Wanted]
    faults: List[str]


def _look(wanted: Sequence[Wanted], calibration: Optional[Calibration], limit_s: float,
          again: bool) -> _Found:
    """Return what the cache knows of what is wanted; what was refused is missing for `again`."""
    found = _Found({}, {}, [], [])
    for each in wanted:
        faults: List[str] = []
        key = _with(each.key, _there(faults, _scales, each, calibration))
        plan = _there(faults, read_plan, key)
        refusal = None if plan or again else _there(faults, read_refusal, key)
        if plan:
            found.plans[each.place] = plan
        elif refusal and not 0 < refusal.limit_s < limit_s:
            found.refused[each.place] = BuildError(key.name, refusal.sentence)
        else:
            found.missing.append(each)
            found.faults.extend(f'{fault}; it is made again' for fault in faults)
    return found


def _there(faults: List[str], read, *arguments):
    """Return what is read of the cache, None if it is not there; adds what is wrong with it."""
    try:
        return read(*arguments)
    except FileNotFoundError:
        return None
    except BuildError as error:
        faults.append(str(error))
        return None


@contextlib.contextmanager
def _writing(folder: Path):
    """Raise BuildError where the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise BuildError(folder, f'cannot be written ({error.strerror}); free space there or set '
                                 '$S3DNN_CACHE') from error


def _build(missing: Sequence[Wanted], calibration: Optional[Calibration], jobs: int,
           limit_s: float, keep: bool, clock):
    """Give (place, plan or error) of each build as it ends."""
    orders = [_order(each, calibration) for each in missing]
    if not orders:
        return
    idle: Any = queue.Queue()
    children = [ChildProcess(build, limit_s) for _ in range(min(jobs, len(orders)))]
    for child in children:
        idle.put(child)

    def work(order):
        child = idle.get()
        try:
            return child.call(order.key.name, order)
        except BuildError as error:
            return error
        finally:
            idle.put(child)

    _LOG.info(f'{len(orders)} to build')
    started_s = clock.now_s()
    with concurrent.futures.ThreadPoolExecutor(len(children)) as pool:
        futures = {pool.submit(work, order): (each, order)
                   for each, order in zip(missing, orders)}
        try:
            for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
                each, order = futures[future]
                result = future.result()
                if not isinstance(result, BuildError):
                    result = _finished(each, order, result, calibration, keep)
                elif keep:
                    _remember(order.key, result, limit_s)
                left_s = (clock.now_s() - started_s) / done * (len(orders) - done)
                _LOG.info(_sentence(order.key, result, done, len(orders), left_s))
                yield each.place, result
        finally:
            # after an interruption, what has not begun is not wanted any more
            for future in futures:
                future.cancel()
            for child in children:
                child.close()


def _order(each: Wanted, calibration: Optional[Calibration]) -> Order:
    if each.key.precision != 'int8':
        return Order(each.key, each.onnx)
    faults: List[str] = []
    scales = _there(faults, _scales, each, calibration)
    if scales is not None:
        return Order(_with(each.key, scales), each.onnx, (), scales)
    if calibration is None:
        raise BuildError(each.key.name, 'is to be int8 and was not calibrated for TensorRT '
                         f'{each.key.tensorrt}; run `s3dnn build {each.key.model} --precision '
                         f'int8`{"".join(f" ({fault})" for fault in faults)}')
    return Order(each.key, each.onnx, calibration.read[each.place])


def _finished(each: Wanted, order: Order, built: Built, calibration: Optional[Calibration],
              keep: bool) -> Plan:
    """Return the plan that was built, written if it is to be kept."""
    plan, calibrated = built.plan, None
    if order.key.precision == 'int8' and order.scales is None:
        calibrated = built.scales
        plan = dataclasses.replace(plan, key=_with(plan.key, calibrated))
    if keep:
        with _writing(plans_dir(plan.key.model)):
            if calibrated is not None:
                int8.write_scales(_scales_path(each), calibration.images_sha256, calibrated)
            write_plan(plan)
            forget_refusal(order.key)
    return plan


def _remember(key: PlanKey, error: BuildError, limit_s: float) -> None:
    """Keep why a segment was refused, if it would be refused again."""
    if not isinstance(error, PassingBuildError):
        limit_s = limit_s if isinstance(error, SlowBuildError) else 0.0
        with _writing(plans_dir(key.model)):
            write_refusal(Refusal(key, error.sentence, limit_s))


def _sentence(key: PlanKey, result, done: int, count: int, left_s: float) -> str:
    if isinstance(result, BuildError):
        what = f'not built: {result}'
    else:
        what = f'{key.name}: built, {len(result.content) / 1e6:.1f} MB'
        if key.dla >= 0:
            what += (f'; DLA {key.dla} leaves {len(result.on_gpu)} of {result.layers} layers to '
                     'the GPU: ' + (', '.join(result.on_gpu) or 'none'))
    return f'{done} of {count}: {what}' + (f'; about {left_s:.0f} s left' if done < count else '')


def _scales(each: Wanted, calibration: Optional[Calibration]) -> Optional[bytes]:
    if each.key.precision != 'int8':
        return None
    anew = calibration is not None and calibration.replaces
    return int8.read_scales(_scales_path(each), calibration.images_sha256 if anew else '')


def _scales_path(each: Wanted):
    return int8.scales_path(each.key.model, each.key.segment_sha256, each.key.tensorrt)


def _with(key: PlanKey, scales: Optional[bytes]) -> PlanKey:
    return key if scales is None else dataclasses.replace(
        key, calibration_sha256=int8.digest(scales))


def _between(model: onnx.ModelProto, outputs: Sequence[str]) -> Dict[str, Tuple[int, ...]]:
    """Return the shapes of the float tensors that pass from one segment to another, by name."""
    values = [*model.graph.input, *model.graph.output]
    return {value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
            for value in sorted(values, key=operator.attrgetter('name'))
            if value.type.tensor_type.elem_type == TensorProto.FLOAT
            and value.name != IMAGE_INPUT and value.name not in outputs}


def _fits(shape: Tuple[int, ...]) -> bool:
    """Tell whether a tensor is a picture whose channels need no padding; 0 is a free size."""
    return len(shape) == 4 and shape[1] > 0 and shape[1] % CHANNELS == 0
