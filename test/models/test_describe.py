"""A description is suggested for a network's file, by what it says and how its outputs are."""

import functools

import numpy as np
import onnx
import pytest
import yaml
from constant_networks import write_constant

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.decoders import decoder_names
from s3dnn_ros.models.describe import HABITS, choose_decoder, describe
from s3dnn_ros.models.metadata import Metadata
from s3dnn_ros.models.spec import load_spec

NANODET = {f'{kind}_{stride}': (1, cells, width) for stride, cells in ((8, 6400), (16, 1600),
                                                                     (32, 400))
           for kind, width in (('cls', 80), ('reg', 44))}
PROTOS = {'output1': (1, 32, 160, 160)}


@pytest.mark.parametrize('shapes, metadata, decoder, options, classes', [
    ({'output0': (1, 84, 8400)}, Metadata(), 'yolov8', {}, 80),
    ({'output0': ('batch', 84, 'anchors')}, Metadata('detect', ('a',) * 80), 'yolov8', {}, 80),
    ({'y': (1, 9, 2100)}, Metadata(), 'yolov8', {}, 5),
    ({'output': (1, 25200, 85)}, Metadata(), 'yolov5', {}, 80),
    ({'output': (1, 25200, 6)}, Metadata(), 'yolov5', {}, 1),
    ({'output': (1, 25200, 85)}, Metadata('detect'), 'yolov5', {}, 80),
    ({'output': (1, 8400, 85)}, Metadata(), 'yolox', {}, 80),
    ({'output0': (1, 300, 6)}, Metadata(), 'yolo_final', {}, 0),
    ({'output0': (1, 300, 6)}, Metadata('detect', ('a', 'b'), is_final=True), 'yolo_final', {}, 2),
    ({'output0': (1, 56, 8400)}, Metadata('pose', ('person',), 17, 3, False), 'yolov8',
     {'task': 'pose', 'keypoints': 17, 'keypoint_values': 3}, 1),
    ({'output0': (1, 300, 57)}, Metadata('pose', ('person',), 17, 3, True), 'yolo_final',
     {'task': 'pose', 'keypoints': 17, 'keypoint_values': 3}, 1),
    ({'output0': (1, 116, 8400), **PROTOS}, Metadata('segment'), 'yolov8',
     {'task': 'segment', 'output': 'output0', 'prototypes': 'output1'}, 80),
    ({'output0': (1, 116, 8400), **PROTOS}, Metadata(), 'yolov8',
     {'task': 'segment', 'output': 'output0', 'prototypes': 'output1'}, 80),
    ({'boxes_out': (1, 300, 38), 'protos': (1, 32, 160, 160)}, Metadata(), 'yolo_final',
     {'task': 'segment', 'output': 'boxes_out', 'prototypes': 'protos'}, 0),
    ({'output0': (1, 20, 21504)}, Metadata('obb', ('a',) * 15), 'yolov8', {'task': 'obb'}, 15),
    ({'output0': (1, 300, 7)}, Metadata('obb', ('a',) * 15, is_final=True), 'yolo_final',
     {'task': 'obb'}, 15),
    ({'output0': (1, 300, 84)}, Metadata(), 'rtdetr', {}, 80),
    ({'output0': (1, 300, 84)}, Metadata('detect', ('a',) * 80), 'rtdetr', {}, 80),
    ({'logits': (1, 300, 80), 'pred_boxes': (1, 300, 4)}, Metadata(), 'detr', {}, 80),
    ({'labels': (1, 300), 'boxes': (1, 300, 4), 'scores': (1, 300)}, Metadata(), 'ssd',
     {'boxes': 'boxes', 'scores': 'scores', 'classes': 'labels', 'normalised': False,
      'background': 0}, 0),
    ({'scores': (1, 3000, 21), 'boxes': (1, 3000, 4)}, Metadata(), 'ssd',
     {'boxes': 'boxes', 'scores': 'scores'}, 20),
    (NANODET, Metadata(), 'nanodet', {}, 80),
    ({'output': (1, 8400, 124)}, Metadata(), 'nanodet', {}, 80),
    ({'output': (1, 1000)}, Metadata(), 'classification', {'top_k': 5}, 1000),
    ({'output0': (1, 1000)}, Metadata('classify'), 'classification', {'top_k': 5}, 1000),
    ({'softmaxout_1': (1, 1000, 1, 1)}, Metadata(), 'classification', {'top_k': 5}, 1000),
])
def test_the_usual_exports_are_known(shapes, metadata, decoder, options, classes):
    choice = choose_decoder(shapes, 640, 640, metadata)
    assert (choice.decoder, choice.options, choice.classes) == (decoder, options, classes)
    assert choice.why


