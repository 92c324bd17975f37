"""Figures of several runs in a cell."""

from s3dnn_ros.bench.markdown import spread, table


def test_a_spread_is_the_median_and_both_ends():
    assert spread([3.0, 1.0, 2.25], 1) == '2.2 (1.0–3.0)'


def test_a_table_has_a_line_for_each_row_below_its_heads():
    assert list(table(['', 'a'], [['x', '1'], ['y', '2']])) == [
        '|  | a |', '| --- | --- |', '| x | 1 |', '| y | 2 |']
