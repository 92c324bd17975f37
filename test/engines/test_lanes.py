"""The order in which engines tell what has ended, on fake events; batches; what is lost."""

import types

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.lanes import (
    LaneEngine,
    LaneFlight,
    LaneNetwork,
    Launched,
    UngatedLane,
    batches_up_to,
)


class FakeEvents:
    """Events on one stream; the device ends the next one after so many queries."""

    def __init__(self, paces):
        self.passed = 0
        self._queries = 0
        self._paces = list(paces)

    def query(self, number):
        passed = number < self.passed
        self._queries += 1
        if self._paces and self._queries >= self._paces[0]:
            self._queries = 0
            self._paces.pop(0)
            self.passed += 1
        return passed


class FakeEvent:
    def __init__(self, events, number):
        self.query = lambda: events.query(number)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_what_was_submitted_first_is_told_first_whenever_it_ends(paces):
    engine = LaneEngine(VirtualClock(), np.empty)
    events, told = FakeEvents(paces), []
    for number in range(len(paces)):
        engine.watch(FakeEvent(events, number), lambda run, number=number: told.append(number))
    for _ in range(sum(paces) + len(paces)):
        engine.poll()
    assert told == list(range(len(paces)))


def failing(sentence):
    def query():
        raise RuntimeError(sentence)
    return types.SimpleNamespace(query=query)


def test_an_event_that_tells_an_error_ends_its_run_with_it():
    engine, told = LaneEngine(VirtualClock(), np.empty), []
    engine.watch(failing('an illegal memory access'), told.append)
    engine.poll()
    assert [run.error for run in told] == ['an illegal memory access']


def test_a_device_is_lost_when_an_event_that_has_passed_tells_an_error():
    engine = LaneEngine(VirtualClock(), np.empty)
    engine._probe = types.SimpleNamespace(query=lambda: True)
    assert engine.lost() == ''
    engine._probe = failing('an illegal memory access\nfor debugging …')
    assert engine.lost() == 'an illegal memory access'


class FakeLane(UngatedLane):
    """A lane that refuses the segments in `refuses`, and ends what it has on `end`."""

    def __init__(self, refuses=()):
        self.refuses = refuses
        self.launched, self.marks = [], []
        self.passed = False

    def take(self, level):
        self.level = level

    def fetch(self, batch, staged):
        self.launched.append('images')

    def launch(self, batch, segment, variant):
        if segment in self.refuses:
            raise RuntimeError('an invalid value')
        self.launched.append((segment, variant))

    def send(self, batch):
        self.launched.append('outputs')
        return {}

    def mark(self, segment):
        self.marks.append(segment)
        return types.SimpleNamespace(query=lambda: self.passed)


class FakeNetwork(LaneNetwork):
    segments = 3

    def __init__(self, lane):
        self.engine = LaneEngine(VirtualClock(), np.empty)
        self._free = [lane]


def test_segments_that_are_submitted_together_have_one_end():
    lane, told = FakeLane(), []
    network = FakeNetwork(lane)
    LaneFlight(network, [], 1, 1).submit(0, told.append, variant=1, last=2)
    assert lane.launched == ['images', (0, 1), (1, 0), (2, 0), 'outputs']
    assert lane.marks == [2]
    network.engine.poll()
    assert not told
    lane.passed = True
    network.engine.poll()
    assert [run.error for run in told] == ['']


@pytest.mark.parametrize('refused', [1, 2])
def test_where_a_later_segment_is_refused_the_end_of_those_before_it_tells_of_it(refused):
    lane, told = FakeLane([refused]), []
    network = FakeNetwork(lane)
    LaneFlight(network, [], 1, 1).submit(0, told.append, last=2)
    assert lane.marks == [refused - 1]
    network.engine.poll()
    assert not told, 'the lane could be given back while it runs'
    lane.passed = True
    network.engine.poll()
    assert [run.error for run in told] == ['an invalid value']


def test_the_end_of_what_ran_exact_although_it_was_not_to_tells_so():
    lane, told = FakeLane(), []
    lane.launch_all = lambda batch, first, variants: Launched(first, exact=any(variants))
    network = FakeNetwork(lane)
    flight = LaneFlight(network, [], 1, 1)
    for variant in range(2):
        flight.submit(variant, told.append, variant=variant)
    lane.passed = True
    network.engine.poll()
    assert [run.exact for run in told] == [False, True]


def test_where_the_first_segment_is_refused_nothing_is_told_later():
    lane, told = FakeLane([0]), []
    network = FakeNetwork(lane)
    with pytest.raises(RuntimeError, match='an invalid value'):
        LaneFlight(network, [], 1, 1).submit(0, told.append, last=2)
    lane.passed = True
    network.engine.poll()
    assert not told


@pytest.mark.parametrize('largest, batches', [
    (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8, 9])])
def test_batches_double(largest, batches):
    assert batches_up_to(largest) == batches
