"""A table says of which model, machine and units it is."""

import types

import pytest

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.processor import processor
from s3dnn_ros.errors import TableError
from s3dnn_ros.partition import PerformanceTable, Row
from s3dnn_ros.units.about import about_model, about_units


def unit(name, device, **versions):
    return types.SimpleNamespace(name=name, engine=types.SimpleNamespace(
        device=device, versions=versions))


def test_a_model_is_known_by_its_file(tmp_path):
    file = tmp_path / 'net.onnx'
    file.write_bytes(b'one')
    spec = types.SimpleNamespace(name='net', onnx=file)
    about = about_model(spec)
    assert about == {'model': 'net', 'model_sha256': sha256_of(file), 'processor': processor()}
    table = PerformanceTable([Row('a', 1, 1.0, 0.0)], about=about)
    file.write_bytes(b'another')
    with pytest.raises(TableError, match='was measured with model_sha256'):
        table.expect(about_model(spec))


def test_units_are_known_by_device_and_versions():
    assert about_units([
        unit('onnxruntime:cpu', 'CPU, 2 threads, onnxruntime 1.20', onnxruntime='1.20'),
        unit('torch:cuda:0', 'a GPU', torch='2.1', cuda='12')]) == {
            'unit onnxruntime:cpu': 'CPU, 2 threads, onnxruntime 1.20',
            'unit torch:cuda:0': 'a GPU, torch 2.1, cuda 12'}
