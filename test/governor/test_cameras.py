"""Which parameters change when a camera is added or removed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.governor.cameras import addition, removal
from s3dnn_ros.settings import CameraSettings, GovernorSettings
from s3dnn_ros.settings.parameters import read, values_of

CAMERAS = st.sampled_from(('front', 'rear', 'left', 'right'))


def changed(settings, changes):
    return read(GovernorSettings, {**values_of(settings), **changes})


def refusal(function, *arguments, **options):
    with pytest.raises(ParameterError) as caught:
        function(*arguments, **options)
    return str(caught.value)


@given(st.sets(CAMERAS), st.booleans(), st.booleans())
def test_what_is_added_and_removed_leaves_all_as_it_was(
        governor_settings, others, grouped, named):
    others = ['front', *sorted(others - {'front', 'right'})]
    settings = governor_settings(
        others, ('all', 'some'), group_names=['pair'], groups__pair__cameras=['front'],
        instances__some__cameras=['front'])
    camera = CameraSettings('/right', 'compressed', 'reliable', 7, 12.0, 2.0, (0.0, 9.0))
    larger = changed(settings, addition(settings, 'right', camera, 'pair' if grouped else '',
                                        ['some'] if named else []))
    assert larger.cameras == {**settings.cameras, 'right': camera}
    assert larger.groups['pair'].cameras == ('front', *(['right'] if grouped else []))
    assert ('right' in larger.cameras_of('some')) == named
    assert 'right' in larger.cameras_of('all')
    assert changed(larger, removal(larger, 'right')) == settings


def test_what_cannot_be_added_is_refused(governor_settings):
    settings = governor_settings(('front',), ('net',), instances__net__cameras=['front'])
    camera = CameraSettings()
    assert "'front' is there already" in refusal(addition, settings, 'front', camera)
    assert "'x' is not among them" in refusal(addition, settings, 'rear', camera, group='x')
    assert "'x' is not among them" in refusal(addition, settings, 'rear', camera, instances=['x'])
    assert 'name those' in refusal(addition, settings, 'rear', camera)
    changes = addition(settings, 'a b', camera, instances=['net'])
    assert 'letters, digits' in refusal(changed, settings, changes)
    changes = addition(settings, 'rear', CameraSettings(qos='best'), instances=['net'])
    assert 'cameras.rear.qos' in refusal(changed, settings, changes)


def test_what_cannot_be_removed_is_refused(governor_settings):
    settings = governor_settings(('front', 'rear'), ('net',), instances__net__cameras=['front'])
    assert "'side' is not among them" in refusal(removal, settings, 'side')
    assert 'would watch all cameras' in refusal(removal, settings, 'front')
    assert list(changed(settings, removal(settings, 'rear')).cameras) == ['front']
