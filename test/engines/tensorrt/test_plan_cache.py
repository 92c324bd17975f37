"""Plans on disk: whole, of this machine, and told by name when they are not."""

import dataclasses
import json
import os
import struct

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from s3dnn_ros.engines.tensorrt.loaded_engine import Tensor
from s3dnn_ros.engines.tensorrt.plan_cache import (
    Plan,
    PlanKey,
    Refusal,
    forget_refusal,
    plan_path,
    read_plan,
    read_refusal,
    refusal_path,
    write_plan,
    write_refusal,
    write_sealed,
)
from s3dnn_ros.errors import BuildError

CONTENT = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))


def key(**changes):
    values = {
        'model': 'net', 'segment': 2, 'variant': 1, 'segment_sha256': 'ab' * 32,
        'precision': 'fp16', 'fewest': 1, 'optimum': 4, 'most': 8, 'profiles': 1,
        'half': ('conv1',), 'channels_last': ('conv1',), 'dla': -1, 'workspace_mb': 0,
        'tactics': (), 'optimization_level': -1, 'calibration_sha256': '', 'sms': 0,
        'tensorrt': '8.6.0',
        'compute_capability': '9.0'}
    return PlanKey(**{**values, **changes})


def plan(wanted=None):
    tensors = (Tensor('image', True, 'float32', (-1, 4, 4, 3)),
               Tensor('map', True, 'float16', (-1, 8, 4, 4), channels_last=True),
               Tensor('score', False, 'float32', (-1, 10)))
    return Plan(wanted or key(), CONTENT, tensors, 12, ('cast',))


def test_a_plan_comes_back_as_it_was_kept():
    write_plan(plan())
    assert read_plan(key()) == plan()


def test_where_there_is_none_that_is_no_fault():
    with pytest.raises(FileNotFoundError):
        read_plan(key())


CHANGES = {
    'model': 'other', 'segment': 3, 'variant': 0, 'segment_sha256': 'cd' * 32,
    'precision': 'fp32', 'fewest': 8, 'optimum': 8, 'most': 16, 'profiles': 4, 'half': (),
    'channels_last': (), 'dla': 0, 'workspace_mb': 64, 'tactics': ('jit_convolutions',),
    'optimization_level': 5, 'calibration_sha256': 'ef', 'sms': 8}


def test_every_field_is_of_what_is_wanted_or_of_the_machine():
    fields = {field.name for field in dataclasses.fields(PlanKey)}
    assert fields == {*CHANGES, 'tensorrt', 'compute_capability'}


@pytest.mark.parametrize('name', CHANGES)
def test_what_is_wanted_in_another_way_is_another_file(name):
    assert plan_path(key(**{name: CHANGES[name]})) != plan_path(key())


@pytest.mark.parametrize('name, value', [('tensorrt', '10.3.0'), ('compute_capability', '8.7')])
def test_a_plan_of_another_machine_is_told_and_gives_its_place(name, value):
    write_plan(plan())
    elsewhere = key(**{name: value})
    assert plan_path(elsewhere) == plan_path(key())
    with pytest.raises(BuildError, match=f'built for {name} .*, this is {value}') as raised:
        read_plan(elsewhere)
    assert str(plan_path(key())) in str(raised.value)


def test_a_plan_under_another_name_is_told():
    write_plan(plan())
    other = key(segment=3)
    os.rename(plan_path(key()), plan_path(other))
    with pytest.raises(BuildError, match='built for segment 2, this is 3'):
        read_plan(other)


def test_a_refusal_comes_back_until_it_is_forgotten():
    with pytest.raises(FileNotFoundError):
        read_refusal(key())
    refusal = Refusal(key(), 'took more than 2 s', 2.0)
    write_refusal(refusal)
    assert read_refusal(key()) == refusal
    with pytest.raises(FileNotFoundError):
        read_plan(key())
    for _ in range(2):
        forget_refusal(key())
        with pytest.raises(FileNotFoundError):
            read_refusal(key())


