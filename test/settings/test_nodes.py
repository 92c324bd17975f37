"""The nodes' parameters: defaults, combinations, and suggestions for unknown names."""

import pytest

from s3dnn_ros.engines.base import ENGINES, UNITS
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.scheduling import POLICIES
from s3dnn_ros.settings import (
    NODES,
    CameraSettings,
    ExecutorSettings,
    GovernorSettings,
    ReplaySettings,
    instances_of_others,
    kinds_with,
    nearest_name,
    unknown_names,
)
from s3dnn_ros.settings.parameters import declarations, differences, name_lists, read

CAMERAS = {'camera_names': ['front', 'rear']}


def everything(kind):
    """Return every declaration of a node, with one name in each list."""
    names = {item.name: ('one',) for item in name_lists(kind)}
    return list(declarations(kind, names))


def governor(**values):
    flat = dict(CAMERAS, **{'instance_names': ['net'], 'instances.net.model': 'tiny'})
    flat.update({name.replace('__', '.'): value for name, value in values.items()})
    return read(GovernorSettings, flat)


def refusal(**values):
    with pytest.raises(ParameterError) as caught:
        governor(**values)
    return str(caught.value)


@pytest.mark.parametrize('kind', NODES.values(), ids=NODES)
def test_every_default_passes_its_own_check(kind):
    for declaration in everything(kind):
        assert declaration.convert(declaration.default) == declaration.default


@pytest.mark.parametrize('kind', NODES.values(), ids=NODES)
def test_every_number_has_a_range_and_every_parameter_a_description(kind):
    for declaration in everything(kind):
        assert declaration.description.endswith('.')
        if declaration.type in (int, float):
            assert declaration.low <= declaration.default <= declaration.high


@pytest.mark.parametrize('kind', NODES.values(), ids=NODES)
def test_every_value_outside_its_range_is_refused_with_the_range(kind):
    for declaration in everything(kind):
        if declaration.low is None:
            continue
        for value in (declaration.low - 1, declaration.high + 1):
            with pytest.raises(ParameterError) as caught:
                declaration.convert(value)
            for part in (declaration.name, value, declaration.low, declaration.high):
                assert str(part) in str(caught.value)


@pytest.mark.parametrize('kind', NODES.values(), ids=NODES)
def test_a_node_without_parameters_can_be_read(kind):
    assert read(kind, {}) == kind()


def test_choices_are_what_the_factories_know():
    assert set(_choices(ExecutorSettings, 'scheduler')) == set(POLICIES) - {'overlapping', 'gated'}
    assert set(_choices(ExecutorSettings, 'engine')) == {'auto', *ENGINES, UNITS}


@pytest.mark.parametrize('transport, topic', [
    ('raw', 'front/image_raw'), ('compressed', 'front/image_raw/compressed')])
def test_a_camera_without_a_topic_is_found_where_drivers_publish(transport, topic):
    assert CameraSettings(transport=transport).topic_of('front') == topic
    assert CameraSettings('/mine', transport).topic_of('front') == '/mine'


def test_an_instance_without_cameras_watches_all():
    assert governor().cameras_of('net') == ('front', 'rear')
    assert governor(instances__net__cameras=['rear']).cameras_of('net') == ('rear',)


@pytest.mark.parametrize('place', ['instances.net.cameras', 'groups.pair.cameras'])
def test_an_unknown_camera_is_refused_with_the_known_ones(place):
    text = refusal(group_names=['pair'], **{place: ['front', 'left']})
    assert place in text
    assert "'left' is not in camera_names (front, rear)" in text


def test_without_cameras_the_refusal_says_so():
    assert 'which is empty' in refusal(camera_names=[], instances__net__cameras=['left'])


@pytest.mark.parametrize('second', ['pair', 'other'])
def test_a_camera_in_two_groups_is_refused(second):
    cameras = {'groups.pair.cameras': ['front', 'rear'], 'groups.other.cameras': ['rear']}
    if second == 'pair':
        cameras = {'groups.pair.cameras': ['rear', 'rear']}
    text = refusal(group_names=['pair', 'other'], **cameras)
    assert "camera 'rear' is in group 'pair' already" in text


@pytest.mark.parametrize('kind', [GovernorSettings, ExecutorSettings])
def test_an_instance_without_a_model_is_refused(kind):
    with pytest.raises(ParameterError, match=r"'instances\.net\.model' is ''; name a model"):
        read(kind, {'instance_names': ['net']})


@pytest.mark.parametrize('deadline_ms, refused', [(50.0, True), (49.0, True), (51.0, False),
                                                  (0.0, False)])
def test_a_group_that_waits_as_long_as_the_deadline_is_refused(deadline_ms, refused):
    values = {'group_names': ['pair'], 'groups.pair.cameras': ['front'],
              'groups.pair.max_wait_ms': 50.0, 'instances.net.deadline_ms': deadline_ms}
    if refused:
        text = refusal(**values)
        assert 'groups.pair.max_wait_ms' in text
        assert str(deadline_ms) in text
    else:
        governor(**values)


def test_the_wait_of_a_group_does_not_concern_instances_that_do_not_watch_it():
    governor(group_names=['pair'], groups__pair__cameras=['front'],
             groups__pair__max_wait_ms=50.0, instances__net__cameras=['rear'],
             instances__net__deadline_ms=10.0)


