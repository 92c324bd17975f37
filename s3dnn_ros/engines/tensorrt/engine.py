"""TensorRT: every segment is a plan, built once and kept; every batch has a context of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from typing import Callable, List, Optional

import numpy as np

from s3dnn_ros.engines.base import DEFAULTS, BuildOptions, variants_of
from s3dnn_ros.engines.cuda import OutOfMemory, find_cuda
from s3dnn_ros.engines.gates.connections import more_connections
from s3dnn_ros.engines.gates.gates import find_gates
from s3dnn_ros.engines.gates.streams import GateStreams
from s3dnn_ros.engines.lanes import LaneEngine, LaneNetwork, batches_up_to, too_large
from s3dnn_ros.engines.tensorrt.api import TensorRt
from s3dnn_ros.engines.tensorrt.builder import with_float_image
from s3dnn_ros.engines.tensorrt.gated_lane import CaptureError, TensorRtGatedLane
from s3dnn_ros.engines.tensorrt.host_segment import HostSegment
from s3dnn_ros.engines.tensorrt.lane import Lane
from s3dnn_ros.engines.tensorrt.loaded_engine import LoadedEngine
from s3dnn_ros.engines.tensorrt.plan_cache import plan_path
from s3dnn_ros.engines.tensorrt.plans import Calibration, Machine, Wanted, provide, wanted_plans
from s3dnn_ros.errors import BuildError, EngineError, ModelError, ParameterError
from s3dnn_ros.models.graph import batch_of
from s3dnn_ros.models.spec import ModelSpec

# From where TensorRT may take kernels is a matter of the machine: where cuBLAS or cuDNN are
# missing, say `edge_mask_convolutions,jit_convolutions`.
TACTICS = 'S3DNN_TENSORRT_TACTICS'


class TensorRtEngine(LaneEngine):
    """Runs segments side by side: each lane has a stream for every priority.

    Plans come from the cache; what is not there is built, which can take minutes: `s3dnn build`
    does it beforehand. Segments that TensorRT cannot build run in ONNX Runtime on the CPU, and
    the network's `note` says so.

    Parameters
    ----------
    clock : Clock
    options : BuildOptions
    sms : int
        Streaming multiprocessors to use, 0 for all: a green context, which leaves the others to
        other programs. Plans are built for them. Needs cuda-bindings.
    gates : bool
        Segments wait on the device until they are launched, where that is possible.
    behind_sms : int
        The first multiprocessors of the device, which are left to other engines.

    Attributes
    ----------
    gates_note : str
        Why segments do not wait on the device although that was wanted, or why they do in their
        streams; empty otherwise.
    pictures : callable or None
        Returns for a ModelSpec the images, fitted, on which what `load` needs in int8 is
        calibrated if it was not before. Without, `load` refuses that.

    Raises
    ------
    ImportError
        There is no TensorRT here, or no CUDA device.
    EngineError
        The device cannot be divided.
    ParameterError
        This TensorRT has no optimization levels, or not the tactics, that are asked for, or this
        machine no such DLA.

    """

    name = 'tensorrt'
    heeds = tuple(field.name for field in dataclasses.fields(BuildOptions))
    pictures: Optional[Callable[[ModelSpec], np.ndarray]] = None

    def __init__(self, clock, options: BuildOptions = DEFAULTS, sms: int = 0,
                 gates=False, behind_sms=0):
        super().__init__(clock, lambda size: self.cuda.pinned((size,), np.uint8))
        if gates:
            more_connections()
        self.precision = options.precision
        # its builder brings a gigabyte of kernels, and before 12.2 CUDA loads all at once; this
        # is read when CUDA begins, here and in the processes that build
        os.environ.setdefault('CUDA_MODULE_LOADING', 'LAZY')
        # before TensorRT is asked for anything: without a device it ends the process
        self.cuda = find_cuda()
        self.api = TensorRt()
        if options.optimization_level >= 0 and not self.api.has_levels:
            raise ParameterError('engine_optimization_level', options.optimization_level,
                                 f'TensorRT {self.api.version} knows no levels, 8.6 and later do; '
                                 'leave it at -1')
        if options.dla >= 0 and options.dla >= self.api.dla_cores:
            raise ParameterError('engine_dla', options.dla, f'there are {self.api.dla_cores} DLAs '
                                 'here, counted from 0; -1 runs all on the GPU')
        self.options = dataclasses.replace(options, tactics=self._tactics(options))
        found = self.cuda.device()
        self._partition = self.cuda.partition(sms, behind_sms) if sms else None
        self.sms = self._partition.sms if self._partition else 0
        # what was measured in one precision does not hold in another
        on = f', DLA {options.dla}' if options.dla >= 0 else ''
        only = f', {self.sms} SMs' if self.sms else ''
        self.device = f'{found.name}, {options.precision}{on}{only}'
        self.gpu = found.gpu
        self.machine = Machine(self.api.version, self.api.shares_profiles,
                               found.compute_capability, self.sms)
        self.versions = {'tensorrt': self.api.version}
        self._gates, self.gates_note = (find_gates(self.cuda, self._partition) if gates
                                        else (None, ''))
        self._gate_streams = self._gates and GateStreams(
            functools.partial(self._stream_of, 0), clock)
        self.levels = 1 if self._gates else len(self.cuda.priorities)
        self.floats = self.cuda.floats()
        self._probe = self.cuda.event()

    def _tactics(self, options):
        wanted = options.tactics or tuple(filter(None, os.environ.get(TACTICS, '').split(',')))
        for name in wanted:
            if name not in self.api.tactics:
                raise ParameterError(TACTICS, name, f'TensorRT {self.api.version} has no such '
                                     f'tactics; choose among {", ".join(self.api.tactics)}')
        return wanted

    def wanted(self, model: str, segments, outputs, *, coarser=(), lanes=1, max_batch=1
               ) -> List[Wanted]:
        """Return the plans that a network needs; the arguments are those of `load`."""
        return self._wanted(model, variants_of(segments, coarser), outputs, lanes,
                            self.batches(segments[0], max_batch))

    def batches(self, model, max_batch):
        """Return the batches that a network runs: a DLA takes one size alone."""
        fixed = batch_of(model)
        if fixed or self.options.dla >= 0:
            return [fixed or max_batch]
        return batches_up_to(max_batch)

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network; what TensorRT cannot build of it runs on the CPU.

        Where the device's memory ends first, the largest batches are given up, for plans that
        need less, and `network.note` says so.
        """
        models = variants_of(segments, coarser)
        batches = self.batches(segments[0], max_batch)
        note = ''
        try:
            while True:
                try:
                    network = self._network(models, outputs, spec, lanes, batches, keep)
                    break
                except OutOfMemory:
                    *batches, largest = batches
                    if not batches:
                        raise
                    note = too_large(spec.name, self.device, largest, batches[-1])
        except (BuildError, ModelError) as error:
            raise EngineError(instance, f'TensorRT cannot run {spec.onnx}: {error}') from error
        except OutOfMemory as error:
            raise EngineError(instance, f'{spec.onnx} does not fit into the memory of '
                                        f'{self.device}: {error}') from error
        except RuntimeError as error:
            raise EngineError(instance, f'{spec.onnx} does not run on {self.device}: {error}'
                              ) from error
        network.note = '. '.join(filter(None, (note, network.note)))
        return network

    @property
    def gated(self) -> bool:
        """Tell whether segments may wait on the device."""
        return self._gates is not None

    def lane(self, runners, outputs, shape, batches, number):
        """Return a new lane; where that is possible, its jobs wait on the device.

        They do not with a segment on the CPU or one that cannot be captured, in variants where
        graphs cannot choose, and beyond the number of jobs that may wait at once.
        """
        arguments = runners, outputs, shape, batches, number, self.floats
        if self._gates and all(
                isinstance(runner, LoadedEngine) and (len(variants) == 1 or self._gates.chooses)
                for variants in runners for runner in variants):
            # a memory that is full is no matter of gates
            with contextlib.suppress(CaptureError):
                lane = self._gate_streams.lane(lambda: TensorRtGatedLane(
                    self.cuda, self._gates, self._gate_streams, *arguments, self._probe.query))
                if lane is not None:
                    return lane
        return Lane(self.cuda, list(map(self._stream_of, range(len(self.cuda.priorities)))),
                    *arguments, self.options.graphs)

    def synchronize(self):
        """Wait for what was submitted."""
        self.cuda.synchronize()

    def _stream_of(self, level):
        """Return a new stream of a level of urgency."""
        return (self._partition or self.cuda).stream(self.cuda.priorities[level])

    def _wanted(self, model, models, outputs, lanes, batches):
        return wanted_plans(model, models, outputs, batches, lanes, self.options, self.machine)

    def _network(self, models, outputs, spec, lanes, batches, keep):
        """Return the network for these batches; raises OutOfMemory if they are too large."""
        wanted = self._wanted(spec.name, models, outputs, lanes, batches)
        calibration = None
        if self.pictures and self.options.precision == 'int8':
            images = self.pictures(spec)
            # what is only measured may have a cut behind every layer, and the tensors of many
            # images there are gigabytes
            calibration = Calibration(wanted, images if keep else images[:1],
                                      batch_of(models[0][0]) or 1, replaces=False)
        provided = provide(wanted, self.clock, limit_s=self.options.limit_s,
                           calibration=calibration, keep=keep)
        self.built += provided.built
        runners = [[self._runner(provided, segment, variant, model)
                    for variant, model in enumerate(variants)]
                   for segment, variants in enumerate(models)]
        return TensorRtNetwork(self, runners, outputs, spec, lanes, batches,
                               bool(batch_of(models[0][0])), _note(spec.name, provided))

    def _runner(self, provided, segment, variant, model):
        """Return what runs a segment."""
        plan = provided.plans.get((segment, variant))
        if plan is None:
            return _on_cpu(model, provided.refused[segment, variant])
        try:
            engine = self.api.load(plan.content, plan.key.dla)
            if engine.tensors != plan.tensors:
                raise BuildError('TensorRT', 'finds other tensors in it than it built')
        except BuildError as error:
            raise BuildError(plan_path(plan.key), f'cannot be used, though it is whole ({error}); '
                             'delete it, and it is built again') from error
        return engine


