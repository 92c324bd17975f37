"""Stands for `tensorrt` where it is not: the interfaces of 8.2 to 10, as far as they are used.

Each class has the methods that its version has, and no others; slots refuse other attributes.
A plan is JSON of what was asked for, so that tests can look into it, and has the ONNX in it, by
which ONNX Runtime computes what a context is to compute, in the memory of `fake_cuda`.
"""

import base64
import ctypes
import enum
import functools
import json
import types

import numpy as np
import onnx

from s3dnn_ros.errors import BuildError, PassingBuildError

VERSIONS = ('8.2.5', '8.5.2', '8.6.0', '10.3.0')
_KINDS = {onnx.TensorProto.FLOAT: 'FLOAT', onnx.TensorProto.UINT8: 'UINT8',
          onnx.TensorProto.INT64: 'INT32', onnx.TensorProto.INT32: 'INT32'}


class DataType(enum.Enum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, INT64 = range(7)


class BuilderFlag(enum.IntEnum):
    FP16, INT8, DEBUG, GPU_FALLBACK, TF32 = range(5)


class DeviceType(enum.Enum):
    GPU, DLA = range(2)


class TensorFormat(enum.IntEnum):
    LINEAR, CHW2, HWC8 = range(3)


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class FakeLogger:
    def __init__(self):
        pass


class FakeTensor:
    __slots__ = ('allowed_formats', 'dtype', 'name', 'shape')

    def __init__(self, value):
        self.name = value.name
        self.allowed_formats = -1
        self.dtype = DataType[_KINDS[value.type.tensor_type.elem_type]]
        self.shape = tuple(dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim)


class FakeLayer:
    __slots__ = ('kind', 'name')

    def __init__(self, node):
        self.name, self.kind = node.name or node.output[0], node.op_type


class FakeNetwork:
    __slots__ = ('flags', 'inputs', 'layers', 'onnx', 'outputs')

    def __init__(self, flags):
        self.flags, self.inputs, self.outputs, self.layers = flags, [], [], []
        self.onnx = b''

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))
    num_layers = property(lambda self: len(self.layers))

    def get_input(self, index):
        return self.inputs[index]

    def get_output(self, index):
        return self.outputs[index]

    def get_layer(self, index):
        return self.layers[index]


class FakeParserError:
    def __init__(self, sentence):
        self._sentence = sentence

    def desc(self):
        return self._sentence

    def node(self):
        return 0


class FakeParser:
    """Refuses nodes of the type `Unsupported`."""

    def __init__(self, network, logger):
        self._network, self._refused = network, []

    num_errors = property(lambda self: len(self._refused))

    def parse(self, model):
        graph = onnx.load_from_string(model).graph
        self._network.onnx = model
        self._refused = [node for node in graph.node if node.op_type == 'Unsupported']
        stored = {tensor.name for tensor in graph.initializer}
        self._network.inputs += [FakeTensor(value) for value in graph.input
                                 if value.name not in stored]
        self._network.outputs += [FakeTensor(value) for value in graph.output]
        self._network.layers += [FakeLayer(node) for node in graph.node]
        return not self._refused

    def get_error(self, index):
        return FakeParserError(f'no importer for {self._refused[index].op_type}')


class FakeProfile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, best, most):
        self.shapes[name] = [tuple(least), tuple(best), tuple(most)]


class FakeTimingCache:
    def __init__(self, content):
        self.content = bytes(content)

    def combine(self, other, ignore_mismatch):
        self.content = max(self.content, other.content, key=len)
        return True

    def serialize(self):
        return self.content


class _Config:
    __slots__ = ('DLA_core', 'calibration_profile', 'default_device_type', 'flags',
                 'int8_calibrator', 'profile_stream', 'profiles', 'tactics', 'timing_cache')

    def __init__(self):
        self.flags, self.profiles, self.tactics, self.timing_cache = ['TF32'], [], None, None
        self.DLA_core, self.default_device_type, self.int8_calibrator = -1, None, None
        self.calibration_profile = self.profile_stream = None

    def set_flag(self, flag):
        self.flags.append(flag.name)

    def clear_flag(self, flag):
        self.flags.remove(flag.name)

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def set_calibration_profile(self, profile):
        self.calibration_profile = profile
        return True

    def set_tactic_sources(self, sources):
        self.tactics = sources
        return True

    def create_timing_cache(self, content):
        return None if b'damaged' in content else FakeTimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        self.timing_cache = cache
        return True

    def get_timing_cache(self):
        return self.timing_cache

    def can_run_on_DLA(self, layer):
        return layer.kind != 'Cast'


