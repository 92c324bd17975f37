"""Which profile is used: the one that is named, or the newest that fits; never another's."""

import os

import pytest

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.errors import ProfileError
from s3dnn_ros.profiling.find import cached_tables, find_table
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable, profile_path
from s3dnn_ros.profiling.variant_table import VariantRow, VariantTable, variant_table_path


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture(name='spec')
def _spec(make_spec, tmp_path):
    path = tmp_path / 'tiny.onnx'
    path.write_bytes(b'a network')
    return make_spec(onnx=path)


def save(spec, engine='torch', path=None, age_s=0, **changes):
    """Write a profile of the model; return its path."""
    values = {'model': spec.name, 'model_sha256': sha256_of(spec.onnx), 'engine': engine,
              'device': 'NVIDIA H200', 'configuration': 'default', 'versions': {},
              'rows': (ProfileRow(0, 1, 1.0, 2.0, 3.0, 1.0),)}
    values.update(changes)
    path = path or profile_path(spec.name, engine)
    ProfileTable(**values).save(path)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return path


def test_without_a_wish_there_is_none(spec):
    save(spec)
    assert find_table('', spec)[0] is None


@pytest.mark.parametrize('engine', ['auto', 'torch'])
def test_without_a_profile_the_reason_tells_how_to_get_one(spec, engine):
    table, reason = find_table('auto', spec, engine)
    assert table is None
    assert 'run `s3dnn profile tiny`' in reason


def test_the_profile_of_the_engine_in_use_is_found(spec):
    save(spec, 'onnxruntime')
    path = save(spec, 'torch', age_s=100)
    table, reason = find_table('auto', spec, 'torch')
    assert (table.engine, reason) == ('torch', str(path))
    assert find_table('auto', spec, 'tensorrt')[0] is None


def test_of_an_unknown_engine_the_newest_that_fits_is_found(spec):
    save(spec, 'onnxruntime', age_s=200)
    save(spec, 'torch', age_s=100)
    save(spec, 'tensorrt', model_sha256='another')
    profile_path(spec.name, 'broken').write_text('{')
    assert find_table('auto', spec)[0].engine == 'torch'


def test_a_cached_profile_of_another_model_is_left_alone(spec):
    save(spec, model_sha256='another')
    table, reason = find_table('auto', spec)
    assert table is None
    assert 'was measured on a model with the SHA-256 another' in reason


def test_a_broken_cached_profile_is_left_alone(spec):
    path = save(spec)
    path.write_text('{')
    table, reason = find_table('auto', spec, 'torch')
    assert table is None
    assert str(path) in reason


def test_a_cached_profile_of_another_device_is_left_alone(spec):
    save(spec)
    assert find_table('auto', spec, device='NVIDIA H200')[0] is not None
    assert find_table('auto', spec, device='Orin')[0] is None


def test_the_stated_hash_stands_for_a_model_that_is_elsewhere(spec, make_spec):
    save(spec)
    stated = make_spec(sha256=sha256_of(spec.onnx))
    assert find_table('auto', stated)[0] is not None
    table, reason = find_table('auto', make_spec())
    assert table is None
    assert 'nowhere.onnx is not here' in reason


def test_a_named_profile_is_used(spec, tmp_path):
    path = save(spec, path=tmp_path / 'mine.json')
    table, reason = find_table(str(path), spec, 'torch')
    assert (table.model, reason) == ('tiny', str(path))


def test_a_named_profile_must_be_there_and_fit(spec, make_spec, tmp_path):
    path = str(save(spec, path=tmp_path / 'mine.json'))
    other = str(save(spec, path=tmp_path / 'other.json', model_sha256='another'))
    for profile, model, engine, words in (
            (str(tmp_path / 'none.json'), spec, 'auto', 'none.json: cannot be read'),
            (path, spec, 'tensorrt', 'was measured on torch; this is tensorrt'),
            (other, spec, 'auto', 'was measured on a model with the SHA-256 another'),
            (path, make_spec(), 'auto', 'put it there or state sha256 in tiny.yaml')):
        with pytest.raises(ProfileError) as caught:
            find_table(profile, model, engine)
        assert words in str(caught.value)


def save_variants(spec, **changes):
    """Write a table of two variants of the model's one segment."""
    rows = tuple(VariantRow(segment, ratio, 0, 1, 1.0, 1.0, 1.0 / ratio, ratio, 1.0)
                 for segment in (0, None) for ratio in (1.0, 0.5))
    values = {'model': spec.name, 'model_sha256': sha256_of(spec.onnx), 'engine': 'torch',
              'device': 'NVIDIA H200', 'images': '', 'calibration': '', 'calibration_sha256': '',
              'batch': 1, 'versions': {}, 'cuts': (), 'rows': rows, **changes}
    VariantTable(**values).save(variant_table_path(spec.name, 'torch'))


def test_what_another_process_runs_is_told_by_its_name(spec):
    save(spec)
    table, accuracy = cached_tables('tiny', 'torch', 'NVIDIA H200', 'fidelity')
    assert (table.model, accuracy) == ('tiny', [])
    save_variants(spec)
    accuracy, = cached_tables('tiny', 'torch', 'NVIDIA H200', 'fidelity')[1]
    assert list(accuracy.speedup) == [1.0, 2.0] and list(accuracy.score) == [1.0, 0.5]


@pytest.mark.parametrize('changes', [{'model_sha256': 'ff'}, {'device': 'another'}])
def test_variants_of_another_network_or_device_are_left_out(spec, changes):
    save(spec)
    save_variants(spec, **changes)
    assert cached_tables('tiny', 'torch', 'NVIDIA H200', 'fidelity')[1] == []


@pytest.mark.parametrize('model, engine, device, words', [
    ('other', 'torch', 'NVIDIA H200', 'run `s3dnn profile other`'),
    ('tiny', 'tensorrt', 'NVIDIA H200', 'run `s3dnn profile tiny`'),
    ('tiny', 'torch', 'Orin', 'this is Orin'), ('../tiny', 'torch', 'NVIDIA H200', 'is no name'),
    ('', 'torch', 'NVIDIA H200', 'run `s3dnn profile')])
def test_what_is_not_known_here_is_refused(spec, model, engine, device, words):
    save(spec)
    with pytest.raises(ProfileError, match=words):
        cached_tables(model, engine, device, 'fidelity')


def test_a_profile_of_a_user_who_is_not_here_is_told(spec):
    with pytest.raises(ProfileError, match='of a user who is not here'):
        find_table('~nobody_of_this_name/x.json', spec)
