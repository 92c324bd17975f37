"""ONNX Runtime on the CPU, the engine that always works, or by OpenVINO on what Intel makes."""

from __future__ import annotations

import concurrent.futures
import functools
import math
import os
import statistics

import numpy as np

from s3dnn_ros.engines.base import DEFAULTS, Run, variants_of
from s3dnn_ros.errors import EngineError

OPENVINO = 'OpenVINOExecutionProvider'
# Flights are only arrays in memory here: so many that nothing waits for one.
LANES = 64


class OnnxRuntimeNetwork:
    """A chain of inference sessions, the image input in front."""

    lanes = LANES
    stages = False
    note = ''

    def __init__(self, sessions, outputs, engine, max_batch):
        self._sessions = sessions       # by segment, then by variant
        self._engine = engine
        self.segments = len(sessions)
        self.variants = [len(variants) for variants in sessions]
        image = sessions[0][0].get_inputs()[0]
        self._image = image.name
        self.batch = image.shape[0] if isinstance(image.shape[0], int) else 0
        self.largest = min(self.batch or max_batch, max_batch)
        self._shape = tuple(image.shape[1:])
        shapes = {value.name: tuple(value.shape)
                  for session, *_ in sessions for value in session.get_outputs()}
        self.output_shapes = {name: shapes[name] for name in outputs}

    def padded(self, frames):
        """Return the batch that runs: a network may be fixed to a larger one."""
        return max(frames, self.batch)

    def stage(self, pixels):
        """Return the pixels: the CPU reads them where they are."""
        return pixels

    def open(self, staged, deadline_s=math.inf):
        """Return a flight with these images."""
        pixels = staged[0] if len(staged) == 1 else np.concatenate(staged)
        return OnnxRuntimeFlight(self, self._engine, pixels)

    def run(self, pixels, variants=()):
        """Run on uint8 (N, H, W, 3); returns the outputs by name, batch first."""
        tensors = self.start(pixels)
        for segment, variant in enumerate(variants or [0] * self.segments):
            self.step(segment, tensors, variant)
        return self.finish(tensors, len(pixels))

    def measure(self, batch, repeats, variant=0):
        """Return the seconds of every segment in each of so many runs."""
        image = np.random.default_rng(0).integers(0, 256, (batch, *self._shape), np.uint8)
        rows = []
        for _ in range(repeats):
            tensors, row = self.start(image), []
            for segment in range(self.segments):
                started_s = self._engine.clock.now_s()
                self.step(segment, tensors, min(variant, self.variants[segment] - 1))
                row.append(self._engine.clock.now_s() - started_s)
            rows.append(row)
        return rows

    def measure_shared(self, batch, repeats):
        """Return the seconds of a whole run: they never run side by side here."""
        return statistics.median(map(sum, self.measure(batch, repeats)))

    def tb_ratios(self, batch):
        """Return ones: the CPU has no thread blocks, and one segment takes all of it."""
        return [1.0] * self.segments

    def memory_mb(self, batch):
        """Return 0: ONNX Runtime does not tell."""
        return 0.0

    def start(self, pixels):
        """Return the tensors to start with; a fixed network gets black images in addition."""
        missing = self.padded(len(pixels)) - len(pixels)
        if missing:
            pixels = np.concatenate(
                [pixels, np.zeros((missing, *pixels.shape[1:]), np.uint8)])
        return {self._image: pixels}

    def step(self, segment, tensors, variant):
        """Run one segment; its outputs join the tensors."""
        session = self._sessions[segment][variant]
        names = [output.name for output in session.get_outputs()]
        feed = {value.name: tensors[value.name] for value in session.get_inputs()}
        tensors.update(zip(names, session.run(names, feed)))

    def finish(self, tensors, count):
        """Return the network's outputs of the first `count` images."""
        return {name: tensors[name][:count] for name in self.output_shapes}


