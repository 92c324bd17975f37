"""Intervals of means."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.confidence import interval, told

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@given(VALUES, st.floats(-1e3, 1e3))
def test_what_is_added_to_all_values_moves_the_mean_alone(values, shift):
    before, after = interval(values), interval([value + shift for value in values])
    assert after.mean == pytest.approx(before.mean + shift, abs=1e-6)
    assert after.margin == pytest.approx(before.margin, abs=1e-6)


@pytest.mark.parametrize('count', [2, 5, 12, 60])
def test_nineteen_of_twenty_intervals_hold_the_true_mean(count):
    chance = random.Random(count)
    held = [abs(mean - 3.0) <= margin for mean, margin in (
        interval([chance.gauss(3.0, 2.0) for _ in range(count)]) for _ in range(2000))]
    assert statistics.fmean(held) == pytest.approx(0.95, abs=0.02)


def test_one_value_tells_no_margin():
    assert math.isnan(interval([4.0]).margin)
    assert told([4.0]) == '4.0'


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match='expected one'):
        interval([])
    assert told([]) == '–'


def test_a_mean_is_told_with_its_margin():
    assert told([1.0, 2.0, 3.0], 2) == '2.00 ± 2.48'
