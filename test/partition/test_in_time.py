"""A batch is split where one unit would be late, and where that ends it sooner."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.partition import PerformanceTable, Row, partition_batch
from s3dnn_ros.partition.in_time import PAYS, SAFE, split_in_time

times = st.floats(0.1, 100.0)


@st.composite
def tables(draw):
    units = draw(st.lists(st.sampled_from('abcd'), min_size=1, unique=True))
    return PerformanceTable([Row(unit, batch, draw(times), 0.0)
                             for unit in units for batch in (1, 8, 32)])


@given(table=tables(), batch=st.integers(1, 40), left_ms=st.floats(-10.0, 5e3))
def test_a_split_is_made_only_where_it_is_wanted_and_pays(table, batch, left_ms):
    split = split_in_time(table, batch, None, left_ms)
    alone_ms = min(table.time_ms(unit, batch) for unit in table.units)
    assert sum(split.assignment.values()) == batch
    assert split.makespan_ms == pytest.approx(max(
        table.time_ms(unit, count) for unit, count in split.assignment.items() if count))
    if sum(count > 0 for count in split.assignment.values()) > 1:
        assert alone_ms > SAFE * left_ms and split.makespan_ms <= PAYS * alone_ms
    elif alone_ms > SAFE * left_ms:
        assert partition_batch(table, batch, method='optimal').makespan_ms > PAYS * alone_ms
    assert split_in_time(table, batch, None, math.inf).makespan_ms == alone_ms


def test_only_the_units_that_are_given_get_anything():
    table = PerformanceTable([Row(unit, 1, 1.0, 0.0) for unit in 'abc'])
    assert split_in_time(table, 8, ['b', 'c'], 0.0).assignment == {'b': 4, 'c': 4}
