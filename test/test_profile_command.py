"""The command `s3dnn profile`: a table where governor and executor find it, or a sentence."""

import cv2
import numpy as np
import pytest
import yaml

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cli import main
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.profiling.find import find_table
from s3dnn_ros.profiling.table import load_table, profile_path

pytest.importorskip('onnxruntime')
QUICK = ['--engine', 'onnxruntime', '--repeats', '2']


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    return tmp_path / 'cache'


@pytest.fixture
def tiny(tiny_onnx, tmp_path):
    """Return a function that writes the description of the tiny network."""
    def write(name='tiny', **changes):
        values = {'onnx': str(tiny_onnx), 'width': 4, 'height': 4, 'colour': 'bgr',
                  'mean': [0, 0, 0], 'std': [255, 255, 255], 'resize': 'stretch',
                  'decoder': 'classification', 'labels': ['blue', 'green', 'red']}
        values.update(changes)
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump(values), encoding='utf-8')
        return str(path)
    return write


def test_a_profile_is_kept_where_it_is_looked_for(tiny, tiny_onnx, capsys):
    path = tiny()
    assert main(['profile', path, '--max-batch', '3', *QUICK]) == 0
    table = load_table(profile_path('tiny', 'onnxruntime'))
    assert (table.model, table.engine) == ('tiny', 'onnxruntime')
    assert table.model_sha256 == sha256_of(tiny_onnx)
    assert (table.batches, table.segments) == ((1, 2, 3), 1)
    assert find_table('auto', load_spec(path), 'onnxruntime', table.device)[0] == table
    shown = capsys.readouterr().out
    for part in (table.device, 'batch 1 of 3', 'batch 3 of 3, about', 'Median', 'Utilization',
                 f"written to {profile_path('tiny', 'onnxruntime')}"):
        assert part in shown


def test_the_work_on_the_cpu_is_measured_with_an_image_of_the_user(tiny, tmp_path, capsys):
    photo = tmp_path / 'photo.png'
    cv2.imwrite(str(photo), np.zeros((6, 8, 3), np.uint8))
    assert main(['profile', tiny(), '--max-batch', '1', *QUICK, '--photo', str(photo)]) == 0
    cpu = load_table(profile_path('tiny', 'onnxruntime')).cpu
    assert cpu.image == '8x6'
    assert cpu.compressed_ms > 0.0 and cpu.raw_ms > 0.0 and cpu.behind_ms > 0.0
    assert 'with an image of 8x6' in capsys.readouterr().out


@pytest.mark.parametrize('content', [None, b'no image'])
def test_a_photo_that_is_none_is_refused_before_anything_is_measured(tiny, tmp_path, capsys,
                                                                     content):
    photo = tmp_path / 'photo.jpg'
    if content:
        photo.write_bytes(content)
    assert main(['profile', tiny(), *QUICK, '--photo', str(photo)]) == 1
    told = capsys.readouterr()
    assert 'photo.jpg' in told.err and told.err.count('\n') == 1 and not told.out