def test_outputs_that_nobody_reads_are_told_with_the_decoders():
    with pytest.raises(ModelError, match='heat') as caught:
        choose_decoder({'heat': (1, 2, 64, 64)}, 640, 640, Metadata())
    assert all(name in str(caught.value) for name in decoder_names())


def test_there_are_habits_for_every_decoder():
    assert set(HABITS) == set(decoder_names())


@pytest.fixture
def write(tmp_path):
    """Return what writes a network whose outputs are constant, with more inputs and metadata."""
    return functools.partial(write_constant, tmp_path / 'net.onnx')


def test_a_suggestion_is_a_description_that_loads(write, tmp_path):
    path = write({'output0': np.zeros((1, 6, 42))}, task='detect', names="{0: 'cat', 1: 'dog'}")
    suggestion = describe(path)
    (tmp_path / 'net.yaml').write_text(suggestion.text, encoding='utf-8')
    spec = load_spec(tmp_path / 'net.yaml')
    assert (spec.width, spec.height, spec.decoder) == (64, 32, 'yolov8')
    assert (spec.colour, spec.std, spec.resize) == ('rgb', (255.0,) * 3, 'letterbox')
    assert spec.labels == () and any('names them itself' in note for note in suggestion.notes)
    assert '# Suggested for net.onnx.' in suggestion.text


def test_a_size_that_is_free_is_said_to_be_a_guess(write):
    suggestion = describe(write({'y': np.zeros((1, 84, 8400))}, side=('height', 'width')))
    assert yaml.safe_load(suggestion.text)['width'] == 640
    assert any('free in the file' in note for note in suggestion.notes)
    assert yaml.safe_load(suggestion.text)['labels'] == 'coco80'


def test_channels_may_come_last(write):
    described = yaml.safe_load(describe(write({'y': np.zeros((1, 9))}, channels_last=True)).text)
    assert (described['width'], described['height']) == (64, 32)
    assert described['decoder'] == 'classification' and 'labels' not in described


def test_an_input_of_sizes_beside_the_image_gets_the_images(write, tmp_path):
    path = write({'labels': np.zeros((1, 300)), 'boxes': np.zeros((1, 300, 4)),
                  'scores': np.zeros((1, 300))}, more=[('orig_target_sizes', ['N', 2])])
    (tmp_path / 'net.yaml').write_text(describe(path).text, encoding='utf-8')
    assert load_spec(tmp_path / 'net.yaml').inputs == {'orig_target_sizes': (64, 32)}


def test_an_input_that_nobody_knows_is_told(write):
    with pytest.raises(ModelError, match=r"input 'prompt'.*\[1, 77\].*export the network without"):
        describe(write({'y': np.zeros((1, 9))}, more=[('prompt', [1, 77])]))


def test_a_file_that_is_no_network_for_images(write, tmp_path):
    with pytest.raises(ModelError, match='cannot be read'):
        describe(tmp_path / 'nothing.onnx')
    (tmp_path / 'text.onnx').write_text('hello')
    with pytest.raises(ModelError, match='is not a whole ONNX file'):
        describe(tmp_path / 'text.onnx')
    path = write({'y': np.zeros((1, 9))})
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = 1
    model.graph.node[1].attribute[0].ints.append(4)
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match='0 inputs with four sizes'):
        describe(path)


@pytest.mark.parametrize('last, options', [
    (('Softmax', 'Flatten'), {'top_k': 5}), (('Sigmoid',), {'top_k': 5}),
    (('Flatten',), {'top_k': 5, 'softmax': True}), ((), {'top_k': 5, 'softmax': True}),
    (('Softmax', 'Relu'), {'top_k': 5, 'softmax': True})])
def test_logits_of_a_classifier_get_a_softmax(last, options, write):
    path = write({'y': np.zeros((1, 9))})
    model = onnx.load(str(path))
    for index, operator in enumerate(last):
        name = model.graph.node[-1].output[0] = f'before_{index}'
        model.graph.node.append(onnx.helper.make_node(operator, [name], ['y']))
    onnx.save(model, str(path))
    assert yaml.safe_load(describe(path).text)['decoder_options'] == options
