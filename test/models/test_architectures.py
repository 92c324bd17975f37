"""The untrained networks have the published sizes, and ONNX computes what torch does."""

import sys

import numpy as np
import pytest

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models import torch_export, zoo
from s3dnn_ros.models.graph import batch_of, load_graph, with_image_input
from s3dnn_ros.models.sizes import OF_ANY_SIZE
from s3dnn_ros.models.spec import load_spec

# of float32, between two orders of summation
ROUNDING = 1e-4
HALF_PRECISION_MAX = 65504
# torchvision's counts, for GoogLeNet without the auxiliary classifiers
PARAMETERS = {
    'alexnet': 61_100_840, 'googlenet': 6_624_904, 'resnet50': 25_557_032, 'vgg11': 132_863_336,
    'vgg16': 138_357_544}
SMALL = {'googlenet': 224, 'yolo_s': 128}


@pytest.fixture
def torch():
    return pytest.importorskip('torch')


@pytest.fixture
def without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)


@pytest.fixture
def count_parameters(torch):
    """Return a function that counts without memory for the weights, where torch can."""
    if not hasattr(torch, 'get_default_device'):
        pytest.skip('this torch has no `with torch.device`')

    def count(name):
        with torch.device('meta'):
            module = torch_export.module_class(name)()
        return sum(weight.numel() for weight in module.parameters())

    return count


@pytest.mark.parametrize('name', sorted(PARAMETERS))
def test_the_published_networks_have_their_number_of_parameters(name, count_parameters):
    assert count_parameters(name) == PARAMETERS[name]


def test_the_detector_is_between_yolov5s_and_yolov8s(count_parameters):
    assert 7.2e6 < count_parameters('yolo_s') < 11.2e6


@pytest.mark.parametrize('name', sorted(SMALL))
def test_onnx_computes_what_torch_does_for_any_batch(name, torch, run_onnx, capsys):
    side = SMALL[name]
    module = torch_export.build(name, **({'size': side} if name == 'yolo_s' else {}))
    model = torch_export.convert(name, side)
    assert capsys.readouterr() == ('', '')
    assert [value.name for value in model.graph.input] == ['input']
    largest = []
    for part in module.modules():
        part.register_forward_hook(
            lambda part, inputs, output: largest.append(output.abs().max().item()))
    for batch in (1, 3):
        image = np.random.default_rng(batch).normal(size=(batch, 3, side, side))
        image = image.astype(np.float32)
        with torch.no_grad():
            expected = module(torch.from_numpy(image)).numpy()
        found, = run_onnx(model, input=image)
        tolerance = ROUNDING * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
        assert np.isfinite(found).all()
    assert max(largest) < HALF_PRECISION_MAX / 10


def test_the_weights_are_the_same_each_time_and_leave_the_generator_alone(torch):
    torch.manual_seed(5)
    first, drawn = torch_export.build('yolo_s', size=64), torch.rand(1)
    torch.manual_seed(6)
    second = torch_export.build('yolo_s', size=64)
    torch.manual_seed(5)
    assert torch.rand(1) == drawn
    for left, right in zip(first.parameters(), second.parameters()):
        assert torch.equal(left, right)


@pytest.fixture
def small_detector(monkeypatch):
    """Let the zoo write the detector for small images, which is quick."""
    monkeypatch.setitem(zoo.ZOO, 'yolo_s', zoo.ZooModel(
        lambda: torch_export.convert('yolo_s', side=128), (), 1))


@pytest.mark.parametrize('name', sorted(torch_export.SIZES.keys() & OF_ANY_SIZE))
def test_a_network_of_any_size_is_one(torch, name, own_cache, run_onnx):
    spec = load_spec(f'{name}@64')
    assert zoo.export(spec.zoo) == spec.onnx and zoo.is_exported(spec.zoo)
    model = with_image_input(load_graph(spec), spec)
    found, = run_onnx(model, image=np.zeros((1, 64, 64, 3), np.uint8))
    assert found.shape == ((1, 84, 84) if name == 'yolo_s' else (1, 1000))


def test_the_detector_goes_the_whole_way(torch, small_detector, make_spec, run_onnx):
    assert not zoo.is_exported('yolo_s')
    path = zoo.export('yolo_s')
    assert zoo.is_exported('yolo_s')
    spec = make_spec(onnx=path, width=128, height=128, decoder='yolov8',
                     mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
    model = with_image_input(load_graph(spec), spec)
    assert batch_of(model) == 0
    decoder = spec.make_decoder()
    output, = model.graph.output
    shape = [dim.dim_value or dim.dim_param for dim in output.type.tensor_type.shape.dim]
    assert shape == ['N', 84, 336]
    assert decoder.check({output.name: shape}) == 80
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    boxes, = run_onnx(model, image=pixels)
    # One box a cell, around it: their centres are within the image or half a cell beside it.
    assert boxes[:, :2].min() >= -16 and boxes[:, :2].max() <= 128 + 16
    assert boxes[:, 2:4].min() >= 0 and boxes[:, 2:4].max() <= 4 * 32
    assert np.unique(boxes[0, :2].round(), axis=1).shape[1] > 300
    # An untrained network sees nothing; with a low threshold it shows that boxes are read.
    assert [len(found.scores) for found in decoder.decode({'y': boxes}, 0.4, 0.6, 100)] == [0, 0]
    assert min(len(found.scores) for found in decoder.decode({'y': boxes}, 1e-3, 0.6, 100)) > 20


@pytest.mark.parametrize('name', sorted(torch_export.SIZES))
def test_descriptions_say_what_the_networks_are(name):
    spec = load_spec(name)
    assert 'untrained, for timing' in spec.description
    assert spec.zoo == name and zoo.ZOO[name].assets == ()
    assert spec.width == spec.height == torch_export.SIZES[name]
    assert spec.licence == 'Apache-2.0'


def test_without_torch_an_export_says_how_to_get_it(without_torch):
    with pytest.raises(ModelError, match='pip install torch'):
        zoo.export('alexnet')


def test_weights_have_no_second_name(torch):
    graph = torch_export.convert('yolo_s', side=64).graph
    assert 'Identity' not in {node.op_type for node in graph.node}
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read
