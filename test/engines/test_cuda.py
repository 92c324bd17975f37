"""CUDA through cuda-bindings, of which a fake stands in: priorities, a partition, graphs."""

import ctypes
import enum
import gc
import sys
import types

import numpy as np
import pytest

from s3dnn_ros.engines.cuda import FLOATS, Cuda, OutOfMemory, find_cuda
from s3dnn_ros.errors import EngineError

NON_BLOCKING = 1
DEVICE = 3


class FakeStatus(enum.IntEnum):
    """Stands for cudaError_t and CUresult."""

    SUCCESS = 0
    CUDA_ERROR_NOT_SUPPORTED = 801
    NOT_READY = 600
    NO_MEMORY = 2


class FakeBindings:
    """Stands for cuda.bindings: keeps the calls; those in `broken` give `status`, a bad one.

    A call gives what `gives` says, by its name.
    """

    def __init__(self):
        self.calls = []
        self.broken = set()
        self.status = FakeStatus.CUDA_ERROR_NOT_SUPPORTED
        self.granted = types.SimpleNamespace(sm=types.SimpleNamespace(smCount=16))
        self.gives = {
            'cudaDeviceGetStreamPriorityRange': (0, -5),        # the least, the greatest
            'cudaStreamCreateWithPriority': (71,),
            'cudaStreamDestroy': (),
            'cudaMemcpyAsync': (),
            'cudaMemsetAsync': (),
            'cudaGraphInstantiate': ('executable',),
            'cudaGraphLaunch': (),
            'cudaGraphExecDestroy': (),
            'cuDeviceGet': ('device',),
            'cuDeviceGetDevResource': ('all SMs',),
            'cuDevSmResourceSplitByCount': ([self.granted], 1, 'the others'),
            'cuDevResourceGenerateDesc': ('described',),
            'cuGreenCtxCreate': ('green',),
            'cuGreenCtxStreamCreate': (72,),
            'cuDeviceGetName': (b'Orin\0\0 \0 ',),
            'cuDeviceGetUuid': (types.SimpleNamespace(bytes=bytes(16)),),
            'cuDeviceGetAttribute': (8,),
            'cudaEventCreateWithFlags': (81,),
            'cudaEventRecord': (),
            'cudaEventQuery': (),
            'cudaEventSynchronize': (),
            'cudaEventElapsedTime': (1.5,),
            'cudaEventDestroy': (),
            'cudaStreamWaitEvent': (),
            'cudaStreamSynchronize': (),
            'cudaDeviceSynchronize': (),
            'cudaMalloc': (0x1000,),
            'cudaMallocHost': (0x2000,),
            'cudaFreeHost': (),
            'cudaFree': (),
            'cudaMemcpy': (),
            'cudaStreamBeginCapture': (),
            'cudaStreamEndCapture': (91,),
            'cudaGraphDestroy': (),
            'cudaGetLastError': (),
            'cudaLaunchHostFunc': (),
            'cuModuleLoadData': ('module',),
            'cuModuleGetFunction': ('kernel',),
            'cuLaunchKernel': (),
        }
        self.runtime = types.SimpleNamespace(
            cudaGraph_t=lambda number: ('graph', number),
            cudaMemcpyKind=types.SimpleNamespace(cudaMemcpyDefault='anywhere'),
            cudaStreamCaptureMode=types.SimpleNamespace(
                cudaStreamCaptureModeThreadLocal='thread'))
        self.driver = types.SimpleNamespace(
            CUdevice_attribute=types.SimpleNamespace(
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR='major',
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR='minor'),
            CUdevResourceType=types.SimpleNamespace(CU_DEV_RESOURCE_TYPE_SM='kind SM'),
            CUgreenCtxCreate_flags=types.SimpleNamespace(CU_GREEN_CTX_DEFAULT_STREAM='default'))
        for name in self.gives:
            library = self.runtime if name.startswith('cuda') else self.driver
            setattr(library, name, self._function(name))

    def _function(self, name):
        def call(*arguments):
            self.calls.append((name, *arguments))
            if name in self.broken:
                return (self.status, *[None] * len(self.gives[name]))
            return (FakeStatus.SUCCESS, *self.gives[name])
        return call

    def called(self, name):
        """Return the arguments of every call of this name."""
        return [arguments for found, *arguments in self.calls if found == name]


