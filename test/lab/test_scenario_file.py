"""Scenarios: what YAML says is what comes out; all else is refused with file, line and key."""

import copy
import dataclasses
import itertools
import json

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.errors import WorkloadError
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.scenario import PHASES, Policy, Scenario, Stream
from s3dnn_ros.lab.scenario_file import load_scenario, scenario_directory
from s3dnn_ros.lab.scenario_networks import SHAPES, layers_named, networks_of
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.scheduling.rivals import KNOWN

DOCUMENT = """\
board: tx2
segments: 2
instances:
  - name: front
    model: resnet18
    rate_hz: 30
    deadline_ms: 33
  - {name: rear, model: mobilenet_v2, rate_hz: 10, deadline_ms: 100}
sweep:
  cameras: [1, 2]
  mode: [none, min_energy]
"""
MISTAKES = [
    ('deadline_ms: 33', 'deadline: 33', "line 7: has the unknown key 'instances.0.deadline'; did "
                                        "you mean 'deadline_ms'?"),
    ('deadline_ms: 33', 'deadline_ms: 33 ms', "line 7: key 'instances.0.deadline_ms' is '33 ms'; "
                                              'expected a number from 0.1 to 60000'),
    ('deadline_ms: 33', 'deadline_ms: .nan', 'line 7: key'),
    ('deadline_ms: 33', 'deadline_ms: -3', 'line 7: key'),
    ('deadline_ms: 33', 'deadline_ms: 1.0e+99', 'line 7: key'),
    ('    deadline_ms: 33\n', '', "line 4: lacks the key 'instances.0.deadline_ms'"),
    ('rate_hz: 30', 'rate_hz: 30\n    rate_hz: 60',
     "line 7: key 'rate_hz' is there twice, first in line 6"),
    ('rate_hz: 30', 'rate_hz: true', "line 6: key 'instances.0.rate_hz' is True"),
    ('model: resnet18', 'model: resnet19', "line 5: key 'instances.0.model' is 'resnet19'"),
    ('model: resnet18', 'model: missing.onnx', 'cannot be read'),
    ('model: resnet18', 'model: missing.json', 'cannot be read'),
    ('name: rear', 'name: front', "line 4: key 'instances.0.name' is 'front'; expected a name "
                                  'that no other instance has'),
    ('name: front', 'name: front camera', 'no digit first'),
    ('board: tx2', 'board: nano', "line 1: key 'board' is 'nano'"),
    ('board: tx2', 'bord: tx2', "line 1: has the unknown key 'bord'; did you mean 'board'?"),
    ('board: tx2\n', '', "lacks the key 'board'"),
    ('board: tx2', 'board: tx2\npower_mode: 15W', 'expected one of the modes of tx2: MAXN, MAXQ'),
    ('board: tx2', 'board: tx2\npower_mode: MAXN', 'left out where mode is min_energy'),
    ('segments: 2', 'segments: 0', "line 2: key 'segments' is 0; expected a whole number"),
    ('segments: 2', 'fusion: maybe', 'expected true or false'),
    ('segments: 2', 'scheduler: {policy: edf, capacity: 1}', "has no option 'capacity'"),
    ('segments: 2', 'scheduler: {policy: clockwork, capacity: 1}', 'has no such options'),
    ('segments: 2', 'scheduler: {policy: daris, streams: 1.5}', 'streams is a whole number'),
    ('segments: 2', 'scheduler: {policy: packing, threshold: high}', 'threshold is a number from'),
    ('segments: 2', 'scheduler: {policy: packing, treshold: 1}', 'options are capacity'),
    ('cameras: [1, 2]', 'cameras: []', "line 10: key 'sweep.cameras' is []"),
    ('cameras: [1, 2]', 'cameras: 3', "line 10: key 'sweep.cameras' is 3; expected a list"),
    ('cameras: [1, 2]', 'cameras: [1, 1]', 'every value is there once'),
    ('cameras: [1, 2]', 'cameras: [1, 0]', 'from 1 to 64: 0 is not'),
    ('cameras: [1, 2]', 'camera: [1]', "unknown key 'sweep.camera'; did you mean 'cameras'?"),
    ('cameras: [1, 2]', 'side.cameras: [1]', "line 10: has the unknown key 'sweep.side.cameras'"),
    ('cameras: [1, 2]', 'deadline_factor: [1]\n  deadline_ms: [9]', 'left out beside'),
    ('cameras: [1, 2]', 'deadline_factor: [0.01]\n  rate_factor: [100]', 'factors that leave'),
    ('  cameras: [1, 2]\n  mode: [none, min_energy]\n', '  {}\n', "key 'sweep' is {}"),
    ('cameras: [1, 2]', '\n  '.join(f'{key}: {list(range(1, 65))}' for key in (
        'max_batch', 'segments', 'priority')), 'combinations at most'),
    (DOCUMENT, '[]', 'holds no mapping'),
    ('instances:', 'tasks:', '`s3dnn plan` tries and chooses them')]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a document, and returns its path."""
    def write(text, name='work.yaml'):
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text),
                        encoding='utf-8')
        return str(path)
    return write


def profile(model='resnet18', device='a board', segments=2):
    """Return a profile as it was measured on a device."""
    return ProfileTable(model, '', 'tensorrt', device, 'default', {}, tuple(
        ProfileRow(segment, 1, 5.0, 6.0, 7.0, 0.5, 0.5) for segment in range(segments)))


@pytest.mark.parametrize(('before', 'after', 'expected'), MISTAKES)
def test_mistakes_are_told_in_one_sentence_with_file_line_and_key(write, before, after, expected):
    path = write(DOCUMENT.replace(before, after, 1))
    with pytest.raises(WorkloadError) as caught:
        load_scenario(path)
    sentence = str(caught.value)
    assert sentence.startswith(f'{path}: ')
    assert expected in sentence
    assert '\n' not in sentence


def test_a_document_says_what_comes_out(write):
    what_if = load_scenario(write(DOCUMENT))
    assert what_if.name == 'work'
    assert what_if.scenario == Scenario(
        (Stream('front', 'resnet18', 30.0, 33.0), Stream('rear', 'mobilenet_v2', 10.0, 100.0)),
        'tx2', segments=2)
    assert list(what_if.combinations) == [
        (('cameras', 1), ('mode', 'none')), (('cameras', 1), ('mode', 'min_energy')),
        (('cameras', 2), ('mode', 'none')), (('cameras', 2), ('mode', 'min_energy'))]
    json.dumps(dataclasses.asdict(what_if))


streams = st.builds(
    Stream, st.just('net'), st.sampled_from(sorted(SHAPES)), st.floats(0.01, 1000.0),
    st.floats(0.1, 6e4), st.integers(1, 64), st.integers(-100, 100), st.floats(0.0, 1.0),
    st.sampled_from(PHASES), st.floats(0.0, 6e4))
scenarios = st.builds(
    Scenario, st.lists(streams, min_size=1, max_size=3).map(lambda found: tuple(
        dataclasses.replace(each, name=f'net_{number}') for number, each in enumerate(found))),
    st.sampled_from(['tx2', 'agx_xavier']), st.sampled_from(['fp32', 'fp16']),
    st.sampled_from([*(Policy(name) for name in sorted(KNOWN)),
                     Policy('packing', (('share', 'tb_ratio'), ('threshold', 0.5))),
                     Policy('daris', (('streams', 3),))]),
    st.sampled_from(['none', 'balanced', 'POET']), st.just(''), st.booleans(), st.booleans(),
    st.integers(1, 64), st.integers(1, 64), st.floats(0.1, 3600.0), st.floats(0.0, 1.0))


@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scenario=scenarios)
def test_what_is_written_is_what_is_read(write, scenario):
    tree = {key: value for key, value in dataclasses.asdict(scenario).items() if value != ''}
    tree['instances'] = [dataclasses.asdict(each) for each in scenario.instances]
    tree['scheduler'] = {'policy': scenario.scheduler.name, **dict(scenario.scheduler.options)}
    assert load_scenario(write(tree)).scenario == scenario


def places(tree, place=()):
    """Give every place in a tree, as keys and indices."""
    yield place
    if isinstance(tree, (dict, list)):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield from places(tree[key], (*place, key))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(['tx2', 'resnet18', 'none', 'edf', 'MAXN', 'random', 1, 2, 0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(max_size=8) | st.sampled_from(['cameras', 'front.rate_hz', 'policy', 'mode']),
        inner, max_size=3), max_leaves=6)


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_file_holds_is_a_scenario_or_is_refused_in_one_sentence(write, data):
    tree = yaml.safe_load(DOCUMENT)
    *keys, last = data.draw(st.sampled_from([place for place in places(tree) if place]))
    branch = tree
    for key in keys:
        branch = branch[key]
    branch[last] = data.draw(anything)
    path = write(copy.deepcopy(tree))
    try:
        what_if = load_scenario(path)
    except WorkloadError as error:
        assert str(error).startswith(f'{path}: ')
        assert '\n' not in str(error)
    else:
        for choices in itertools.islice(what_if.combinations, 8):
            assert networks_of(what_if.scenario.changed(choices))


def test_an_onnx_file_is_a_network_and_changes_what_files_say(write, tmp_path):
    tree = yaml.safe_load(DOCUMENT)
    tree['instances'][0]['model'] = 'net.onnx'
    digests, work = set(), []
    for channels in (8, 16):
        onnx.save(convolution(channels), str(tmp_path / 'net.onnx'))
        layers_named.cache_clear()
        what_if = load_scenario(write(tree))
        work.append(sum(layer.flops for layer in layers_named(str(tmp_path / 'net.onnx'))))
        (path, digest), = what_if.files
        assert path == str(tmp_path / 'net.onnx')
        digests.add(digest)
    assert len(digests) == 2
    assert work[1] == 2 * work[0] > 0


def convolution(channels):
    """Return a network of one convolution."""
    weight = numpy_helper.from_array(np.zeros((channels, 3, 3, 3), np.float32), 'weight')
    return helper.make_model(helper.make_graph(
        [helper.make_node('Conv', ['images', 'weight'], ['out'], pads=[1] * 4)], 'net',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info('out', TensorProto.FLOAT, [1, channels, 32, 32])],
        [weight]), opset_imports=[helper.make_opsetid('', 13)])


def test_profiles_alone_are_of_the_device_that_they_were_measured_on(write, tmp_path):
    tree = yaml.safe_load(DOCUMENT)
    del tree['board'], tree['sweep']['mode']
    for number, instance in enumerate(tree['instances']):
        profile().save(tmp_path / f'{number}.json')
        instance['model'] = f'{number}.json'
    scenario = load_scenario(write(tree)).scenario
    assert [each.profile for each in networks_of(scenario).values()] == [profile()] * 2
    profile(device='another').save(tmp_path / '1.json')
    with pytest.raises(WorkloadError, match='profiles of one device'):
        load_scenario(write(tree))


def test_a_profile_on_a_board_has_its_times_and_the_layers_of_its_network(write, tmp_path):
    tree = yaml.safe_load(DOCUMENT)
    tree['instances'][0]['model'] = 'mine.json'
    profile().save(tmp_path / 'mine.json')
    scenario = load_scenario(write(tree)).scenario
    found = networks_of(scenario)[str(tmp_path / 'mine.json')]
    assert found.profile == profile()
    assert sum(map(len, found.segments)) == len(layers_named('resnet18'))
    profile('nobody_knows').save(tmp_path / 'other.json')
    tree['instances'][0]['model'] = 'other.json'
    with pytest.raises(WorkloadError, match='layers nobody knows'):
        load_scenario(write(tree))


def test_times_of_a_network_are_those_of_the_roofline(write):
    scenario = load_scenario(write(DOCUMENT)).scenario
    found = networks_of(scenario)['resnet18']
    assert found.profile == Roofline(load_board('tx2')).profile(
        'resnet18', found.segments, (1, 2, 4, 8))


@pytest.mark.parametrize('path', sorted(scenario_directory().glob('*.yaml')),
                         ids=lambda path: path.stem)
def test_the_shipped_files_are_accepted(path):
    what_if = load_scenario(str(path))
    assert 4 <= len(list(what_if.combinations)) <= 100


def test_there_are_shipped_files():
    assert {path.stem for path in scenario_directory().glob('*.yaml')} >= {'robot_mix',
                                                                            'six_cameras'}
