"""Splits add up, and none ends sooner than the optimal one."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import TableError
from s3dnn_ros.partition import METHODS, PerformanceTable, Row, partition_batch

STUDY = Path(__file__).parents[3] / 'shared' / 'reference' / 'kcc2020'
FASTEST = ['greedy', 'optimal']


@st.composite
def tables(draw, units=('a', 'b', 'c'), most=12):
    """Return tables in which any batch may take any time: more images even less than few."""
    return PerformanceTable(
        Row(unit, batch, draw(st.floats(0.1, 100.0)), draw(st.sampled_from([0.0, 0.5])),
            draw(st.floats(0.0, 50.0)))
        for unit in units[:draw(st.integers(1, len(units)))]
        for batch in draw(st.sets(st.integers(1, most), min_size=1, max_size=6)))


def every_split(units, batch):
    """Give the numbers of images of every split."""
    for counts in itertools.product(range(batch + 1), repeat=len(units) - 1):
        if sum(counts) <= batch:
            yield (*counts, batch - sum(counts))


def makespan_ms(table, units, counts):
    return max(table.time_ms(unit, count) for unit, count in zip(units, counts) if count)


def energy_j(table, units, counts):
    return sum(table.energies_j(unit, [count])[0] for unit, count in zip(units, counts))


@pytest.mark.parametrize('method', METHODS)
@given(table=tables(), batch=st.integers(1, 12))
def test_a_split_adds_up_and_says_what_it_takes(method, table, batch):
    split = partition_batch(table, batch, method=method)
    counts = tuple(split.assignment.values())
    assert tuple(split.assignment) == table.units
    assert sum(counts) == batch and min(counts) >= 0
    assert split.makespan_ms == pytest.approx(makespan_ms(table, table.units, counts))
    assert split.energy_j == pytest.approx(energy_j(table, table.units, counts))


@given(table=tables(), batch=st.integers(1, 12))
def test_none_ends_sooner_than_the_optimal_one(table, batch):
    best_ms = min(makespan_ms(table, table.units, counts)
                  for counts in every_split(table.units, batch))
    assert partition_batch(table, batch, method='optimal').makespan_ms == pytest.approx(best_ms)


@given(table=tables(), batch=st.integers(1, 12))
def test_the_greedy_one_is_no_later_than_any_unit_alone(table, batch):
    alone_ms = min(table.time_ms(unit, batch) for unit in table.units)
    assert partition_batch(table, batch, method='alone').makespan_ms == alone_ms
    assert partition_batch(table, batch).makespan_ms <= alone_ms * (1 + 1e-9)


@given(table=tables(), batch=st.integers(1, 30))
def test_equal_shares_differ_by_one_image_at_most(table, batch):
    counts = partition_batch(table, batch, method='equal').assignment.values()
    assert max(counts) - min(counts) <= 1


@given(table=tables(), batch=st.integers(1, 10), share=st.floats(1.0, 4.0))
def test_none_that_meets_the_deadline_takes_less_energy(table, batch, share):
    deadline_ms = share * partition_batch(table, batch, method='optimal').makespan_ms * (1 + 1e-9)
    split = partition_batch(table, batch, method='energy', deadline_ms=deadline_ms)
    assert split.makespan_ms <= deadline_ms
    assert split.energy_j == pytest.approx(min(
        energy_j(table, table.units, counts) for counts in every_split(table.units, batch)
        if makespan_ms(table, table.units, counts) <= deadline_ms))


@pytest.mark.parametrize('method', METHODS)
def test_there_may_be_more_units_than_images(method):
    table = PerformanceTable(Row(f'u{index}', 4, 1.0 + index, 0.0, 1.0) for index in range(8))
    assert partition_batch(table, 2, method=method).assignment['u0'] >= 1


@pytest.mark.parametrize('method', FASTEST)
def test_equal_units_get_equal_shares_of_many_images(method):
    table = PerformanceTable(Row(f'u{index}', batch, 2.0, 0.1)
                             for index in range(8) for batch in (1, 64, 1024))
    split = partition_batch(table, 1000, method=method)
    assert set(split.assignment.values()) == {125}


def test_only_the_units_that_are_named_get_images():
    table = PerformanceTable([Row('a', 1, 1.0, 0.0), Row('b', 1, 9.0, 0.0), Row('c', 1, 9.0, 0.0)])
    assert partition_batch(table, 8, ['c', 'b', 'c']).assignment == {'c': 4, 'b': 4}


def test_what_cannot_be_split_is_refused():
    table = PerformanceTable([Row('a', 1, 10.0, 0.0), Row('b', 1, 10.0, 0.0)])
    for batch in (0, -1, 1.5, True, 10**9):
        with pytest.raises(ValueError, match=r"'batch' is .*expected a whole number from 1"):
            partition_batch(table, batch)
    with pytest.raises(ValueError, match="'method' is 'best'; expected one of greedy"):
        partition_batch(table, 1, method='best')
    with pytest.raises(TableError, match="has no unit 'gone'; it has a, b"):
        partition_batch(table, 1, ['a', 'gone'])
    with pytest.raises(TableError, match='there is no unit'):
        partition_batch(table, 1, [])
    with pytest.raises(TableError, match="power of every unit for method 'energy'"):
        partition_batch(table, 1, method='energy')


def test_a_deadline_that_nobody_meets_is_told_with_what_can_be():
    table = PerformanceTable([Row('a', 1, 10.0, 0.0, 5.0), Row('b', 1, 10.0, 0.0, 5.0)])
    with pytest.raises(TableError, match='within 19 ms; the soonest ends after 20 ms'):
        partition_batch(table, 4, method='energy', deadline_ms=19.0)


@pytest.mark.parametrize('name', ['inception_v3', 'mobilenet', 'resnet-18', 'resnet-50',
                                  'squeezenet_v1.0', 'vgg-16'])
def test_on_the_studys_tables_greedy_is_nearly_optimal(name):
    if not STUDY.is_dir():
        pytest.skip("the study's tables are not here")
    table = PerformanceTable.from_csv(STUDY / f'{name}.csv')
    shares = [partition_batch(table, batch).makespan_ms
              / partition_batch(table, batch, method='optimal').makespan_ms
              for batch in range(1, 201)]
    assert min(shares) >= 1.0 - 1e-9 and max(shares) <= 1.03


def test_times_that_are_not_known_are_no_splits_energy():
    split = partition_batch(PerformanceTable([Row('a', 1, 1.0, 0.0)]), 3)
    assert math.isnan(split.energy_j) and np.isfinite(split.makespan_ms)
