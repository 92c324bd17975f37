"""What the paper published stands beside what a run gave."""

import pytest
from test_tables import Reader

from s3dnn_ros.report.paper import beside_ours
from s3dnn_ros.report.points import Point


def point(decider, missed=2.0, energy=10.0, mean=5.0):
    return Point('', decider, 'energy, J', [missed], [energy] * (energy is not None),
                 [mean] * (mean is not None), [])


def ours(*found):
    """Return the first and the last cell of every row."""
    cells = Reader(beside_ours(found)).cells[3:]
    return dict(zip(cells[::3], cells[2::3]))


def test_differences_are_to_the_mean_of_the_rivals_that_took_part():
    told = ours(point('balanced', 1.5, 6.0, 4.0), point('POET', 2.0, 10.0, 10.0),
                point('Max-N', 2.0, 30.0, 6.0), point('nobody', 2.0, 1e6, 1e6),
                point('min_energy', energy=3.0), point('max_accuracy', energy=9.0))
    assert list(told.values()) == ['1.50', '−70', '−50', '−50', '+50']
    assert 'energy of balanced against the mean of POET, Max-N' in told


def test_what_is_unknown_has_no_row():
    assert list(ours(point('balanced', energy=None, mean=None))) == [
        'missed deadlines of balanced']


@pytest.mark.parametrize('found', [[], [point('POET')]])
def test_without_neuos_there_is_no_table(found):
    assert beside_ours(found) == ''
