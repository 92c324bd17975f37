"""Presets: other defaults, which never replace what is given."""

import pytest

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings import NODES, ExecutorSettings, GovernorSettings
from s3dnn_ros.settings.parameters import declarations, name_lists, read, values_of

WITH_PRESETS = [kind for kind in NODES.values() if hasattr(kind, 'PRESETS')]
ALL = [(kind, name) for kind in WITH_PRESETS for name in kind.PRESETS]
NET = {'instance_names': ['net'], 'instances.net.model': 'tiny'}


def defaults(kind, preset='none'):
    """Return the default of every parameter, with one name in each list."""
    names = {item.name: ('net',) for item in name_lists(kind)}
    return {item.name: item.default for item in declarations(kind, names, preset)}


@pytest.mark.parametrize(('kind', 'preset'), ALL)
def test_a_preset_changes_just_the_defaults_that_it_names(kind, preset):
    named = {name.replace('*', 'net'): value for name, value in kind.PRESETS[preset].items()}
    assert set(named) <= set(defaults(kind))
    assert defaults(kind, preset) == {**defaults(kind), **named}


@pytest.mark.parametrize(('kind', 'preset'), ALL)
def test_a_preset_makes_settings_that_can_be_used(kind, preset):
    settings = read(kind, {**NET, 'preset': preset})
    assert values_of(settings) == {**values_of(read(kind, NET)), 'preset': preset, **{
        name.replace('*', 'net'): value for name, value in kind.PRESETS[preset].items()}}
    assert read(kind, values_of(settings)) == settings


@pytest.mark.parametrize(('kind', 'preset'), ALL)
def test_what_is_given_stays(kind, preset):
    plain = values_of(read(kind, NET))
    assert values_of(read(kind, {**plain, 'preset': preset})) == {**plain, 'preset': preset}


@pytest.mark.parametrize('kind', WITH_PRESETS)
def test_both_nodes_know_the_same_presets(kind):
    assert list(kind.PRESETS) == ['latency', 'throughput', 'energy', 'accuracy']


@pytest.mark.parametrize('kind', WITH_PRESETS)
@pytest.mark.parametrize('value', ['fast', 1, ['latency'], None])
def test_an_unknown_preset_is_refused_with_those_there_are(kind, value):
    with pytest.raises(ParameterError, match=r'preset.*one of none, latency, throughput, energy'):
        read(kind, {**NET, 'preset': value})


def test_a_preset_gives_its_defaults_to_every_instance():
    settings = read(GovernorSettings, {
        'instance_names': ['a', 'b'], 'instances.a.model': 'tiny', 'instances.b.model': 'tiny',
        'instances.b.max_batch': 2, 'preset': 'throughput'})
    assert [one.max_batch for one in settings.instances.values()] == [8, 2]


def test_a_preset_that_does_not_go_with_what_is_given_is_refused():
    with pytest.raises(ParameterError, match="scheduler' is 'fifo'; a cohort decides"):
        read(ExecutorSettings, {**NET, 'preset': 'energy', 'scheduler': 'fifo'})
