"""The streams of jobs that wait: made at once, lent, and never more lanes than streams."""

import itertools

import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.cuda import OutOfMemory
from s3dnn_ros.engines.gates.streams import GateStreams


@pytest.fixture
def streams(monkeypatch):
    """Return five streams, and one that is quiet; a stream is its number."""
    monkeypatch.setattr('s3dnn_ros.engines.gates.streams.most_waiting', lambda: 6)
    return GateStreams(itertools.count().__next__, VirtualClock())


def test_streams_are_made_at_once_and_lent(streams):
    assert streams.quiet == 5
    lent = [streams.borrow() for _ in range(5)]
    assert sorted(lent) == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match='no stream is left'):
        streams.borrow()
    streams.give_back(lent[1])
    assert streams.borrow() == lent[1]


def test_there_are_no_more_lanes_than_streams_and_one_that_failed_does_not_count(streams):
    def full():
        raise OutOfMemory('no room')

    with pytest.raises(OutOfMemory):
        streams.lane(full)
    lanes = [streams.lane(set) for _ in range(6)]
    assert lanes == [set()] * 5 + [None]
    del lanes[0]
    assert streams.lane(set) == set()


def test_with_too_few_connections_no_lane_waits(monkeypatch):
    monkeypatch.setattr('s3dnn_ros.engines.gates.streams.most_waiting', lambda: 0)
    assert GateStreams(itertools.count().__next__, VirtualClock()).lane(set) is None
