"""The table of units has the measured times, way there and back included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.errors import EngineError
from s3dnn_ros.partition import Row
from s3dnn_ros.units.measure import batches_to_measure, cost_s, measure, measured_rows
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


@pytest.mark.parametrize('repeats, least, most', [(4, 6, 6), (None, 7, 52)])
def test_a_batch_runs_as_often_as_is_wanted_or_as_time_allows(repeats, least, most):
    clock = VirtualClock()
    units = [Unit('a', FakeEngine)]
    network = SplitNetwork(units, lambda unit: FakeTimedNetwork(clock, 100), clock)
    row, = measured_rows(network, (2, 2, 3), [('a', 50)], clock, repeats)
    runs = clock.now_s() / 0.101
    assert least - 0.01 <= runs <= most + 0.01
    # the device's own times cost as much again, but for a fake
    assert cost_s(0.101, repeats) == pytest.approx(2.0 * clock.now_s())
    assert row == Row('a', 50, 2.01, 0.01)


def test_a_unit_that_cannot_run_a_batch_is_told_and_rows_before_it_are_kept():
    clock = VirtualClock()

    class Broken(FakeTimedNetwork):
        def run(self, pixels):
            if len(pixels) > 4:
                raise RuntimeError('out of memory')
            return super().run(pixels)

    network = SplitNetwork([Unit('a', FakeEngine)], lambda unit: Broken(clock, 100), clock)
    rows = measured_rows(network, (2, 2, 3), [('a', 4), ('a', 8)], clock)
    assert next(rows).batch == 4
    with pytest.raises(EngineError, match="'a': cannot run a batch of 8: out of memory; measure"):
        next(rows)


@pytest.mark.parametrize('slow_share, told', [(0.2, False), (0.5, True)])
def test_times_that_something_disturbed_are_told(slow_share, told, said):
    clock = VirtualClock()

    class Disturbed(FakeTimedNetwork):
        runs = 0

        def run(self, pixels):
            self.runs += 1
            if self.runs * slow_share % 1.0 < slow_share:
                self.clock.advance(1.0)
            return super().run(pixels)

    network = SplitNetwork([Unit('a', FakeEngine)], lambda unit: Disturbed(clock, 100), clock)
    list(measured_rows(network, (2, 2, 3), [('a', 8)], clock, 40))
    assert any('a, batch 8: the middle half of its runs spreads' in line for line in said) == told
