"""What units take while they run is learned, within bounds, and forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import TableError
from s3dnn_ros.partition import PerformanceTable, Row, partition_batch
from s3dnn_ros.partition.learned import HALF_LIFE_S, LEAST, MOST, CorrectedTable, LearnedTimes

TABLE = PerformanceTable([Row(unit, batch, 1.0, 0.0) for unit in 'ab' for batch in (1, 64)])


@given(ratios=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=80),
       later_s=st.floats(0.0, 1e6))
def test_a_factor_stays_in_its_bounds_and_is_forgotten(ratios, later_s):
    learned = LearnedTimes(TABLE)
    for ratio in ratios:
        learned.observe('a', 4, 4.0 * ratio, 0.0)
        assert LEAST <= learned.factor('a', 0.0) <= MOST
    before = abs(learned.factor('a', 0.0) - 1.0)
    after = abs(learned.factor('a', later_s) - 1.0)
    assert after == pytest.approx(before * 0.5 ** (later_s / HALF_LIFE_S))
    assert learned.factor('b', later_s) == 1.0


@given(ratio=st.floats(LEAST, MOST))
def test_what_a_unit_takes_again_and_again_is_believed(ratio):
    learned = LearnedTimes(TABLE)
    for _ in range(60):
        learned.observe('a', 8, 8.0 * ratio, 0.0)
    assert learned.factor('a', 0.0) == pytest.approx(ratio, rel=1e-3)
    assert learned.at(0.0).times_ms('a', [8])[0] == pytest.approx(8.0 * ratio, rel=1e-3)


@given(factors=st.tuples(*2 * [st.floats(LEAST, MOST)]))
def test_rounded_factors_are_near_and_few(factors):
    exact = CorrectedTable(TABLE, factors)
    rounded = exact.rounded()
    assert rounded.factors == pytest.approx(factors, rel=0.026)
    assert rounded.rounded() == rounded and hash(rounded.rounded()) == hash(rounded)


def test_one_run_that_stalls_changes_little():
    learned = LearnedTimes(TABLE)
    learned.observe('a', 1, 1e6, 0.0)
    assert learned.factor('a', 0.0) == pytest.approx(1.2)


def test_a_busy_unit_gets_less_until_it_is_quick_again():
    learned = LearnedTimes(TABLE)
    shares = []
    for slowness in [3.0] * 60 + [1.0] * 60:
        shares.append(partition_batch(learned.at(0.0), 32, method='optimal').assignment['a'])
        learned.observe('a', 8, 8.0 * slowness, 0.0)
    assert (shares[0], shares[59], shares[-1]) == (16, 8, 16)


def test_a_unit_that_gets_nothing_is_tried_again():
    learned = LearnedTimes(TABLE)
    for _ in range(60):
        learned.observe('a', 1, MOST, 0.0)
    assignment = [partition_batch(learned.at(now_s), 4, method='optimal').assignment['a']
                  for now_s in (0.0, 4 * HALF_LIFE_S)]
    assert assignment[0] == 0 < assignment[1]


def test_a_unit_that_the_table_does_not_have_teaches_nothing():
    with pytest.raises(TableError, match="has no unit 'c'"):
        LearnedTimes(TABLE).observe('c', 1, 1.0, 0.0)
