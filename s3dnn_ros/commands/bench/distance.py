"""The command `s3dnn bench distance`: how far detections are, and what that takes."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero, image_size
from s3dnn_ros.commands.bench.output import add_out, print_tables, written_to


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'distance', help='what it takes to tell how far detections are, by depth images and '
                         'point clouds')
    parser.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                        help='of the depth image (default 1280x720)')
    parser.add_argument('--points', type=above_zero(int), default=130_000, metavar='N',
                        help='of the cloud (default %(default)s)')
    parser.add_argument('--boxes', type=above_zero(int), default=20, metavar='N',
                        help='in each result (default %(default)s)')
    parser.add_argument('--frames', type=above_zero(int), default=300, metavar='N',
                        help='per run, 30 in a second (default %(default)s)')
    parser.add_argument('--runs', type=above_zero(int), default=3, metavar='N',
                        help='of each (default %(default)s)')
    add_out(parser)
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench import distance_bench

    width, height = arguments.size
    plan = distance_bench.Plan(width, height, arguments.points, arguments.boxes,
                               frames=arguments.frames, runs=arguments.runs)
    results = distance_bench.run(plan, written_to(arguments.out))
    print_tables(results)
