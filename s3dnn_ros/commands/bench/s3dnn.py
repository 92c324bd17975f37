"""The command `s3dnn bench s3dnn`: scheduling policies under the same load."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import from_zero
from s3dnn_ros.commands.bench.output import add_gates, add_out, written_to
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        's3dnn', help='scheduling policies under the same load, on one engine')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks, in turn (default: five of the zoo)')
    parser.add_argument('--engine', default='auto', help='inference engine (default auto)')
    parser.add_argument('--sms', type=from_zero, default=0,
                        help='multiprocessors of the GPU to use (default 0: all)')
    parser.add_argument('--instances', type=int, nargs='+', default=None, metavar='N',
                        help='how many at once')
    parser.add_argument('--loads', type=float, nargs='+', default=None, metavar='SHARE',
                        help='offered, as a share of what CUDA streams carry')
    parser.add_argument('--capacity', type=float, default=1.0,
                        help="the executor's parameter, for supervised (default 1)")
    parser.add_argument('--policies', nargs='+', default=None, metavar='NAME',
                        help="which, by the names in the table (default: all but 'process per "
                             "instance', which takes long to load)")
    parser.add_argument('--parts', nargs='+', default=None, metavar='PART',
                        help='decisions, batches, boundaries, idle, alone, throughput, '
                             'deadlines, timeline (default: all)')
    parser.add_argument('--seconds', type=float, default=5.0, help='per run (default 5)')
    parser.add_argument('--runs', type=int, default=3, help='of each part (default 3)')
    add_gates(parser)
    parser.add_argument('--target-ms', type=float, default=0.5,
                        help='time of a segment (default 0.5)')
    add_out(parser, each='row')
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import s3dnn_bench

    clock = SystemClock()
    engine, reason = chosen_engine(arguments, clock, arguments.sms)
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'instances', 'loads', 'parts') and value}
    names = arguments.policies or [policy.name for policy in s3dnn_bench.policies_of(engine)]
    given['policies'] = s3dnn_bench.policies(names, arguments.capacity)
    plan = s3dnn_bench.Plan(runs=arguments.runs, seconds=arguments.seconds,
                            target_ms=arguments.target_ms, sms=arguments.sms, **given)
    print(f'engine {engine.name}: {reason}')
    s3dnn_bench.run(engine, clock, plan, save=written_to(arguments.out))
