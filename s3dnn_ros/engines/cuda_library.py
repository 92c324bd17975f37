"""CUDA's own libraries, called as cuda-bindings would be, where those cannot be used.

There are none before Python 3.9, as on JetPack 5, and some do not fit the driver. What there is
here is what `cuda.py` uses for TensorRT.
"""

from __future__ import annotations

import ctypes
import types
from ctypes import (
    POINTER,
    byref,
    c_char_p,
    c_float,
    c_int,
    c_size_t,
    c_uint,
    c_ulonglong,
    c_void_p,
    cast,
)
from typing import Any, Dict, Sequence, Tuple

_RUNTIMES = ('libcudart.so', 'libcudart.so.13', 'libcudart.so.12', 'libcudart.so.11.0',
             'libcudart.so.10.2')
_DRIVERS = ('libcuda.so.1',)
_UUID_LENGTH = 16
NO_MEMORY = 2           # cudaErrorMemoryAllocation
NOT_READY = 600         # cudaErrorNotReady
CONSTANTS = {
    'cudaMemcpyKind': types.SimpleNamespace(cudaMemcpyDefault=4),
    'cudaStreamCaptureMode': types.SimpleNamespace(cudaStreamCaptureModeThreadLocal=1),
}

# By name: what a function gives, through its first arguments, and what it takes.
_Signatures = Dict[str, Tuple[Sequence[Any], Sequence[Any]]]
_OF_RUNTIME: _Signatures = {
    'cudaDeviceGetStreamPriorityRange': ([c_int, c_int], []),
    'cudaStreamCreateWithPriority': ([c_void_p], [c_uint, c_int]),
    'cudaStreamDestroy': ([], [c_void_p]),
    'cudaStreamSynchronize': ([], [c_void_p]),
    'cudaStreamWaitEvent': ([], [c_void_p, c_void_p, c_uint]),
    'cudaStreamBeginCapture': ([], [c_void_p, c_int]),
    'cudaDeviceSynchronize': ([], []),
    'cudaGetLastError': ([], []),
    'cudaEventCreateWithFlags': ([c_void_p], [c_uint]),
    'cudaEventRecord': ([], [c_void_p, c_void_p]),
    'cudaEventQuery': ([], [c_void_p]),
    'cudaEventSynchronize': ([], [c_void_p]),
    'cudaEventElapsedTime': ([c_float], [c_void_p, c_void_p]),
    'cudaEventDestroy': ([], [c_void_p]),
    'cudaMalloc': ([c_void_p], [c_size_t]),
    'cudaFree': ([], [c_void_p]),
    'cudaMallocHost': ([c_void_p], [c_size_t]),
    'cudaFreeHost': ([], [c_void_p]),
    'cudaMemcpy': ([], [c_void_p, c_void_p, c_size_t, c_int]),
    'cudaMemsetAsync': ([], [c_void_p, c_int, c_size_t, c_void_p]),
    'cudaMemcpyAsync': ([], [c_void_p, c_void_p, c_size_t, c_int, c_void_p]),
    'cudaLaunchHostFunc': ([], [c_void_p, c_void_p, c_void_p]),
    'cudaGraphLaunch': ([], [c_void_p, c_void_p]),
    'cudaGraphDestroy': ([], [c_void_p]),
    'cudaGraphExecDestroy': ([], [c_void_p]),
}
_OF_DRIVER: _Signatures = {
    'cuDeviceGet': ([c_int], [c_int]),
    'cuDeviceGetAttribute': ([c_int], [c_int, c_int]),
    'cuModuleLoadData': ([c_void_p], [c_char_p]),
    'cuModuleGetFunction': ([c_void_p], [c_void_p, c_char_p]),
}
# Of the second name since CUDA 11.7. A driver may have neither.
_MEMORY_OPERATIONS = ('cuStreamWaitValue32', 'cuStreamWriteValue32')


