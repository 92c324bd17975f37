"""A model description is found by name and refused with the key that is wrong."""

import copy
import os
import pickle

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.base.share import share_directory
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.labels import COCO80
from s3dnn_ros.models.spec import (
    folders_without_models,
    known_models,
    load_spec,
)

GOOD = {
    'onnx': 'net.onnx', 'width': 32, 'height': 24, 'colour': 'rgb', 'mean': [0, 0, 0],
    'std': [255, 255, 255], 'resize': 'letterbox', 'decoder': 'yolov8', 'labels': 'coco80',
}


# What YAML or a path gives a meaning of its own.
SPARKS = [b'&a [*a]', b'*a', b'<<: *a', b'~nobody', b'\0', b'9' * 5000, b'1e999', b'.inf',
          b'2001-99-99', b'!!timestamp x', b'!!set {a}', b'!!omap [a: 1]', b'!!binary xx', b'- ',
          b'{' * 2000, b'? ', b'0x' + b'f' * 300, b'\xff', b'---\n', b'%YAML 9.9\n', b'null']


@pytest.fixture
def write(tmp_path):
    def write(name='net', **changes):
        keys = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump(keys), encoding='utf-8')
        return path

    return write


def test_every_key_arrives_in_its_type(write, tmp_path):
    spec = load_spec(write(deadline_ms=40, max_batch=4, pad=0, sha256='AB' * 32))
    assert spec.name == 'net'
    assert spec.onnx == tmp_path / 'net.onnx'
    assert (spec.width, spec.height, spec.pad, spec.max_batch) == (32, 24, 0, 4)
    assert spec.std == (255.0, 255.0, 255.0)
    assert spec.deadline_ms == 40.0
    assert spec.labels == COCO80
    assert spec.sha256 == 'ab' * 32
    assert spec.make_decoder().check({'y': ('N', 84, 100)}) == 80


@pytest.mark.parametrize(('changes', 'told'), [
    ({'widht': 3}, "did you mean 'width'"),
    ({'width': ...}, "'width' is missing"),
    ({'width': 0}, 'from 1 to 4096'),
    ({'height': 4097}, 'from 1 to 4096'),
    ({'width': True}, 'from 1 to 4096'),
    ({'width': 3.5}, 'from 1 to 4096'),
    ({'colour': 'grey'}, 'one of bgr, rgb'),
    ({'resize': ['stretch']}, 'one of stretch, letterbox'),
    ({'decoder': 'yolov9'}, 'nanodet, yolov5, yolov8'),
    ({'decoder_options': {'outptu': 'y'}}, "did you mean 'output'"),
    ({'decoder': 'nanodet', 'decoder_options': {'strides': []}}, 'decoder_options'),
    ({'decoder_options': ['output']}, 'a mapping'),
    ({'std': [1, 0, 1]}, 'other than zero'),
    ({'std': [1, 1]}, 'three numbers'),
    ({'mean': [1, 1, float('nan')]}, 'three numbers'),
    ({'labels': 'nowhere.txt'}, 'one label a line'),
    ({'labels': 7}, 'one label a line'),
    ({'labels': ['yes', False]}, 'one label a line'),
    ({'pad': 256}, 'from 0 to 255'),
    ({'deadline_ms': 0}, 'greater than zero'),
    ({'max_batch': -1}, 'from 0'),
    ({'sha256': 'abc'}, '64 hexadecimal'),
    ({'onnx': ''}, 'zoo:NAME'),
    ({'onnx': 'zoo:'}, 'zoo:NAME'),
    ({'description': 7}, 'text'),
])
def test_a_wrong_key_is_named_with_the_file(write, changes, told):
    path = write(**changes)
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize('text', [
    '', '- a list', 'width: [', 'width: \t3', '[' * 5000, '{' * 5000, 'width: 2001-99-99',
    'width: !!timestamp x', 'width: ' + '9' * 5000, 'width: !!python/object:os.system x',
    'width: &a [*a, *b]', '? [a]\n: b', 'width: !!set {a'])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / 'net.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(ModelError, match=r'net\.yaml'):
        load_spec(path)


@pytest.mark.parametrize('changes', [
    {'width': 10 ** 400}, {'mean': [10 ** 400, 0, 0]}, {'deadline_ms': 10 ** 400},
    {'onnx': '~nobody_of_this_name/net.onnx'}, {'labels': '~nobody_of_this_name/x'},
    {'labels': 'a\0b'}, {'width': 'x' * 100_000}, {'decoder_options': {'x' * 10_000: 1}}],
    ids=lambda changes: next(iter(changes)))
