"""The command `s3dnn bench packing`: tasks with work on the CPU."""

from __future__ import annotations

import os

from s3dnn_ros.commands.argument_types import above_zero, from_zero, image_size
from s3dnn_ros.commands.bench.output import add_gates, add_out, print_tables, written_to
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'packing', help='periodic tasks with work on the CPU before and behind their networks: '
                        'packed, split or whole, response times and misses')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks, two tasks of each (default: squeezenet_1_1 nanodet_g)')
    parser.add_argument('--engine', default='auto',
                        help='inference engine (default auto); one on the CPU takes the cores '
                             'that --cpu-workers leave')
    parser.add_argument('--sms', type=from_zero, default=0,
                        help='multiprocessors of the GPU to use (default 0: all)')
    parser.add_argument('--cpu-workers', type=above_zero(int), default=1, metavar='N',
                        help='threads for the work on the CPU (default %(default)s)')
    parser.add_argument('--loads', type=above_zero(float), nargs='+', default=None,
                        metavar='SHARE',
                        help='of the device or the CPU, whichever is busier (default 0.5 0.7 0.9 '
                             '1.1)')
    parser.add_argument('--threshold', type=above_zero(float), default=1.0,
                        help="the executor's packing_threshold, for packing (default 1)")
    parser.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                        help='of the JPEG images (default 1280x720)')
    parser.add_argument('--seconds', type=above_zero(float), default=10.0,
                        help='per run (default 10)')
    parser.add_argument('--runs', type=above_zero(int), default=3, help='of each (default 3)')
    add_gates(parser)
    parser.add_argument('--target-ms', type=above_zero(float), default=2.0,
                        help='time of a segment (default 2)')
    add_out(parser)
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import packing_bench

    clock, (width, height) = SystemClock(), arguments.size
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'loads') and value}
    plan = packing_bench.Plan(
        threshold=arguments.threshold, workers=arguments.cpu_workers, width=width, height=height,
        runs=arguments.runs, seconds=arguments.seconds, target_ms=arguments.target_ms, **given)
    threads = max(1, len(os.sched_getaffinity(0)) - plan.workers)
    engine, reason = chosen_engine(arguments, clock, arguments.sms, threads)
    print(f'engine {engine.name}: {reason}')
    results = packing_bench.run(engine, clock, plan, written_to(arguments.out))
    print()
    print_tables(results)
