"""The command `s3dnn table plot`: time per image over batch, units side by side."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import new_file
from s3dnn_ros.commands.table.units import add_units, chosen_units


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'plot', help='draw time per image over batch, units side by side; needs matplotlib')
    parser.add_argument('file', type=Path, metavar='FILE.csv')
    add_units(parser)
    parser.add_argument('--out', type=new_file, required=True, metavar='PNG')
    parser.set_defaults(run=_run)


def _run(arguments) -> None:
    from s3dnn_ros.bench.table_plot import plot
    from s3dnn_ros.partition import PerformanceTable
    from s3dnn_ros.partition.table import MODEL

    table = PerformanceTable.from_csv(arguments.file)
    plot(table, chosen_units(table, arguments.unit),
         table.about.get(MODEL, arguments.file.stem), arguments.out)
    print(arguments.out)
