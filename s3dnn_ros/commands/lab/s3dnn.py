"""The command `s3dnn lab s3dnn`: several videos with one detector each on a simulated board."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.lab.running import add_running, run_experiment


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        's3dnn', help="S3DNN's experiment: videos at 25 frames a second, deadlines missed and "
                      'throughput by scheduler and batch',
        description='Runs Tiny YOLOv2 for several videos on simulated boards, with every '
                    'scheduler and the rules of Clockwork and DARIS, with and without fusion of '
                    'frames.')
    parser.add_argument('--boards', nargs='+', metavar='BOARD',
                        help='names, or YAML files (default: tx2 agx_xavier)')
    parser.add_argument('--loads', type=above_zero(float), nargs='+', metavar='SHARE',
                        help='what the videos ask of the board (default: 0.5 0.8 1.0 1.3)')
    parser.add_argument('--policies', nargs='+', metavar='POLICY',
                        help='schedulers, and the rivals clockwork and daris (default: all)')
    parser.add_argument('--batches', type=above_zero(int), nargs='+', metavar='N',
                        help='most images in a batch (default: 2 4)')
    parser.add_argument('--seconds', type=above_zero(float), metavar='S',
                        help='of virtual time for each run (default: 2)')
    add_running(parser, seeds=3)
    parser.set_defaults(run=_run)


def _run(arguments) -> int:
    from s3dnn_ros.lab.s3dnn_experiment import Plan, experiment

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('boards', 'loads', 'policies', 'batches') and value}
    if arguments.seconds:
        given['seconds'] = arguments.seconds
    return run_experiment(arguments, experiment(Plan(seeds=arguments.seeds, **given)))
