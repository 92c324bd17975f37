"""The command `s3dnn table edit`: change, add or drop rows of a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from s3dnn_ros.errors import ParameterError, shown

# Options of what a row says, by its fields.
_OPTIONS = {'execution_ms_per_image': 'execution', 'io_ms_per_image': 'io', 'power_w': 'power'}


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'edit', help='change, add or drop a row of a table',
        description='Writes the table anew with one row changed, added or dropped; what is not '
                    'said of a row stays as it was. Rows are kept in order of unit and batch.')
    parser.add_argument('file', type=Path, metavar='FILE.csv')
    parser.add_argument('--unit', required=True, metavar='U', help='name of the unit, in full')
    parser.add_argument('--batch', type=int, metavar='B',
                        help='images; may be left out with --drop: the whole unit')
    parser.add_argument('--execution', type=float, metavar='MS', help='ms per image')
    parser.add_argument('--io', type=float, metavar='MS',
                        help='ms per image of its way to the unit and back')
    parser.add_argument('--power', type=float, metavar='W',
                        help='watts that the unit draws meanwhile; nan: not known')
    parser.add_argument('--drop', action='store_true', help='drop the row, or the unit')
    parser.set_defaults(run=_run)


def _run(arguments) -> None:
    from s3dnn_ros.partition import PerformanceTable

    values = {field: vars(arguments)[option] for field, option in _OPTIONS.items()
              if vars(arguments)[option] is not None}
    if arguments.drop == bool(values):
        raise ParameterError('--drop', arguments.drop, 'say what is to change, with --execution, '
                             '--io or --power, or else --drop')
    table = PerformanceTable.from_csv(arguments.file)
    edited = (table.without(arguments.unit, arguments.batch) if arguments.drop
              else table.with_row(_row(table, arguments, values)))
    edited.to_csv(arguments.file)
    print(f'{arguments.file}: {len(table.rows)} rows before, {len(edited.rows)} now')


def _row(table, arguments, values):
    """Return the row as it is to be; raises ParameterError."""
    from s3dnn_ros.partition import Row

    unit, batch = arguments.unit, arguments.batch
    known = [row for row in table.rows if (row.unit, row.batch) == (unit, batch)]
    try:
        if known:
            return dataclasses.replace(known[0], **values)
        return Row(unit, batch, **values)
    except TypeError as error:
        raise ParameterError('--batch', batch, f'there is no such row of unit {shown(unit)}; a '
                             'new one needs --execution and --io') from error
    except ValueError as error:
        raise ParameterError('--batch', batch, f'no row can be so: {error}') from error
