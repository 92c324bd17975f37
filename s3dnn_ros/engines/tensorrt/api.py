"""TensorRT 8.2 to 10 behind one face: what this package uses of it, whichever is installed.

8.2 knows tensors by index and needs a profile for every context. 8.5 names tensors, 8.6 lets
contexts share a profile, and 10 has neither indices nor a way without sharing.
"""

from __future__ import annotations

import functools
from typing import List, Sequence, Tuple

from s3dnn_ros.engines.cuda import OutOfMemory
from s3dnn_ros.engines.tensorrt.loaded_engine import IndexedEngine, LoadedEngine, NamedEngine
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
# Of what TensorRT tells, so many.
_KEPT = 100


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
        kind = NamedEngine if hasattr(engine, 'num_io_tensors') else IndexedEngine
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
