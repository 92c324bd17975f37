"""The command `s3dnn models lowrank`: a table, a file and a picture, or a sentence."""

import json

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cli import main
from s3dnn_ros.profiling import profiler
from s3dnn_ros.profiling.variant_table import load_variant_table, variant_table_path

pytest.importorskip('onnxruntime')
cv2 = pytest.importorskip('cv2')
QUICK = ['--engine', 'onnxruntime', '--repeats', '2', '--ratios', '0.6', '0.3']


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    return tmp_path / 'cache'


@pytest.fixture(autouse=True)
def net(tmp_path):
    """Write a network of one convolution and a mean, and its description."""
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        [helper.make_node('Conv', ['x', 'w'], ['a'], 'one', pads=[1] * 4),
         helper.make_node('GlobalAveragePool', ['a'], ['scores'])], 'net',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 8, 8])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 8, 1, 1])],
        [numpy_helper.from_array(rng.normal(size=(8, 3, 3, 3)).astype(np.float32), 'w')])
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid('', 13)]),
              str(tmp_path / 'net.onnx'))
    values = {'onnx': 'net.onnx', 'width': 8, 'height': 8, 'colour': 'rgb', 'mean': [0, 0, 0],
              'std': [255, 255, 255], 'resize': 'letterbox', 'decoder': 'classification',
              'decoder_options': {'softmax': True}}
    (tmp_path / 'net.yaml').write_text(yaml.safe_dump(values), encoding='utf-8')
    return tmp_path / 'net.onnx'


def photos(tmp_path, count):
    """Return a folder of so many images."""
    images = tmp_path / 'images'
    images.mkdir()
    for index in range(count):
        cv2.imwrite(str(images / f'{index}.png'),
                    np.random.default_rng(index).integers(0, 256, (9, 12, 3), np.uint8))
    return images


def test_the_trade_off_is_shown_kept_and_drawn(net, tmp_path, capsys, monkeypatch):
    pytest.importorskip('matplotlib')
    monkeypatch.setenv('COLUMNS', '120')
    images = photos(tmp_path, 3)
    picture, out = tmp_path / 'deep' / 'net.png', tmp_path / 'net.json'
    assert main(['models', 'lowrank', 'net', *QUICK, '--images', str(images), '--score',
                 'points', '--out', str(out), '--plot', str(picture)]) == 0
    table = load_variant_table(variant_table_path('net', 'onnxruntime'))
    assert load_variant_table(out) == table
    assert table.model_sha256 == sha256_of(net) and table.images == f'2 images of {images}'
    assert table.calibration == f'1 other image of {images}' and table.calibration_sha256
    assert [row.ratio for row in table.of(None)] == [1.0, 0.6, 0.3]
    assert picture.read_bytes().startswith(b'\x89PNG')
    shown = capsys.readouterr().out
    for part in ('Speed-up', 'all', '0.990', 'points', str(picture), str(out)):
        assert part in shown


def test_without_images_it_is_noise(capsys):
    assert main(['models', 'lowrank', 'net', *QUICK]) == 0
    shown = capsys.readouterr().out
    assert '8 images of noise: too few to calibrate' in shown
    assert 'calibration: none, the weights alone; fidelity: 8 images of noise' in shown


@pytest.mark.parametrize('count, options, measured', [
    (1, [], '1 image'), (4, ['--calibration', 'none'], '2 images')])
def test_without_calibration_the_table_says_so(tmp_path, count, options, measured):
    images = photos(tmp_path, count)
    assert main(['models', 'lowrank', 'net', *QUICK, '--images', str(images), *options]) == 0
    table = load_variant_table(variant_table_path('net', 'onnxruntime'))
    assert table.images == f'{measured} of {images}'
    assert (table.calibration, table.calibration_sha256) == ('none, the weights alone', '')


@pytest.mark.parametrize('arguments, said', [
    (['nothing'], "model 'nothing'"), (['net', '--ratios', '0'], "'ratio' is 0.0"),
    (['net', '--ratios', '0.5', '1.5'], "'ratios' is 1.5"),
    (['net', '--images', 'EMPTY'], 'there is no image in it'),
    (['net', '--images', 'EMPTY/none'], 'it cannot be read'),
    (['net', '--images', 'BROKEN'], 'OpenCV cannot read this image')])
def test_what_cannot_be_done_is_told_in_a_sentence(arguments, said, tmp_path, capsys, own_cache):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'a.png').write_bytes(b'no picture')
    arguments = [word.replace('EMPTY', str(tmp_path / 'empty')).replace(
        'BROKEN', str(tmp_path / 'broken')) for word in arguments]
    assert main(['models', 'lowrank', *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (own_cache / 'variants').exists()


@pytest.mark.parametrize('arguments', [
    ['net', '--score', 'beauty'], ['net', '--calibration', 'noise'], ['net', '--ratios', 'half'],
    ['net', '--repeats', '0'], []])
def test_bad_arguments_are_refused_with_the_usage(arguments):
    with pytest.raises(SystemExit) as caught:
        main(['models', 'lowrank', *arguments])
    assert caught.value.code == 2


def test_a_picture_that_cannot_be_written_is_told(tmp_path, capsys):
    pytest.importorskip('matplotlib')
    name = 'a' * 300 + '.png'       # longer than any file system takes
    assert main(['models', 'lowrank', 'net', *QUICK, '--plot', str(tmp_path / name)]) == 1
    assert 'name another with --plot' in capsys.readouterr().err


def test_a_plan_is_made_once_and_made_again_for_another_network(net, monkeypatch):
    assert main(['models', 'lowrank', 'net', *QUICK]) == 0
    made = []
    original = profiler.make_plan
    monkeypatch.setattr(profiler, 'make_plan',
                        lambda *given, **options: made.append(1) or original(*given, **options))
    assert main(['models', 'lowrank', 'net', *QUICK]) == 0
    assert not made
    model = onnx.load(str(net))
    model.graph.name = 'other'
    onnx.save(model, str(net))
    assert main(['models', 'lowrank', 'net', *QUICK]) == 0
    assert made


def test_the_file_is_plain_json(tmp_path):
    out = tmp_path / 'net.json'
    assert main(['models', 'lowrank', 'net', *QUICK, '--out', str(out)]) == 0
    content = json.loads(out.read_text())
    assert content['engine'] == 'onnxruntime' and content['rows'][-1]['segment'] is None
