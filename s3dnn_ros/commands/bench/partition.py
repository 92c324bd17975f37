"""The command `s3dnn bench partition`: one batch over several units."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.bench.output import add_out, print_tables, written_to
from s3dnn_ros.commands.building import add_level, building


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'partition', help='one batch over several units: best unit alone, equal shares, greedy '
                          'and optimal split, foretold and measured')
    parser.add_argument('--units', nargs='+', required=True, metavar='UNIT',
                        help='such as onnxruntime:cpu,threads=1 or torch:cuda:0,sms=64; a second '
                             'one of a kind ends in ,copy=2')
    parser.add_argument('--others', nargs='+', default=(), metavar='UNIT',
                        help='units that run whole batches, to compare with')
    parser.add_argument('--model', default=None, help='network (default: squeezenet_1_1)')
    parser.add_argument('--batches', nargs='+', type=above_zero(int), default=None, metavar='N',
                        help='which (default: 4 8 16 32)')
    parser.add_argument('--runs', type=above_zero(int), default=5, metavar='N',
                        help='of each split (default %(default)s)')
    parser.add_argument('--repeats', type=above_zero(int), default=5, metavar='N',
                        help='in a run (default %(default)s)')
    parser.add_argument('--table', type=Path, metavar='CSV',
                        help='read this table; if there is none, measure and write it')
    parser.add_argument('--precision', choices=('fp16', 'fp32'), default='fp16',
                        help='in what units on a GPU or DLA compute (default %(default)s)')
    add_level(parser)
    add_out(parser, each='batch')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import partition_bench

    given = {name: value for name, value in (
        ('model', arguments.model), ('batches', arguments.batches)) if value}
    plan = partition_bench.Plan(
        tuple(arguments.units), tuple(arguments.others), runs=arguments.runs,
        repeats=arguments.repeats, table=arguments.table, build=building(arguments), **given)
    print_tables(partition_bench.run(SystemClock(), plan, written_to(arguments.out)))
