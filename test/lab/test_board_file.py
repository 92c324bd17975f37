"""Files of boards: whatever is wrong is one sentence with file, line and key."""

import copy
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.fuzz.mutations import mutated_yaml
from s3dnn_ros.lab.board import Activity
from s3dnn_ros.lab.board_file import ORIGINS, board_directory, load_board

TREE = yaml.safe_load((board_directory() / 'tx2.yaml').read_text(encoding='utf-8'))


def places(tree, place=()):
    """Return the places of all keys in a tree."""
    found = []
    for key, value in tree.items():
        found.append((*place, key))
        if isinstance(value, dict):
            found += places(value, (*place, key))
    return found


PLACES = places(TREE)
# whatever may be there or not
OPTIONAL = [place for place in PLACES if place[-1] == 'budget_w' or (
    place[0] in ('rails', 'modes') and len(place) == 2) or (
        place[:2] == ('cpu', 'clusters') and len(place) == 3)]
NUMBERS = [place for place in PLACES if place[-1] == 'value']


def changed(place, value=None, tree=TREE):
    """Return the tree with another value at a place, or without it."""
    made = copy.deepcopy(tree)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return made


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return tmp_path_factory.mktemp('boards') / 'board.yaml'


def refused(path, tree):
    """Return the line of a board's file that an error names, and what it says."""
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding='utf-8')
    with pytest.raises(PlatformError) as caught:
        load_board(path)
    source, line, sentence = str(caught.value).split(': ', 2)
    assert source == str(path) and '\n' not in sentence
    lines = path.read_text(encoding='utf-8').splitlines()
    return lines[int(line.split()[1]) - 1], sentence


@given(st.sampled_from([place for place in PLACES if place not in OPTIONAL]))
def test_a_key_that_is_missing_is_named_with_what_it_should_be_in(path, place):
    line, sentence = refused(path, changed(place))
    if place[-1] in ORIGINS:
        assert 'source, assumed, fitted' in sentence and place[-2] in line
    else:
        assert '.'.join(place) in sentence
        assert len(place) == 1 or place[-2] in line or place[-1] in line


@given(st.sampled_from(PLACES), st.sampled_from(['colour', 'steps', 'delay_s', 'valu', 7]))
def test_an_unknown_key_is_named_with_its_line(path, place, key):
    inner = (*place[:-1], key)
    if inner[:-1] in ((), *((name,) for name in ('rails', 'modes')), ('cpu', 'clusters')):
        inner = ('gpu', key)
    line, sentence = refused(path, changed(inner, 'blue'))
    assert f"unknown key '{'.'.join(map(str, inner))}'" in sentence
    assert line.strip().startswith(str(key))


@given(st.sampled_from(NUMBERS),
       st.sampled_from([-100, 1e12, 'fast', [1], '1 GHz', float('nan'), float('inf')]))
def test_an_impossible_value_is_named_with_its_line(path, place, value):
    line, sentence = refused(path, changed(place, value))
    assert f"key '{'.'.join(place)}' is" in sentence and line.strip().startswith('value:')


@pytest.mark.parametrize(('place', 'value', 'words'), [
    (('gpu', 'neuos_mhz', 'values'), [140.25, 141], "neuos_mhz.values' is .* some of steps_mhz"),
    (('gpu', 'steps_mhz', 'values'), [2, 1], 'a list of MHz, ascending'),
    (('gpu', 'volts', 'values'), [1.0], 'the volts at the lowest and at the highest step'),
    (('gpu', 'volts', 'values'), [1.0, 0.9], 'the volts at the lowest and at the highest step'),
    (('cpu', 'clusters', 'a57', 'cpus'), [0, 1], 'every CPU once'),
    (('cpu', 'clusters', 'a57', 'cpus'), [3], 'CPU 0 among them'),
    (('cpu', 'clusters', 'denver', 'cpus'), [], 'the numbers of its CPUs'),
    (('rails', 'VDD_SYS_GPU', 'clock'), 'dla', 'one of gpu, memory, cpu, none'),
    (('rails', 7), {}, 'has the key 7; expected a name'),
    (('modes', 'MAXQ', 'cpus'), [1, 2], 'some of the CPUs, 0 among them'),
    (('modes', 'MAXQ', 'cpus'), [0, 9], 'some of the CPUs, 0 among them'),
    (('thermal', 'release_c', 'value'), 96, 'a number from -40 to 95'),
    (('host', 'launch_us', 'source'), 'a paper', 'launch_us.* says where it is from'),
    (('host', 'launch_us', 'assumed'), ' ', 'launch_us.* says where it is from')])
def test_what_does_not_fit_together(path, place, value, words):
    *_, sentence = refused(path, changed(place, value))
    assert re.search(words, sentence), sentence


@given(st.randoms(use_true_random=False))
def test_whatever_a_file_holds_is_a_board_or_refused_in_one_sentence(path, chance):
    path.write_bytes(mutated_yaml(TREE, chance))
    try:
        board = load_board(path)
    except PlatformError as error:
        assert str(error).startswith(str(path)) and '\n' not in str(error)
    else:
        assert len(board.space()) >= 1 and all(
            power_w >= 0.0 for power_w in board.power_w(board.highest, Activity(1.0)).values())


def test_an_unknown_name_comes_with_those_that_are_known():
    with pytest.raises(PlatformError, match="'nano': is not known; known are agx_xavier, tx2; "):
        load_board('nano')


def test_a_file_that_is_not_there_or_is_no_yaml(tmp_path):
    with pytest.raises(PlatformError, match=r'board\.yaml: cannot be read'):
        load_board(tmp_path / 'board.yaml')
    (tmp_path / 'board.yaml').write_text('gpu: [', encoding='utf-8')
    with pytest.raises(PlatformError, match=r'not valid YAML: .* line 2'):
        load_board(tmp_path / 'board.yaml')