@pytest.mark.parametrize('encoding, transport, refused', [
    ('bgr8', 'raw', False), ('jpeg', 'compressed', False), ('png', 'compressed', False),
    ('jpeg', 'raw', True), ('bgr8', 'compressed', True)])
def test_a_source_encodes_as_its_transport_needs(encoding, transport, refused):
    values = {'camera_names': ['front'], 'sources.front.file': 'street.mp4',
              'sources.front.encoding': encoding, 'cameras.front.transport': transport}
    if refused:
        with pytest.raises(ParameterError, match=r'cameras\.front\.transport'):
            read(ReplaySettings, values)
    else:
        read(ReplaySettings, values)


def test_a_source_without_a_file_is_refused():
    with pytest.raises(ParameterError, match=r'sources\.front\.file'):
        read(ReplaySettings, {'camera_names': ['front']})


def test_live_parameters_are_told_from_the_others():
    changed = differences(governor(), governor(
        instances__net__deadline_ms=20.0, cameras__front__max_rate_hz=5.0, ring_slots=4,
        transport='inline'))
    assert changed == {'cameras.front.max_rate_hz': True, 'instances.net.deadline_ms': True,
                       'ring_slots': False, 'transport': False}


@pytest.mark.parametrize('given, meant', [
    ('camera_name', 'camera_names'), ('late_polcy', 'late_policy'),
    ('cameras.front.topik', 'cameras.front.topic'),
    ('instances.net.deadline', 'instances.net.deadline_ms'),
    ('cameras.frnt.topic', 'cameras.front.topic')])
def test_an_unknown_name_is_answered_with_the_nearest(given, meant):
    values = dict(CAMERAS, **{'instance_names': ['net'], given: 1})
    assert unknown_names(values) == {given: meant}


def test_instances_of_other_nodes_are_told_and_not_unknown():
    values = {'instance_names': ['net'], 'instances.net.model': 'tiny',
              'instances.far.model': 'tiny', 'instances.far.deadline': 3}
    assert instances_of_others(values) == ('far',)
    assert unknown_names(values) == {'instances.far.deadline': 'instances.far.deadline_ms'}
    # without a list, nobody knows whose they are
    del values['instance_names']
    assert instances_of_others(values) == ()
    assert set(unknown_names(values)) == set(values)


def test_names_of_every_node_and_of_ros_itself_are_known():
    values = dict(CAMERAS, instance_names=['net'], group_names=['pair'], use_sim_time=True)
    for kind in NODES.values():
        lists = {item.name: values.get(item.name, ()) for item in name_lists(kind)}
        values.update({item.name: item.default for item in declarations(kind, lists)
                       if item.name not in values})
    values['qos_overrides./front/image_raw.subscription.depth'] = 3
    assert unknown_names(values) == {}


@pytest.mark.parametrize('value', [3, None, True, 'front', 1.5, b''])
def test_a_list_of_names_of_another_type_is_left_to_read(value):
    assert unknown_names({'camera_names': value}) == {}


@pytest.mark.parametrize('node', NODES)
def test_every_parameter_is_found_in_its_node(node):
    lists = list(name_lists(NODES[node]))
    for declaration in [*lists, *everything(NODES[node])]:
        assert node in kinds_with(declaration.name)


@pytest.mark.parametrize('name, nodes', [
    ('instances.any.deadline_ms', ('governor',)), ('instances.any.priority', ('executor',)),
    ('cameras.any.topic', ('governor', 'executor', 'replay')), ('late_policy', ('executor',)),
    ('table', ('monitor',)), ('instances.deadline_ms', ()), ('instances.a.b.deadline_ms', ()),
    ('tables', ()), ('', ()), ('.', ()), ('use_sim_time', ())])
def test_the_nodes_that_have_a_parameter(name, nodes):
    assert kinds_with(name) == nodes


@pytest.mark.parametrize('name, nearest', [
    ('instances.nett.priority', 'instances.net.priority'), ('use_sim_tim', 'use_sim_time'),
    ('instances.net.deadline', 'instances.net.deadline_ms'), ('qos_overide', 'qos_override')])
def test_the_nearest_name_may_be_of_any_node(name, nearest):
    values = {'instance_names': ['net'], 'camera_names': [], 'qos_override': 1}
    assert nearest_name(name, values) == nearest
    assert nearest_name('', values)


def _choices(kind, name):
    return next(item.choices for item in declarations(kind, {}) if item.name == name)


@pytest.mark.parametrize('value_range', [[5.0], [5.0, 5.0], [6.0, 5.0], [1.0, 2.0, 3.0]])
@pytest.mark.parametrize('kind', [GovernorSettings, ExecutorSettings])
def test_a_range_of_values_is_two_numbers_or_none(kind, value_range):
    values = {'camera_names': ['front'], 'cameras.front.value_range': value_range}
    with pytest.raises(ParameterError, match=r'cameras\.front\.value_range.*two numbers'):
        read(kind, values)
    known = read(kind, {**values, 'cameras.front.value_range': [0, 16383]})
    assert known.cameras['front'].value_range == (0.0, 16383.0)
