"""The command `s3dnn bench virtual`: the core in virtual time."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.bench.output import add_out, print_tables, written_to
from s3dnn_ros.scheduling.rivals import KNOWN


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'virtual', help='the core in virtual time on a simulated device: how fast it goes, and '
                        'what the policies miss there')
    parser.add_argument('--instances', type=above_zero(int), default=8, metavar='N',
                        help='how many (default %(default)s)')
    parser.add_argument('--segments', type=above_zero(int), default=4, metavar='N',
                        help='of each network (default %(default)s)')
    parser.add_argument('--load', type=above_zero(float), default=0.9, metavar='SHARE',
                        help='of the device, that all ask for (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=300.0, metavar='T',
                        help='of virtual time per run (default %(default)s)')
    parser.add_argument('--policies', nargs='+', choices=sorted(KNOWN),
                        help='which (default: all of ours)')
    parser.add_argument('--runs', type=above_zero(int), default=3, metavar='N',
                        help='of each (default %(default)s)')
    parser.add_argument('--board', default='', metavar='NAME_OR_YAML',
                        help='a simulated board as device, such as tx2 (default: one whose '
                             'clocks never change, and that draws nothing)')
    parser.add_argument('--segments-total', type=above_zero(int), default=0, metavar='N',
                        help='one more run of each policy, of so many segments: whether time and '
                             'memory are linear in them (default: none)')
    add_out(parser)
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.lab import virtual_bench

    given = {'policies': tuple(arguments.policies)} if arguments.policies else {}
    plan = virtual_bench.Plan(arguments.instances, arguments.segments, arguments.load,
                              arguments.seconds, runs=arguments.runs, board=arguments.board,
                              segments_total=arguments.segments_total, **given)
    results = virtual_bench.run(plan, written_to(arguments.out))
    print_tables(results)
