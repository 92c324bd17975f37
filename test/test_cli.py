"""The command answers in sentences and exit codes, never with a traceback."""

import json

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.cli import main
from s3dnn_ros.commands.argument_types import new_file
from s3dnn_ros.models import assets
from s3dnn_ros.models.segment_plan import load_plan, plan_path
from s3dnn_ros.models.spec import load_spec


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    return tmp_path / 'cache'


@pytest.fixture
def toy(tmp_path):
    """Write a YOLOv8-like network that always sees one box, and its description."""
    output = np.zeros((1, 6, 20), np.float32)
    output[0, :, 3] = [8, 8, 4, 8, 0.25, 0.75]
    # Its input counts for nothing, but it must be used to count as an input at all.
    nodes = [
        helper.make_node('ReduceMean', ['x'], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Reshape', ['mean', 'shape'], ['flat']),
        helper.make_node('Mul', ['flat', 'zero'], ['nothing']),
        helper.make_node('Add', ['nothing', 'boxes'], ['y']),
    ]
    constants = {
        'boxes': output, 'zero': np.zeros(1, np.float32),
        'shape': np.array([-1, 1, 1], np.int64),
    }
    graph = helper.make_graph(
        nodes, 'toy', [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 16, 16])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 6, 20])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid('', 13)])
    onnx.save(model, str(tmp_path / 'toy.onnx'))
    description = {
        'onnx': 'toy.onnx', 'width': 16, 'height': 16, 'colour': 'rgb', 'mean': [0, 0, 0],
        'std': [255, 255, 255], 'resize': 'letterbox', 'decoder': 'yolov8',
        'labels': ['cat', 'dog'], 'licence': 'MIT',
    }
    (tmp_path / 'toy.yaml').write_text(yaml.safe_dump(description), encoding='utf-8')
    return tmp_path / 'toy.yaml'


@pytest.fixture
def photo(tmp_path):
    cv2 = pytest.importorskip('cv2')
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), np.zeros((32, 64, 3), np.uint8))
    return path


def test_list_tells_of_folders_without_models(toy, monkeypatch, capsys):
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(toy.parent / 'empty'))
    assert main(['models', 'list']) == 0
    assert f"{toy.parent / 'empty'}, which $S3DNN_MODEL_PATH names" in capsys.readouterr().out


def test_list_shows_each_model_and_its_state(toy, capsys):
    (toy.parent / 'bad.yaml').write_text('widht: 3', encoding='utf-8')
    assert main(['models', 'list']) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert 'ready' in lines['toy'] and '16x16 rgb' in lines['toy'] and 'MIT' in lines['toy']
    assert 'needs fetch' in lines['nanodet_g']
    assert 'needs export' in lines['resnet50']
    assert 'broken' in lines['bad'] and 'widht' in lines['bad']


