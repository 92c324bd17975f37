"""Names of classes, as people and tools write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.models.labels import COCO80, MOST_BYTES, MOST_CLASSES, labels_of

NAMES = ('cat', 'dog', 'hot dog')
NOWHERE = Path('/nowhere')


@pytest.mark.parametrize('value, labels', [
    ([], ()), (['cat', 'dog', 'hot dog'], NAMES), (('cat', ' dog ', 'hot dog'), NAMES),
    (['cat', 7], ('cat', '7')), (['cat', '', 'dog'], ('cat', '1', 'dog')),
    ({0: 'cat', 1: 'dog', 2: 'hot dog'}, NAMES), ({'1': 'dog', '0': 'cat'}, ('cat', 'dog')),
    ({1: 'person', 3: 'car'}, ('0', 'person', '2', 'car')), ({}, ()), ('coco80', COCO80)])
def test_names_are_given_in_many_ways(value, labels):
    assert labels_of(value, NOWHERE) == labels


@pytest.mark.parametrize('content', [
    b'cat\ndog\nhot dog', b'cat\ndog\nhot dog\n', b'cat\r\ndog\r\nhot dog\r\n\r\n',
    b'\xef\xbb\xbfcat\ndog\nhot dog', ' cat \n\tdog\nhot dog\n \n\n'.encode(),
    'cat\ndog\nhot dog'.encode('utf-16'), '\ufeffcat\ndog\nhot dog'.encode('utf-16-be')])
@pytest.mark.parametrize('name', ['names.txt', 'coco.names', 'labels'])
def test_text_of_any_editor(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert labels_of(name, tmp_path) == labels_of(str(tmp_path / name), NOWHERE) == NAMES


@pytest.mark.parametrize('content', [
    '[cat, dog, hot dog]', '- cat\n- dog\n- hot dog', '{0: cat, 1: dog, 2: hot dog}',
    'path: ../data\ntrain: images\nnc: 3\nnames: [cat, dog, hot dog]',
    'names:\n  0: cat\n  1: dog\n  2: hot dog\ndownload: |\n  from x import y\n',
    '\ufeffnames: {0: cat, 1: dog, 2: hot dog}\r\n'])
@pytest.mark.parametrize('suffix', ['.yaml', '.yml'])
def test_yaml_as_tools_for_training_write_it(tmp_path, suffix, content):
    (tmp_path / f'data{suffix}').write_bytes(content.encode())
    assert labels_of(f'data{suffix}', tmp_path) == NAMES


@pytest.mark.parametrize('value, words', [
    (7, '7 is no list'), (True, 'True is no list'), (['yes', False], 'the name False is no text'),
    ([['cat']], "['cat'] is no text"), ({'cat': 0}, "the class 'cat' is no number"),
    ({-1: 'cat'}, 'the class -1'), ({10 ** 9: 'cat'}, 'the class 1000000000'),
    ({True: 'cat'}, 'the class True'), ({'9' * 5000: 'cat'}, 'the class'),
    ({0: None}, 'the name None'), ('absent.txt', 'absent.txt cannot be read (No such file'),
    ('a\0b', 'cannot be read'), (['cat'] * (MOST_CLASSES + 1), f'{MOST_CLASSES} are the most')])
def test_what_is_no_list_of_names_is_told(tmp_path, value, words):
    with pytest.raises(ValueError) as caught:
        labels_of(value, tmp_path)
    assert words in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize('name, content, words', [
    ('names.txt', b'cat\n\xff\xfe\xfd\n', 'no text in UTF-8'),
    ('names.txt', b'\xff\xfec', 'no text in UTF-8'),
    ('names.txt', b'x' * (MOST_BYTES + 1), 'more than 4 MB'),
    ('data.yaml', b'names: [cat', 'not valid YAML'), ('data.yaml', b'names: 7', '7 is no list'),
    ('data.yaml', b'', 'None is no list'), ('data.yaml', b'a: 2001-99-99', 'not valid YAML'),
    ('data.yaml', b'names: ' + b'[' * 5000, 'not valid YAML')])
def test_a_file_without_names_is_told(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        labels_of(name, tmp_path)


@given(st.binary(max_size=60), st.sampled_from(['x.txt', 'x.yaml']))
def test_any_file_has_names_or_is_told(tmp_path_factory, content, name):
    folder = tmp_path_factory.mktemp('labels')
    (folder / name).write_bytes(content)
    try:
        assert all(isinstance(label, str) and label for label in labels_of(name, folder))
    except ValueError as error:
        assert len(str(error)) < 1000
