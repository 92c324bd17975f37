"""Zoo models are written once, whole, and find what is on the photos."""

import dataclasses
import pickle
import sys

import cv2
import numpy as np
import onnx
import pytest

from s3dnn_ros.base.cache import exported_path
from s3dnn_ros.errors import FetchError, ModelError
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.models import squeezenet, zoo
from s3dnn_ros.models.assets import ASSETS, asset_path
from s3dnn_ros.models.graph import batch_of, load_graph, with_image_input
from s3dnn_ros.models.metadata import metadata_of
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.models.tfjs import TfGraph, TfNode


@pytest.fixture
def toy_zoo(make_network, monkeypatch, own_cache):
    """Register a zoo model 'toy' whose asset is a short text."""
    model = make_network(None)
    asset = own_cache / 'assets' / 'bikes.mp4'
    asset.parent.mkdir(parents=True)
    asset.write_bytes(b'weights')
    monkeypatch.setattr(zoo, 'sha256_of', lambda path: (
        ASSETS['bikes.mp4'].sha256 if path.read_bytes() == b'weights' else str(path.stat().st_size)
    ))
    written = []

    def register(revision=1):
        def convert(path):
            written.append(path)
            return model

        monkeypatch.setitem(zoo.ZOO, 'toy', zoo.ZooModel(convert, ('bikes.mp4',), revision))
        return asset, written

    return register


@pytest.mark.parametrize('name, said', [
    ('vgg16@640', 'one size only; of any are googlenet, nanodet_g, resnet50'),
    ('yolo_s@big', 'multiple of 32'),
    ('other@640', 'is not known')])
def test_sizes_that_a_model_cannot_have_are_refused(name, said):
    with pytest.raises(ModelError, match=said):
        zoo.export(name)
    assert not zoo.is_exported(name)


def test_a_model_is_written_once_per_revision(toy_zoo):
    _, written = toy_zoo()
    path = zoo.export('toy')
    assert path == exported_path('toy') == zoo.export('toy')
    assert onnx.load(str(path)).graph.name == 'tiny'
    assert len(written) == 1
    toy_zoo(revision=2)
    zoo.export('toy')
    assert len(written) == 2


def test_a_damaged_export_is_written_again(toy_zoo):
    _, written = toy_zoo()
    path = zoo.export('toy')
    path.write_bytes(path.read_bytes()[:100])
    assert not zoo.is_exported('toy')
    onnx.checker.check_model(onnx.load(str(zoo.export('toy'))))
    assert len(written) == 2


def test_damaged_weights_are_refused(toy_zoo):
    asset, written = toy_zoo()
    asset.write_bytes(b'other')
    with pytest.raises(ModelError, match='s3dnn models fetch toy'):
        zoo.export('toy')
    assert not written


def test_unfetched_weights_and_unknown_models_say_what_to_do():
    with pytest.raises(FetchError, match=r's3dnn models fetch nanodet_g\.json'):
        zoo.export('nanodet_g')
    with pytest.raises(ModelError, match='known are nanodet_g, squeezenet_1_1, alexnet'):
        zoo.export('mobilenet')


def test_what_is_missing_is_fetched_and_written_once(toy_zoo, make_spec, monkeypatch, said):
    asset, written = toy_zoo()
    fetched = []
    monkeypatch.setattr(zoo, 'fetch', fetched.append)
    specs = [make_spec(zoo='toy'), make_spec(name='again', zoo='toy')]
    zoo.make_ready(specs)
    assert fetched == [['bikes.mp4']] and written == [asset]
    assert said == ['toy: writing it as ONNX …'] and zoo.is_exported('toy')
    zoo.make_ready(specs)
    assert len(fetched) == len(written) == len(said) == 1


@pytest.mark.parametrize('changes, said', [
    ({'zoo': 'alexnet'}, 'is written by torch, which is not installed .*pip install torch'),
    ({'zoo': 'mobilenet'}, 'is not known; known are'),
    ({}, r'tiny\.onnx: does not exist; put the file there')])
def test_what_cannot_be_had_is_told_before_anything_is_fetched(
        toy_zoo, make_spec, monkeypatch, changes, said):
    toy_zoo()
    monkeypatch.setitem(sys.modules, 'torch', None)
    monkeypatch.setattr(zoo, 'fetch', lambda *_: pytest.fail('something was fetched'))
    with pytest.raises(ModelError, match=said):
        zoo.make_ready([make_spec(name='toy', zoo='toy'), make_spec(**changes)])


