"""A description becomes a network that runs, with what is known of it, and nothing kept twice."""

import dataclasses
import weakref

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.cut_network import cut_there, whole
from s3dnn_ros.runtime import network_loader
from s3dnn_ros.runtime.network_loader import (
    LoadOptions,
    black_image,
    choose_parts,
    load_network,
)

pytest.importorskip('onnxruntime')


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    """Keep the user's cache out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def engine():
    """Return ONNX Runtime."""
    made, _ = make_engine('onnxruntime', SystemClock(), 1)
    yield made
    made.close()


@pytest.fixture
def spec(make_spec, tmp_path):
    """Return the description of two layers that can be cut between."""
    weights = [numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), name) for name in 'vw']
    graph = helper.make_graph(
        [helper.make_node('Conv', ['x', 'v'], ['between']),
         helper.make_node('Conv', ['between', 'w'], ['mixed']),
         helper.make_node('GlobalAveragePool', ['mixed'], ['scores'])], 'net',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 3, 1, 1])], weights)
    path = tmp_path / 'net.onnx'
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)],
                                ir_version=8), str(path))
    return make_spec(onnx=path, width=4, height=4)


def outputs(network, spec):
    image = np.random.default_rng(0).integers(0, 256, black_image(spec).shape, np.uint8)
    return network.run(image)


def test_it_is_the_network_and_so_is_what_is_loaded_again(engine, spec):
    loaded = load_network(spec, engine, LoadOptions())
    exact = outputs(whole(spec).load(engine), spec)
    for network in (loaded.network, loaded.load_again()):
        assert network.segments == 1
        np.testing.assert_array_equal(outputs(network, spec)['scores'], exact['scores'])
    assert any('one segment, without times' in note for note in loaded.notes)
    assert loaded.profile is None and not loaded.accuracy


def test_what_is_strange_about_the_description_is_noted(engine, spec):
    strange = dataclasses.replace(spec, std=(0.2, 0.2, 0.2))
    notes = load_network(strange, engine, LoadOptions()).notes
    assert strange.remark in notes and spec.remark == ''


def test_no_second_copy_of_the_weights_is_kept(engine, spec, monkeypatch):
    chosen = []

    def choose(*arguments):
        parts = choose_parts(*arguments)
        chosen.append(weakref.ref(parts.network))
        return parts

    monkeypatch.setattr(network_loader, 'choose_parts', choose)
    loaded = load_network(spec, engine, LoadOptions())
    assert loaded.network.segments == 1
    assert chosen[0]() is None


def test_cuts_are_followed_and_what_does_not_fit_is_refused(engine, spec):
    cut = cut_there(spec, (('between',),), 'a profile', 'profile it again')
    assert len(cut.models) == 2 and cut.outputs == ('scores',)
    np.testing.assert_allclose(outputs(cut.load(engine), spec)['scores'],
                               outputs(whole(spec).load(engine), spec)['scores'], rtol=1e-6)
    with pytest.raises(ModelError, match=r'a profile: .*profile it again'):
        cut_there(spec, (('nowhere',),), 'a profile', 'profile it again')


@pytest.mark.parametrize('max_batch, spec_batch, largest', [(1, 0, 1), (8, 0, 8), (8, 4, 4)])
def test_the_batch_is_what_settings_and_description_allow(engine, spec, max_batch, spec_batch,
                                                          largest):
    limited = dataclasses.replace(spec, max_batch=spec_batch)
    loaded = load_network(limited, engine, LoadOptions(max_batch=max_batch))
    assert loaded.network.largest == largest


def test_labels_that_are_not_of_its_classes_are_refused(engine, spec):
    loaded = load_network(spec, engine, LoadOptions())
    loaded.decoder(dataclasses.replace(spec, labels=()))
    with pytest.raises(ModelError, match='has 1 labels'):
        loaded.decoder(dataclasses.replace(spec, labels=('person',)))


def test_a_decoder_that_does_not_fit_is_refused(engine, spec):
    loaded = load_network(spec, engine, LoadOptions())
    assert loaded.decoder(spec)
    with pytest.raises(ModelError):
        loaded.decoder(dataclasses.replace(spec, decoder='nanodet'))
