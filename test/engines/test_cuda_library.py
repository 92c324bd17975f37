"""CUDA's libraries called by ctypes, on a fake of them: as cuda-bindings would call them."""

import ctypes
import sys

import pytest

from s3dnn_ros.engines import cuda_library
from s3dnn_ros.engines.cuda import find_cuda


class FakeFunction:
    """A C function: gives numbers through pointers, takes the rest, returns a status."""

    def __init__(self, library, name):
        self._library, self._name = library, name
        self.argtypes = None
        self.instead = None

    def __call__(self, *arguments):
        if self.instead:
            return self.instead(*arguments)
        gives = list(self._library.gives.get(self._name, ()))
        taken = []
        for argument in arguments:
            target = getattr(argument, '_obj', None)
            if target is not None and hasattr(target, 'value') and gives:
                target.value = gives.pop(0)
            else:
                taken.append(argument)
        self._library.calls.append((self._name, taken))
        return self._library.status.get(self._name, 0)


class FakeLibrary:
    """Stands for libcudart and libcuda; has the functions that a version has."""

    def __init__(self, missing=()):
        self.calls, self.status = [], {}
        self._missing, self._functions = missing, {}
        self.gives = {'cudaDeviceGetStreamPriorityRange': (0, -5),
                      'cudaStreamCreateWithPriority': (71,), 'cudaEventCreateWithFlags': (81,),
                      'cudaMalloc': (0x1000,), 'cudaEventElapsedTime': (1.5,),
                      'cudaStreamEndCapture': (91,), 'cudaGraphInstantiateWithFlags': (92,),
                      'cudaGraphInstantiate': (93,), 'cuDeviceGet': (0,),
                      'cuDeviceGetAttribute': (8,), 'cuModuleLoadData': (94,),
                      'cuModuleGetFunction': (95,)}

    def __getattr__(self, name):
        if name.startswith('_') or name in self._missing:
            raise AttributeError(name)
        return self._functions.setdefault(name, FakeFunction(self, name))

    def called(self, name):
        return [arguments for found, arguments in self.calls if found == name]


@pytest.fixture
def library(monkeypatch):
    """Return a function that puts a library where cuda-bindings are not."""
    def install(missing=()):
        fake = FakeLibrary(missing)
        monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
        monkeypatch.setattr(cuda_library, '_open', lambda names: fake)
        return fake
    return install


def test_what_tensorrt_needs_works_without_cuda_bindings(library):
    fake = library()
    cuda = find_cuda()
    assert list(cuda.priorities) == [-5, -4, -3, -2, -1, 0]
    stream, event = cuda.stream(-3), cuda.event()
    event.record(stream)
    assert (stream.number, event.number) == (71, 81) and event.query()
    fake.status['cudaEventQuery'] = 600
    assert not event.query()
    fake.status['cudaEventQuery'] = 700
    with pytest.raises(RuntimeError, match=r'CUDA error \(700\)'):
        event.query()
    stream.copy(1, 2, 3)
    assert fake.called('cudaMemcpyAsync') == [[1, 2, 3, 4, 71]]
    assert cuda.allocate(64).number == 0x1000
    assert cuda.event(timed=True).seconds_since(event) == 0.0015


@pytest.mark.parametrize('missing, number', [((), 92), (['cudaGraphInstantiateWithFlags'], 93)])
def test_graphs_of_old_and_new_versions(library, missing, number):
    fake = library(missing)
    cuda = find_cuda()
    cuda.capture(cuda.stream(0), lambda: None).launch(72)
    assert fake.called('cudaGraphLaunch') == [[number, 72]]
    assert fake.called('cudaGraphDestroy') == [[91]]


@pytest.mark.parametrize('missing, name', [
    ((), 'cuStreamWaitValue32_v2'), (['cuStreamWaitValue32_v2'], 'cuStreamWaitValue32')])
def test_streams_wait_for_words_by_the_newest_call(library, missing, name):
    fake = library(missing)
    driver, _ = find_cuda().libraries
    driver.cuStreamWaitValue32(71, driver.CUdeviceptr(0x1000), driver.cuuint32_t(3), 0)
    assert fake.called(name) == [[71, 0x1000, 3, 0]]


def test_a_driver_without_memory_operations_is_a_driver(library):
    library([f'cuStream{kind}Value32{version}' for kind in ('Wait', 'Write')
             for version in ('', '_v2')])
    driver, _ = find_cuda().libraries
    assert not hasattr(driver, 'cuStreamWaitValue32')


def test_a_kernel_gets_addresses_of_its_arguments(library):
    fake = library()
    cuda = find_cuda()
    seen = []

    def launch(kernel, *arguments):
        *shape, stream, addresses, _ = arguments
        seen.append((kernel, shape, stream, ctypes.c_uint64.from_address(addresses[0]).value,
                     ctypes.c_uint32.from_address(addresses[2]).value))
        return 0
    fake.cuLaunchKernel.instead = launch
    cuda.floats().launch(0x100, 0x200, 300, cuda.stream(0))
    assert seen == [(95, [2, 1, 1, 256, 1, 1, 0], 71, 0x100, 300)]


def test_a_device_is_described(library):
    library()
    found = find_cuda().device()
    assert found.compute_capability == '8.8' and found.gpu.startswith('GPU-0000')


def test_without_any_library_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    monkeypatch.setitem(sys.modules, 'pycuda', None)
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: (_ for _ in ()).throw(OSError(name)))
    with pytest.raises(ImportError, match=r"cuda-bindings: .*; CUDA's own libraries: there is no "
                                          'libcudart'):
        find_cuda()


def test_a_device_has_a_uuid_without_a_runtime(library):
    fake = library()
    status, found = cuda_library.device_uuid(0)
    assert status == 0 and found.bytes == bytes(16)
    assert len(fake.called('cuDeviceGetUuid')) == 1


@pytest.mark.parametrize('name, found', [('libc.so.6', True), ('libcuda_of_nobody.so.1', False)])
def test_a_machine_without_a_driver_is_told_so(monkeypatch, name, found):
    monkeypatch.setattr(cuda_library, '_DRIVERS', (name,))
    if found:
        cuda_library.look_for_driver()
    else:
        with pytest.raises(ImportError, match=f'no NVIDIA driver.*{name}'):
            cuda_library.look_for_driver()
