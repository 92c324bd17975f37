"""Platforms are made by name."""

import sys

import pytest

from s3dnn_ros import platforms
from s3dnn_ros.platforms import JetsonPlatform, NullPlatform
from s3dnn_ros.platforms.power import PowerSampler


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


def test_a_board_with_sensors_tells_its_energy_by_them(make_board, said):
    meter = platforms.find_meter('GPU-any', make_board('tx2'))
    assert isinstance(meter, PowerSampler)
    assert meter.power_mw() == 2210
    assert meter.energy_mj() >= 0.0
    meter.close()
    assert not said


def test_who_shares_a_discrete_gpu_shares_a_board(make_board, tmp_path):
    here = platforms.board_here(root=tmp_path)
    assert platforms.board_here('GPU-1', tmp_path) == f'{here}/GPU-1'
    # a Jetson's clocks are those of all that it runs
    root = make_board('agx')
    assert platforms.board_here('GPU-1', root) == platforms.board_here(root=root)


def test_where_nothing_tells_the_energy_nothing_is_said(tmp_path, said):
    assert platforms.find_meter(None, tmp_path) is None
    assert not said


def test_why_a_gpu_does_not_tell_its_energy(tmp_path, monkeypatch, said):
    monkeypatch.setitem(sys.modules, 'pynvml', None)
    assert platforms.find_meter(0, tmp_path) is None
    (sentence,) = said
    assert 'pip install nvidia-ml-py' in sentence


def test_sensors_that_cannot_be_read_are_told(make_board, monkeypatch, said):
    root = make_board('agx')
    (root / 'sys/class/hwmon/hwmon3/name').unlink()
    (root / 'sys/class/hwmon/hwmon3/name').mkdir()
    assert platforms.find_meter(None, root) is None
    (sentence,) = said
    assert 'hwmon3/name' in sentence


@pytest.mark.parametrize('name', ['jetson', 'null'])
def test_all_have_what_the_protocol_asks_for(name, make_board):
    asked = [*platforms.Platform.__annotations__,
             *(name for name in vars(platforms.Platform) if not name.startswith('_'))]
    platform = platforms.make_platform(name, root=make_board('tx2'))
    for attribute in asked:
        assert hasattr(platform, attribute)
    platform.close()
