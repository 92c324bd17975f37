"""Sections of parameter files that no node reads, and parameters that are in none."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.settings.parameter_files import files_in, ignored, misplaced

NAMES = st.from_regex(r'[a-z][a-z0-9_]{0,8}', fullmatch=True)
PLACES = st.lists(NAMES, max_size=3).map(lambda names: ''.join(f'/{name}' for name in names))


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a tree to a file; gives its path."""
    def write(tree):
        path = tmp_path / 'robot.yaml'
        path.write_text(yaml.safe_dump(tree))
        return path
    return write


def section(name):
    return {name: {'ros__parameters': {'camera_names': ['front']}}}


@pytest.mark.parametrize('name', [
    '/robot/governor', 'robot/governor', '/**', '/*/governor', '/**/governor', '/robot/*',
    '/robot/**', '/*/*', '**'])
def test_a_section_that_is_read_is_not_remarked_on(written, name):
    assert not ignored(written(section(name)), '/robot/governor')


@pytest.mark.parametrize('name', [
    '/governor', 'governor', '/s3dnn/governor', '/s3dnn/*', '/arm/**', '/*/*/governor',
    '/robot/gouvernor', 'governer'])
def test_a_section_that_is_meant_for_a_node_and_not_read_is_named(written, name):
    sentence = ignored(written(section(name)), '/robot/governor')
    assert f"'/{name.strip('/')}' is ignored" in sentence
    assert "name the section '/robot/governor', or '/**'" in sentence


def test_one_of_all_nodes_does_not_hide_one_that_is_ignored(written):
    assert "'/governor' is ignored" in ignored(
        written({**section('/**'), **section('governor')}), '/robot/governor')


def test_a_file_for_several_robots_is_read_by_each(written):
    path = written({**section('/one/governor'), **section('/two/governor')})
    assert not ignored(path, '/one/governor') and not ignored(path, '/two/governor')
    assert ignored(path, '/three/governor')


def test_a_file_of_other_nodes_is_not_remarked_on(written):
    assert not ignored(written(section('/robot/lidar_driver')), '/robot/governor')
    assert not ignored(written({}), '/robot/governor')
    assert not ignored(Path('/nowhere.yaml'), '/robot/governor')


def test_namespaces_may_be_levels(written):
    path = written({'robot': section('governor')})
    assert not ignored(path, '/robot/governor') and ignored(path, '/governor')


@given(place=PLACES, other=PLACES, name=NAMES)
def test_a_section_reaches_the_node_of_its_name_and_no_other(tmp_path_factory, place, other, name):
    path = tmp_path_factory.getbasetemp() / 'any.yaml'
    path.write_text(yaml.safe_dump(section(f'{place}/{name}')))
    assert bool(ignored(path, f'{other}/{name}')) == (place != other)


@pytest.mark.parametrize(('tree', 'name'), [
    ({'camera_names': ['front']}, "'camera_names'"),
    ({'governor': {'cameras': {'front': {'topic': '/x'}}}}, "'governor/cameras/front/topic'"),
    ({'ros__parameters': {'engine': 'auto'}}, "'ros__parameters/engine'"),
    ({**section('/**'), 'engine': 'auto'}, "'engine'")])
def test_parameters_that_are_in_no_section_are_named(written, tree, name):
    sentence = misplaced(written(tree))
    assert f'{name} is not below ros__parameters' in sentence and "'/**:'" in sentence


def test_parameters_that_are_in_a_section_are_not_misplaced(written):
    assert not misplaced(written({**section('/**'), 'robot': section('governor')}))


def test_the_files_are_those_that_ros_gets():
    assert files_in(['node', '--params-file', 'a', '--ros-args', '--params-file', 'b', '-r', 'x',
                     '--params-file', 'c', '--', '--params-file', 'd', '--ros-args',
                     '--params-file']) == [Path('b'), Path('c'), Path('')]
