"""The command `s3dnn table measure`: how long units of this machine take for batches."""

from __future__ import annotations

import itertools

from s3dnn_ros.commands.argument_types import new_file
from s3dnn_ros.commands.table.measuring import (
    add_measuring,
    batches_of,
    measured,
    opened,
    units_of,
)
from s3dnn_ros.commands.table.printing import print_times
from s3dnn_ros.errors import TableError


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'measure', help='measure how long units of this machine take for batches of a network',
        description='Measures units one after the other, at batches where the time per image '
                    'changes most: powers of two and their neighbours. Each row is written as '
                    'soon as it is measured; what is in the file already is not measured again. '
                    'Nothing else should run meanwhile.')
    add_measuring(parser)
    parser.add_argument('--out', type=new_file, required=True, metavar='FILE.csv',
                        help='the table; measuring goes on if it is there')
    parser.set_defaults(run=_run)


def _run(arguments) -> None:
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.models.cut_network import whole
    from s3dnn_ros.models.spec import load_spec
    from s3dnn_ros.partition import PerformanceTable
    from s3dnn_ros.units.about import about_model, about_units

    batches, names = batches_of(arguments), units_of(arguments)
    cut = whole(load_spec(arguments.model))
    about = about_model(cut.spec)
    table = _begun(arguments.out, about)
    known = {(row.unit, row.batch) for row in table.rows} if table else ()
    wanted = [each for each in itertools.product(names, batches) if each not in known]
    missing = list(dict.fromkeys(unit for unit, _ in wanted))
    clock = SystemClock()
    if missing:
        with opened(arguments, missing, clock) as units:
            about.update(about_units(units))
            if table:
                table.expect(about)
            for row in measured(arguments, cut, units, wanted, table, clock):
                table = table.with_row(row) if table else PerformanceTable([row])
                table.with_about(about).to_csv(arguments.out)
    print_times(table, [unit for unit in table.units if unit in names], str(arguments.out))
    print(f'{len(wanted)} rows measured, {len(names) * len(batches) - len(wanted)} were there; '
          f'written to {arguments.out}')


def _begun(path, about):
    """Return the table that is there, if there is one; raises TableError if it is of another."""
    from s3dnn_ros.partition import PerformanceTable
    from s3dnn_ros.partition.table import MODEL_SHA256

    if not path.exists():
        return None
    table = PerformanceTable.from_csv(path)
    if MODEL_SHA256 not in table.about:
        raise TableError(path, 'does not say of which network and machine it is; name another '
                               'file with --out')
    table.expect(about)
    return table
