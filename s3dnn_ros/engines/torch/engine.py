"""PyTorch on a CUDA device: every segment, at every batch, is one CUDA graph.

The device is the one that is current in the thread that makes the engine, and all calls but those
of `frame_memory` and `reads` come from threads in which it is current.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging

import numpy as np

from s3dnn_ros.engines.base import DEFAULTS, BuildOptions, variants_of
from s3dnn_ros.engines.cuda import Cuda
from s3dnn_ros.engines.gates.connections import more_connections
from s3dnn_ros.engines.gates.gates import find_gates
from s3dnn_ros.engines.gates.one_line import OutsideError
from s3dnn_ros.engines.gates.streams import GateStreams
from s3dnn_ros.engines.lanes import LaneEngine, LaneNetwork, batches_up_to, too_large
from s3dnn_ros.engines.torch.gated_lane import TorchGatedLane
from s3dnn_ros.engines.torch.lane import Lane, LaneStream, Part
from s3dnn_ros.engines.torch.occupancy import BLOCKS_PER_SM, Multiprocessors, tb_ratio
from s3dnn_ros.engines.torch.onnx_to_torch import to_torch
from s3dnn_ros.engines.torch.weight_pool import WeightPool
from s3dnn_ros.errors import EngineError
from s3dnn_ros.models.graph import batch_of

_LOG = logging.getLogger(__name__)


class TorchEngine(LaneEngine):
    """Runs segments side by side: each lane has a stream for every priority.

    Without cuda-bindings, or with a PyTorch that keeps its graphs to itself, there is one
    priority.

    Parameters
    ----------
    clock : Clock
    sms : int or sequence of int
        Streaming multiprocessors to use, 0 for all: a green context, which leaves the others
        to other programs. Of several numbers, the last is used until `use` says otherwise.
        Needs cuda-bindings.
    options : BuildOptions
        Of the precisions there are fp16, which is taken for int8 too, and fp32, which here is
        not rounded to TF32.
    gates : bool
        Segments wait on the device until they are launched, where that is possible.
    behind_sms : int
        The first multiprocessors of the device, which are left to other engines.

    Attributes
    ----------
    gates_note : str
        Why segments do not wait on the device although that was wanted, or why they do in their
        streams; empty otherwise.
    partitions : tuple of int
        The numbers of multiprocessors that `use` chooses from; what the GPU can split off.

    """

    name = 'torch'
    heeds = ('precision',)

    def __init__(self, clock, sms=0, options: BuildOptions = DEFAULTS, gates=False,
                 behind_sms=0):
        import torch

        if gates:
            more_connections()

        if not torch.cuda.is_available():
            raise ImportError('PyTorch finds no CUDA device')
        super().__init__(clock, self._pinned)
        self.torch = torch
        self.cuda = _cuda(torch)
        number = torch.cuda.current_device()
        properties = torch.cuda.get_device_properties(number)
        wanted = [sms] if isinstance(sms, int) else sms
        self._partitions = [_partition(self.cuda, count, behind_sms) for count in wanted]
        self.partitions = tuple(partition.sms if partition else properties.multi_processor_count
                                for partition in self._partitions)
        self.partition = len(self.partitions) - 1
        self._threads = [concurrent.futures.ThreadPoolExecutor(1, f's3dnn-{sms}-sms')
                         for sms in self.partitions[:-1]]
        self.multiprocessors = _multiprocessors(properties, self.partitions[-1])
        self.options = options
        self._weights = WeightPool()
        self.precision = 'fp32' if options.precision == 'fp32' else 'fp16'
        # what was measured in one precision does not hold in another
        exactly = ', fp32' if self.precision == 'fp32' else ''
        self.sms = self.partitions[-1] if self._partitions[-1] else 0
        only = f', {self.sms} SMs' if self.sms else ''
        self.device = torch.cuda.get_device_name(number) + exactly + only
        # CUDA's numbers are not always the driver's, where PyTorch tells no UUID they have to do
        uuid = getattr(properties, 'uuid', None)
        self.gpu = number if uuid is None else f'GPU-{uuid}'
        self.versions = {'torch': torch.__version__, 'cuda': torch.version.cuda or ''}
        self._probe = torch.cuda.Event()
        self._probe.record()
        self._gates, self.gates_note = self._find_gates() if gates else (None, '')
        self._gate_streams = self._gates and GateStreams(self._urgent_stream, clock)
        self.levels = len(self.cuda.priorities) if self.cuda and not self._gates else 1
        # algorithms are chosen by measurement, once for each shape
        torch.backends.cudnn.benchmark = True
        if self.precision == 'fp32':
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    @property
    def gated(self) -> bool:
        """Tell whether segments may wait on the device."""
        return self._gates is not None

    @property
    def gates_variants(self) -> bool:
        """Tell whether segments in variants may, too."""
        return self._gates is not None and self._gates.chooses

    def use(self, partition: int):
        """Run what is submitted from now on on another of the `partitions`; any thread."""
        if partition not in range(len(self.partitions)):
            raise IndexError(f'there is no partition {partition}; expected one of '
                             f'{len(self.partitions)}')
        self.partition = partition

    def lane(self, outputs, gated=False):
        """Return a new lane on the multiprocessors of this engine; `gated` where that is possible.

        Nothing gated is without gates, and beyond the number of jobs that may wait at once.
        """
        lane = self._gate_streams.lane(lambda: TorchGatedLane(
            self.torch, self.cuda, self._gates, self._gate_streams, _call, outputs,
            self._probe.query)) if gated and self._gates else None
        if lane is not None:
            return lane
        calls = [*(functools.partial(_call_in, thread) for thread in self._threads), _call]
        parts = [
            Part([LaneStream(self.torch, stream) for stream in self._streams(partition)], call)
            for partition, call in zip(self._partitions, calls)]
        return Lane(self.torch, self.cuda, parts, outputs)

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network, captured for the batches 1, 2, 4 … up to `max_batch`.

        Where the device's memory ends first, the largest batches are left out, and
        `network.note` says so.
        """
        models = variants_of(segments, coarser)
        fixed = batch_of(segments[0])
        batches = [fixed] if fixed else batches_up_to(max_batch)
        # a network that this one replaces leaves its graphs' memory reserved
        self.torch.cuda.empty_cache()
        try:
            modules = [[to_torch(model, half=self.precision == 'fp16', device='cuda',
                                 keep_half=set(_names(model)) - set(outputs)
                                 ).share(self._weights)
                        for model in variants] for variants in models]
            return TorchNetwork(self, modules, outputs, spec, lanes, batches, bool(fixed))
        except self.torch.cuda.OutOfMemoryError as error:
            raise EngineError(instance, f'{spec.onnx} does not fit into the memory of '
                                        f'{self.device}: {error}') from error
        except RuntimeError as error:
            raise EngineError(instance, f'PyTorch cannot run {spec.onnx}: {error}; try '
                                        '`s3dnn models check`') from error

    def synchronize(self):
        """Wait for what was submitted."""
        self.torch.cuda.synchronize()

    def close(self):
        """Wait for what runs."""
        super().close()
        for thread in self._threads:
            thread.shutdown()

    def _urgent_stream(self):
        """Return a new stream of the most urgent level."""
        return (self._partitions[0] or self.cuda).stream(self.cuda.priorities[0])

    def _pinned(self, size):
        """Return so many bytes in pinned memory."""
        return self.torch.empty(size, dtype=self.torch.uint8, pin_memory=True).numpy()

    def _find_gates(self):
        """Return what makes gates, and if there are none why."""
        if len(self._partitions) > 1:
            return None, 'no gates: the engine changes between parts of the device'
        if self.cuda is None:
            return None, 'no gates: they need cuda-bindings and PyTorch 2.9'
        return find_gates(self.cuda, self._partitions[0])

    def _streams(self, partition):
        """Return a new stream for every priority, the most urgent first."""
        if not self.cuda:
            return [None]
        make = (partition or self.cuda).stream
        return [make(priority) for priority in self.cuda.priorities]