def test_noisy_batches_are_marked_and_the_user_is_told_what_to_do(tiny, capsys, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.profiling.profiler.disturbed', lambda measured: {2: 'noise'})
    assert main(['profile', tiny(), '--max-batch', '2', *QUICK]) == 0
    assert load_table(profile_path('tiny', 'onnxruntime')).noisy_batches == (2,)
    shown = capsys.readouterr().out
    assert '2 *' in shown and '1 *' not in shown
    assert 'noisy: 2.' in shown and 'run `s3dnn profile tiny` again' in shown


def test_several_networks_are_profiled_and_none_beyond_its_largest_batch(tiny):
    assert main(['profile', tiny(), tiny('second', max_batch=2), '--max-batch', '3',
                 *QUICK]) == 0
    assert load_table(profile_path('tiny', 'onnxruntime')).batches == (1, 2, 3)
    assert load_table(profile_path('second', 'onnxruntime')).batches == (1, 2)


@pytest.mark.parametrize('arguments, said', [
    ([], 'NAME_OR_YAML'),
    (['tiny', '--max-batch', '0'], 'above 0'),
    (['tiny', '--max-batch', 'many'], 'int'),
    (['tiny', '--repeats', '-1'], 'above 0'),
    (['tiny', '--target-ms', '0'], 'above 0'),
    (['tiny', '--target-ms', 'nan'], 'above 0'),
    (['tiny', '--alive', '0'], 'above 0'),
    (['tiny', '--engine', 'abacus'], 'abacus'),
    (['tiny', '--sms', '-1'], "'-1' is no whole number from 0 on"),
    (['tiny', '--sms', 'x'], "'x' is no whole number from 0 on"),
])
def test_bad_arguments_are_refused_with_the_usage(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(['profile', *arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_an_unknown_network_is_told_in_a_sentence(own_cache, capsys):
    assert main(['profile', 'nothing', *QUICK]) == 1
    assert 'nothing' in capsys.readouterr().err
    assert not (own_cache / 'profiles').exists()


def test_layers_that_do_not_fit_together_are_told_in_a_sentence(tiny, tmp_path, capsys):
    onnx = pytest.importorskip('onnx')
    floats = onnx.TensorProto.FLOAT
    weights = [onnx.numpy_helper.from_array(np.ones(shape, np.float32), name)
               for name, shape in (('wide', (8, 3, 1, 1)), ('narrow', (3, 4, 1, 1)))]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['x', 'wide'], ['y']),
         onnx.helper.make_node('Conv', ['y', 'narrow'], ['scores'])], 'broken',
        [onnx.helper.make_tensor_value_info('x', floats, ['N', 3, 4, 4])],
        [onnx.helper.make_tensor_value_info('scores', floats, None)], weights)
    path = tmp_path / 'broken.onnx'
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                     ir_version=8), str(path))
    assert main(['profile', tiny('broken', onnx=str(path)), *QUICK]) == 1
    told = capsys.readouterr().err
    assert 'broken.onnx' in told and told.count('\n') == 1
    assert not profile_path('broken', 'onnxruntime').exists()


def test_a_network_without_its_file_is_told_in_a_sentence(tiny, tmp_path, capsys):
    assert main(['profile', tiny(onnx=str(tmp_path / 'gone.onnx')), *QUICK]) == 1
    assert 'gone.onnx' in capsys.readouterr().err
    assert not profile_path('tiny', 'onnxruntime').exists()


def test_a_profile_that_cannot_be_written_is_told_in_a_sentence(tiny, own_cache, capsys):
    own_cache.write_text('a file')
    assert main(['profile', tiny(), '--max-batch', '1', *QUICK]) == 1
    assert 'cannot be written' in capsys.readouterr().err


def test_configurations_are_taken_from_a_file(tiny, tmp_path):
    path = tmp_path / 'board.csv'
    path.write_text('configuration,power_mw,time_ms_0\nslow,900,8\nfast,3600,4\n')
    assert main(['profile', tiny(), '--max-batch', '1', *QUICK, '--configurations',
                 str(path)]) == 0
    table = load_table(profile_path('tiny', 'onnxruntime'))
    assert [row.name for row in table.configurations] == ['slow', 'fast']


@pytest.mark.parametrize('header, values, words', [
    ('configuration,power_mw,time_ms_0', 'slow,much,8', 'much'),
    ('configuration,power_mw,time_ms_0,time_ms_1', 'slow,900,8,9', 'cut into 1 here')])
def test_a_file_of_configurations_is_refused_before_anything_is_measured(
        tiny, tmp_path, capsys, header, values, words):
    path = tmp_path / 'board.csv'
    path.write_text(f'{header}\n{values}\n')
    assert main(['profile', tiny(), *QUICK, '--configurations', str(path)]) == 1
    told = capsys.readouterr()
    assert words in told.err and told.err.count('\n') == 1
    assert 'batch' not in told.out


@pytest.mark.parametrize('command', ['profile', 'models lowrank'])
@pytest.mark.parametrize('options, words', [
    ('sm_partition', 'name some, for example 8 16 32 64 0'),
    ('sm_partition --partitions 8 0', 'takes the torch engine'),
    ('jetson', 'nothing to set')])
def test_a_board_that_cannot_be_set_is_told_in_a_sentence(tiny, capsys, command, options, words):
    assert main([*command.split(), tiny(), *QUICK, '--platform', *options.split()]) == 1
    told = capsys.readouterr().err
    assert words in told and told.count('\n') == 1