class TensorRtNetwork(LaneNetwork):
    """A network of plans, with weights that all lanes share."""

    def __init__(self, engine, runners, outputs, spec, lanes, batches, fixed, note):
        self.engine = engine
        self.note = note
        self.segments = len(runners)
        self.variants = [len(variants) for variants in runners]
        self.lanes = lanes
        self.batches = tuple(batches)
        self.batch = batches[-1] if fixed else 0
        self.largest = batches[-1]
        self._lanes = [engine.lane(runners, tuple(outputs), (spec.height, spec.width, 3), batches,
                                   number)
                       for number in range(lanes)]
        self._free = list(self._lanes)
        self.output_shapes = {name: ('N', *shape[1:]) for name, shape
                              in self._lanes[0].shapes(self.largest).items()}

    def stage(self, pixels):
        """Copy pixels into pinned memory, from where the device copies by itself."""
        if self.engine.reads(pixels):
            return pixels
        pinned = self.engine.cuda.pinned(pixels.shape, np.uint8)
        np.copyto(pinned, pixels)
        return pinned

    def tb_ratios(self, batch):
        """Return None: TensorRT does not tell its kernels' thread blocks."""
        return None


def _on_cpu(model, refusal: BuildError) -> HostSegment:
    """Return what runs a segment in TensorRT's place; raises BuildError with both reasons."""
    try:
        return HostSegment(with_float_image(model), refusal.source)
    except ImportError as error:
        raise BuildError(
            refusal.source, f'{refusal.sentence}; ONNX Runtime would run it on the CPU and is not '
            f'here ({error}): `pip install onnxruntime`') from error
    except ModelError as error:
        raise BuildError(refusal.source, f'{refusal.sentence}; {error}') from error


def _note(name, provided) -> str:
    """Return what the user should know of how a network's plans came about."""
    parts, refused = list(provided.faults), provided.refused
    if refused:
        parts.append(f'{name}: runs {len(refused)} of {len(refused) + len(provided.plans)} '
                     'segments on the CPU in ONNX Runtime, as TensorRT does not take them ('
                     + '; '.join(map(str, refused.values())) + f'); `s3dnn build {name}` tries '
                     'again')
    return '. '.join(parts)
