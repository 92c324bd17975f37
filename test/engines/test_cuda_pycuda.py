"""CUDA through PyCUDA, of which a fake stands in: any thread, and what it lacks."""

import gc
import itertools
import sys
import threading
import types

import numpy as np
import onnx
import pytest
from fake_pycuda import FakePyCuda, LogicError
from fake_tensorrt import FakeParser, InProcess, fake_tensorrt

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines import cuda_pycuda
from s3dnn_ros.engines.cuda import Cuda, OutOfMemory, find_cuda
from s3dnn_ros.engines.gates.gates import find_gates
from s3dnn_ros.errors import BuildError, EngineError

NON_BLOCKING = 1
WAIT_S = 10.0


@pytest.fixture
def at_exit(monkeypatch):
    """Return what is registered for the process's end."""
    registered = []
    monkeypatch.setattr(cuda_pycuda, 'atexit',
                        types.SimpleNamespace(register=registered.append))
    return registered


@pytest.fixture
def pycuda(monkeypatch, at_exit):
    """Return a fake of PyCUDA, the only way to CUDA that there is."""
    fake = FakePyCuda()
    fake.install(monkeypatch)
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)

    def missing():
        raise ImportError('there is no libcudart')
    monkeypatch.setattr('s3dnn_ros.engines.cuda.load', missing)
    cuda_pycuda.load.cache_clear()
    yield fake
    cuda_pycuda.load.cache_clear()


@pytest.fixture
def cuda(pycuda):
    return find_cuda()


