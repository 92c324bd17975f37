"""The command `s3dnn bench strategies`: the search of `s3dnn plan`."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.bench.output import add_out, print_tables, written_to
from s3dnn_ros.scheduling import POLICIES


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'strategies', help='the search of `s3dnn plan` in virtual time: beside trying everything, '
                           'on a larger workload, and beside strategies without a search')
    parser.add_argument('--workloads', nargs='+', metavar='NAME_OR_YAML',
                        help='which (default: seed_4_tasks robot_mix)')
    parser.add_argument('--parts', nargs='+', metavar='PART',
                        help='exhaustive, large, rivals (default: all)')
    parser.add_argument('--seeds', type=above_zero(int), default=20, metavar='N',
                        help='searches beside trying everything (default %(default)s)')
    parser.add_argument('--large-seeds', type=above_zero(int), default=5, metavar='N',
                        help='larger workloads (default %(default)s)')
    parser.add_argument('--budget', type=above_zero(int), default=300, metavar='N',
                        help='strategies to measure in the other parts (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=8.0, metavar='S',
                        help='of virtual time for each strategy (default %(default)s)')
    parser.add_argument('--policy', choices=sorted(POLICIES), default='packing',
                        help='scheduler of all but streams (default %(default)s)')
    add_out(parser, each='row')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.lab import strategy_bench

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('workloads', 'parts') and value}
    plan = strategy_bench.Plan(
        seeds=arguments.seeds, large_seeds=arguments.large_seeds, budget=arguments.budget,
        seconds=arguments.seconds, policy=arguments.policy, **given)
    results = strategy_bench.run(plan, written_to(arguments.out))
    print_tables(results)