class Status(int):
    """What a call gave; 0 is success. `name` is what errors say."""

    name = 'CUDA error'


def load():
    """Return (driver, runtime), each as far as it is used; raises ImportError."""
    library = _open(_RUNTIMES)
    runtime = types.SimpleNamespace(
        **CONSTANTS,
        cudaGraph_t=int,
        **{name: _function(library, name, *kinds) for name, kinds in _OF_RUNTIME.items()})
    runtime.cudaStreamEndCapture = _ending_capture(library)
    runtime.cudaGraphInstantiate = _instantiating(library)
    library = _open(_DRIVERS)
    driver = types.SimpleNamespace(
        CUdevice_attribute=types.SimpleNamespace(
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76),
        CUdeviceptr=int,
        cuuint32_t=int,
        **{name: _function(library, name, *kinds) for name, kinds in _OF_DRIVER.items()},
        **{name: _function(library, found, [], [c_void_p, c_ulonglong, c_uint, c_uint])
           for name in _MEMORY_OPERATIONS for found in (name, f'{name}_v2')
           if hasattr(library, found)})
    driver.cuDeviceGetName = _naming(library)
    driver.cuDeviceGetUuid = _numbering(library)
    driver.cuLaunchKernel = _launching(library)
    return driver, runtime


def device_uuid(device: int):
    """Return (status, what has a device's UUID as `bytes`); raises ImportError without a driver.

    PyCUDA does not offer this one.
    """
    return _numbering(_open(_DRIVERS))(device)


def look_for_driver():
    """Raise ImportError if this machine has no NVIDIA driver: that takes no time to find out."""
    for name in _DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError as error:
            raise ImportError(f'there is no NVIDIA driver here ({error})') from None


def _open(names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ImportError(f'there is no {names[0]}; let the loader find CUDA (LD_LIBRARY_PATH), or '
                      '`pip install cuda-bindings`')


def _function(library, name, gives, takes):
    function = getattr(library, name)
    function.argtypes = [*map(POINTER, gives), *takes]

    def call(*arguments):
        results = [kind() for kind in gives]
        status = Status(function(*map(byref, results), *arguments))
        return (status, *(result.value for result in results))
    return call


def _ending_capture(library):
    # the one that gives through its last argument
    function = library.cudaStreamEndCapture
    function.argtypes = [c_void_p, POINTER(c_void_p)]

    def call(stream):
        graph = c_void_p()
        return Status(function(stream, byref(graph))), graph.value
    return call


def _instantiating(library):
    # its arguments are others since CUDA 12; what has had flags from the start came with 11.4
    if hasattr(library, 'cudaGraphInstantiateWithFlags'):
        return _function(library, 'cudaGraphInstantiateWithFlags', [c_void_p],
                         [c_void_p, c_ulonglong])
    older = _function(library, 'cudaGraphInstantiate', [c_void_p],
                      [c_void_p, c_void_p, c_char_p, c_size_t])
    return lambda graph, flags: older(graph, None, None, 0)


def _naming(library):
    function = library.cuDeviceGetName
    function.argtypes = [c_char_p, c_int, c_int]

    def call(length, device):
        name = ctypes.create_string_buffer(length)
        return Status(function(name, length, device)), name.value
    return call


def _numbering(library):
    function = library.cuDeviceGetUuid

    def call(device):
        number = (ctypes.c_ubyte * _UUID_LENGTH)()
        return Status(function(byref(number), device)), types.SimpleNamespace(bytes=bytes(number))
    return call


def _launching(library):
    function = library.cuLaunchKernel
    function.argtypes = [c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), c_void_p]

    def call(kernel, *arguments):
        *shape, stream, (values, kinds), _ = arguments
        held = [kind(value) for kind, value in zip(kinds, values)]
        addresses = (c_void_p * len(held))(*(cast(byref(item), c_void_p) for item in held))
        return Status(function(kernel, *shape, stream, addresses, None)),
    return call
