"""PyCUDA, called as cuda-bindings would be, where it is what is installed.

It has memory, streams, events and kernels. It has no priorities, no graphs, no parts of a device,
and no functions that streams call: whoever asks for these gets an error that names the call.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import itertools
import time
import types
from typing import Any, Callable, Dict, List

import numpy as np

from s3dnn_ros.engines.cuda_library import CONSTANTS, NO_MEMORY, NOT_READY, Status, device_uuid

_DEVICE = 0
_END_S = 1.0                # for calls that are under way when the process ends
_NOT_SUPPORTED = 801        # cudaErrorNotSupported
_UNKNOWN = 999              # cudaErrorUnknown
_ARGUMENTS = {ctypes.c_void_p: np.uintp, ctypes.c_uint32: np.uint32}


@functools.lru_cache(maxsize=None)
def load():
    """Return (driver, runtime), each as far as PyCUDA goes; raises ImportError.

    They are the same at every call, so that what one call made is known to all.
    """
    from pycuda import driver as pycuda

    try:
        pycuda.init()
        # TensorRT uses this context, too
        context = pycuda.Device(_DEVICE).retain_primary_context()
    except pycuda.Error as error:
        raise ImportError(str(error)) from error
    call = _Calls(pycuda, context)
    atexit.register(call.end)
    objects = _Objects(pycuda)
    runtime = _Offered(
        **CONSTANTS,
        cudaDeviceGetStreamPriorityRange=lambda: (Status(0), 0, 0),
        cudaStreamCreateWithPriority=call(objects.stream),
        cudaStreamDestroy=call(objects.drop),
        cudaStreamSynchronize=call(lambda stream: objects[stream].synchronize()),
        cudaStreamWaitEvent=call(
            lambda stream, event, flags: objects[stream].wait_for_event(objects[event])),
        cudaStreamBeginCapture=lambda *_: (
            _failure(_NOT_SUPPORTED, 'PyCUDA has no cudaStreamBeginCapture'),),
        cudaDeviceSynchronize=call(pycuda.Context.synchronize),
        # PyCUDA raises every error at once and keeps none
        cudaGetLastError=lambda: (Status(0),),
        cudaEventCreateWithFlags=call(objects.event),
        cudaEventRecord=call(lambda event, stream: objects[event].record(objects[stream])),
        cudaEventQuery=call(lambda event: Status(0 if objects[event].query() else NOT_READY)),
        cudaEventSynchronize=call(lambda event: objects[event].synchronize()),
        cudaEventElapsedTime=call(lambda start, end: objects[end].time_since(objects[start])),
        cudaEventDestroy=call(objects.drop),
        cudaMalloc=call(objects.memory),
        cudaFree=call(objects.drop),
        cudaMallocHost=call(objects.pinned),
        cudaFreeHost=call(objects.drop),
        cudaMemcpy=call(objects.copy),
        cudaMemcpyAsync=call(objects.copy),
        cudaMemsetAsync=call(lambda address, value, size, stream: pycuda.memset_d8_async(
            address, value, size, objects[stream])))
    kinds = pycuda.device_attribute
    driver = _Offered(
        CUdevice_attribute=types.SimpleNamespace(
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=kinds.COMPUTE_CAPABILITY_MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=kinds.COMPUTE_CAPABILITY_MINOR),
        cuDeviceGet=lambda number: (Status(0), number),
        cuDeviceGetAttribute=call(
            lambda kind, device: pycuda.Device(device).get_attribute(kind)),
        cuDeviceGetName=call(lambda length, device: pycuda.Device(device).name().encode()),
        cuDeviceGetUuid=device_uuid,
        cuModuleLoadData=call(objects.module),
        cuModuleGetFunction=call(lambda module, name: module.get_function(name.decode())),
        cuLaunchKernel=call(objects.launch))
    return driver, runtime


class _Offered(types.SimpleNamespace):
    """What there is of a library; says what is missing."""

    def __getattr__(self, name):
        raise AttributeError(f'PyCUDA has no {name}')


class _Objects:
    """What PyCUDA made, by the number that others know it by, until it is dropped.

    Streams have CUDA's own numbers, and memory its address. PyCUDA does not tell the numbers of
    events, so these are counted; no address is as low.
    """

    def __init__(self, pycuda):
        self._pycuda = pycuda
        self._held: Dict[int, Any] = {}
        self._events = itertools.count(1)
        self._modules: List[Any] = []

    def __getitem__(self, number):
        return self._held[number]

    def stream(self, flags, priority):
        """Return the number of a new stream; there is one priority only."""
        stream = self._pycuda.Stream(flags)
        return self._hold(stream.handle, stream)

    def event(self, flags):
        """Return the number of a new event."""
        return self._hold(next(self._events), self._pycuda.Event(flags))

    def memory(self, size):
        """Return the address of so many bytes of the device."""
        memory = self._pycuda.mem_alloc(size)
        return self._hold(int(memory), memory)

    def pinned(self, size):
        """Return the address of so many bytes of the host, from where the device copies."""
        array = self._pycuda.pagelocked_empty((size,), np.uint8)
        return self._hold(array.ctypes.data, array)

    def drop(self, number):
        """Free an object; 0 is none."""
        self._held.pop(number, None)

    def copy(self, target, source, size, kind, stream=None):
        """Copy between two addresses; CUDA knows which of them are on the device."""
        copy = self._pycuda.Memcpy2D()
        # of PyCUDA's copies, only those of two dimensions leave the direction to CUDA: this is
        # one row. `set_src_unified` would set a field that CUDA does not read then
        copy.src_memory_type = copy.dst_memory_type = self._pycuda.memory_type.UNIFIED
        copy.src_device, copy.dst_device = source, target
        copy.src_pitch = copy.dst_pitch = copy.width_in_bytes = size
        copy.height = 1
        copy(False if stream is None else self._held[stream])

    def module(self, code):
        """Return a module; it is never unloaded, as with cuda-bindings."""
        module = self._pycuda.module_from_buffer(code)
        self._modules.append(module)
        return module

    def launch(self, kernel, *arguments):
        """Launch a kernel on a stream."""
        *shape, shared, stream, (values, kinds), _ = arguments
        kernel(*(_ARGUMENTS[kind](value) for kind, value in zip(kinds, values)),
               grid=tuple(shape[:3]), block=tuple(shape[3:]), shared=shared,
               stream=self._held[stream])

    def _hold(self, number, made):
        self._held[number] = made
        return number


class _Calls:
    """Makes functions that any thread may call, and that return a status as CUDA's do.

    PyCUDA makes and frees only in a thread that has pushed the context. It aborts the process if
    a thread ends with a context pushed, so this is popped behind every call.
    """

    def __init__(self, pycuda, context):
        self._pycuda = pycuda
        self._context = context
        self._inside: List[None] = []       # an entry for each call that is under way
        self._ended = False

    def __call__(self, function: Callable) -> Callable:
        """Return such a function; what it returns besides a status is what `function` returns."""
        def call(*arguments):
            self._inside.append(None)
            try:
                return self._answer(function, arguments)
            finally:
                self._inside.pop()
        return call

    def end(self):
        """Let go of the context; no call does anything from here on."""
        self._ended = True
        # the interpreter's end stops daemons where they are
        until_s = time.monotonic() + _END_S
        while self._inside and time.monotonic() < until_s:
            time.sleep(_END_S / 1000)
        # the destructor would detach it as if PyCUDA had made it
        self._context.detach()

    def _answer(self, function, arguments):
        if self._ended:
            return _failure(_UNKNOWN, 'the process ends'), None
        try:
            self._context.push()
            try:
                value = function(*arguments)
            finally:
                self._context.pop()
        except self._pycuda.MemoryError as error:
            return _failure(NO_MEMORY, str(error)), None
        except self._pycuda.Error as error:
            return _failure(_UNKNOWN, str(error)), None
        if isinstance(value, Status):
            return value,
        return (Status(0),) if value is None else (Status(0), value)


def _failure(number: int, sentence: str) -> Status:
    status = Status(number)
    status.name = sentence
    return status
