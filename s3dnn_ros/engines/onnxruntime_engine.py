"""ONNX Runtime on the CPU: the engine that always works."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np

from s3dnn_ros.engines.base import Run
from s3dnn_ros.errors import EngineError
from s3dnn_ros.models.graph import with_image_input


class OnnxRuntimeNetwork:
    """An inference session with the image input in front."""

    def __init__(self, session):
        self._session = session
        self._names = [output.name for output in session.get_outputs()]
        image = session.get_inputs()[0]
        self._input = image.name
        self.batch = image.shape[0] if isinstance(image.shape[0], int) else 0
        self.output_shapes = {output.name: tuple(output.shape)
                              for output in session.get_outputs()}

    def run(self, pixels: np.ndarray):
        """Run on uint8 (N, H, W, 3); returns the outputs by name, batch first.

        A network that is fixed to a larger batch gets black images in addition.
        """
        count = len(pixels)
        if count < self.batch:
            pixels = np.concatenate(
                [pixels, np.zeros((self.batch - count, *pixels.shape[1:]), np.uint8)])
        outputs = self._session.run(self._names, {self._input: pixels})
        return {name: output[:count] for name, output in zip(self._names, outputs)}


class OnnxRuntimeEngine:
    """Runs one network at a time, on `threads` threads (0: one per usable core)."""

    name = 'onnxruntime'

    def __init__(self, clock, threads=0):
        import onnxruntime

        self._onnxruntime = onnxruntime
        self._clock = clock
        self._threads = threads or len(os.sched_getaffinity(0))
        self._worker = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-engine')
        self.device = f'CPU, {self._threads} threads, onnxruntime {onnxruntime.__version__}'

    def load(self, instance, model, spec):
        """Return the network; raises EngineError if ONNX Runtime refuses the model."""
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # spinning threads would take the cores from the governor between runs
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        try:
            session = self._onnxruntime.InferenceSession(
                with_image_input(model, spec).SerializeToString(), options,
                providers=['CPUExecutionProvider'])
        except Exception as error:
            # ONNX Runtime raises a dozen types of its own, some of them RuntimeError
            raise EngineError(instance, f'ONNX Runtime cannot load {spec.onnx}: {error}; '
                                        'try `s3dnn models check`') from error
        return OnnxRuntimeNetwork(session)

    def submit(self, network, pixels, done):
        """Queue a run for the engine's thread."""
        self._worker.submit(self._run, network, pixels, done)

    def close(self):
        """Wait for the run under way and end the thread."""
        self._worker.shutdown(wait=True)

    def _run(self, network, pixels, done):
        started_s = self._clock.now_s()
        try:
            outputs = network.run(pixels)
        except Exception as error:
            # whatever a network does, the engine's thread must live on
            done(Run(started_s, self._clock.now_s(), error=str(error) or repr(error)))
        else:
            done(Run(started_s, self._clock.now_s(), outputs))
