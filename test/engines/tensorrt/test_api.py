"""The versions of TensorRT behind one face, on fakes that have what each version has."""

import json

import pytest
from fake_tensorrt import VERSIONS

from s3dnn_ros.engines.tensorrt.loaded_engine import Tensor
from s3dnn_ros.errors import BuildError

SCRATCH, STREAM = 0x5000, 7
TENSORS = [['image', True, 'FLOAT', [-1, 4, 4, 3], 'LINEAR'],
           ['score', False, 'HALF', [-1, 10], 'LINEAR']]


def plan(profiles=1, tensors=TENSORS):
    return json.dumps({'tensors': tensors, 'profiles': profiles}).encode()


@pytest.fixture(params=VERSIONS)
def api(request, fake_tensorrt):
    return fake_tensorrt(request.param)


def test_without_tensorrt_it_is_an_import_that_fails(monkeypatch):
    from s3dnn_ros.engines.tensorrt.api import TensorRt

    monkeypatch.setitem(__import__('sys').modules, 'tensorrt', None)
    with pytest.raises(ImportError):
        TensorRt()


def test_a_broken_installation_is_an_import_that_fails(monkeypatch, tmp_path):
    from s3dnn_ros.engines.tensorrt.api import TensorRt

    (tmp_path / 'tensorrt.py').write_text('Builder')
    monkeypatch.delitem(__import__('sys').modules, 'tensorrt', raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r"TensorRT does not load: NameError: .*'Builder'"):
        TensorRt()


def test_a_folder_of_its_name_is_no_tensorrt(monkeypatch, tmp_path):
    from s3dnn_ros.engines.tensorrt.api import TensorRt

    (tmp_path / 'tensorrt').mkdir()
    monkeypatch.delitem(__import__('sys').modules, 'tensorrt', raising=False)
    monkeypatch.setattr('sys.path', [str(tmp_path)])
    with pytest.raises(ImportError, match=f'no TensorRT, only .*{tmp_path}/tensorrt'):
        TensorRt()


@pytest.mark.parametrize('version', ['7.1.3', '8.0.1', '11.0.0'])
def test_a_version_that_is_not_known_is_refused(fake_tensorrt, version):
    with pytest.raises(ImportError, match=f'TensorRT {version} is here, and 8.2 to 10'):
        fake_tensorrt(version)


@pytest.mark.parametrize('version, shares', [
    ('8.2.5', False), ('8.5.2', False), ('8.6.0', True), ('10.3.0', True)])
def test_profiles_are_shared_from_8_6_on(fake_tensorrt, version, shares):
    assert fake_tensorrt(version).shares_profiles is shares


def test_an_engine_tells_its_tensors(api):
    engine = api.load(plan())
    assert engine.tensors == (Tensor('image', True, 'float32', (-1, 4, 4, 3)),
                              Tensor('score', False, 'float16', (-1, 10)))
    assert engine.scratch_bytes == (8192 if api.version >= '10' and api.version[1] == '0'
                                    else 4096)


def test_an_engine_tells_how_its_tensors_lie(api):
    tensors = [['map', True, 'HALF', [-1, 8, 4, 4], layout] for layout in ('LINEAR', 'HWC8')]
    assert [tensor.channels_last for tensor in api.load(plan(tensors=tensors[:1])).tensors] \
        + [tensor.channels_last for tensor in api.load(plan(tensors=tensors[1:])).tensors] \
        == [False, True]


def test_a_context_runs_in_the_memory_that_it_was_given(api):
    engine = api.load(plan())
    context = engine.context(3, 0, SCRATCH, STREAM)
    assert context.shapes == {'image': (3, 4, 4, 3), 'score': (3, 10)}
    context.bind({'image': 100, 'score': 200, 'other': 300})
    context.enqueue(STREAM)
    memory, addresses, stream = engine.engine.calls[0]
    assert (memory, stream) == (SCRATCH, STREAM)
    assert addresses == ([100, 200] if isinstance(addresses, list)
                         else {'image': 100, 'score': 200})


@pytest.mark.parametrize('version', ['8.2.5', '8.5.2'])
def test_contexts_have_profiles_of_their_own_where_they_cannot_share(fake_tensorrt, version):
    engine = fake_tensorrt(version).load(plan(profiles=3))
    assert [tensor.name for tensor in engine.tensors] == ['image', 'score']
    contexts = [engine.context(batch, profile, SCRATCH, STREAM)
                for profile, batch in enumerate((1, 2, 4))]
    assert [context.shapes['score'] for context in contexts] == [(1, 10), (2, 10), (4, 10)]
    contexts[2].bind({'image': 100, 'score': 200})
    contexts[2].enqueue(STREAM)
    if version == '8.2.5':
        assert engine.engine.calls[0][1] == [0, 0, 0, 0, 100, 200]
    with pytest.raises(BuildError, match='does not give profile 3'):
        engine.context(1, 3, SCRATCH, STREAM)


def test_an_engine_runs_on_the_dla_that_it_was_built_for(api):
    assert api.load(plan(), dla=1).engine.dla == 1
    assert api.load(plan(), dla=0).engine.dla == 0


def test_what_is_refused_is_an_error(api):
    context = api.load(plan()).context(1, 0, SCRATCH, STREAM)
    context.bind({'image': 0, 'score': 0})
    if api.version == '8.2.5':      # the fake refuses an address of 0 there
        with pytest.raises(RuntimeError, match='refused'):
            context.enqueue(STREAM)
    with pytest.raises(BuildError, match='magic tag does not match'):
        api.load(b'no plan')


def test_the_configuration_has_workspace_and_tactics(api):
    builder = api.builder()
    config = api.configuration(builder, 64, ['cudnn', 'cublas'], -1)
    assert config.workspace == 64 << 20
    assert config.tactics == 0b101
    left = api.configuration(builder, 0, (), -1)
    assert left.tactics is None
    # before 8.4 TensorRT's own limit is nothing
    assert left.workspace == (1 << 30 if api.version == '8.2.5' else None)
    assert api.tactics[:3] == ('cublas', 'cublas_lt', 'cudnn')


def test_only_before_10_a_network_is_told_to_have_its_batch(api):
    assert api.network(api.builder()).flags == (
        0 if api.version.startswith('10') else 1)


def test_a_builder_that_cannot_be_made_tells_why(api, monkeypatch):
    def refuse(logger):
        from fake_tensorrt import Severity

        logger.log(Severity.WARNING, 'CUDA initialization failure')
        raise TypeError('factory function returned nullptr')
    monkeypatch.setattr(api.module, 'Builder', refuse)
    with pytest.raises(BuildError, match='cannot begin to build: CUDA initialization failure'):
        api.builder()


def test_only_warnings_and_errors_are_kept(api):
    from fake_tensorrt import Severity

    for severity in Severity:
        api.logger.log(severity, severity.name)
    assert api.complaints == ['INTERNAL_ERROR', 'ERROR', 'WARNING']
