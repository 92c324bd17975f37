"""Tables of measured batches are read or refused, and estimate what was not measured."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import TableError
from s3dnn_ros.partition import PerformanceTable, Row

HEAD = 'unit,batch,execution_ms_per_image,io_ms_per_image'
MS = st.floats(0.01, 1e3)
KEYS = st.sampled_from(['model', 'model_sha256', 'unit torch:cuda:0,sms=8'])
VALUES = st.sampled_from(['net', 'ab' * 32, 'a CPU, torch 2.1; cuda: 12', '#', ': 1', 'größer'])


@st.composite
def tables(draw):
    """Return tables of one to three units, each with one to six batches."""
    return PerformanceTable(
        Row(unit, batch, draw(MS), draw(st.floats(0.0, 10.0)))
        for unit in draw(st.sets(st.sampled_from('abc'), min_size=1))
        for batch in draw(st.sets(st.integers(1, 200), min_size=1, max_size=6))
    ).with_about(draw(st.dictionaries(KEYS, VALUES, max_size=3)))


def read(tmp_path, *lines, name='table.csv'):
    (tmp_path / name).write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return PerformanceTable.from_csv(tmp_path / name)


@given(table=tables())
def test_what_was_measured_is_exact_and_includes_the_way(table):
    for row in table.rows:
        assert table.time_ms(row.unit, row.batch) == pytest.approx(
            (row.execution_ms_per_image + row.io_ms_per_image) * row.batch)


@given(table=tables(), batch=st.integers(0, 400))
def test_between_two_batches_it_takes_a_time_between_theirs(table, batch):
    for unit in table.units:
        rows, time_ms = table.rows_of(unit), table.time_ms(unit, batch)
        below = [row for row in rows if row.batch <= batch]
        above = [row for row in rows if row.batch >= batch]
        if below and above:
            ends = sorted((below[-1].total_ms, above[0].total_ms))
            assert ends[0] * (1 - 1e-9) <= time_ms <= ends[1] * (1 + 1e-9)
        else:
            nearest = below[-1] if below else above[0]
            assert time_ms == pytest.approx(nearest.total_ms / nearest.batch * batch)


@given(table=tables(), batches=st.lists(st.integers(0, 300), max_size=5))
def test_many_batches_take_what_each_takes(table, batches):
    for unit in table.units:
        assert table.times_ms(unit, batches).tolist() == [
            table.time_ms(unit, batch) for batch in batches]


def test_no_images_take_no_time():
    table = PerformanceTable([Row('a', 4, 3.0, 1.0)])
    assert table.time_ms('a', 0) == 0.0 and table.time_ms('a', 2) == 8.0


@given(table=tables())
def test_what_is_written_is_read_again(table, tmp_path_factory):
    path = tmp_path_factory.mktemp('tables') / 'table.csv'
    table.to_csv(path)
    again = PerformanceTable.from_csv(path)
    assert (again.rows, again.about) == (table.rows, table.about)


def test_power_is_kept_where_it_is_known(tmp_path):
    table = read(tmp_path, HEAD + ',power_w', 'gpu,1,2.0,0.5,10', 'gpu,2,1.5,0.5,', 'cpu,1,9,0,4')
    assert [row.power_w for row in table.rows][::2] == [10.0, 4.0]
    assert math.isnan(table.rows[1].power_w)
    assert table.energies_j('gpu', [1])[0] == pytest.approx(0.025)
    table.to_csv(tmp_path / 'again.csv')
    assert str(PerformanceTable.from_csv(tmp_path / 'again.csv').rows) == str(table.rows)


def test_rows_may_come_in_any_order_with_a_mark_and_spaces(tmp_path):
    table = read(tmp_path, '\ufeff' + HEAD, 'cpu, 8, 1.0, 0.5', ' cpu,2,2.0,0.5 ')
    assert table.units == ('cpu',) and [row.batch for row in table.rows] == [2, 8]


def test_a_table_that_says_what_it_is_of_is_compared_and_the_studys_are_not(tmp_path):
    table = read(tmp_path, '# model: net', '# unit a: CPU,  2 threads', HEAD, 'a,1,2.0,0.1')
    table.expect({'model': 'net', 'unit a': 'CPU, 2  threads', 'processor': 'any'})
    read(tmp_path, HEAD, 'a,1,2.0,0.1').expect({'model': 'other'})
    with pytest.raises(TableError, match=r"table\.csv: was measured with model 'net', here it is "
                                         "'other'; measure it again, into another file"):
        table.expect({'processor': 'any', 'model': 'other'})


def test_what_no_line_holds_is_left_out_of_the_file(tmp_path):
    table = PerformanceTable([Row('a', 1, 1.0, 0.0)], about={
        'model': ' ', 'processor': 'a\x1b CPU\nof  ours'})
    table.to_csv(tmp_path / 'table.csv')
    again = PerformanceTable.from_csv(tmp_path / 'table.csv')
    assert again.about == table.about == {'processor': 'a CPU of ours'}


def test_what_is_known_of_a_unit_goes_with_it():
    rows = [Row(unit, batch, 1.0, 0.0) for unit in 'ab' for batch in (1, 2)]
    table = PerformanceTable(rows).with_about({'model': 'net', 'unit a': 'x', 'unit b': 'y'})
    assert table.without('a', 1).about == table.with_row(Row('b', 3, 1.0, 0.0)).about
    assert table.without('a').about == {'model': 'net', 'unit b': 'y'}
    assert table.without('a', 1).without('a', 2).about == {'model': 'net', 'unit b': 'y'}


def test_rows_are_replaced_added_and_left_out():
    table = PerformanceTable([Row('a', 1, 1.0, 0.0), Row('b', 1, 2.0, 0.0), Row('b', 2, 2.0, 0.0)])
    assert table.with_row(Row('b', 1, 5.0, 0.0)).time_ms('b', 1) == 5.0
    assert table.with_row(Row('c', 3, 5.0, 0.0)).units == ('a', 'b', 'c')
    assert table.without('b').units == ('a',)
    assert [row.batch for row in table.without('b', 1).rows_of('b')] == [2]
    with pytest.raises(TableError, match='has no rows; measure one'):
        PerformanceTable([Row('a', 1, 1.0, 0.0)]).without('a')
    with pytest.raises(TableError, match="has no batch 4 of unit 'b'; it has 1, 2"):
        table.without('b', 4)
    with pytest.raises(TableError, match="two rows of unit 'a' and batch 1; leave one"):
        PerformanceTable([Row('a', 1, 1.0, 0.0), Row('a', 1, 2.0, 0.0)])


def test_a_table_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(TableError, match='cannot be written'):
        PerformanceTable([Row('a', 1, 1.0, 0.0)]).to_csv(tmp_path)


@pytest.mark.parametrize('lines, sentence', [
    ([], "table.csv: lacks the column 'unit'; expected unit, batch"),
    ([HEAD], 'table.csv: has no rows; measure one'),
    (['unit,batch,io_ms_per_image', 'a,1,2'], "lacks the column 'execution_ms_per_image'"),
    ([HEAD, 'a,1,2.0,0.1', 'a,1,3.0,0.1'],
     "table.csv, line 3: has unit 'a' and batch 1 as line 2; leave one of them out"),
    (['# model: net', HEAD, 'a,0,2.0,0.1'], 'table.csv, line 3: batch is 0'),
    (['# model: net', '# measured today', HEAD], "line 2: is '# measured today'; expected a key"),
    (['# model: n\x1bet', HEAD], 'line 1: is '),
    (['# model: net'], "lacks the column 'unit'"),
    ([HEAD, 'a,1,2,0,1,5'], 'line 2: has more values than there are columns'),
    ([HEAD, 'a\x1b[2J,1,2,0'], "unit is 'a\\x1b[2J'; expected a name of up to 200 printable"),
    ([HEAD, 'a,0,2.0,0.1'], 'table.csv, line 2: batch is 0; expected a whole number from 1'),
    ([HEAD, 'a,-3,2.0,0.1'], 'line 2: batch is -3'),
    ([HEAD, 'a,1.5,2.0,0.1'], "line 2: batch is '1.5'; expected a number"),
    ([HEAD, 'a,1,nan,0.1'], 'line 2: execution_ms_per_image is nan'),
    ([HEAD, 'a,1,2.0,0.1', 'a,2,2.0,-0.1'], 'line 3: io_ms_per_image is -0.1'),
    ([HEAD, 'a,1,inf,0.1'], 'line 2: execution_ms_per_image is inf'),
    ([HEAD, 'a,1,2.0'], "line 2: io_ms_per_image is ''; expected a number"),
    ([HEAD, ',1,2.0,0.1'], "line 2: unit is ''"),
    ([HEAD, 'a,1,"2.0'], 'is no CSV'),
    ([HEAD, f'a,{"9" * 5000},1,1'], 'line 2: batch is'),
])
def test_a_table_that_cannot_be_is_refused_with_its_line(lines, sentence, tmp_path):
    with pytest.raises(TableError) as caught:
        read(tmp_path, *lines)
    assert sentence in str(caught.value)


def test_what_is_no_file_of_text_is_refused(tmp_path):
    with pytest.raises(TableError, match=r'nowhere.csv: cannot be read'):
        PerformanceTable.from_csv(tmp_path / 'nowhere.csv')
    (tmp_path / 'table.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(TableError, match=r'table.csv: is no text in UTF-8'):
        PerformanceTable.from_csv(Path(tmp_path / 'table.csv'))


def test_another_unit_and_a_negative_batch_are_refused():
    table = PerformanceTable([Row('a', 1, 1.0, 0.0)])
    with pytest.raises(TableError, match="has no unit 'b'; it has a"):
        table.time_ms('b', 1)
    with pytest.raises(TableError, match='a batch of -1; expected 0 or more'):
        table.time_ms('a', -1)
