"""A plan on the device, its tensors, and the contexts that run it: of TensorRT 8.2 to 10."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Tuple

import numpy as np

from s3dnn_ros.errors import BuildError

# By TensorRT's name, how tensors lie in memory that have their channels last.
CHANNELS_LAST = 'HWC8'
# By TensorRT's names; its own `nptype` asks for numpy.bool, which new NumPys do not have.
_DTYPES = {'FLOAT': np.float32, 'HALF': np.float16, 'INT8': np.int8, 'INT32': np.int32,
           'INT64': np.int64, 'BOOL': np.bool_, 'UINT8': np.uint8}
# By NumPy's.
DTYPES = tuple(np.dtype(kind).name for kind in _DTYPES.values())


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of an engine; a size in `shape` that is free is -1.

    With `channels_last` it is (N, C, H, W) by its shape, and lies in memory as (N, H, W, C).
    """

    name: str
    is_input: bool
    dtype: str      # NumPy's name
    shape: Tuple[int, ...]
    channels_last: bool = False


class LoadedEngine:
    """What a plan becomes on the device: weights, of which any number of contexts make use.

    Attributes
    ----------
    tensors : tuple of Tensor
    scratch_bytes : int
        What a context needs while it runs.
    profiles : int

    """

    tensors: Tuple[Tensor, ...]

    def __init__(self, api, engine):
        self.api = api      # an engine does not keep its runtime alive
        self.engine = engine
        self.scratch_bytes = int(getattr(engine, 'device_memory_size_v2', 0)
                                 or engine.device_memory_size)
        self.profiles: int = engine.num_optimization_profiles

    def context(self, batch: int, profile: int, scratch: int, stream: int) -> Context:
        """Return a context for one batch.

        Parameters
        ----------
        batch : int
            What the free sizes of its inputs are.
        profile : int
            Of another context, where the version cannot share them.
        scratch : int
            The address of device memory; contexts that never run at once may have the same.
        stream : int
            Where TensorRT copies what it needs; wait for it before the first run.

        Raises
        ------
        OutOfMemory
            The device has no room for it.
        BuildError
            The engine has no such batch or profile.

        """
        raise NotImplementedError

    def _new(self, scratch: int, profile: int, stream: int):
        self.api.complaints.clear()
        strategies = getattr(self.api.module, 'ExecutionContextAllocationStrategy', None)
        context = (self.engine.create_execution_context(strategies.USER_MANAGED) if strategies
                   else self.engine.create_execution_context_without_device_memory())
        if context is None:
            self.api.check_memory()
            raise BuildError('TensorRT', f'cannot make a context: {self.api.complaint()}')
        if hasattr(context, 'set_device_memory'):
            context.set_device_memory(scratch, self.scratch_bytes)
        else:
            context.device_memory = scratch
        # the first context of an engine has the first profile already
        if context.active_optimization_profile != profile:
            try:
                context.set_optimization_profile_async(profile, stream)
            except RuntimeError as error:
                self.api.check_memory()
                raise BuildError('TensorRT', f'does not give profile {profile} ('
                                 f'{self.api.complaint()}); build it again') from error
        return context


class Context:
    """Runs an engine on one batch.

    Attributes
    ----------
    shapes : mapping of str to tuple of int
        Of all tensors, -1 where only a run tells.

    """

    shapes: Mapping[str, Tuple[int, ...]]

    def __init__(self, engine: LoadedEngine, context):
        # in the order in which they are to go: a context does not keep its engine alive
        self._context = context
        self._engine = engine

    def bind(self, addresses: Mapping[str, int]):
        """Say where tensors lie on the device; those of no concern here are passed over."""
        raise NotImplementedError

    def enqueue(self, stream: int):
        """Run on a stream; raises RuntimeError if TensorRT refuses, OutOfMemory among them."""
        if not self._enqueue(stream):
            self._engine.api.check_memory()
            raise RuntimeError(f'TensorRT refused to run: {self._engine.api.complaint()}')

    def _enqueue(self, stream: int) -> bool:
        raise NotImplementedError


class NamedEngine(LoadedEngine):
    """Of TensorRT 8.5 and later."""

    def __init__(self, api, engine):
        super().__init__(api, engine)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.tensors = tuple(
            Tensor(name, engine.get_tensor_mode(name) == api.module.TensorIOMode.INPUT,
                   dtype_of(engine.get_tensor_dtype(name)), tuple(engine.get_tensor_shape(name)),
                   _channels_last(engine.get_tensor_format(name)))
            for name in names)

    def context(self, batch, profile, scratch, stream):
        """Return a context for one batch."""
        return _NamedContext(self, self._new(scratch, profile, stream), batch)


class _NamedContext(Context):
    def __init__(self, engine, context, batch):
        super().__init__(engine, context)
        for tensor in engine.tensors:
            if tensor.is_input:
                _expect(context.set_input_shape(tensor.name, _at(tensor.shape, batch)), batch)
        self.shapes = {tensor.name: tuple(context.get_tensor_shape(tensor.name))
                       for tensor in engine.tensors}

    def bind(self, addresses):
        for name in self.shapes:
            self._context.set_tensor_address(name, addresses[name])

    def _enqueue(self, stream):
        return self._context.execute_async_v3(stream)


class IndexedEngine(LoadedEngine):
    """Of TensorRT before 8.5: every profile has bindings of its own, block behind block."""

    def __init__(self, api, engine):
        super().__init__(api, engine)
        self.stride = engine.num_bindings // self.profiles
        self.tensors = tuple(
            Tensor(engine.get_binding_name(index), engine.binding_is_input(index),
                   dtype_of(engine.get_binding_dtype(index)),
                   tuple(engine.get_binding_shape(index)),
                   _channels_last(engine.get_binding_format(index)))
            for index in range(self.stride))

    def context(self, batch, profile, scratch, stream):
        """Return a context for one batch."""
        return _IndexedContext(self, self._new(scratch, profile, stream), batch, profile)


class _IndexedContext(Context):
    def __init__(self, engine, context, batch, profile):
        super().__init__(engine, context)
        first = profile * engine.stride
        self._places: Dict[str, int] = {
            tensor.name: first + index for index, tensor in enumerate(engine.tensors)}
        self._bindings = [0] * engine.engine.num_bindings
        for tensor in engine.tensors:
            if tensor.is_input:
                _expect(context.set_binding_shape(self._places[tensor.name],
                                                  _at(tensor.shape, batch)), batch)
        self.shapes = {name: tuple(context.get_binding_shape(place))
                       for name, place in self._places.items()}

    def bind(self, addresses):
        for name, place in self._places.items():
            self._bindings[place] = addresses[name]

    def _enqueue(self, stream):
        return self._context.execute_async_v2(self._bindings, stream)


def _at(shape, batch):
    return tuple(batch if size < 0 else size for size in shape)


def _expect(taken: bool, batch: int):
    if not taken:
        raise BuildError('TensorRT', f'the engine takes no batch of {batch}; build it again')


def dtype_of(kind: Any) -> str:
    """Return NumPy's name of one of TensorRT's kinds of numbers."""
    return np.dtype(_DTYPES[kind.name]).name


def _channels_last(layout: Any) -> bool:
    # eight by eight, and nothing is asked to lie so whose channels are no multiple of that
    return layout.name == CHANNELS_LAST
