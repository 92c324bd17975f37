"""Units by their names, and a batch on two real ones."""

import sys
import types

import numpy as np
import pytest

from s3dnn_ros.base.clock import SystemClock, VirtualClock
from s3dnn_ros.errors import EngineError, ParameterError
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.units import open as opening
from s3dnn_ros.units.open import open_units
from s3dnn_ros.units.split_network import SplitNetwork

TOLERANCE = 1e-5
ONE, TWO = 'onnxruntime:cpu,threads=1', 'onnxruntime:cpu,threads=1,copy=2'


@pytest.fixture
def fake_makers(monkeypatch):
    """Have a fake make engines, which gives multiprocessors by eights; return its calls."""
    calls = []

    def make(name, clock, threads=0, sms=0, build=None, behind_sms=0):
        calls.append((name, sms, behind_sms, build and build.dla))
        return types.SimpleNamespace(sms=-(-sms // 8) * 8, close=lambda: None), ''

    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(
        device_count=lambda: 2, set_device=lambda number: calls.append(number)))
    monkeypatch.setattr(opening, 'make_engine', make)
    monkeypatch.setitem(sys.modules, 'torch', torch)
    return calls


def test_parts_of_a_gpu_lie_one_behind_the_other(fake_makers):
    open_units(['torch:cuda:0,sms=60', 'torch:cuda:1,sms=16', 'tensorrt:gpu,sms=8',
                'torch:cuda:0', 'tensorrt:dla1'], VirtualClock())
    assert fake_makers == [
        0, ('torch', 60, 0, -1), 1, ('torch', 16, 0, -1), ('tensorrt', 8, 64, -1),
        0, ('torch', 0, 0, -1), ('tensorrt', 0, 0, 1)]


@pytest.mark.parametrize('names, sentence', [
    (['torch:cuda:2'], 'PyTorch finds 2 GPUs here'),
    (['tensorrt:gpu1'], 'TensorRT runs on the first GPU'),
    (['torch', 'torch:cuda:0'], 'is there twice'),
    (['gpu'], 'expected ENGINE:DEVICE'),
])
def test_what_is_no_unit_here_is_refused(fake_makers, names, sentence):
    with pytest.raises(ParameterError, match=sentence):
        open_units(names, VirtualClock())


def test_an_engine_that_is_missing_is_told_by_its_units_name(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(ParameterError, match=r"'torch:cuda:0'; does not work here"):
        open_units([ONE, 'torch'], VirtualClock())


@pytest.mark.parametrize('count', [1, 2, 7])
def test_two_units_give_the_results_of_one(tiny_onnx, make_spec, count):
    pytest.importorskip('onnxruntime')
    clock, cut = SystemClock(), whole(make_spec(onnx=tiny_onnx))
    units = open_units([ONE, TWO], clock)
    network = SplitNetwork(units, lambda unit: cut.load(unit, max_batch=8), clock)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    both = network.run(pixels)
    one = network.run(pixels, lambda images, names: {ONE: images})
    assert one.units == (ONE,) * count
    assert both.units == (ONE,) * (count - count // 2) + (TWO,) * (count // 2)
    assert both.outputs['scores'] == pytest.approx(one.outputs['scores'], abs=TOLERANCE)
    assert all(part.started_s <= part.ended_s for part in both.parts)
    for unit in units:
        unit.close()


def test_a_network_that_a_unit_refuses_is_told(make_spec):
    pytest.importorskip('onnxruntime')
    unit, = open_units([ONE], SystemClock())
    with pytest.raises(EngineError, match="instance 'net': ONNX Runtime cannot load"):
        unit.load('net', [b'no network'], ['scores'], make_spec())
    unit.close()
