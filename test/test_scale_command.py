"""The command `s3dnn scale`: variants on the disk, figures, or a sentence."""

import json
import shutil
import sys

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.cli import main
from s3dnn_ros.models.graph import load_graph
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.strategy.workload import ModelTimes, load_workload

pytest.importorskip('onnxruntime')
cv2 = pytest.importorskip('cv2')
QUICK = ['--engine', 'onnxruntime', '--variants', '2', '--smallest', '0.5']


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    return tmp_path / 'cache'


@pytest.fixture(autouse=True)
def net(tmp_path):
    """Write a network of four convolutions, and its description."""
    rng = np.random.default_rng(0)
    sizes = [3, 24, 24, 24, 4]
    weights = [rng.normal(size=(outputs, inputs, 3, 3), scale=(2 / inputs / 9) ** 0.5)
               for inputs, outputs in zip(sizes, sizes[1:])]
    nodes, last = [], 'x'
    for index in range(len(weights)):
        nodes += [helper.make_node('Conv', [last, f'w{index}'], [f'c{index}'], pads=[1] * 4),
                  helper.make_node('Relu', [f'c{index}'], [f'r{index}'])]
        last = f'r{index}'
    graph = helper.make_graph(
        [*nodes, helper.make_node('GlobalAveragePool', [last], ['scores'])], 'net',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 8, 8])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 4, 1, 1])],
        [numpy_helper.from_array(array.astype(np.float32), f'w{index}')
         for index, array in enumerate(weights)])
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid('', 13)]),
              str(tmp_path / 'net.onnx'))
    values = {'onnx': 'net.onnx', 'width': 8, 'height': 8, 'colour': 'rgb', 'mean': [0, 0, 0],
              'std': [255, 255, 255], 'resize': 'letterbox', 'decoder': 'classification',
              'decoder_options': {'softmax': True}, 'labels': ['a', 'b', 'c', 'd']}
    (tmp_path / 'net.yaml').write_text(yaml.safe_dump(values), encoding='utf-8')
    return tmp_path / 'net.onnx'


@pytest.fixture
def photos(tmp_path):
    """Return a folder with a folder of photos for each of two classes."""
    for label in 'ab':
        folder = tmp_path / 'photos' / label
        folder.mkdir(parents=True)
        for index in range(8):
            image = np.random.default_rng(index).integers(0, 128, (9, 12, 3), np.uint8)
            cv2.imwrite(str(folder / f'{index}.png'), image + 100 * (label == 'a'))
    return tmp_path / 'photos'


@pytest.mark.parametrize('by', ['width', 'depth'])
def test_each_variant_is_a_model_and_takes_what_is_said(by, photos, tmp_path, capsys):
    into, out = tmp_path / 'into', tmp_path / 'out.json'
    assert main(['scale', 'net', *QUICK, '--by', by, '--data', str(photos), '--into', str(into),
                 '--out', str(out)]) == 0
    results = json.loads(out.read_text())
    assert json.loads((into / 'net_scaled.json').read_text()) == results
    assert results['variants'][0]['fidelity'] == 1.0
    assert results['storage_bytes'] == sum(
        path.stat().st_size for path in into.iterdir() if path.suffix in ('.onnx', '.bin'))
    work = []
    for index, row in enumerate(results['variants']):
        spec = load_spec(into / f'net_{index}.yaml')
        assert spec.labels == ('a', 'b', 'c', 'd')
        work.append(multiply_adds(load_graph(spec)))
        assert row['macs'] == work[-1]
        assert 0.0 <= row['accuracy'] <= 1.0
    assert work == sorted(work, reverse=True) and len(set(work)) == len(work) > 1
    assert f'net by {by}' in capsys.readouterr().out


@pytest.mark.parametrize('labelled', [True, False])
def test_a_workload_takes_the_table(labelled, photos, tmp_path):
    # of every class, so that the exact network is right now and then
    for label in 'cd':
        shutil.copytree(photos / 'a', photos / label)
    data, into = photos if labelled else photos / 'a', tmp_path / 'into'
    assert main(['scale', 'net', *QUICK, '--data', str(data), '--into', str(into)]) == 0
    results = json.loads((into / 'net_scaled.json').read_text())
    workload = {'storage_limit_mb': 1, 'models': {'net': {
        'table': 'into/net_scaled.json', 'before_ms': 2, 'behind_ms': 1}}, 'tasks': [
            {'name': 'one', 'model': 'net', 'period_ms': 50, 'deadline_ms': 50,
             'tolerated_miss_rate': 0.1}]}
    (tmp_path / 'work.yaml').write_text(yaml.safe_dump(workload), encoding='utf-8')
    found = load_workload(tmp_path / 'work.yaml',
                          lambda model, *_: ModelTimes('a board', 0.02, 0.5))
    model = found.tasks[0].model
    rows = results['variants']
    assert len(rows) == len(model.variants) > 1
    assert found.storage_mb((1,)) == pytest.approx(
        1e-6 * (results['shared_bytes'] + rows[1]['bytes']))
    measured = 'accuracy' if labelled else 'answers'
    assert model.accuracy == pytest.approx(100 * rows[0][measured])
    for row, variant in zip(rows, model.variants):
        assert variant.loss == pytest.approx(100 * max(0, rows[0][measured] - row[measured]))
        assert multiply_adds(load_graph(load_spec(variant.model))) == row['macs']
        assert (variant.before_s, variant.device_s, variant.behind_s) == (0.002, 0.02, 0.001)


def test_variants_learn_with_torch(photos, tmp_path):
    pytest.importorskip('torch')
    out = tmp_path / 'out.json'
    assert main(['scale', 'net', *QUICK, '--no-refit', '--data', str(photos / 'a'), '--steps',
                 '60', '--out', str(out)]) == 0
    for row in json.loads(out.read_text())['variants'][1:]:
        assert row['fidelity'] > row['before']['fidelity']


def test_weights_are_refitted_where_torch_is_there(photos, tmp_path):
    pytest.importorskip('torch')
    out = tmp_path / 'out.json'
    options = ['scale', 'net', *QUICK, '--data', str(photos / 'a'), '--out', str(out)]
    found = {}
    for way in ([], ['--no-refit']):
        assert main([*options, *way]) == 0
        results = json.loads(out.read_text())
        found[results['refitted_on']] = results['variants'][1:]
    assert set(found) == {0, 6}
    for fitted, plain in zip(found[6], found[0]):
        assert fitted['fidelity'] > max(fitted['before']['fidelity'], plain['fidelity'])
        assert plain['before']['fidelity'] == plain['fidelity']


def test_without_torch_weights_stay_and_the_command_says_so(photos, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['scale', 'net', *QUICK, '--data', str(photos)]) == 0
    assert 'weights are not refitted: net: ' in capsys.readouterr().out


def test_fine_tuning_needs_torch_and_says_so_at_once(photos, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['scale', 'net', *QUICK, '--data', str(photos), '--steps', '5']) == 1
    assert 'pip install torch' in capsys.readouterr().err


@pytest.mark.parametrize('options, words', [
    (['--storage-mb', '0.001'], 'the exact network and one variant take'),
    (['--smallest', '1.5'], 'expected a share below 1'),
    (['--data', 'nowhere.mp4'], 'there is no such file'),
])
def test_what_cannot_be_is_one_sentence(options, words, photos, capsys):
    assert main(['scale', 'net', *QUICK, '--data', str(photos), *options]) == 1
    assert words in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(photos, net, capsys):
    assert main(['scale', 'net', *QUICK, '--data', str(photos), '--into', str(net)]) == 1
    assert f'{net}: cannot be written' in capsys.readouterr().err