@pytest.fixture
def bindings(monkeypatch):
    """Return the fake that `import cuda.bindings` gives."""
    fake = FakeBindings()
    package = types.ModuleType('cuda')
    package.bindings = types.ModuleType('cuda.bindings')
    package.bindings.__version__ = '12.9.1'
    package.bindings.driver, package.bindings.runtime = fake.driver, fake.runtime
    monkeypatch.setitem(sys.modules, 'cuda', package)
    monkeypatch.setitem(sys.modules, 'cuda.bindings', package.bindings)
    return fake


@pytest.mark.parametrize('least, greatest, wanted', [
    (0, -5, [-5, -4, -3, -2, -1, 0]), (0, -1, [-1, 0]), (0, 0, [0])])
def test_priorities_are_told_most_urgent_first(bindings, least, greatest, wanted):
    bindings.gives['cudaDeviceGetStreamPriorityRange'] = (least, greatest)
    assert list(Cuda().priorities) == wanted


def test_without_cuda_bindings_it_is_an_import_that_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    with pytest.raises(ImportError):
        Cuda()


def test_a_stream_has_its_priority(bindings):
    assert Cuda().stream(-4).number == 71
    assert bindings.called('cudaStreamCreateWithPriority') == [[NON_BLOCKING, -4]]


def test_a_stream_copies_and_is_destroyed_with_its_owner(bindings):
    stream = Cuda().stream(0)
    stream.copy(1000, 2000, 12)
    assert bindings.called('cudaMemcpyAsync') == [[1000, 2000, 12, 'anywhere', 71]]
    assert not bindings.called('cudaStreamDestroy')
    del stream
    gc.collect()
    assert bindings.called('cudaStreamDestroy') == [[71]]


def test_a_partition_takes_what_the_split_gives(bindings):
    partition = Cuda(DEVICE).partition(10)
    assert partition.sms == 16              # what can be split off, and not what was asked for
    assert bindings.called('cuDeviceGet') == [[DEVICE]]
    assert bindings.called('cuDeviceGetDevResource') == [['device', 'kind SM']]
    assert bindings.called('cuDevSmResourceSplitByCount') == [[1, 'all SMs', 0, 10]]
    assert bindings.called('cuDevResourceGenerateDesc') == [[[bindings.granted], 1]]
    assert bindings.called('cuGreenCtxCreate') == [['described', 'device', 'default']]
    assert partition.stream(-2).number == 72
    assert bindings.called('cuGreenCtxStreamCreate') == [['green', NON_BLOCKING, -2]]


def resource(sms):
    return types.SimpleNamespace(sm=types.SimpleNamespace(smCount=sms))


