"""The command `s3dnn build`, on a fake of TensorRT: progress, a second run, refusals."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent / 'engines' / 'fakes'))

from fake_cuda import FakeCuda
from fake_tensorrt import FakeParser, InProcess, fake_tensorrt

from s3dnn_ros import engines
from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cli import main
from s3dnn_ros.engines.cuda import find_cuda
from s3dnn_ros.engines.tensorrt import builder as tensorrt_builder
from s3dnn_ros.engines.tensorrt import engine as tensorrt_engine
from s3dnn_ros.engines.tensorrt import plans as tensorrt_plans
from s3dnn_ros.models.segment_plan import SegmentPlan, plan_path
from s3dnn_ros.profiling.table import load_table, profile_path

cv2 = pytest.importorskip('cv2')


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))


@pytest.fixture(autouse=True)
def net(own_cache, tmp_path, tiny_onnx):
    """Write a network in two segments, and its description."""
    model = onnx.load(str(tiny_onnx))
    model.graph.node[0].output[0] = 'mean'
    model.graph.node.append(onnx.helper.make_node('Relu', ['mean'], ['scores']))
    path = tmp_path / 'net.onnx'
    onnx.save(model, str(path))
    (tmp_path / 'net.yaml').write_text(yaml.safe_dump({
        'onnx': 'net.onnx', 'width': 4, 'height': 4, 'colour': 'rgb', 'mean': [0, 0, 0],
        'std': [255, 255, 255], 'resize': 'stretch', 'decoder': 'classification'}))
    SegmentPlan('net', sha256_of(path), 1, 5.0, 'tensorrt', 'a fake GPU', (('mean',),),
                (1.0, 1.0)).save(plan_path('net'))


@pytest.fixture
def device(monkeypatch):
    for module in (tensorrt_builder, tensorrt_engine):
        monkeypatch.setattr(module, 'find_cuda', FakeCuda)
    monkeypatch.setattr(tensorrt_plans, 'ChildProcess', InProcess)
    monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt('8.6.0'))
    monkeypatch.setattr(engines, 'look_for_driver', lambda: None)


def test_all_segments_are_built_with_progress_and_only_once(device, capsys, tmp_path):
    assert main(['build', 'net', '--max-batch', '4']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'TensorRT 8.6.0 on a fake GPU, fp16'
    assert '2 to build' in lines
    assert any(line.startswith('1 of 2: net, segment 0: built') and 's left' in line
               for line in lines)
    assert lines[-1] == f'2 built, 0 were there, in {tmp_path}/cache/tensorrt/net'
    assert main(['build', 'net', '--max-batch', '4']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f'nothing to build: all 2 are in {tmp_path}/cache/tensorrt/net'
    assert '2 to build' not in lines


def test_what_is_built_is_what_the_executor_takes(device, monkeypatch, tmp_path):
    from s3dnn_ros.base.clock import VirtualClock
    from s3dnn_ros.engines import make_engine
    from s3dnn_ros.models.graph import load_graph, with_image_input
    from s3dnn_ros.models.segment_plan import apply, load_plan
    from s3dnn_ros.models.spec import load_spec

    assert main(['build', 'net']) == 0
    monkeypatch.setattr(tensorrt_plans, 'build', None)
    spec = load_spec('net')
    segments = apply(load_plan(plan_path('net')), with_image_input(load_graph(spec), spec),
                     sha256_of(spec.onnx))
    engine, _ = make_engine('tensorrt', VirtualClock())
    network = engine.load('front', [segment.model for segment in segments], ['scores'], spec,
                          lanes=2, max_batch=8)
    assert network.segments == 2 and not network.note


def test_a_profile_leaves_what_the_executor_takes_and_nothing_else(device, capsys, tmp_path):
    pytest.importorskip('onnxruntime')
    assert main(['profile', 'net', '--engine', 'tensorrt', '--repeats', '2',
                 '--target-ms', '0.001']) == 0
    segments = load_table(profile_path('net', 'tensorrt')).segments
    assert len(list((tmp_path / 'cache' / 'tensorrt' / 'net').glob('*.plan'))) == segments > 1
    assert main(['build', 'net']) == 0
    assert f'nothing to build: all {segments} are' in capsys.readouterr().out


def test_a_segment_that_is_refused_is_told(device, capsys, monkeypatch):
    parse = FakeParser.parse
    monkeypatch.setattr(FakeParser, 'parse', lambda self, model: parse(self, model)
                        and b'Relu' not in model)
    assert main(['build', 'net']) == 0
    out = capsys.readouterr()
    assert 'runs on the CPU instead: net, segment 1' in out.err and '1 built' in out.out


def test_what_was_refused_is_tried_again(device, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(FakeParser, 'parse', lambda *_: False)
        assert main(['build', 'net']) == 1
        assert 'runs on the CPU instead: net, segment 1' in capsys.readouterr().err
    assert main(['build', 'net']) == 0
    out = capsys.readouterr()
    assert '2 built, 0 were there' in out.out and not out.err


def photos(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), np.full((8, 8, 3), 50 * index, np.uint8))
    return folder


def test_a_profile_in_int8_calibrates_what_it_measures(device, capsys, tmp_path):
    pytest.importorskip('onnxruntime')
    int8 = ['net', '--precision', 'int8']
    command = ['profile', *int8, '--engine', 'tensorrt', '--repeats', '2', '--target-ms', '1']
    assert main(command) == 1
    assert 'calibrated on real images' in capsys.readouterr().err
    images = ['--images', str(photos(tmp_path))]
    assert main([*command, *images]) == 0
    cache = tmp_path / 'cache' / 'tensorrt' / 'net'
    segments = load_table(profile_path('net', 'tensorrt')).segments
    assert len(list(cache.glob('*.plan'))) == len(list(cache.glob('*.scales'))) == segments
    assert main(['build', *int8, *images]) == 0
    assert f'nothing to build: all {segments} are' in capsys.readouterr().out


def test_int8_wants_real_images(device, capsys, tmp_path):
    pytest.importorskip('onnxruntime')
    assert main(['build', 'net', '--precision', 'int8']) == 1
    assert 'calibrated on real images' in capsys.readouterr().err
    command = ['build', 'net', '--precision', 'int8', '--images', str(photos(tmp_path))]
    assert main(command) == 0
    assert 'calibration: 2 other images of' in capsys.readouterr().out
    assert main(command) == 0
    assert 'nothing to build: all 2 are' in capsys.readouterr().out


def test_int8_is_calibrated_on_a_bag(device, capsys, tmp_path, write_bag):
    pytest.importorskip('onnxruntime')
    bag = write_bag(tmp_path / 'bag', {topic: [
        (index, 'rgb8', np.full((8, 8, 3), 50 * index, np.uint8)) for index in range(4)]
        for topic in ('/front', '/rear')})
    command = ['build', 'net', '--precision', 'int8', '--images', str(bag)]
    assert main(command) == 1
    assert 'images of /front, /rear; name one of these' in capsys.readouterr().err
    assert main([*command, '--topic', '/rear']) == 0
    assert f'calibration: 2 other images of {bag}' in capsys.readouterr().out


def test_no_build_is_waited_for_longer_than_a_day(device, capsys):
    assert main(['build', 'net', '--limit', '3000000']) == 1
    assert "'engine_build_limit_s' is 3000000.0; expected 86400 at most" in capsys.readouterr().err


def test_a_dla_does_not_compute_in_fp32(device, capsys):
    assert main(['build', 'net', '--dla', '0', '--precision', 'fp32']) == 1
    assert 'fp16 or int8' in capsys.readouterr().err


def test_without_tensorrt_or_a_device_that_is_told(capsys):
    try:
        find_cuda()
    except ImportError:
        assert main(['build', 'net']) == 1
        assert "parameter 'engine' is 'tensorrt'" in capsys.readouterr().err
    else:
        pytest.skip('there is a CUDA device')


def test_a_bench_says_how_its_engine_built(device, tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr('s3dnn_ros.bench.load.SETTLE_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.bench.networks.ALONE_S', 0.1)
    out = tmp_path / 'results.json'
    assert main(['bench', 's3dnn', '--engine', 'tensorrt', '--precision', 'fp32', '--runs', '1',
                 '--models', 'net', '--instances', '1', '--parts', 'throughput', '--seconds',
                 '0.1', '--policies', 'edf', '--no-gates',
                 '--out', str(out)]) == 0
    results = json.loads(out.read_text())
    assert results['build']['precision'] == 'fp32'
    assert results['device'] == 'a fake GPU, fp32'
    assert results['throughput'][0]['policies']['edf'][0]['work_share'] > 0.0
