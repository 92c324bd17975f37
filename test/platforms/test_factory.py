"""Platforms are made by name."""

import pytest

from s3dnn_ros import platforms
from s3dnn_ros.platforms import JetsonPlatform, NullPlatform


def test_by_name(make_board):
    root = make_board('tx2')
    for name in ('jetson', 'auto'):
        with platforms.make_platform(name, root=root, knobs=('gpu',)) as platform:
            assert isinstance(platform, JetsonPlatform)
            assert len(platform.configurations) == 7
    assert isinstance(platforms.make_platform('null'), NullPlatform)


def test_auto_without_a_jetson(tmp_path):
    platform = platforms.make_platform('auto', root=tmp_path, knobs=('gpu',))
    assert isinstance(platform, NullPlatform)


def test_an_unknown_name():
    with pytest.raises(ValueError, match="'pi' is unknown; known are jetson, null, sm_"):
        platforms.make_platform('pi')


@pytest.mark.parametrize('name, known', [('jetson', 'root, knobs'), ('auto', 'root, knobs'),
                                         ('null', 'root')])
def test_an_unknown_option(name, known):
    with pytest.raises(ValueError, match=f"'{name}' has no option 'speed'; known are {known}"):
        platforms.make_platform(name, speed=3)


def test_the_board_that_stays_as_it_is(tmp_path, kit):
    kit.write(tmp_path, 'etc/machine-id', '0123\n')
    with NullPlatform(tmp_path) as platform:
        assert platform.board.startswith('0123/')
        assert len(platform.configurations) == 1
        assert platform.apply(platform.current) == 0.0
        with pytest.raises(IndexError):
            platform.apply(1)
        assert platform.power_mw() is None
        assert platform.rails_mw() == {}
        platform.restore()
    assert NullPlatform(tmp_path / 'nowhere').board     # the host's name, if nothing else


@pytest.mark.parametrize('name', ['jetson', 'null'])
def test_all_have_what_the_protocol_asks_for(name, make_board):
    asked = [*platforms.Platform.__annotations__,
             *(name for name in vars(platforms.Platform) if not name.startswith('_'))]
    platform = platforms.make_platform(name, root=make_board('tx2'))
    for attribute in asked:
        assert hasattr(platform, attribute)
    platform.close()
