"""A prepared network is the one that is cut anew, and is made again when anything changes."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from s3dnn_ros.base.cache import cache_dir
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models import graph
from s3dnn_ros.models.cut_network import cut_as_known
from s3dnn_ros.models.metadata import Metadata
from s3dnn_ros.models.prepared import prepare

REASON = 'there is none'


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    """Keep the user's cache out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def spec(make_spec, tmp_path):
    """Return the description of a network with weights, which the test may change."""
    weights = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), 'weights')
    network = helper.make_graph(
        [helper.make_node('Conv', ['x', 'weights'], ['mixed']),
         helper.make_node('GlobalAveragePool', ['mixed'], ['scores'])], 'tiny',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 3, 1, 1])], [weights])
    path = tmp_path / 'own.onnx'
    onnx.save(helper.make_model(network, opset_imports=[helper.make_opsetid('', 13)],
                                ir_version=8), str(path))
    return make_spec(onnx=path, width=4, height=4)


@pytest.fixture
def reads(monkeypatch):
    """Return the list that grows whenever a network's file is read."""
    found = []
    load = graph.load_graph
    monkeypatch.setattr(graph, 'load_graph', lambda spec: found.append(spec) or load(spec))
    return found


def kept_file():
    path, = (cache_dir() / 'prepared').iterdir()
    return path


def change_a_weight(path):
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.array(values + 1, values.dtype), tensor.name))
    onnx.save(model, str(path))


def test_the_second_start_reads_no_network_and_gets_the_same(spec, reads):
    first = prepare(spec, None, REASON)
    assert len(reads) == 1 and first == prepare(spec, None, REASON)
    assert len(reads) == 1
    anew = cut_as_known(spec, None, REASON)
    assert first.models == tuple(model.SerializeToString() for model in anew.models)
    assert (first.outputs, first.cuts, first.note) == (anew.outputs, anew.cuts, anew.note)


def test_what_the_file_says_of_itself_is_kept_with_it(spec, reads):
    model = onnx.load(str(spec.onnx))
    helper.set_model_props(model, {'task': 'classify', 'names': "{0: 'a', 1: 'b', 2: 'c'}"})
    onnx.save(model, str(spec.onnx))
    for _ in range(2):
        assert prepare(spec, None, REASON).metadata == Metadata('classify', ('a', 'b', 'c'))
    assert len(reads) == 1


@pytest.mark.parametrize('change', [
    lambda spec: dataclasses.replace(spec, mean=(1.0, 2.0, 3.0)),
    lambda spec: dataclasses.replace(spec, colour='rgb'),
    lambda spec: change_a_weight(spec.onnx),
    lambda spec: kept_file().write_bytes(kept_file().read_bytes()[:-1]),
    lambda spec: kept_file().write_bytes(b''),
    lambda spec: kept_file().write_bytes(b'[]\n'),
    lambda spec: kept_file().unlink(),
], ids=['mean', 'colour', 'weights', 'its end is missing', 'empty', 'another', 'gone'])
def test_it_is_made_again_when_anything_changes(spec, reads, change):
    prepare(spec, None, REASON)
    changed = change(spec)
    changed = changed if dataclasses.is_dataclass(changed) else spec
    found = prepare(changed, None, REASON)
    assert len(reads) == 2
    assert found.models == tuple(
        model.SerializeToString() for model in cut_as_known(changed, None, REASON).models)


def resealed(**changes):
    """Change what a kept file says of itself, so that only that is wrong."""
    head, _, body = kept_file().read_bytes().partition(b'\n')
    kept_file().write_bytes(json.dumps({**json.loads(head), **changes}).encode() + b'\n' + body)


@pytest.mark.parametrize('changes', [
    {'sizes': [-1]}, {'sizes': [1]}, {'sizes': []}, {'sizes': [10**30]}, {'sizes': 5},
    {'outputs': None}, {'outputs': [{}]}, {'cuts': ['x']}, {'cuts': [['x']]}, {'note': 7},
    {'crc32': 10**400}, {'key': []}, {'note': '\ud800'}], ids=str)
def test_a_damaged_one_is_said_and_made_anew(spec, reads, caplog, changes):
    first = prepare(spec, None, REASON)
    resealed(**changes)
    assert prepare(spec, None, REASON) == first and len(reads) == 2
    (record,) = caplog.records
    assert str(kept_file()) in record.message and 'made again' in record.message
    assert prepare(spec, None, REASON) == first and len(reads) == 2


def test_a_missing_file_is_told_whatever_is_kept(spec):
    prepare(spec, None, REASON)
    spec.onnx.unlink()
    with pytest.raises(ModelError, match='does not exist'):
        prepare(spec, None, REASON)


def test_a_network_with_weights_in_other_files_is_not_kept(spec, reads):
    model = onnx.load(str(spec.onnx))
    external_data_helper.convert_model_to_external_data(model, location='weights',
                                                        size_threshold=0)
    onnx.save(model, str(spec.onnx))
    for _ in range(2):
        prepare(spec, None, REASON)
    assert len(reads) == 2 and not (cache_dir() / 'prepared').exists()


def test_a_cache_that_cannot_be_written_costs_only_time(spec, reads):
    cache_dir().write_text('a file')
    assert prepare(spec, None, REASON) == prepare(spec, None, REASON)
    assert len(reads) == 2