class FakeConfig82(_Config):
    __slots__ = ('max_workspace_size',)

    def __init__(self):
        super().__init__()
        self.max_workspace_size = 0

    workspace = property(lambda self: self.max_workspace_size)


class FakeConfig85(_Config):
    __slots__ = ('pools',)

    def __init__(self):
        super().__init__()
        self.pools = {}

    workspace = property(lambda self: self.pools.get('WORKSPACE'))

    def set_memory_pool_limit(self, pool, size):
        self.pools[pool.name] = size


class FakeConfig10(FakeConfig85):
    __slots__ = ('builder_optimization_level', 'max_aux_streams')

    def __init__(self):
        super().__init__()
        self.builder_optimization_level, self.max_aux_streams = 3, None


class FakeConfig86(FakeConfig10):
    __slots__ = ('preview',)

    def __init__(self):
        super().__init__()
        self.preview = []

    def set_preview_feature(self, feature, enable):
        self.preview.append((feature.name, enable))


class FakeBuilder:
    """Builds what has been parsed."""

    config = FakeConfig82

    def __init__(self, logger):
        self._logger = logger

    def create_network(self, flags=0):
        return FakeNetwork(flags)

    def create_builder_config(self):
        return self.config()

    def create_optimization_profile(self):
        return FakeProfile()

    def build_serialized_network(self, network, config):
        if any(layer.kind == 'Unbuildable' for layer in network.layers):
            self._logger.log(Severity.ERROR, 'could not find any implementation')
            return None
        if any(layer.kind == 'Large' for layer in network.layers):
            for severity, words in (
                    (Severity.WARNING, 'Skipping tactic 0 due to insufficient memory'),
                    *[(Severity.WARNING, 'about weights')] * 3,
                    (Severity.ERROR, 'could not find any implementation')):
                self._logger.log(severity, words)
            return None
        if config.timing_cache is not None:
            config.timing_cache.content += b'timed '
        # a network that brings its own ranges asks for no others
        if config.int8_calibrator is not None and not any(
                layer.kind == 'QuantizeLinear' for layer in network.layers):
            _calibrate(config.int8_calibrator, network)
        return json.dumps({
            'tensors': [[tensor.name, is_input, tensor.dtype.name, tensor.shape,
                         TensorFormat(tensor.allowed_formats.bit_length() - 1).name]
                        for tensors, is_input in ((network.inputs, True),
                                                  (network.outputs, False))
                        for tensor in tensors],
            'formats': [tensor.allowed_formats for tensor in (*network.inputs, *network.outputs)],
            'profiles': len(config.profiles), 'flags': config.flags,
            'shapes': [profile.shapes for profile in config.profiles],
            'tactics': config.tactics, 'workspace': config.workspace,
            'network_flags': network.flags, 'dla': config.DLA_core,
            'preview': getattr(config, 'preview', []),
            'stream': config.profile_stream,
            'aux_streams': getattr(config, 'max_aux_streams', None),
            'level': getattr(config, 'builder_optimization_level', None),
            'onnx': base64.b64encode(network.onnx).decode(),
        }).encode()


def _calibrate(calibrator, network):
    if calibrator.read_calibration_cache() is not None:
        return
    names = [tensor.name for tensor in network.inputs]
    batches = 0
    while calibrator.get_batch(names):
        batches += 1
    calibrator.write_calibration_cache(b'scales of %d batches' % batches)


_NUMPY = {'FLOAT': np.float32, 'HALF': np.float16, 'INT32': np.int32}
_OF_SESSION = {'tensor(float)': np.float32, 'tensor(int32)': np.int32, 'tensor(int64)': np.int64}


def _at(address, shape, dtype, layout):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    numbers = np.frombuffer(memory, dtype)
    if layout is TensorFormat.LINEAR:
        return numbers.reshape(shape)
    batch, channels, rows, columns = shape
    return numbers.reshape(batch, rows, columns, channels).transpose(0, 3, 1, 2)


