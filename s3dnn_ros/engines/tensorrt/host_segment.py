"""A segment on the CPU, amid others on a device: in ONNX Runtime, where TensorRT cannot."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
import onnx

from s3dnn_ros.errors import ModelError

# By ONNX Runtime's names.
_DTYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16,
           'tensor(double)': np.float64, 'tensor(bool)': np.bool_,
           **{f'tensor({name})': np.dtype(name).type for name in (
               'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64')}}


class Buffer(NamedTuple):
    """A tensor on the device: where it is, its kind of number, and how it lies."""

    address: int
    dtype: Any
    channels_last: bool = False


class HostSegment:
    """A segment that ONNX Runtime runs; raises ImportError where that is not.

    Raises ModelError if ONNX Runtime refuses it, or NumPy has no such tensors.
    """

    scratch_bytes = 0

    def __init__(self, model: onnx.ModelProto, name: str):
        import onnxruntime

        self._name = name
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self.session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=['CPUExecutionProvider'])
        except Exception as error:
            # ONNX Runtime raises a dozen types of its own
            raise ModelError(name, f'ONNX Runtime cannot load it either: {error}; try `s3dnn '
                                   'models check`') from error
        values = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]
        for value in values:
            if value.type not in _DTYPES:
                raise ModelError(name, f"would run on the CPU, and '{value.name}' is a "
                                       f'{value.type}, which NumPy has not; cut it elsewhere')
        self.dtypes = {value.name: _DTYPES[value.type] for value in values}
        self._shapes = {value.name: value.shape for value in values}

    @property
    def tensors(self) -> Tuple[str, ...]:
        """Return the names of what it reads and writes."""
        return (*self.inputs, *self.outputs)

    def shapes(self, batch: int) -> Dict[str, Tuple[int, ...]]:
        """Return the shapes of its tensors; raises ModelError if one is not known."""
        for name, shape in self._shapes.items():
            if not all(isinstance(size, int) for size in shape[1:]):
                raise ModelError(self._name, 'runs on the CPU, and nobody knows how large '
                                             f"'{name}' is; export it with fixed sizes")
        return {name: tuple(size if isinstance(size, int) else batch for size in shape)
                for name, shape in self._shapes.items()}


class HostStep:
    """A host segment at one batch on one lane.

    Parameters
    ----------
    segment : HostSegment
    cuda : Cuda
    buffers : mapping of str to Buffer
        Where the lane keeps its tensors on the device, and how.
    batch : int

    """

    def __init__(self, segment: HostSegment, cuda, buffers: Mapping[str, Buffer],
                 batch: int):
        self._segment = segment
        self._addresses = {name: buffers[name].address for name in segment.tensors}
        self._arrays = {name: _pinned(cuda, shape, buffers[name])
                        for name, shape in segment.shapes(batch).items()}
        self._function = cuda.host_function(self._run)
        self.error = ''

    def submit(self, stream):
        """Copy what it reads from the device, run, and copy what it wrote to the device."""
        for name in self._segment.inputs:
            array = self._arrays[name]
            stream.copy(array.ctypes.data, self._addresses[name], array.nbytes)
        self._function.submit(stream)
        for name in self._segment.outputs:
            array = self._arrays[name]
            stream.copy(self._addresses[name], array.ctypes.data, array.nbytes)

    def _run(self):
        segment = self._segment
        try:
            feed = {name: self._arrays[name].astype(segment.dtypes[name], copy=False)
                    for name in segment.inputs}
            for name, result in zip(segment.outputs, segment.session.run(segment.outputs, feed)):
                np.copyto(self._arrays[name], result, casting='unsafe')
            self.error = ''
        except Exception as error:
            # nothing may get out of what CUDA calls
            self.error = str(error) or repr(error)


def _pinned(cuda, shape, buffer: Buffer):
    """Return pinned memory of the bytes of a buffer, with the axes of NumPy."""
    if not buffer.channels_last:
        return cuda.pinned(shape, buffer.dtype)
    batch, channels, rows, columns = shape
    return cuda.pinned((batch, rows, columns, channels), buffer.dtype).transpose(0, 3, 1, 2)


class HostEvent:
    """The event behind some host steps, which tells their errors, too."""

    def __init__(self, event, steps: Sequence[HostStep]):
        self._event, self._steps = event, steps

    def query(self):
        """Tell whether it has passed; raises RuntimeError if a step failed."""
        passed = self._event.query()
        for step in self._steps if passed else ():
            if step.error:
                raise RuntimeError(step.error)
        return passed

    def synchronize(self):
        """Wait until it has passed; raises RuntimeError if a step failed."""
        self._event.synchronize()
        self.query()
