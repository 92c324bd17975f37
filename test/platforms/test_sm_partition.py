"""Partitions of a GPU as configurations, with an engine that only notes what it is told."""

import types

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.sm_partition import SmPartitionPlatform


class FakePartitions:
    """Stands for an engine on a GPU that can be split."""

    device = 'a fake GPU'
    partitions = (8, 16, 132)

    def __init__(self):
        self.partition = 2

    def use(self, partition):
        if partition not in range(3):
            raise IndexError(partition)
        self.partition = partition


class FakeMeter:
    def power_mw(self):
        return 75_000.0


@pytest.fixture
def engine():
    return FakePartitions()


def test_an_engine_without_partitions_is_refused():
    with pytest.raises(PlatformError, match=r'engine tiny has no partitions.*torch'):
        SmPartitionPlatform(types.SimpleNamespace(name='tiny'))


def test_partitions_are_configurations_from_slow_to_fast(engine):
    platform = SmPartitionPlatform(engine)
    assert [one.name for one in platform.configurations] == ['8 SMs', '16 SMs', '132 SMs']
    assert [dict(one.values)['sms'] for one in platform.configurations] == [8, 16, 132]
    assert platform.current == 2 and platform.board.endswith('/a fake GPU')


def test_only_changes_are_transitions(engine):
    platform = SmPartitionPlatform(engine)
    for index in (2, 0, 0, 1):
        assert platform.apply(index) >= 0.0
        assert engine.partition == platform.current == index
    assert platform.transitions == 2
    with pytest.raises(IndexError):
        platform.apply(3)


def test_it_ends_as_it_began(engine):
    with SmPartitionPlatform(engine) as platform:
        platform.apply(0)
    assert engine.partition == 2
    with pytest.raises(ZeroDivisionError), SmPartitionPlatform(engine) as platform:
        platform.apply(1)
        raise ZeroDivisionError
    assert engine.partition == 2


def test_power_is_that_of_the_whole_gpu(engine):
    assert SmPartitionPlatform(engine).power_mw() is None
    assert SmPartitionPlatform(engine).rails_mw() == {}
    platform = SmPartitionPlatform(engine, FakeMeter())
    assert platform.power_mw() == 75_000.0 and platform.rails_mw() == {'GPU': 75_000.0}
