"""The command `s3dnn bench strategies`: the search of `s3dnn plan`."""

from __future__ import annotations

import os

from s3dnn_ros.commands.argument_types import above_zero, from_zero, image_size
from s3dnn_ros.commands.bench.output import add_gates, add_out, print_tables, written_to
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.scheduling import POLICIES


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'strategies', help='the search of `s3dnn plan` in virtual time: beside trying everything, '
                           'on a larger workload, and beside strategies without a search; or '
                           'with --engine a planned strategy beside others on an engine')
    parser.add_argument('--workloads', nargs='+', metavar='NAME_OR_YAML',
                        help='which (default: seed_4_tasks robot_mix; on an engine: one that is '
                             'made of --models)')
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
    _add_engine(parser)
    parser.set_defaults(run=_run)


def _add_engine(parser):
    group = parser.add_argument_group(
        'on an engine', 'Two tasks of each network; what needs no value here has the default of '
        'the bench. --budget, --seconds and --policy hold here, too.')
    group.add_argument('--engine', choices=('auto', *ENGINES), metavar='ENGINE',
                       help='compare there: ' + ', '.join(('auto', *ENGINES)))
    group.add_argument('--sms', type=from_zero, default=0, metavar='N',
                       help='multiprocessors of the GPU to use (default 0: all)')
    group.add_argument('--models', nargs='+', metavar='MODEL',
                       help='networks (default: resnet50 googlenet alexnet)')
    group.add_argument('--variants', type=above_zero(int), metavar='K',
                       help='beside each exact network; they are scaled and not trained '
                            '(default 4)')
    group.add_argument('--loads', type=above_zero(float), nargs='+', metavar='SHARE',
                       help='what exact networks ask of the device (default 1.25 1.5)')
    group.add_argument('--tolerated', type=above_zero(float), metavar='SHARE',
                       help='of its frames, that a task may miss (default 0.05)')
    group.add_argument('--cpu-workers', type=above_zero(int), dest='cpus', metavar='N',
                       help='threads for the work on the CPU (default 1)')
    group.add_argument('--size', type=image_size, default=(320, 240), metavar='WxH',
                       help='of the JPEG images (default 320x240)')
    group.add_argument('--target-ms', type=above_zero(float), metavar='T',
                       help='time of a segment (default 2)')
    group.add_argument('--runs', type=above_zero(int), metavar='N', help='of each (default 3)')
    add_gates(group)
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)


def _run(arguments):
    if arguments.engine:
        _run_on_engine(arguments)
    else:
        _run_in_virtual_time(arguments)


def _run_on_engine(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.lab import strategy_engine_bench

    given = {name: value for name, value in vars(arguments).items()
             if name in ('workloads', 'models', 'variants', 'loads', 'tolerated', 'cpus',
                         'target_ms', 'runs') and value}
    plan = strategy_engine_bench.Plan(
        budget=arguments.budget, seconds=arguments.seconds, policy=arguments.policy,
        width=arguments.size[0], height=arguments.size[1], **given)
    clock = SystemClock()
    threads = max(1, len(os.sched_getaffinity(0)) - plan.cpus)
    engine, reason = chosen_engine(arguments, clock, arguments.sms, threads)
    print(f'engine {engine.name} on {engine.device}: {reason}', flush=True)
    try:
        results = strategy_engine_bench.run(engine, clock, plan, written_to(arguments.out))
    finally:
        engine.close()
    print()
    print_tables(results)


def _run_in_virtual_time(arguments):
    from s3dnn_ros.lab import strategy_bench

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('workloads', 'parts') and value}
    plan = strategy_bench.Plan(
        seeds=arguments.seeds, large_seeds=arguments.large_seeds, budget=arguments.budget,
        seconds=arguments.seconds, policy=arguments.policy, **given)
    results = strategy_bench.run(plan, written_to(arguments.out))
    print_tables(results)
