"""The table of units has the measured times, way there and back included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.units.measure import batches_to_measure, measure
from s3dnn_ros.units.split_network import SplitNetwork
from s3dnn_ros.units.unit import Unit


class FakeTimedNetwork:
    """Takes 1 ms and 2 ms for each image of its run, of which 0.5 ms are not the device's."""

    def __init__(self, clock, largest):
        self.clock = clock
        self.largest = largest

    def padded(self, frames):
        return frames

    def run(self, pixels):
        assert 0 < len(pixels) <= self.largest
        self.clock.advance(0.001 + 0.002 * len(pixels))
        return {}

    def measure(self, batch, repeats):
        assert 0 < batch <= self.largest
        return [[0.0005, 0.002 * batch]] * repeats


class FakeEngine:
    def close(self):
        """Do nothing."""


@given(largest=st.integers(1, 300))
def test_powers_of_two_and_their_neighbours_are_measured(largest):
    batches = batches_to_measure(largest)
    assert batches == sorted(set(batches)) and (batches[0], batches[-1]) == (1, largest)
    for batch in range(1, largest):
        near = any(batch + step == 1 << bit for step in (-1, 0, 1) for bit in range(10))
        assert (batch in batches) == near


@pytest.mark.parametrize('largest', [100, 4])
def test_rows_hold_what_the_device_takes_and_the_rest(largest):
    clock = VirtualClock()
    units = [Unit(name, FakeEngine) for name in 'ab']
    network = SplitNetwork(units, lambda unit: FakeTimedNetwork(clock, largest), clock)
    told = []
    table = measure(network, (2, 2, 3), [1, 8], clock, progress=told.append)
    assert table.units == ('a', 'b') and told == table.rows
    for row in table.rows:
        turns = -(-row.batch // largest)
        assert row.total_ms == pytest.approx(turns + 2.0 * row.batch)
        assert row.io_ms_per_image == pytest.approx(0.5 * turns / row.batch)