@pytest.mark.parametrize('name, value', [('tensorrt', '10.3.0'), ('compute_capability', '8.7')])
def test_a_refusal_is_of_one_machine(name, value):
    write_refusal(Refusal(key(), 'no such layer'))
    with pytest.raises(BuildError, match=f'built for {name} .*, this is {value}'):
        read_refusal(key(**{name: value}))


def test_a_refusal_that_is_not_whole_is_told():
    write_refusal(Refusal(key(), 'no such layer'))
    path = refusal_path(key())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BuildError, match='is not whole') as raised:
        read_refusal(key())
    assert str(path) in str(raised.value)


def test_a_file_of_another_kind_is_not_whole():
    write_refusal(Refusal(key(), 'no such layer'))
    os.rename(refusal_path(key()), plan_path(key()))
    with pytest.raises(BuildError, match='is not whole'):
        read_plan(key())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_plan_that_is_not_whole_is_told(data):
    write_plan(plan())
    path = plan_path(key())
    content = path.read_bytes()
    if data.draw(st.booleans(), 'cut'):
        broken = content[:data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        broken = content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) \
            + content[at + 1:]
    path.write_bytes(broken)
    with pytest.raises(BuildError, match='is not whole') as raised:
        read_plan(key())
    assert str(path) in str(raised.value)


def resealed(path, **changes):
    """Change a file's header, with its hash right."""
    content = path.read_bytes()
    length, = struct.unpack_from('<Q', content, 40)
    head = {**json.loads(content[48:48 + length]), **changes}
    path.write_bytes(b'')
    write_sealed(path, head, content[48 + length:])


@pytest.mark.parametrize('changes, words', [
    ({'tensors': 5}, "'tensors' is 5"), ({'tensors': [5]}, "'tensors.0' is 5"),
    ({'tensors': [{'name': 'x'}]}, "lacks the key 'tensors.0."),
    ({'layers': -1}, "'layers' is -1"),
    ({'layers': 10**400}, "'layers' is inf"), ({'on_gpu': [None]}, "'on_gpu'"),
    ({'key': []}, "'key' is"), ({'format': [3]}, 'has the format'),
    ({'key': {'model': 'x' * 9999}}, 'was built for model x')], ids=str)
def test_a_plan_that_says_what_no_plan_is_is_told_by_key(changes, words):
    write_plan(plan())
    resealed(plan_path(key()), **changes)
    with pytest.raises(BuildError) as raised:
        read_plan(key())
    assert words in str(raised.value) and str(plan_path(key())) in str(raised.value)


@pytest.mark.parametrize('changes', [
    {'dtype': 'object'}, {'dtype': 7}, {'shape': [1] * 9}, {'shape': [2**40]}, {'shape': 'x'},
    {'is_input': 1}, {'channels_last': None}, {'name': None}], ids=str)
def test_a_tensor_that_tensorrt_does_not_have_is_told_by_key(changes):
    write_plan(plan())
    tensor = {**dataclasses.asdict(plan().tensors[0]), **changes}
    resealed(plan_path(key()), tensors=[tensor])
    (name,) = changes
    with pytest.raises(BuildError, match=rf"is not whole \(key 'tensors\.0\.{name}'"):
        read_plan(key())


@pytest.mark.parametrize('changes', [
    {'sentence': 5}, {'limit_s': 'x'}, {'limit_s': -1.0}, {'limit_s': float('nan')}], ids=str)
def test_a_refusal_that_says_what_none_is_is_told_by_key(changes):
    write_refusal(Refusal(key(), 'no such layer'))
    resealed(refusal_path(key()), **changes)
    with pytest.raises(BuildError, match=f"key '{next(iter(changes))}'"):
        read_refusal(key())


def test_a_plan_that_cannot_be_read_is_told():
    plan_path(key()).mkdir(parents=True)
    with pytest.raises(BuildError, match='cannot be read'):
        read_plan(key())


def test_a_failed_write_leaves_the_old_plan(monkeypatch):
    write_plan(plan())

    def full(*_):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(OSError):
        write_plan(dataclasses.replace(plan(), content=b'other'))
    assert read_plan(key()) == plan()
    assert [path.name for path in plan_path(key()).parent.iterdir()] == [plan_path(key()).name]
