"""The command `s3dnn table show`: the times in a table, and how it splits batches."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.table.units import add_units, chosen_units

_SPLIT_BY = ('greedy', 'optimal')


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
    _print_times(table, units, str(arguments.file))
    for unit in units:
        rows = table.rows_of(unit)
        if len(rows) == 1:
            print(f'{unit} was measured at batch {rows[0].batch} alone: other batches count as '
                  'in proportion')
    if splits:
        _print_splits(units, splits)


def _print_times(table, units, title) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=f'{title}: ms per image, execution + I/O')
    shown.add_column('Batch', justify='right')
    for unit in units:
        shown.add_column(_escaped(unit), justify='right')
    shown.add_column('Quickest')
    for batch in sorted({row.batch for unit in units for row in table.rows_of(unit)}):
        rows = [{row.batch: row for row in table.rows_of(unit)}.get(batch) for unit in units]
        shown.add_row(str(batch), *(
            '-' if row is None else
            f'{row.execution_ms_per_image:.3f} + {row.io_ms_per_image:.3f}' for row in rows),
            _escaped(min(units, key=lambda unit: table.time_ms(unit, batch))))
    Console().print(shown)


def _splits(table, batch, units):
    """Return the splits of a batch by method."""
    from s3dnn_ros.partition import partition_batch

    return {method: partition_batch(table, batch, units, method)
            for method in (*_SPLIT_BY, 'alone', 'equal')}


def _print_splits(units, splits) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title='how batches would be split',
                  caption='speed-up: over the quickest unit alone, and over equal numbers of '
                          'images for all units')
    for label in ('Batch', 'Method', *map(_escaped, units), 'ms', 'Over one', 'Over equal'):
        shown.add_column(label, justify='left' if label == 'Method' else 'right')
    for by_method in splits:
        alone, equal = by_method['alone'], by_method['equal']
        for method in _SPLIT_BY:
            split = by_method[method]
            shown.add_row(
                str(sum(split.assignment.values())), method,
                *map(str, split.assignment.values()), f'{split.makespan_ms:.2f}',
                f'{alone.makespan_ms / split.makespan_ms:.2f}',
                f'{equal.makespan_ms / split.makespan_ms:.2f}')
        shown.add_section()
    Console().print(shown)


def _escaped(unit: str) -> str:
    """Return a name as rich prints it: some have brackets."""
    from rich.markup import escape

    return escape(unit)
