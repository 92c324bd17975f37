"""Look-ups answer as a search through all rows would, in a time that rows do not prolong."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import SpeedupAccuracyTable, SpeedupPowerTable

# few values, so that there are ties
levels = st.integers(1, 30).map(lambda level: level / 10)
rows = st.lists(st.tuples(levels, levels), min_size=1, max_size=40)
wishes = st.one_of(st.floats(0.0, 5.0), levels, st.just(math.inf))


def search(speedup, cost, wish):
    """Return the best row by looking at all."""
    enough = [row for row, found in enumerate(speedup) if found >= wish]
    if not enough:
        return min(range(len(speedup)), key=lambda row: (-speedup[row], cost[row], row))
    return min(enough, key=lambda row: (cost[row], -speedup[row], row))


@given(rows, wishes)
def test_the_configuration_of_least_power_that_is_fast_enough(rows, wish):
    speedup, powerup = zip(*rows)
    assert SpeedupPowerTable(speedup, powerup).lookup(wish) == search(speedup, powerup, wish)


@given(rows, wishes)
def test_the_variant_of_the_highest_score_that_is_fast_enough(rows, wish):
    speedup, score = zip(*rows)
    table = SpeedupAccuracyTable(speedup, score)
    cost = [-points for points in score]
    assert table.lookup(wish) == search(speedup, cost, wish)
    assert table.exact == search(speedup, cost, 0.0)
    assert score[table.exact] == max(score)


@pytest.mark.parametrize('count', [1, 2, 11760])
def test_among_many_rows_every_speedup_finds_its_own(count):
    chance = random.Random(count)
    speedup = [1.0 + chance.random()**3 for _ in range(count)]
    powerup = [value**2 for value in speedup]
    table = SpeedupPowerTable(speedup, powerup)
    for row in chance.sample(range(count), min(count, 500)):
        # just this one, whatever rounding the index has
        assert table.lookup(speedup[row]) == row
        assert speedup[table.lookup(speedup[row] * (1.0 + 1e-12))] >= speedup[row]


@pytest.mark.parametrize('speedup, other, said', [
    ([], [], 'empty'), ([1.0], [], 'empty'), ([1.0, 2.0], [1.0], '2 rows.*1'),
    ([0.0], [1.0], r'speedup\[0\]'), ([1.0, math.nan], [1.0, 1.0], r'speedup\[1\]'),
    ([1.0], [math.inf], r'\[0\]')])
def test_what_is_no_table_is_refused(speedup, other, said):
    for table in (SpeedupPowerTable, SpeedupAccuracyTable):
        with pytest.raises(ValueError, match=said):
            table(speedup, other)


def test_power_is_positive_and_a_score_is_any_number():
    with pytest.raises(ValueError, match='expected a finite number above 0'):
        SpeedupPowerTable([1.0], [-1.0])
    assert SpeedupAccuracyTable([1.0], [-1.0]).exact == 0
