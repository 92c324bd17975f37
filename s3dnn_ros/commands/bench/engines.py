"""The command `s3dnn bench engines`: engines on the same networks."""

from __future__ import annotations

import functools

from s3dnn_ros.commands.bench.output import add_out, written_to
from s3dnn_ros.commands.building import add_level, building
from s3dnn_ros.commands.pictures import add_pictures, pictures_for


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'engines', help='engines on the same networks: error, time whole and cut, time to load')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks (default: resnet50 vgg16 alexnet nanodet_g)')
    parser.add_argument('--engines', nargs='+', default=None, metavar='ENGINE',
                        help='which; the first chooses the cuts (default: torch tensorrt)')
    parser.add_argument('--precisions', nargs='+', default=None, metavar='PRECISION',
                        choices=('fp32', 'fp16'), help='which (default: fp32 fp16)')
    parser.add_argument('--runs', type=int, default=5, help='of each (default 5)')
    parser.add_argument('--repeats', type=int, default=100, help='in a run (default 100)')
    parser.add_argument('--target-ms', type=float, default=0.3,
                        help='time of a segment (default 0.3)')
    add_out(parser, each='row')
    add_level(parser)
    add_pictures(parser, "real images to compare outputs on (default: the demo's, if fetched; "
                         'else noise)')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import engines_bench

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'engines', 'precisions') and value}
    plan = engines_bench.Plan(runs=arguments.runs, repeats=arguments.repeats,
                              target_ms=arguments.target_ms, build=building(arguments), **given)
    engines_bench.run(SystemClock(), plan, functools.partial(
        pictures_for, source=arguments.images, topic=arguments.topic),
                      save=written_to(arguments.out))