@functools.lru_cache(maxsize=None)
def _inferred(content, given):
    """Return the shapes of a network's outputs, where ONNX knows them, for those of its inputs."""
    model = onnx.load_from_string(content)
    values = {value.name: value for value in model.graph.input}
    for name, shape in given:
        for dim, size in zip(values[name].type.tensor_type.shape.dim, shape):
            dim.dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField('shape')
    found = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
             for value in onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output}
    return {**{name: shape for name, shape in found.items() if all(shape)}, **dict(given)}


@functools.lru_cache(maxsize=None)
def _session(content):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])


class _Engine:
    """What a plan becomes; `calls` are those of its contexts. Larger batches need more."""

    def __init__(self, plan):
        values = json.loads(bytes(plan))
        self._tensors = [(name, is_input, DataType[kind], tuple(shape), TensorFormat[layout])
                         for name, is_input, kind, shape, layout in values['tensors']]
        self.num_optimization_profiles = values['profiles'] or 1
        largest = max((shape[0] for shapes in values.get('shapes', ())
                       for *_, shape in shapes.values()), default=1)
        self.device_memory_size = 4096 * largest
        self.calls = []
        self._contexts = 0
        self._onnx = base64.b64decode(values.get('onnx', ''))

    def shapes(self, given):
        """Return the shapes of all tensors for those of the inputs: (name, shape) pairs."""
        batch = given[0][1][0]
        inferred = _inferred(self._onnx, given) if self._onnx else {}
        return {name: inferred.get(name) or tuple(batch if size < 0 else size for size in shape)
                for name, _, _, shape, _ in self._tensors}

    def compute(self, shapes, addresses):
        """Do what a context is to do, if the plan is of a network; addresses in order."""
        if not self._onnx:
            return
        session = _session(self._onnx)
        arrays = {name: _at(address, shapes[name], _NUMPY[kind.name], layout)
                  for (name, _, kind, _, layout), address in zip(self._tensors, addresses)}
        feed = {value.name: arrays[value.name].astype(_OF_SESSION[value.type])
                for value in session.get_inputs()}
        names = [value.name for value in session.get_outputs()]
        for name, result in zip(names, session.run(names, feed)):
            arrays[name][...] = result

    def _next_profile(self):
        self._contexts += 1
        return 0 if self._contexts == 1 else -1


class FakeEngine82(_Engine):
    num_bindings = property(lambda self: len(self._tensors) * self.num_optimization_profiles)

    def _at(self, index):
        return self._tensors[index % len(self._tensors)]

    def get_binding_name(self, index):
        profile = index // len(self._tensors)
        return self._at(index)[0] + (f' [profile {profile}]' if profile else '')

    def binding_is_input(self, index):
        return self._at(index)[1]

    def get_binding_dtype(self, index):
        return self._at(index)[2]

    def get_binding_shape(self, index):
        return self._at(index)[3]

    def get_binding_format(self, index):
        return self._at(index)[4]

    def create_execution_context_without_device_memory(self):
        return FakeContext82(self)


class FakeEngine85(_Engine):
    num_io_tensors = property(lambda self: len(self._tensors))

    def _named(self, name):
        return next(tensor for tensor in self._tensors if tensor[0] == name)

    def get_tensor_name(self, index):
        return self._tensors[index][0]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if self._named(name)[1] else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return self._named(name)[2]

    def get_tensor_shape(self, name):
        return self._named(name)[3]

    def get_tensor_format(self, name):
        return self._named(name)[4]

    def create_execution_context_without_device_memory(self):
        return FakeContext85(self)


