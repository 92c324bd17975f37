"""The command `s3dnn bench steps`: single steps."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero, image_size
from s3dnn_ros.commands.bench.output import add_out, print_tables, written_to


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'steps', help='what single steps take: an image of each encoding to BGR, beside OpenCV '
                      'alone, and objects followed')
    parser.add_argument('--size', type=image_size, default=(1920, 1080), metavar='WxH',
                        help='of the images (default 1920x1080)')
    parser.add_argument('--repeats', type=above_zero(int), default=50, metavar='N',
                        help='per run (default %(default)s)')
    parser.add_argument('--frames', type=above_zero(int), default=2000, metavar='N',
                        help='over which objects are followed (default %(default)s)')
    parser.add_argument('--runs', type=above_zero(int), default=3, metavar='N',
                        help='of each (default %(default)s)')
    parser.add_argument('--parts', nargs='+', default=None, metavar='PART',
                        help='images, tracks (default: both)')
    add_out(parser, each='step')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench import steps_bench

    plan = steps_bench.Plan(*arguments.size, arguments.repeats, arguments.runs, arguments.frames,
                            tuple(arguments.parts or steps_bench.PARTS))
    results = steps_bench.run(plan, written_to(arguments.out))
    print_tables(results)
