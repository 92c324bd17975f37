"""Which engine is made, and what is said of those that are not."""

import pytest

from s3dnn_ros import engines
from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.engines.base import ENGINES, BuildOptions
from s3dnn_ros.engines.cuda import find_cuda
from s3dnn_ros.errors import ParameterError


class FakeEngine(str):
    precision = 'fp16'
    sms = 0


@pytest.fixture
def fake_engines(monkeypatch):
    """Return a function that lets only these engines work, each of them a string."""
    def only(*works):
        def make(name, clock, threads, sms, build, gates, behind_sms):
            if name not in works:
                raise ImportError(f'no {name} here')
            engine = FakeEngine(f'fake {name}')
            if name == 'torch' and sms:
                engine.partitions = sms
            if gates and name == 'tensorrt':
                engine.gates_note = 'no gates: CUDA is too old'
            if name != 'onnxruntime' and isinstance(sms, int):
                engine.sms = sms
            return engine
        monkeypatch.setattr(engines, '_make', make)
    return only


def test_auto_takes_the_first_that_works_and_says_what_is_wrong_with_those_before(fake_engines):
    fake_engines(*ENGINES)
    assert make_engine('auto', None) == (f'fake {ENGINES[0]}', 'auto: the first that works here')
    fake_engines('onnxruntime')
    assert make_engine('auto', None) == (
        'fake onnxruntime', 'auto: the first that works here; tensorrt: no tensorrt here; '
        'torch: no torch here')


def test_who_wants_a_part_of_the_gpu_gets_the_engine_that_can_take_one(fake_engines):
    fake_engines(*ENGINES)
    for sms, name in ((8, 'tensorrt'), ([8, 0], 'torch'), (0, 'tensorrt')):
        assert make_engine('auto', None, sms=sms) == (
            f'fake {name}', 'auto: the first that works here')


@pytest.mark.parametrize('name, sms', [('tensorrt', [8, 16]), ('onnxruntime', 8)])
def test_an_engine_that_has_no_such_part_says_so(fake_engines, name, sms):
    fake_engines(name)
    assert 'no multiprocessors to choose' in make_engine(name, None, sms=sms)[1]


@pytest.mark.parametrize('name, told', [
    ('torch', ''), ('tensorrt', '; no gates: CUDA is too old'), ('onnxruntime', '')])
def test_an_engine_that_should_have_gates_says_why_it_has_none(fake_engines, name, told):
    fake_engines(name)
    assert make_engine(name, None, gates=True)[1] == f'as wanted{told}'


@pytest.mark.parametrize('name', ENGINES)
def test_an_engine_that_is_named_is_taken_or_refused(fake_engines, name):
    fake_engines(name)
    assert make_engine(name, None) == (f'fake {name}', 'as wanted')
    fake_engines(*set(ENGINES) - {name})
    with pytest.raises(ParameterError, match=f'no {name} here'):
        make_engine(name, None)


def test_where_none_works_all_are_told():
    with pytest.raises(ParameterError, match='expected auto or one of tensorrt, torch, onn'):
        make_engine('tpu', None)


def test_where_none_works_the_remedy_is_told(fake_engines):
    fake_engines()
    with pytest.raises(ParameterError, match=r'no tensorrt here; .*; onnxruntime.*`pip install'):
        make_engine('auto', None)


def test_another_precision_than_wanted_is_told():
    pytest.importorskip('onnxruntime')
    for precision, told in (('fp16', False), ('fp32', False), ('int8', True)):
        engine, reason = make_engine('onnxruntime', VirtualClock(), 1,
                                     build=BuildOptions(precision))
        engine.close()
        assert ('it computes in fp32, not in int8' in reason) == told


def test_without_a_device_tensorrt_is_refused_and_nothing_crashes():
    try:
        find_cuda()
    except ImportError:
        with pytest.raises(ParameterError, match='no such engine works here'):
            make_engine('tensorrt', None)
    else:
        pytest.skip('there is a CUDA device')


def test_without_a_driver_no_library_is_loaded_that_needs_one(monkeypatch):
    pytest.importorskip('onnxruntime')

    def there_is_none():
        raise ImportError('there is no driver')

    monkeypatch.setattr(engines, '_look_for', lambda package: None)
    monkeypatch.setattr(engines, 'look_for_driver', there_is_none)
    engine, reason = make_engine('auto', VirtualClock(), 1)
    engine.close()
    assert engine.name == 'onnxruntime'
    assert reason.endswith('tensorrt: there is no driver; torch: there is no driver')
