"""The command `s3dnn table show`: the times in a table, and how it splits batches."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.table.printing import SPLIT_BY, print_splits, print_times
from s3dnn_ros.commands.table.units import add_units, chosen_units


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'show', help='print a table: milliseconds per image by unit and batch',
        description='Prints what an image takes on each unit, execution + way there and back, '
                    'for each batch that was measured; and how batches would be split.')
    parser.add_argument('file', type=Path, metavar='FILE.csv')
    add_units(parser)
    parser.add_argument('--batch', type=above_zero(int), nargs='+', default=(), metavar='N',
                        help='split so many images over the units')
    parser.set_defaults(run=_run)


def _run(arguments) -> None:
    from s3dnn_ros.partition import PerformanceTable

    table = PerformanceTable.from_csv(arguments.file)
    units = chosen_units(table, arguments.unit)
    # whatever is wrong with a batch is told before anything is printed
    splits = [_splits(table, batch, units) for batch in arguments.batch]
    for key, value in table.about.items():
        print(f'{key}: {value}')
    print_times(table, units, str(arguments.file))
    for unit in units:
        rows = table.rows_of(unit)
        if len(rows) == 1:
            print(f'{unit} was measured at batch {rows[0].batch} alone: other batches count as '
                  'in proportion')
    if splits:
        print_splits(units, splits)


def _splits(table, batch, units):
    """Return the splits of a batch by method."""
    from s3dnn_ros.partition import partition_batch

    return {method: partition_batch(table, batch, units, method)
            for method in (*SPLIT_BY, 'alone', 'equal')}
