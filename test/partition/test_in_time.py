"""A batch is split where one unit would be late, and where that ends it sooner."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.partition import PerformanceTable, Row, partition_batch
from s3dnn_ros.partition.in_time import PAYS, SAFE, Alternatives

times = st.floats(0.1, 100.0)


@st.composite
def tables(draw):
    units = draw(st.lists(st.sampled_from('abcd'), min_size=1, unique=True))
    return PerformanceTable([Row(unit, batch, draw(times), 0.0)
                             for unit in units for batch in (1, 8, 32)])


@given(table=tables(), batch=st.integers(1, 40),
       left_ms=st.one_of(st.floats(-10.0, 5e3), st.just(math.inf)))
def test_a_split_is_made_only_where_it_is_wanted_and_pays(table, batch, left_ms):
    split, unhurried = Alternatives.of(table, batch, table.units).within(left_ms)
    alone_ms = min(table.time_ms(unit, batch) for unit in table.units)
    least_ms = partition_batch(table, batch, method='optimal').makespan_ms
    assert sum(split.assignment.values()) == batch
    assert unhurried == (least_ms <= PAYS * alone_ms <= PAYS * SAFE * left_ms)
    wanted = least_ms <= PAYS * alone_ms and not unhurried
    assert split.makespan_ms == pytest.approx(least_ms if wanted else alone_ms)


def test_only_the_units_that_are_given_get_anything():
    table = PerformanceTable([Row(unit, 1, 1.0, 0.0) for unit in 'abc'])
    split, _ = Alternatives.of(table, 8, ['b', 'c']).within(0.0)
    assert split.assignment == {'b': 4, 'c': 4}