class TorchNetwork(LaneNetwork):
    """A network as CUDA graphs, with weights that all lanes share."""

    def __init__(self, engine, modules, outputs, spec, lanes, batches, fixed):
        self.engine = engine
        self.modules = modules          # by segment, then by variant
        self.segments = len(modules)
        self.variants = [len(variants) for variants in modules]
        self.lanes = lanes
        self.note = ''
        self._shape = (spec.height, spec.width, 3)
        gated = engine.gates_variants or all(count == 1 for count in self.variants)
        try:
            self._capture(spec, outputs, batches, gated)
        except OutsideError as error:
            _LOG.warning(f'{spec.name} has no gates: {error}')
            self._capture(spec, outputs, batches, gated=False)
        self.batch = self.batches[-1] if fixed else 0
        self.largest = self.batches[-1]
        self.output_shapes = {name: ('N', *tensor.shape[1:])
                              for name, tensor in self._lanes[0].outputs_of(batches[0]).items()}
        self._free = list(self._lanes)

    def _capture(self, spec, outputs, batches, gated):
        """Make the lanes, and capture all batches on each; those that fit."""
        engine = self.engine
        self._lanes = [engine.lane(tuple(outputs), gated) for _ in range(self.lanes)]
        self.batches = ()
        # smallest first, so that what does not fit is the largest
        for batch in batches:
            try:
                for lane in self._lanes:
                    lane.capture(batch, self.modules, self._shape)
            except engine.torch.cuda.OutOfMemoryError:
                if not self.batches:
                    raise
                self.note = too_large(spec.name, engine.device, batch, self.batches[-1])
                break
            self.batches += (batch,)

    def stage(self, pixels):
        """Copy pixels into pinned memory, from where the device copies by itself."""
        torch = self.engine.torch
        if self.engine.reads(pixels):
            return torch.from_numpy(pixels)
        pinned = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True)
        np.copyto(pinned.numpy(), pixels)
        return pinned

    def tb_ratios(self, batch):
        """Return what share of the device each segment's kernels fill."""
        engine = self.engine
        return [tb_ratio(kernels, engine.multiprocessors)
                for kernels in self._lanes[0].kernels(batch, self.modules)]

    def take(self, lane, level):
        """Let a lane use its stream of this level, on the partition in use."""
        lane.take(level, self.engine.partition)


def _names(model):
    return [value.name for value in model.graph.output]


def _call(function):
    return function()


def _call_in(thread, function):
    return thread.submit(function).result()


def _multiprocessors(properties, sms):
    return Multiprocessors(
        sms, properties.max_threads_per_multi_processor,
        properties.regs_per_multiprocessor, properties.shared_memory_per_multiprocessor,
        BLOCKS_PER_SM.get((properties.major, properties.minor), max(BLOCKS_PER_SM.values())))


def _cuda(torch):
    """Return what gives graphs priorities, or None where that is not to be had."""
    if not hasattr(torch.cuda.CUDAGraph, 'raw_cuda_graph'):
        return None
    with contextlib.suppress(ImportError):
        return Cuda(torch.cuda.current_device())


def _partition(cuda, sms, behind_sms):
    if not sms:
        return None
    if cuda is None:
        raise EngineError('torch', f'cannot take {sms} SMs for itself without cuda-bindings and '
                                   'PyTorch 2.9; `pip install cuda-bindings`, or set engine_sms '
                                   'to 0')
    return cuda.partition(sms, behind_sms)