def in_thread(function):
    """Return what a function returns in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(WAIT_S)
    return results[0]


def here(function):
    return function()


def test_the_third_way_is_taken_where_it_is_the_only_one(pycuda):
    cuda = find_cuda()
    assert list(cuda.priorities) == [0]
    assert cuda.libraries == cuda_pycuda.load() == find_cuda().libraries


@pytest.mark.parametrize('there, reason', [(True, 'cuInit failed: no device'),
                                           (False, '.*pycuda')])
def test_where_no_way_works_each_says_why(pycuda, monkeypatch, there, reason):
    pycuda.devices = 0
    if not there:
        monkeypatch.setitem(sys.modules, 'pycuda', None)
    with pytest.raises(ImportError, match='finds no device: cuda-bindings: .*; '
                       f"CUDA's own libraries: there is no libcudart; PyCUDA: {reason}"):
        find_cuda()


def test_a_device_is_described(cuda, monkeypatch):
    number = types.SimpleNamespace(bytes=bytes(range(16)))
    driver, runtime = cuda.libraries
    monkeypatch.setattr(driver, 'cuDeviceGetUuid', lambda device: (cuda_pycuda.Status(0), number))
    found = Cuda(libraries=(driver, runtime)).device()
    assert (found.name, found.compute_capability) == ('a fake GPU', '8.7')
    assert found.gpu == 'GPU-00010203-0405-0607-0809-0a0b0c0d0e0f'


@pytest.mark.parametrize('where', [here, in_thread])
def test_pixels_become_floats_and_come_back_in_any_thread(pycuda, cuda, where):
    with pytest.raises(LogicError, match='no currently active context'):
        pycuda.driver.Stream()

    def run():
        stream, event, kernel = cuda.stream(0), cuda.event(), cuda.floats()
        source, target = cuda.pinned((300,), np.uint8), cuda.pinned((300,), np.float32)
        source[:] = np.arange(300) % 256
        pixels, floats = cuda.allocate(300), cuda.allocate(1200)
        stream.clear(pixels)
        stream.copy(pixels.number + 100, source.ctypes.data + 100, 200)
        kernel.launch(floats.number, pixels.number, 300, stream)
        event.record(stream)
        stream.wait(event)
        stream.copy(target.ctypes.data, floats.number, 1200)
        stream.synchronize()
        cuda.synchronize()
        assert event.query()
        return target, pycuda.stack()
    target, left = where(run)
    np.testing.assert_array_equal(target, [0] * 100 + [at % 256 for at in range(100, 300)])
    assert left == []       # a thread that ends with a context pushed would end the process


def test_an_array_goes_to_the_device(cuda):
    array = np.arange(5, dtype=np.int32)
    memory, back = cuda.allocate(20), cuda.pinned((5,), np.int32)
    cuda.upload(memory, array)
    cuda.stream(0).copy(back.ctypes.data, memory.number, 20)
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize('make, drop', [(here, in_thread), (in_thread, here),
                                        (in_thread, in_thread)])
def test_what_one_thread_made_another_frees(pycuda, cuda, make, drop):
    made = make(lambda: [cuda.stream(0), cuda.event(), cuda.allocate(8), cuda.floats(),
                         cuda_pycuda.load()[1].cudaMallocHost(8)])
    *_, (_, pinned) = made

    def use():
        cuda.libraries[1].cudaFreeHost(pinned)
        made.clear()
        gc.collect()
    drop(use)
    assert pycuda.lost == []
    assert sorted(pycuda.freed) == sorted(kind for kind in pycuda.made if kind != 'FakeModule')


def test_streams_do_not_wait_for_others_and_have_no_priority(pycuda, cuda, monkeypatch):
    made = []
    monkeypatch.setattr(pycuda.driver, 'Stream', lambda flags, make=pycuda.driver.Stream:
                        made.append(make(flags)) or made[-1])
    stream, event = cuda.stream(0), cuda.event()
    stream.wait(event)
    assert made[0].flags == NON_BLOCKING and len(made[0].waits) == 1
    assert stream.number == made[0].handle


def test_only_timed_events_have_a_time(cuda):
    first, last, other = cuda.event(timed=True), cuda.event(timed=True), cuda.event()
    assert last.seconds_since(first) == 0.0015
    with pytest.raises(RuntimeError, match='cuEventElapsedTime failed: invalid resource handle'):
        other.seconds_since(first)


def test_an_event_passes_or_tells_the_error_of_the_device(pycuda, cuda):
    event = cuda.event()
    pycuda.busy = True
    assert not event.query()
    pycuda.broken = 'unspecified launch failure'
    with pytest.raises(RuntimeError, match='cuEventQuery failed: unspecified launch failure'):
        event.query()
    assert pycuda.stack() == []


@pytest.mark.parametrize('ask', [lambda cuda: cuda.allocate(1 << 21),
                                 lambda cuda: cuda.pinned((1 << 21,), np.uint8)])
def test_memory_that_is_full_is_an_error_of_its_own(cuda, ask):
    with pytest.raises(OutOfMemory, match='cuMemAlloc failed: out of memory'):
        ask(cuda)


def test_what_pycuda_lacks_is_told(cuda):
    gates, note = find_gates(cuda)
    assert gates is None and 'no gates: PyCUDA has no cuStreamWaitValue32; ' in note
    with pytest.raises(EngineError, match=r'cannot take 8 SMs.*: PyCUDA has no .*engine_sms'):
        cuda.partition(8)
    with pytest.raises(RuntimeError, match='PyCUDA has no cudaStreamBeginCapture'):
        cuda.capture(cuda.stream(0), lambda: None)
    with pytest.raises(BuildError, match=r'a segment on the CPU: .*PyCUDA has no cudaLaunchHostF'
                       'unc; `pip install cuda-bindings`'):
        cuda.host_function(lambda: None)


@pytest.mark.parametrize('in_time', [True, False])
def test_the_end_waits_for_a_call_that_is_under_way_but_not_for_ever(
        pycuda, cuda, at_exit, monkeypatch, in_time):
    clock = types.SimpleNamespace(monotonic=itertools.count(0, 0 if in_time else 10).__next__,
                                  sleep=lambda period_s: pycuda.go_on.set() or waiting.join())
    monkeypatch.setattr(cuda_pycuda, 'time', clock)
    end, = at_exit
    stream = cuda.stream(0)
    pycuda.go_on.clear()
    waiting = threading.Thread(target=stream.synchronize)
    waiting.start()
    assert pycuda.reached.wait(WAIT_S)
    end()
    pycuda.go_on.set()
    waiting.join(WAIT_S)
    assert pycuda.ends == (['wait for a stream', 'context'] if in_time
                           else ['context', 'wait for a stream'])
    with pytest.raises(RuntimeError, match='the process ends'):
        cuda.synchronize()


@pytest.fixture
def engine(pycuda, tmp_path, monkeypatch):
    """Return the TensorRT engine, of which a fake stands in, on PyCUDA."""
    pytest.importorskip('onnxruntime')
    from s3dnn_ros.engines.tensorrt import engine as tensorrt_engine
    from s3dnn_ros.engines.tensorrt import plans

    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    monkeypatch.delenv(tensorrt_engine.TACTICS, raising=False)
    monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt('8.6.0'))
    monkeypatch.setattr(plans, 'ChildProcess', InProcess)
    monkeypatch.setattr(cuda_pycuda.load()[0], 'cuDeviceGetUuid', lambda device: (
        cuda_pycuda.Status(0), types.SimpleNamespace(bytes=bytes(16))))
    return tensorrt_engine.TensorRtEngine(VirtualClock(), gates=True)


def test_a_network_runs_without_graphs_gates_and_priorities(pycuda, engine, in_variants):
    assert engine.levels == 1 and not engine.gated
    assert 'no gates: PyCUDA has no' in engine.gates_note
    network = in_variants.load(engine, lanes=2, max_batch=2)
    pixels = in_variants.images(7, 9)
    for run in (here, in_thread):
        np.testing.assert_allclose(run(lambda: network.run(pixels, (1, 1)))['score'], [22, 26],
                                   rtol=2e-3)
    assert network.measure(1, 2) == [[0.0015, 0.0015]] * 2
    assert engine.lost() == '' and network.note == ''
    engine.close()


def test_a_segment_on_the_cpu_is_refused_with_the_remedy(engine, in_variants, monkeypatch):
    parse = FakeParser.parse

    def refuse(self, model):
        parse(self, model)
        self._refused = list(onnx.load_from_string(model).graph.node)
        return False
    monkeypatch.setattr(FakeParser, 'parse', refuse)
    with pytest.raises(EngineError, match=r"instance 'net': TensorRT cannot run .*a segment on the"
                       r' CPU: .* PyCUDA has no cudaLaunchHostFunc; `pip install cuda-bindings`'):
        in_variants.load(engine)