def test_the_state_says_what_a_model_waits_for(own_cache, make_spec, make_network):
    spec = load_spec('nanodet_g')
    assert zoo.state_of(spec) == 'needs fetch'
    (own_cache / 'assets').mkdir(parents=True)
    for name in zoo.assets_of(['nanodet_g']):
        (own_cache / 'assets' / name).write_bytes(b'')
    assert zoo.state_of(spec) == 'needs export'
    assert zoo.state_of(load_spec('vgg16')) == 'needs export'
    mine = make_spec()
    assert zoo.state_of(mine) == 'file missing'
    mine.onnx.write_bytes(b'x')
    assert zoo.state_of(mine) == 'ready'


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, (f'open({str(tmp_path / "sprung")!r}, "w")',)

    path = tmp_path / 'weights.pkl'
    path.write_bytes(pickle.dumps({'conv1': Trap()}))
    with pytest.raises(ModelError, match=r'weights\.pkl.*exec'):
        squeezenet.convert(path, path)
    assert not (tmp_path / 'sprung').exists()


def test_a_pickle_without_a_layer_is_refused(tmp_path):
    path = tmp_path / 'weights.pkl'
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ModelError, match='conv1'):
        squeezenet.convert(path, path)


def test_the_order_of_a_graph_finishes_one_output_first():
    def node(name, *inputs):
        return name, TfNode(name, 'Op', inputs, {})

    graph = TfGraph(dict([
        node('late', 'stem:1'), node('out2', 'late'), node('out1', 'mid'), node('mid', 'stem'),
        node('stem'), node('unused', 'stem'),
    ]), {})
    order = [item.name for item in graph.ordered(['out1', 'out2'])]
    assert order == ['stem', 'mid', 'out1', 'late', 'out2']


def detect(name, photo, run_onnx, **changes):
    """Return the labels found on a photo, best first, and their boxes in network pixels."""
    spec = dataclasses.replace(load_spec(name), **changes)
    spec = metadata_of(onnx.load(str(zoo.export(name)))).complete(spec)
    pixels = np.zeros((2, spec.height, spec.width, 3), np.uint8)
    image = decode_compressed(asset_path(photo).read_bytes())
    fit(image, pixels[1], colour=spec.colour, resize=spec.resize, pad=spec.pad)
    fed = with_image_input(load_graph(spec), spec)
    assert batch_of(fed) == 0
    names = [output.name for output in fed.graph.output]
    outputs = dict(zip(names, run_onnx(fed, image=pixels)))
    _, found = spec.make_decoder().decode(outputs, 0.5, 0.6, 100)
    return [spec.label(class_id) for class_id in found.class_ids], found.xyxy


@pytest.mark.usefixtures('fetched_cache')
def test_nanodet_finds_the_person_the_cat_and_the_cup(run_onnx):
    labels, boxes = detect('nanodet_g', 'astronaut.png', run_onnx)
    assert labels == ['person']
    # Seen on the photo: from the left border to the middle, and the full height.
    np.testing.assert_allclose(boxes[0], [11, 11, 296, 412], atol=8)
    assert detect('nanodet_g', 'chelsea.png', run_onnx)[0] == ['cat']
    assert detect('nanodet_g', 'coffee.png', run_onnx, resize='stretch')[0] == ['cup']


@pytest.mark.usefixtures('fetched_cache')
def test_squeezenet_tells_espresso_and_cat(run_onnx):
    assert detect('squeezenet_1_1', 'coffee.png', run_onnx)[0] == ['espresso']
    assert detect('squeezenet_1_1', 'chelsea.png', run_onnx)[0][0] in (
        'tabby', 'tiger cat', 'Persian cat', 'Siamese cat', 'Egyptian cat')


@pytest.mark.usefixtures('fetched_cache')
def test_squeezenet_names_its_classes_itself():
    names = metadata_of(onnx.load(str(zoo.export('squeezenet_1_1')))).names
    assert (len(names), names[0], names[999]) == (1000, 'tench', 'toilet tissue')
    # words that begin alike are told in full
    assert names[638:640] == ('maillot', 'maillot, tank suit')


@pytest.mark.usefixtures('fetched_cache')
def test_trained_networks_find_the_same_on_images_of_another_size(run_onnx):
    labels, boxes = detect('nanodet_g@320', 'astronaut.png', run_onnx)
    assert labels == ['person']
    np.testing.assert_allclose(boxes[0] * 416 / 320, [11, 11, 296, 412], atol=12)
    assert detect('squeezenet_1_1@256', 'coffee.png', run_onnx)[0] == ['espresso']


@pytest.mark.usefixtures('fetched_cache')
def test_nanodet_has_no_layer_the_original_has_not():
    graph = onnx.load(str(zoo.export('nanodet_g'))).graph
    kinds = [node.op_type for node in graph.node]
    # One transpose per output, and the padding inside convolutions and pooling.
    assert kinds.count('Transpose') == len(graph.output) == 6
    assert 'Pad' not in kinds
    assert kinds.count('Conv') == 34
    weights = sum(int(np.prod(item.dims)) for item in graph.initializer if len(item.dims) == 4)
    assert weights == pytest.approx(3.78e6, rel=0.01)
    assert len({node.name for node in graph.node}) == len(kinds)


@pytest.mark.usefixtures('fetched_cache')
def test_the_video_can_be_read():
    video = cv2.VideoCapture(str(asset_path('bikes.mp4')))
    read, frame = video.read()
    assert read and frame.shape == (272, 640, 3)