def test_values_out_of_this_world_are_refused_in_a_short_sentence(write, changes):
    with pytest.raises(ModelError) as caught:
        load_spec(write(**changes))
    assert next(iter(changes)) in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize('key', ['width', 'labels', 'mean', 'decoder', 'onnx', 'description'])
@pytest.mark.parametrize('value', ['*a59', '[*a59]', '{*a59 : 1}', '{0: *a59}', '0x' + 'f' * 9000])
def test_what_a_few_bytes_make_endless_is_refused_at_once(tmp_path, key, value):
    doubled = ', '.join(f'a{n}: &a{n} [*a{n - 1}, *a{n - 1}]' for n in range(1, 60))
    keys = {**GOOD, key: '@', 'decoder_options': '#'}
    path = tmp_path / 'net.yaml'
    # the options come first, as aliases look back
    keys = {'decoder_options': keys.pop('decoder_options'), **keys}
    text = yaml.safe_dump(keys, sort_keys=False)
    path.write_text(text.replace("'#'", '{a0: &a0 [x, x], ' + doubled + '}').replace("'@'", value))
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    assert len(str(caught.value)) < 1000


def test_a_description_without_end_is_refused(tmp_path):
    path = tmp_path / 'net.yaml'
    path.write_text('width: [' + ','.join('x' * 10 for _ in range(200_000)) + ']')
    with pytest.raises(ModelError, match='more than 1 MB'):
        load_spec(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_to_a_description_is_told(tmp_path_factory, data):
    content = bytearray(yaml.safe_dump(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at:at + data.draw(st.integers(0, 12))] = data.draw(st.one_of(
            st.binary(max_size=3), st.sampled_from(SPARKS)))
    path = tmp_path_factory.mktemp('any') / 'net.yaml'
    path.write_bytes(bytes(content))
    try:
        load_spec(path)
    except ModelError as error:
        assert len(str(error)) < 2500


def test_binary_and_missing_files_are_refused(tmp_path):
    path = tmp_path / 'net.yaml'
    with pytest.raises(ModelError, match='cannot be read'):
        load_spec(path)
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ModelError, match='not valid YAML'):
        load_spec(path)


@pytest.mark.parametrize('given, read', [
    ({'size': [640, 480]}, {'size': (640, 480)}), ({'threshold': 0.5}, {'threshold': (0.5,)}),
    ({}, {})])
def test_inputs_beside_the_image_are_numbers(write, given, read):
    assert load_spec(write(inputs=given)).inputs == read


@pytest.mark.parametrize('given', [
    [1], {'size': []}, {'size': ['a']}, {'size': [True]}, {'size': [1e300]}, {'size': None},
    {'size': [float('nan')]}, {'size': list(range(65))}, {3: [1]}, 'size', {'size': {'a': 1}}])
def test_inputs_that_are_none(write, given):
    with pytest.raises(ModelError, match="key 'inputs'"):
        load_spec(write(inputs=given))


@pytest.mark.parametrize('std, words', [
    ([0.229, 0.224, 0.225], 'multiply mean and std by 255'), ([1, 1, 1], ''),
    ([58.4, 57.1, 57.4], ''), ([0.5, 1.0, 1.0], '')])
def test_deviations_of_0_to_1_are_told(write, std, words):
    remark = load_spec(write(std=std)).remark
    assert words in remark and bool(words) == bool(remark)


@pytest.mark.parametrize('classes, fits', [(0, True), (2, True), (1, False), (3, False),
                                          (52, False)])
def test_labels_are_of_the_networks_classes(write, classes, fits):
    load_spec(write(labels=...)).expect_classes(classes)
    spec = load_spec(write(labels=['cat', 'dog']))
    if fits:
        spec.expect_classes(classes)
        return
    with pytest.raises(ModelError, match=f"'net'.* 2 labels, .*'yolov8' finds {classes} classes"):
        spec.expect_classes(classes)


def test_labels_come_from_a_list_or_a_file_beside_the_description(write, tmp_path):
    (tmp_path / 'names.txt').write_text('cat\ndog', encoding='utf-8')
    assert load_spec(write(labels='names.txt')).labels == ('cat', 'dog')
    assert load_spec(write(labels=str(tmp_path / 'names.txt'))).labels == ('cat', 'dog')
    assert load_spec(write(labels={0: 'cat', 1: 'dog'})).labels == ('cat', 'dog')
    spec = load_spec(write(labels=['cat', 7]))
    assert spec.labels == ('cat', '7')
    assert [spec.label(index) for index in (-1, 0, 1, 2)] == ['-1', 'cat', '7', '2']


def test_directories_win_over_the_model_path_and_that_over_the_share(
        write, tmp_path, monkeypatch):
    for place, width in (('first', 1), ('second', 2)):
        (tmp_path / place).mkdir()
        write(f'{place}/nanodet_g', width=width)
    assert load_spec('nanodet_g').width == 416
    monkeypatch.setenv('S3DNN_MODEL_PATH', f'{tmp_path / "none"}:{tmp_path / "second"}')
    assert load_spec('nanodet_g').width == 2
    assert load_spec('nanodet_g', [tmp_path / 'first']).width == 1


def test_a_path_of_a_user_who_is_not_here_is_told(monkeypatch):
    for name, directories in (('~nobody_at_all/x.yaml', ()), ('x', ['~nobody_at_all'])):
        with pytest.raises(ModelError, match='of a user who is not here'):
            load_spec(name, directories)
    monkeypatch.setenv('S3DNN_MODEL_PATH', '~nobody_of_this_name')
    with pytest.raises(ModelError, match='of a user who is not here'):
        load_spec('x')


def test_an_unknown_name_lists_the_known_ones_and_the_places(write, tmp_path):
    write('mine')
    with pytest.raises(ModelError) as caught:
        load_spec('yours', [tmp_path])
    for told in ('yours', 'mine', 'nanodet_g', str(tmp_path), str(share_directory())):
        assert told in str(caught.value)


def test_a_folder_is_told_with_its_files_or_what_makes_one(write, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ModelError, match=r'is a folder; no \*\.yaml is in it.*models describe'):
        load_spec(tmp_path / 'empty')
    write('mine')
    with pytest.raises(ModelError, match=r'name one of its files: mine\.yaml'):
        load_spec(tmp_path)
    # a folder of this name does not hide the model
    (tmp_path / 'mine').mkdir()
    assert load_spec('mine', [tmp_path]).name == 'mine'


def test_folders_of_the_model_path_without_a_model_are_told(write, tmp_path, monkeypatch):
    (tmp_path / 'empty').mkdir()
    write('mine')
    monkeypatch.setenv('S3DNN_MODEL_PATH', os.pathsep.join(
        str(tmp_path / name) for name in ('', 'empty', 'gone')))
    empty, gone = folders_without_models()
    assert f"{tmp_path / 'empty'}, which" in empty and 'models describe' in empty
    assert f"{tmp_path / 'gone'}, which" in gone and 'is no folder' in gone


def test_every_description_of_the_package_is_valid():
    names = known_models()
    assert {'nanodet_g', 'squeezenet_1_1'} <= set(names)
    for name in names:
        assert load_spec(name).name == name


def test_a_description_can_be_copied_and_sent_to_another_process(write):
    spec = load_spec(write(decoder_options={'output': 'y'}))
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == spec


def test_a_zoo_model_of_another_size(own_cache):
    spec = load_spec('yolo_s@1280')
    assert (spec.name, spec.zoo, spec.width, spec.height) == (
        'yolo_s@1280', 'yolo_s@1280', 1280, 1280)
    assert spec.onnx == own_cache / 'models' / 'yolo_s@1280.onnx'
    assert spec.make_decoder()


@pytest.mark.parametrize('name', ['yolo_s@', 'yolo_s@big', 'yolo_s@100', 'yolo_s@0',
                                  'yolo_s@8192', 'yolo_s@640@640'])
def test_a_size_that_cannot_be_is_refused(name):
    with pytest.raises(ModelError, match='a multiple of 32'):
        load_spec(name)


def test_a_network_that_takes_one_size_is_refused_another_before_it_is_exported():
    with pytest.raises(ModelError, match='one size only; of any are'):
        load_spec('vgg16@640')


def test_a_file_has_one_size(write, tmp_path):
    with pytest.raises(ModelError, match='export another'):
        load_spec(f'{write().stem}@640', [tmp_path])


def test_a_zoo_model_lives_in_the_cache(own_cache):
    spec = load_spec('nanodet_g')
    assert spec.zoo == 'nanodet_g'
    assert spec.onnx == own_cache / 'models' / 'nanodet_g.onnx'
