"""The command `s3dnn table measure-io`: how long images take to a unit, and results back."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

from s3dnn_ros.commands.table.measuring import (
    add_measuring,
    batches_of,
    measured,
    opened,
    units_of,
)


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'measure-io', help='measure how long images take to a unit, and results back',
        description='Measures what a run takes beyond its execution on the unit: from images in '
                    'memory to results in memory. Prints it for each image; with --into, writes '
                    'it into rows that a table has.')
    add_measuring(parser)
    parser.add_argument('--into', type=Path, metavar='FILE.csv',
                        help='table whose rows of these units and batches get the new times')
    parser.set_defaults(run=_run)


def _run(arguments) -> None:
    from rich.console import Console
    from rich.table import Table

    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.models.cut_network import whole
    from s3dnn_ros.models.spec import load_spec
    from s3dnn_ros.partition import PerformanceTable
    from s3dnn_ros.units.about import about_model, about_units

    batches, names = batches_of(arguments), units_of(arguments)
    cut = whole(load_spec(arguments.model))
    table = PerformanceTable.from_csv(arguments.into) if arguments.into else None
    clock = SystemClock()
    with opened(arguments, names, clock) as units:
        if table:
            table.expect({**about_model(cut.spec), **about_units(units)})
        rows = list(measured(arguments, cut, units, list(itertools.product(names, batches)),
                             table, clock))
    shown = Table(title=f'{cut.spec.name}: way of an image to the unit, and of its results back')
    for label in ('Unit', 'Batch', 'I/O ms', 'Execution ms', 'I/O share'):
        shown.add_column(label, justify='left' if label == 'Unit' else 'right')
    for row in rows:
        shown.add_row(row.unit, str(row.batch), f'{row.io_ms_per_image:.4f}',
                      f'{row.execution_ms_per_image:.4f}',
                      f'{row.io_ms_per_image * row.batch / row.total_ms:.1%}')
    Console().print(shown)
    if table:
        _write(table, rows, arguments.into)


def _write(table, rows, path) -> None:
    """Write the new times into the rows that the table has."""
    known = {(row.unit, row.batch): row for row in table.rows}
    changed = [row for row in rows if (row.unit, row.batch) in known]
    for row in changed:
        table = table.with_row(dataclasses.replace(
            known[row.unit, row.batch], io_ms_per_image=row.io_ms_per_image))
    table.to_csv(path)
    print(f'{len(changed)} rows of {path} have the new times')