class OnnxRuntimeFlight:
    """A batch and the tensors it has reached."""

    def __init__(self, network, engine, pixels):
        self._network = network
        self._engine = engine
        self._count = len(pixels)
        self._tensors = network.start(pixels)

    def submit(self, segment, done, level=0, variant=0, last=None):
        """Queue a segment, or several, for the engine's thread."""
        self._engine.submit(functools.partial(
            self._run, segment, segment if last is None else last, variant), done)

    def outputs(self):
        """Return the outputs by name."""
        return self._network.finish(self._tensors, self._count)

    def close(self):
        """Free the tensors."""
        self._tensors = {}

    def _run(self, first, last, variant):
        self._network.step(first, self._tensors, variant)
        for segment in range(first + 1, last + 1):
            self._network.step(segment, self._tensors, 0)


class OnnxRuntimeEngine:
    """Runs one segment at a time, on `threads` threads (0: one per usable core).

    Parameters
    ----------
    clock : Clock
    threads : int
    openvino : str
        Where OpenVINO runs networks, by its own name: CPU, GPU (of Intel), NPU. Empty: ONNX
        Runtime itself runs them, on the CPU. What OpenVINO does not take runs there, too.

    Raises
    ------
    ImportError
        There is no ONNX Runtime here, or it has no OpenVINO.

    """

    name = 'onnxruntime'
    options = DEFAULTS
    heeds = ()
    precision = 'fp32'
    gpu = None
    sms = 0
    built = 0
    gated = False
    parallel = False
    levels = 1
    poll_s = None
    lead_s = 0.0
    loads_bytes = True

    def __init__(self, clock, threads=0, openvino=''):
        import onnxruntime

        if openvino and OPENVINO not in onnxruntime.get_available_providers():
            raise ImportError('this ONNX Runtime has no OpenVINO; `pip uninstall onnxruntime` and '
                              '`pip install onnxruntime-openvino`')

        self._onnxruntime = onnxruntime
        self.clock = clock
        self._threads = threads or len(os.sched_getaffinity(0))
        self._worker = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-engine')
        self._openvino = openvino
        self._providers = [
            *([(OPENVINO, {'device_type': openvino, 'num_of_threads': str(self._threads)})]
              if openvino else []), 'CPUExecutionProvider']
        where = f'OpenVINO {openvino}' if openvino else 'CPU'
        self.device = f'{where}, {self._threads} threads, onnxruntime {onnxruntime.__version__}'
        self.versions = {'onnxruntime': onnxruntime.__version__}

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network; raises EngineError if ONNX Runtime refuses the model."""
        models = variants_of(segments, coarser)
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # spinning threads would take the cores from the governor between runs
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        try:
            sessions = [[self._onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else model.SerializeToString(), options,
                providers=self._providers)
                for model in variants] for variants in models]
        except Exception as error:
            # ONNX Runtime raises a dozen types of its own, some of them RuntimeError
            raise EngineError(instance, f'ONNX Runtime cannot load {spec.onnx}: {error}; '
                                        'try `s3dnn models check`') from error
        if self._openvino and OPENVINO not in sessions[0][0].get_providers():
            # ONNX Runtime would run it on the CPU, and only print why
            raise EngineError(instance, f'OpenVINO finds no {self._openvino} here; install its '
                                        'driver, or take another unit')
        return OnnxRuntimeNetwork(sessions, outputs, self, max_batch)

    def submit(self, step, done):
        """Queue a step for the engine's thread."""
        self._worker.submit(self._run, step, done)

    def frame_memory(self, size):
        """Return so many bytes: the CPU reads any."""
        return np.empty(size, np.uint8)

    def reads(self, pixels):
        """Return True: the CPU reads any pixels."""
        return True

    def poll(self):
        """Do nothing: the engine's thread calls `done`."""

    def lost(self):
        """Return nothing: there is no device to lose."""
        return ''

    def close(self):
        """Wait for the run under way and end the thread."""
        self._worker.shutdown(wait=True)

    def _run(self, step, done):
        started_s = self.clock.now_s()
        error = ''
        try:
            step()
        except Exception as caught:
            # whatever a network does, the engine's thread must live on
            error = str(caught) or repr(caught)
        done(Run(started_s, self.clock.now_s(), error))