def test_check_finds_the_box_in_pixels_of_the_image(toy, photo, capsys):
    pytest.importorskip('onnxruntime')
    assert main(['models', 'check', str(toy), '--image', str(photo), '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['classes'] == 2 and report['batch'] == 0 and report['run_ms'] > 0
    assert report['outputs'] == {'y': [1, 6, 20]}
    box, = report['boxes']
    assert (box['label'], box['score']) == ('dog', 0.75)
    # 64 × 32 in 16 × 16 is a quarter, with 4 rows of padding above.
    assert box['xyxy'] == [24, 0, 40, 32]


def test_check_is_readable_and_takes_a_name(toy, photo, capsys):
    pytest.importorskip('onnxruntime')
    assert main(['models', 'check', 'toy', '--image', str(photo), '--score', '0.8']) == 0
    told = capsys.readouterr().out
    assert 'yolov8 reads y: 2 classes' in told and 'batch any' in told
    assert '0 boxes; lower --score' in told
    for stage in ('open the image', 'fit it into the input', 'the network', 'outputs to boxes'):
        assert f'{stage}\n' in told


def test_check_draws_what_it_finds(toy, photo, tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    cv2 = pytest.importorskip('cv2')
    target = tmp_path / 'out.png'
    assert main(['models', 'check', str(toy), '--image', str(photo), '--picture',
                 str(target)]) == 0
    picture = cv2.imread(str(target))
    assert picture.shape == (32, 64, 3) and picture.any() and not picture[:, :20].any()
    capsys.readouterr()
    assert main(['models', 'check', str(toy), '--picture', str(target)]) == 1
    assert 'give one with --image' in one_error(capsys)
    assert main(['models', 'check', str(toy), '--image', str(photo), '--picture',
                 str(tmp_path / 'out.doc')]) == 1
    assert 'name it .png or .jpg' in one_error(capsys)


def test_describe_writes_a_description_that_check_takes(toy, photo, tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    written = tmp_path / 'new.yaml'
    onnx_file = str(tmp_path / 'toy.onnx')
    assert main(['models', 'describe', onnx_file, '-o', str(written)]) == 0
    told = capsys.readouterr().out
    assert 'decoder  yolov8: there are more boxes' in told and str(written) in told
    assert main(['models', 'check', str(written), '--image', str(photo), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['boxes'][0]['score'] == 0.75
    # what is there already stays
    assert main(['models', 'describe', onnx_file]) == 1
    assert 'is there already' in one_error(capsys)
    assert load_spec(toy).labels == ('cat', 'dog')


def test_a_network_in_the_place_of_a_description_is_told(toy, capsys):
    assert main(['models', 'check', str(toy.with_suffix('.onnx'))]) == 1
    assert 's3dnn models describe' in one_error(capsys)


def test_check_works_without_an_image(toy, capsys):
    pytest.importorskip('onnxruntime')
    assert main(['models', 'check', 'toy']) == 0
    assert 'ms' in capsys.readouterr().out


def test_segment_writes_a_plan_and_shows_it(toy, capsys):
    pytest.importorskip('onnxruntime')
    assert main(['models', 'segment', 'toy', '--target-ms', '1000', '--batch', '2']) == 0
    told = capsys.readouterr().out
    plan = load_plan(plan_path('toy'))
    assert plan.target_ms == 1000 and plan.max_alive == 1 and len(plan.times_ms) == 1
    assert 'toy' in told and 'onnxruntime on CPU' in told and 's3dnn_image/0_cast' in told


def one_error(capsys):
    out, err = capsys.readouterr()
    assert out == ''
    assert len(err.strip().splitlines()) == 1
    return err


@pytest.mark.parametrize(('arguments', 'told'), [
    (['check', 'nothing'], 'known are'),
    (['check', 'nothing.yaml'], 'cannot be read'),
    (['check', 'nanodet_g'], 's3dnn models export nanodet_g'),
    (['export', 'nanodet_g'], 's3dnn models fetch'),
    (['export', 'nothing'], 'known are'),
    (['segment', 'nothing'], 'known are'),
    (['segment', 'nanodet_g'], 's3dnn models export nanodet_g'),
    (['fetch', 'nothing'], 'known are'),
])
def test_an_error_is_one_sentence_and_code_1(capsys, arguments, told):
    assert main(['models', *arguments]) == 1
    assert told in one_error(capsys)


def test_a_decoder_that_does_not_fit_is_told(toy, capsys):
    toy.write_text(toy.read_text().replace('yolov8', 'nanodet'), encoding='utf-8')
    assert main(['models', 'check', 'toy']) == 1
    assert 'cls_8' in one_error(capsys)


@pytest.mark.parametrize('content', [None, b'', b'no image'])
def test_an_image_that_cannot_be_used_is_told(toy, tmp_path, capsys, content):
    path = tmp_path / 'bad.png'
    if content is not None:
        path.write_bytes(content)
    assert main(['models', 'check', 'toy', '--image', str(path)]) == 1
    assert 'image' in one_error(capsys)


@pytest.mark.parametrize('arguments', [
    [], ['models'], ['models', 'chek'], ['models', 'export'],
    ['models', 'check', 'toy', '--score', 'high'], ['models', 'segment'],
    ['models', 'segment', 'toy', '--alive', '0'],
    ['models', 'segment', 'toy', '--target-ms', 'nan'],
    ['bench'], ['bench', 'table'], ['bench', 'plot'],
    ['bench', 'overload', '--rates', '15', '--loads', '1.5'],
    ['bench', 'overload', '--size', '1280'], ['bench', 'overload', '--size', '4x720'],
    ['bench', 'overload', '--disturb', 'everything'],
])
def test_wrong_usage_is_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert 'usage: s3dnn' in capsys.readouterr().err


@pytest.mark.parametrize(('arguments', 'expected'), [
    ([], assets.DEMO),
    (['squeezenet_1_1'], ('squeezenet_1_1.pkl', 'imagenet_names.json')),
    (['nanodet_g', 'bikes.mp4'], ('nanodet_g.json', 'nanodet_g.bin', 'bikes.mp4')),
    (['alexnet', 'bikes.mp4'], ('bikes.mp4',)),
    (['vgg16'], ()),
    (['--all'], tuple(assets.ASSETS)),
])
def test_fetch_takes_models_and_files_and_defaults_to_the_demo(
        monkeypatch, arguments, expected):
    asked = []
    monkeypatch.setattr(
        's3dnn_ros.commands.models.fetch', lambda names: asked.extend(names))
    assert main(['models', 'fetch', *arguments]) == 0
    assert tuple(asked) == expected


def test_export_copies_to_a_file_or_a_folder(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('s3dnn_ros.commands.models.export', lambda name: tmp_path / 'toy.onnx')
    (tmp_path / 'folder').mkdir()
    for target, place in (('copy.onnx', 'copy.onnx'), ('folder', 'folder/toy.onnx')):
        assert main(['models', 'export', 'toy', '-o', str(tmp_path / target)]) == 0
        assert (tmp_path / place).read_bytes() == (tmp_path / 'toy.onnx').read_bytes()
        assert str(tmp_path / place) in capsys.readouterr().out
    assert main(['models', 'export', 'toy', '-o', str(tmp_path / 'none' / 'x.onnx')]) == 1
    assert 'cannot be written' in one_error(capsys)


@pytest.mark.parametrize('command', ['table', 'plot'])
def test_results_that_cannot_be_read_are_told(command, tmp_path, capsys):
    assert main(['bench', command, str(tmp_path / 'none.json')]) == 1
    assert 's3dnn bench s3dnn --out' in one_error(capsys)


def test_the_bench_of_policies_writes_what_the_table_reads(toy, tmp_path, capsys, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr('s3dnn_ros.bench.load.SETTLE_S', 0.05)
    out = tmp_path / 'new' / 'results.json'
    assert main(['bench', 's3dnn', '--engine', 'onnxruntime', '--models', 'toy',
                 '--instances', '2', '--runs', '1', '--seconds', '0.1', '--target-ms', '1000',
                 '--parts', 'throughput', '--policies', 'streams', 'edf', '--out', str(out)]) == 0
    assert 'streams' in capsys.readouterr().out
    assert main(['bench', 'table', str(out)]) == 0
    assert '| edf |' in capsys.readouterr().out
    assert json.loads(out.read_text())['build'] == {}
    assert main(['bench', 's3dnn', '--engine', 'onnxruntime', '--parts', 'nothing']) == 1
    assert '--parts' in one_error(capsys)


def test_the_bench_of_packing_writes_what_the_table_reads(toy, tmp_path, capsys, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr('s3dnn_ros.bench.task_run.SETTLE_S', 0.05)
    out = tmp_path / 'results.json'
    assert main(['bench', 'packing', '--engine', 'onnxruntime', '--models', 'toy', '--size',
                 '64x48', '--loads', '0.5', '--cpu-workers', '3', '--threshold', '0.5', '--runs',
                 '1', '--seconds', '0.1', '--target-ms', '1000', '--out', str(out)]) == 0
    table = capsys.readouterr().out
    assert '| whole tasks |' in table
    assert main(['bench', 'table', str(out)]) == 0
    assert capsys.readouterr().out.strip() in table
    plan = json.loads(out.read_text())['plan']
    assert (plan['width'], plan['workers'], plan['threshold']) == (64, 3, 0.5)


@pytest.mark.parametrize('command', [['bench', 's3dnn'], ['bench', 'neuos'], ['profile', 'toy'],
                                     ['models', 'lowrank', 'toy']])
@pytest.mark.parametrize('option', [('--precision', 'fp16'), ('--dla', '0'), ('--optimum', '2'),
                                    ('--workspace', '0')])
def test_how_to_build_is_refused_where_the_engine_leaves_no_choice(toy, command, option, capsys):
    pytest.importorskip('onnxruntime')
    assert main([*command, '--engine', 'onnxruntime', *option]) == 1
    told = one_error(capsys)
    assert f"'{option[0]}'" in told and 'onnxruntime leaves no choice' in told


@pytest.mark.parametrize('command', [['bench', 's3dnn'], ['profile', 'toy']])
def test_a_part_of_a_device_is_refused_where_the_engine_has_none(toy, command, capsys):
    pytest.importorskip('onnxruntime')
    assert main([*command, '--engine', 'onnxruntime', '--sms', '8']) == 1
    assert "parameter '--sms' is 8; the engine onnxruntime leaves no choice" in one_error(capsys)


def test_the_bench_of_cohorts_takes_images(toy, tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    cv2 = pytest.importorskip('cv2')
    for index in range(2):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((8, 8, 3), index, np.uint8))
    taken = []
    monkeypatch.setattr('s3dnn_ros.bench.neuos_bench.run', lambda device, plan, pictures, save:
                        taken.append(pictures(load_spec('toy'))))
    assert main(['bench', 'neuos', '--engine', 'onnxruntime', '--models', 'toy',
                 '--images', str(tmp_path)]) == 0
    assert taken[0].calibration == f'1 other image of {tmp_path}'


@pytest.mark.parametrize(('arguments', 'rates_hz'), [
    ([], (15.0,) * 4), (['--cameras', '2'], (15.0,) * 2),
    (['--cameras', '3', '--rate', '5'], (5.0,) * 3), (['--rates', '15', '30'], (15.0, 30.0)),
    (['--rates', '15', '30', '--cameras', '2'], (15.0, 30.0)),
    (['--loads', '0.5', '3'], (15.0,) * 4)])
def test_the_bench_of_overload_takes_cameras_and_rates(arguments, rates_hz, monkeypatch):
    plans = []
    monkeypatch.setattr('s3dnn_ros.bench.overload_bench.run',
                        lambda clock, plan, save: plans.append(plan))
    monkeypatch.setattr('s3dnn_ros.bench.results.tables', lambda results: ['a table'])
    assert main(['bench', 'overload', '--size', '640x480', *arguments]) == 0
    plan, = plans
    assert (plan.rates_hz, plan.width, plan.height) == (rates_hz, 640, 480)
    assert plan.loads == ((0.5, 3.0) if '--loads' in arguments else ())


def test_as_many_rates_as_cameras(capsys):
    assert main(['bench', 'overload', '--cameras', '3', '--rates', '15', '30']) == 1
    assert 'one for each camera' in one_error(capsys)


@pytest.mark.parametrize('where', ['/dev/null/x.json', '.'])
@pytest.mark.parametrize('command', [
    ['bench', 'cohort'], ['bench', 'neuos'], ['bench', 'pipeline'], ['bench', 'engines'],
    ['bench', 's3dnn'], ['bench', 'overload'], ['models', 'lowrank', 'toy']])
def test_what_cannot_be_written_is_told_before_anything_is_measured(command, where, capsys):
    with pytest.raises(SystemExit):
        main([*command, '--out', where])
    assert f"argument --out: '{where}' cannot be written; name a file" in capsys.readouterr().err


def test_results_that_cannot_be_written_after_all_are_told(toy, tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    name = 'a' * 300 + '.json'      # longer than any file system takes
    assert main(['bench', 's3dnn', '--engine', 'onnxruntime', '--models', 'toy', '--instances',
                 '1', '--runs', '1', '--seconds', '0.1', '--target-ms', '1000', '--parts',
                 'throughput', '--policies', 'edf', '--out', str(tmp_path / name)]) == 1
    assert 'free space there, or name another' in capsys.readouterr().err


def test_a_file_in_folders_that_are_not_there_yet_can_be_written(tmp_path):
    path = tmp_path / 'a' / 'b' / 'results.json'
    assert new_file(str(path)) == path
    path.parent.mkdir(parents=True)
    path.touch()
    assert new_file(str(path)) == path


def test_damaged_results_are_refused(tmp_path, capsys):
    path = tmp_path / 'results.json'
    path.write_text('{"format": 1, "cohorts": [], "models": {}}')
    assert main(['bench', 'table', str(path)]) == 1
    assert 'something in it is missing' in capsys.readouterr().err