def splits_by_8(bindings, sms):
    """Let a device of so many multiprocessors give parts of 8."""
    parts = [resource(8) for _ in range(sms // 8)]
    bindings.gives['cuDeviceGetDevResource'] = (resource(sms),)
    bindings.gives['cuDevSmResourceSplitByCount'] = (parts, len(parts), resource(sms % 8))
    return parts


def test_a_partition_lies_behind_those_of_others(bindings):
    parts = splits_by_8(bindings, 68)
    partition = Cuda(DEVICE).partition(10, behind=20)
    assert partition.sms == 16
    assert bindings.called('cuDevResourceGenerateDesc') == [[parts[3:5], 2]]


def test_no_partition_lies_behind_all_multiprocessors(bindings):
    splits_by_8(bindings, 68)
    assert Cuda(DEVICE).partition(16, behind=48).sms == 16
    with pytest.raises(EngineError, match='64 can be parted, and 48 are taken'):
        Cuda(DEVICE).partition(24, behind=48)


@pytest.mark.parametrize('name, use', [
    ('cudaDeviceGetStreamPriorityRange', lambda: Cuda()),
    ('cudaStreamCreateWithPriority', lambda: Cuda().stream(0)),
    ('cudaMemcpyAsync', lambda: Cuda().stream(0).copy(1, 2, 3)),
    ('cudaGraphInstantiate', lambda: Cuda().graph(5)),
    ('cudaGraphLaunch', lambda: Cuda().graph(5).launch(71)),
    ('cuGreenCtxStreamCreate', lambda: Cuda().partition(8).stream(0)),
    ('cudaEventCreateWithFlags', lambda: Cuda().event()),
    ('cudaEventQuery', lambda: Cuda().event().query()),
    ('cudaEventRecord', lambda: Cuda().event().record(Cuda().stream(0))),
    ('cudaMalloc', lambda: Cuda().allocate(5)),
    ('cudaDeviceSynchronize', lambda: Cuda().synchronize()),
    ('cudaStreamEndCapture', lambda: Cuda().capture(Cuda().stream(0), lambda: None)),
    ('cuModuleLoadData', lambda: Cuda().floats()),
])
def test_a_bad_status_is_named(bindings, name, use):
    bindings.broken.add(name)
    with pytest.raises(RuntimeError, match=r'^CUDA_ERROR_NOT_SUPPORTED \(801\)$'):
        use()


@pytest.mark.parametrize('name', [
    'cuDeviceGet', 'cuDeviceGetDevResource', 'cuDevSmResourceSplitByCount',
    'cuDevResourceGenerateDesc', 'cuGreenCtxCreate'])
@pytest.mark.parametrize('missing', [True, False])
def test_where_there_is_no_partition_the_remedy_is_told(bindings, name, missing):
    cuda = Cuda()
    if missing:                     # as in a driver or in bindings from before
        delattr(bindings.driver, name)
    else:
        bindings.broken.add(name)
    with pytest.raises(EngineError, match=r'cannot take 8 SMs.*engine_sms') as raised:
        cuda.partition(8)
    assert (name if missing else 'CUDA_ERROR_NOT_SUPPORTED (801)') in str(raised.value)


def test_a_graph_is_launched_on_the_stream_and_destroyed_once(bindings):
    graph = Cuda().graph(5)
    assert bindings.called('cudaGraphInstantiate') == [[('graph', 5), 0]]
    for stream in (71, 72, 71):
        graph.launch(stream)
    assert bindings.called('cudaGraphLaunch') == [
        ['executable', 71], ['executable', 72], ['executable', 71]]
    assert not bindings.called('cudaGraphExecDestroy')
    del graph
    gc.collect()
    assert bindings.called('cudaGraphExecDestroy') == [['executable']]


def test_a_graph_that_could_not_be_made_is_not_destroyed(bindings):
    bindings.broken.add('cudaGraphInstantiate')
    with pytest.raises(RuntimeError):
        Cuda().graph(5)
    gc.collect()
    assert not bindings.called('cudaGraphExecDestroy')


def test_a_device_is_described(bindings):
    found = Cuda().device()
    assert (found.name, found.compute_capability) == ('Orin', '8.8')
    assert found.gpu == 'GPU-00000000-0000-0000-0000-000000000000'


@pytest.fixture
def no_libraries(monkeypatch):
    """Let CUDA's own libraries and PyCUDA be missing; this machine may have them."""
    def missing():
        raise ImportError('there is no libcudart')
    monkeypatch.setattr('s3dnn_ros.engines.cuda.load', missing)
    monkeypatch.setattr('s3dnn_ros.engines.cuda_pycuda.load', missing)


def test_where_there_is_no_device_or_no_bindings_it_is_an_import_that_fails(
        bindings, no_libraries, monkeypatch):
    bindings.broken.add('cudaDeviceGetStreamPriorityRange')
    with pytest.raises(ImportError, match=r'finds no device: cuda-bindings: CUDA_ERROR_NOT_SUPP'
                       r"ORTED \(801\); CUDA's own libraries: there is no libcudart"):
        find_cuda()
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    with pytest.raises(ImportError, match=r'cuda-bindings: .*; .*there is no libcudart'):
        find_cuda()


def test_bindings_that_are_too_new_for_the_driver_give_way_to_its_own_libraries(
        bindings, monkeypatch):
    bindings.broken.add('cudaDeviceGetStreamPriorityRange')
    own = FakeBindings()
    own.gives['cudaDeviceGetStreamPriorityRange'] = (0, -2)
    monkeypatch.setattr('s3dnn_ros.engines.cuda.load', lambda: (own.driver, own.runtime))
    assert list(find_cuda().priorities) == [-2, -1, 0]


@pytest.mark.parametrize('version, usable', [
    ('12.6.0', False), ('12.9.0', False), ('12.9.0.post1', False), ('12.9.1', True),
    ('12.10.0rc1', True), ('13.0.3', True)])
def test_bindings_that_keep_the_lock_are_not_for_host_functions(
        bindings, no_libraries, version, usable):
    sys.modules['cuda.bindings'].__version__ = version
    if usable:
        find_cuda()
    else:
        with pytest.raises(ImportError, match=rf"{version} keep Python's lock .*12\.9\.1 or"):
            find_cuda()
    assert Cuda().partition(8).sms == 16        # PyTorch's engine has none


def test_events_are_recorded_looked_at_and_waited_for(bindings, monkeypatch):
    cuda = Cuda()
    stream, event = cuda.stream(0), cuda.event()
    event.record(stream)
    stream.wait(event)
    event.synchronize()
    stream.synchronize()
    assert event.query() is True
    monkeypatch.setattr(bindings.runtime, 'cudaEventQuery', lambda _: (FakeStatus.NOT_READY,))
    assert event.query() is False
    assert bindings.called('cudaEventCreateWithFlags') == [[2]]
    assert bindings.called('cudaEventRecord') == [[81, 71]]
    assert bindings.called('cudaStreamWaitEvent') == [[71, 81, 0]]
    assert bindings.called('cudaEventSynchronize') == [[81]]
    assert cuda.event(timed=True).seconds_since(event) == 0.0015
    assert bindings.called('cudaEventCreateWithFlags') == [[2], [0]]
    del event
    gc.collect()
    assert bindings.called('cudaEventDestroy') == [[81]] * 2


def test_memory_of_the_device_is_freed_with_its_owner(bindings):
    memory = Cuda().allocate(64)
    assert (memory.number, memory.size) == (0x1000, 64)
    array = np.arange(3, dtype=np.float32)
    Cuda().upload(memory, array)
    assert bindings.called('cudaMemcpy') == [[0x1000, array.ctypes.data, 12, 'anywhere']]
    assert not bindings.called('cudaFree')
    del memory
    gc.collect()
    assert bindings.called('cudaFree') == [[0x1000]]


@pytest.mark.parametrize('name, use', [
    ('cudaMalloc', lambda: Cuda().allocate(5)),
    ('cudaMallocHost', lambda: Cuda().pinned((2, 3), np.uint8))])
def test_memory_that_is_full_is_an_error_of_its_own_and_of_nobody_else(bindings, name, use):
    bindings.broken.add(name)
    bindings.status = FakeStatus.NO_MEMORY
    with pytest.raises(OutOfMemory, match=r'^NO_MEMORY \(2\)$'):
        use()
    assert bindings.calls[-1] == ('cudaGetLastError',)


@pytest.mark.parametrize('name', ['cudaStreamBeginCapture', 'cudaStreamEndCapture',
                                  'cudaGraphInstantiate'])
def test_a_capture_that_fails_leaves_no_error_for_others(bindings, name):
    cuda = Cuda()
    stream = cuda.stream(0)
    bindings.broken.add(name)
    with pytest.raises(RuntimeError, match='801'):
        cuda.capture(stream, lambda: None)
    assert bindings.calls[-1] == ('cudaGetLastError',)


def test_memory_is_cleared_on_a_stream(bindings):
    cuda = Cuda()
    cuda.stream(0).clear(cuda.allocate(64))
    assert bindings.called('cudaMemsetAsync') == [[0x1000, 0, 64, 71]]


def test_a_graph_is_what_was_submitted_meanwhile(bindings):
    cuda = Cuda()
    stream = cuda.stream(0)
    graph = cuda.capture(stream, lambda: bindings.calls.append(('work',)))
    order = [name for name, *_ in bindings.calls]
    assert order.index('cudaStreamBeginCapture') < order.index('work') < order.index(
        'cudaStreamEndCapture') < order.index('cudaGraphInstantiate') < order.index(
        'cudaGraphDestroy')
    graph.launch(71)
    assert bindings.called('cudaGraphInstantiate') == [[('graph', 91), 0]]
    assert bindings.called('cudaGraphDestroy') == [[91]]
    assert bindings.called('cudaStreamBeginCapture') == [[71, 'thread']]


def test_a_capture_that_fails_ends_and_tells_why(bindings):
    cuda = Cuda()
    with pytest.raises(ZeroDivisionError):
        cuda.capture(cuda.stream(0), lambda: 1 / 0)
    assert bindings.called('cudaStreamEndCapture') == [[71]]


def test_bytes_become_floats_in_blocks(bindings):
    cuda = Cuda()
    cuda.floats().launch(0x100, 0x200, 257, cuda.stream(0))
    (kernel, *grid, shared, stream, (values, _), _), = bindings.called('cuLaunchKernel')
    assert (kernel, grid, shared, stream) == ('kernel', [2, 1, 1, 256, 1, 1], 0, 71)
    assert values == (0x100, 0x200, 257)
    assert bindings.called('cuModuleLoadData') == [[FLOATS]]


def test_a_stream_calls_a_function(bindings):
    calls = []
    function = Cuda().host_function(lambda: calls.append(1))
    function.submit(Cuda().stream(0))
    (stream, address, data), = bindings.called('cudaLaunchHostFunc')
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(data)
    assert calls == [1] and stream == 71
