"""TensorRT 8.2 to 10 behind one face: what this package uses of it, whichever is installed.

8.2 knows tensors by index and needs a profile for every context. 8.5 names tensors, 8.6 lets
contexts share a profile, and 10 has neither indices nor a way without sharing.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from s3dnn_ros.engines.cuda import OutOfMemory
from s3dnn_ros.errors import BuildError, PassingBuildError

# From 11 on a network itself says what each layer computes in, and no builder is told.
OLDEST, TOO_NEW = (8, 2), (11, 0)
# The first that can be told how much to try.
LEVELS = (8, 6)
_MIB = 1 << 20
# What a segment may use where nothing is said: later versions take the device's whole memory for
# the limit, those before 8.4 none at all.
_WORKSPACE_82_MB = 1024
# In lower case, what one of its complaints has in it where memory of the device is missing.
_FULL = ('out of memory', 'outofmemory', 'could not be allocated')
# By TensorRT's name, how tensors lie in memory that have their channels last.
CHANNELS_LAST = 'HWC8'
# Of what TensorRT tells, so many.
_KEPT = 100
# By TensorRT's names; its own `nptype` asks for numpy.bool, which new NumPys do not have.
_DTYPES = {'FLOAT': np.float32, 'HALF': np.float16, 'INT8': np.int8, 'INT32': np.int32,
           'INT64': np.int64, 'BOOL': np.bool_, 'UINT8': np.uint8}


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


class TensorRt:
    """The library; raises ImportError where it is not, or is of a version that is not known.

    Nothing here may be used before a CUDA device was seen: without one, making a runtime kills
    the process.

    Attributes
    ----------
    version : str
    shares_profiles : bool
        Whether contexts may use one profile at the same time.
    has_levels : bool
        Whether one can say how much it is to try while it builds.
    complaints : list of str
        Warnings and errors that it told in this process, oldest first.

    """

    def __init__(self):
        self.module = tensorrt = _module()
        self.version: str = tensorrt.__version__
        number = tuple(map(int, self.version.split('.')[:2]))
        if not OLDEST <= number < TOO_NEW:
            raise ImportError(f'TensorRT {self.version} is here, and 8.2 to 10 are known; install '
                              'one of these')
        self._major = number[0]
        self._sharing = getattr(getattr(tensorrt, 'PreviewFeature', None),
                                'PROFILE_SHARING_0806', None)
        self.shares_profiles = self._sharing is not None or self._major >= 10
        self.has_levels = number >= LEVELS
        self.logger = _logger(tensorrt)
        self.complaints: List[str] = self.logger.complaints
        # some ONNX operators become plugins, while building as well as while loading
        tensorrt.init_libnvinfer_plugins(self.logger, '')

    def builder(self):
        """Return a new builder; raises PassingBuildError with TensorRT's own words."""
        self.complaints.clear()
        try:
            return self.module.Builder(self.logger)
        except TypeError as error:
            # what pybind11 makes of a constructor that gave nothing
            raise PassingBuildError(
                'TensorRT', f'cannot begin to build: {self.complaint()}') from error

    def network(self, builder):
        """Return an empty network whose batch is a size like any other."""
        flag = getattr(self.module.NetworkDefinitionCreationFlag, 'EXPLICIT_BATCH', None)
        # from 10 on there is nothing else
        return builder.create_network(1 << int(flag) if flag is not None and self._major < 10
                                      else 0)

    def configuration(self, builder, workspace_mb: int, tactics: Sequence[str],
                      optimization_level: int):
        """Return a builder's configuration.

        A workspace of 0 MB leaves it to TensorRT, where that takes any, and so do no tactics and
        a level of -1; no other must be asked for without `has_levels`, and no tactics but those
        of `tactics`.
        """
        config = builder.create_builder_config()
        if not hasattr(config, 'set_memory_pool_limit'):
            config.max_workspace_size = (workspace_mb or _WORKSPACE_82_MB) * _MIB
        elif workspace_mb:
            config.set_memory_pool_limit(self.module.MemoryPoolType.WORKSPACE,
                                         workspace_mb * _MIB)
        if tactics:
            known = self.module.TacticSource.__members__
            config.set_tactic_sources(sum(1 << int(known[name.upper()]) for name in set(tactics)))
        if optimization_level >= 0:
            config.builder_optimization_level = optimization_level
        if self._sharing is not None:
            config.set_preview_feature(self._sharing, True)
        return config

    def build(self, builder, network, config) -> bytes:
        """Return the plan of a network; raises BuildError with TensorRT's own words.

        That is a PassingBuildError if memory was missing.
        """
        self.complaints.clear()
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            # kernels that find no room are passed over, and only then is none left
            full = any(words in complaint.lower() for complaint in self.complaints
                       for words in (*_FULL, 'insufficient'))
            raise (PassingBuildError if full else BuildError)('TensorRT', self.complaint())
        return bytes(plan)

    def load(self, plan: bytes, dla: int = -1) -> LoadedEngine:
        """Return an engine that is ready for contexts, on the DLA that it was built for, if any.

        Raises BuildError if it is none, OutOfMemory if it does not fit onto the device.
        """
        self.complaints.clear()
        if dla >= 0:
            # a plan does not know its core
            self.runtime.DLA_core = dla
        engine = self.runtime.deserialize_cuda_engine(plan)
        if engine is None:
            self.check_memory()
            raise BuildError('TensorRT', f'cannot read the plan: {self.complaint()}')
        kind = _NamedEngine if hasattr(engine, 'num_io_tensors') else _IndexedEngine
        return kind(self, engine)

    def complaint(self) -> str:
        """Return what it complained of last."""
        return '; '.join(self.complaints[-3:]) or 'it gave no reason'

    def check_memory(self) -> None:
        """Raise OutOfMemory if that is what it complained of last."""
        complaint = self.complaint()
        if any(words in complaint.lower() for words in _FULL):
            raise OutOfMemory(complaint)

    @functools.cached_property
    def runtime(self):
        """Return what reads plans."""
        return self.module.Runtime(self.logger)

    @property
    def dla_cores(self) -> int:
        """Return how many deep learning accelerators there are."""
        return self.runtime.num_DLA_cores

    @property
    def tactics(self) -> Tuple[str, ...]:
        """Return the names of the sources from which this version may take kernels."""
        return tuple(name.lower() for name in self.module.TacticSource.__members__)


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

    def __init__(self, api: TensorRt, engine):
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


class _NamedEngine(LoadedEngine):
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


class _IndexedEngine(LoadedEngine):
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


def _module():
    """Return the library; raises ImportError."""
    try:
        import tensorrt
    except ImportError:
        raise
    except Exception as error:
        # an installation that lacks a part of itself raises whatever it stumbles over
        raise ImportError(f'TensorRT does not load: {type(error).__name__}: {error}') from error
    if not hasattr(tensorrt, '__version__'):
        # Python imports any folder of this name
        raise ImportError('there is no TensorRT, only a folder of its name '
                          f'({", ".join(getattr(tensorrt, "__path__", ()))}); rename that')
    return tensorrt


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


@functools.lru_cache(maxsize=None)
def _logger(tensorrt):
    """Return a logger that keeps warnings and errors; the executor's log is not TensorRT's.

    There is one for a process, and for good: TensorRT goes on with the first that it is given.
    """

    class Logger(tensorrt.ILogger):
        def __init__(self):
            tensorrt.ILogger.__init__(self)
            self.complaints: List[str] = []

        def log(self, severity, message):
            if severity.name in ('INTERNAL_ERROR', 'ERROR', 'WARNING'):
                self.complaints.append(message.strip())
                del self.complaints[:-_KEPT]

    return Logger()