class FakeEngine10(FakeEngine85):
    device_memory_size_v2 = property(lambda self: 2 * self.device_memory_size)

    create_execution_context_without_device_memory = property()

    def create_execution_context(self, strategy):
        assert strategy is AllocationStrategy.USER_MANAGED
        return FakeContext10(self)


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class AllocationStrategy(enum.Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class _Context:
    __slots__ = ('_addresses', '_engine', '_inputs', 'active_optimization_profile')

    def __init__(self, engine):
        self._engine = engine
        self._inputs = {}
        self._addresses = {}
        self.active_optimization_profile = engine._next_profile()

    def set_optimization_profile_async(self, profile, stream):
        if profile >= self._engine.num_optimization_profiles:
            raise RuntimeError('Error in set optimization profile async.')
        self.active_optimization_profile = profile
        return True

    def _shapes(self):
        return self._engine.shapes(tuple(sorted(self._inputs.items())))


class FakeContext82(_Context):
    __slots__ = ('device_memory',)

    def set_binding_shape(self, binding, shape):
        self._inputs[self._engine._at(binding)[0]] = tuple(shape)
        profile = binding // len(self._engine._tensors)
        return profile == self.active_optimization_profile

    def get_binding_shape(self, binding):
        return self._shapes()[self._engine._at(binding)[0]]

    def execute_async_v2(self, bindings, stream_handle):
        self._engine.calls.append((self.device_memory, list(bindings), stream_handle))
        count = len(self._engine._tensors)
        mine = bindings[self.active_optimization_profile * count:][:count]
        if all(mine):
            self._engine.compute(self._shapes(), mine)
        return all(mine)


class FakeContext85(_Context):
    __slots__ = ('device_memory',)

    def set_input_shape(self, name, shape):
        self._inputs[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        return self._shapes()[name]

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        self._engine.calls.append((self._memory(), dict(self._addresses), stream_handle))
        self._engine.compute(self._shapes(),
                             [self._addresses[name] for name, *_ in self._engine._tensors])
        return True

    def _memory(self):
        return self.device_memory


class FakeContext10(FakeContext85):
    __slots__ = ('_given',)

    device_memory = property()

    def set_device_memory(self, memory, size):
        assert size == self._engine.device_memory_size_v2
        self._given = memory

    def _memory(self):
        return self._given


def fake_tensorrt(version):
    """Return a module that stands for this version."""
    number = tuple(map(int, version.split('.')))
    named = number >= (8, 5)
    engine = FakeEngine10 if number >= (10,) else FakeEngine85 if named else FakeEngine82
    config = FakeConfig82 if not named else FakeConfig85 if number < (8, 6) \
        else FakeConfig86 if number < (10,) else FakeConfig10

    class FakeRuntime:
        __slots__ = ('DLA_core', '_logger')
        num_DLA_cores = 2

        def __init__(self, logger):
            self._logger = logger
            self.DLA_core = 0

        def deserialize_cuda_engine(self, plan):
            try:
                loaded = engine(plan)
                loaded.dla = self.DLA_core
                return loaded
            except ValueError:
                self._logger.log(Severity.ERROR, 'magic tag does not match')
                return None

    class FakeCalibrator:
        def __init__(self):
            pass

    module = types.ModuleType('tensorrt')
    module.__version__ = version
    module.init_libnvinfer_plugins = lambda logger, namespace: True
    module.ILogger, module.Runtime, module.OnnxParser = FakeLogger, FakeRuntime, FakeParser
    module.Builder = type('FakeBuilder', (FakeBuilder,), {'config': config})
    module.IInt8EntropyCalibrator2 = FakeCalibrator
    module.TensorFormat = TensorFormat
    module.BuilderFlag, module.DataType, module.DeviceType = BuilderFlag, DataType, DeviceType
    module.NetworkDefinitionCreationFlag = enum.IntEnum(
        'NetworkDefinitionCreationFlag', {'EXPLICIT_BATCH': 0})
    sources = ['CUBLAS', 'CUBLAS_LT', 'CUDNN']
    if named:
        module.TensorIOMode = TensorIOMode
        module.MemoryPoolType = enum.Enum('MemoryPoolType', 'WORKSPACE DLA_MANAGED_SRAM')
        sources += ['EDGE_MASK_CONVOLUTIONS', 'JIT_CONVOLUTIONS']
    module.TacticSource = enum.IntEnum('TacticSource', sources, start=0)
    if (8, 6) <= number < (10,):
        module.PreviewFeature = enum.Enum('PreviewFeature', 'PROFILE_SHARING_0806')
    if number >= (10,):
        module.PreviewFeature = enum.Enum('PreviewFeature', 'ALIASED_PLUGIN_IO_10_03')
        module.ExecutionContextAllocationStrategy = AllocationStrategy
    return module


class InProcess:
    """Stands for ChildProcess: calls at once, where it is."""

    def __init__(self, function, limit_s):
        self._function = function

    def call(self, name, order):
        try:
            return self._function(order)
        except BuildError:
            raise
        except Exception as error:
            raise PassingBuildError(name, f'{type(error).__name__}: {error}') from error

    def close(self):
        pass
