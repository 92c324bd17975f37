"""The command `s3dnn bench overload`: more frames than the computer can run."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero, image_size
from s3dnn_ros.commands.bench.output import add_out, print_tables, written_to
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ParameterError


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'overload', help='more frames than the computer can run: how many are in time, whose, '
                         'and how soon again after a disturbance')
    parser.add_argument('--cameras', type=above_zero(int), metavar='N',
                        help='how many (default 4, or as many as there are --rates)')
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument('--rate', type=above_zero(float), default=15.0, metavar='HZ',
                       help='frames per second of each camera (default 15)')
    rates.add_argument('--rates', type=above_zero(float), nargs='+', metavar='HZ',
                       help='the same, one for each camera')
    rates.add_argument('--loads', type=above_zero(float), nargs='+', default=(), metavar='SHARE',
                       help='frames of all cameras per second, as shares of the limit alone')
    parser.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                        help='of the images (default 1280x720)')
    parser.add_argument('--instants', choices=('together', 'spread'), default='together',
                        help='all shutters at one instant, or evenly spread over the period '
                             '(default %(default)s)')
    parser.add_argument('--modes', nargs='+', choices=('separate', 'composed'), default=None,
                        help='governor and executor in two processes or in one (default: both)')
    parser.add_argument('--profiles', nargs='+', choices=('none', 'auto'), default=None,
                        help='without a profile, or with one that is measured first and not '
                             'kept (default: none)')
    parser.add_argument('--late-policies', nargs='+', choices=('drop', 'run'), default=None,
                        help="the executor's parameter (default: drop)")
    parser.add_argument('--gates', nargs='+', choices=('off', 'on'), default=None,
                        help="the executor's engine_gates (default: on)")
    parser.add_argument('--disturb', nargs='+', choices=('none', 'cores', 'stop'), default=None,
                        help='cores: as many busy processes as there are cores for 2 s; stop: '
                             'the process that runs the network stands for 4 s (default: none '
                             'cores)')
    parser.add_argument('--model', default='nanodet_g', help='network (default %(default)s)')
    parser.add_argument('--engine', default='auto', choices=('auto', *ENGINES),
                        help='inference engine (default %(default)s)')
    parser.add_argument('--deadline-ms', type=above_zero(float), default=0.0, metavar='T',
                        help="from the image to its result (default: the model's own)")
    parser.add_argument('--max-batch', type=above_zero(int), default=2, metavar='N',
                        help='most frames in one run (default %(default)s)')
    parser.add_argument('--seconds', type=float, default=6.0,
                        help='per run, besides the disturbance (default 6)')
    parser.add_argument('--runs', type=int, default=3, help='of each (default 3)')
    add_out(parser)
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import overload_bench

    count = arguments.cameras or len(arguments.rates or range(4))
    rates_hz = tuple(arguments.rates or [arguments.rate] * count)
    if len(rates_hz) != count:
        raise ParameterError('--cameras', count, f'but there are {len(rates_hz)} --rates; give '
                             'one for each camera, or leave --cameras out')
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('modes', 'profiles', 'late_policies', 'gates', 'disturb') and value}
    width, height = arguments.size
    plan = overload_bench.Plan(
        rates_hz=rates_hz, loads=tuple(arguments.loads), width=width, height=height,
        instants=arguments.instants, model=arguments.model, engine=arguments.engine,
        deadline_ms=arguments.deadline_ms, max_batch=arguments.max_batch,
        seconds=arguments.seconds, runs=arguments.runs, **given)
    results = overload_bench.run(SystemClock(), plan,
                                 save=written_to(arguments.out))
    print()
    print_tables(results)
