"""The order in which the torch engine tells what has ended, on fake events."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.runtime.clock import VirtualClock

pytest.importorskip('torch', reason='PyTorch is not here')

from s3dnn_ros.engines.torch_engine import TorchEngine


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
    engine = TorchEngine.__new__(TorchEngine)       # without a device
    engine.clock, engine._pending = VirtualClock(), []
    events, told = FakeEvents(paces), []
    for number in range(len(paces)):
        engine.watch(FakeEvent(events, number), lambda run, number=number: told.append(number))
    for _ in range(sum(paces) + len(paces)):
        engine.poll()
    assert told == list(range(len(paces)))
