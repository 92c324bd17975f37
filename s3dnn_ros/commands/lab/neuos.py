"""The command `s3dnn lab neuos`: NeuOS's experiment on simulated boards."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.lab.running import add_running, run_experiment


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'neuos', help="NeuOS's experiment: the modes beside their rivals on a TX2 and a Xavier",
        description="NeuOS's cohorts on simulated boards, with the paper's models, deadlines and "
                    'rivals. Each instance gets a frame every deadline, or more seldom.')
    parser.add_argument('--boards', nargs='+', metavar='BOARD', help='tx2, agx_xavier (default: '
                                                                     'both)')
    parser.add_argument('--cohorts', nargs='+', metavar='COHORT',
                        help='small (each model alone), medium (all four), large (two of each) '
                             '(default: all)')
    parser.add_argument('--contenders', nargs='+', metavar='NAME',
                        help='who decides, by the names in the tables, or oracle: a configuration '
                             'for each segment, searched with all that will happen known, which '
                             'takes up to two minutes for each run (default: all but oracle)')
    parser.add_argument('--seconds', type=above_zero(float), default=3.0,
                        help='virtual time of each run (default %(default)s)')
    parser.add_argument('--period-factors', type=above_zero(float), nargs='+', metavar='FACTOR',
                        help='from frame to frame, in deadlines; small cohorts have the first '
                             'alone (default: 1, which more than fills the boards with larger '
                             'cohorts, and 4)')
    parser.add_argument('--segments', type=above_zero(int), default=8,
                        help='of each network (default %(default)s)')
    parser.add_argument('--steps', choices=('neuos', 'all'), default='neuos',
                        help="of the clocks: those of NeuOS's experiments, or all that the boards "
                             'have; tables of all take minutes (default %(default)s)')
    parser.add_argument('--recordings', type=Path, metavar='FOLDER',
                        help='write a recording of the first run of everyone who decides, for '
                             '`s3dnn report`')
    add_running(parser, seeds=3)
    parser.set_defaults(run=_run)


def _run(arguments) -> int:
    from s3dnn_ros.lab.neuos_lab import Plan, experiment
    from s3dnn_ros.lab.neuos_recordings import recordings
    from s3dnn_ros.runtime.recording import write_recording

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('boards', 'cohorts', 'contenders', 'period_factors') and value}
    plan = Plan(seeds=arguments.seeds, seconds=arguments.seconds, segments=arguments.segments,
                steps=arguments.steps, **given)
    status = run_experiment(arguments, experiment(plan))
    if arguments.recordings and not status:
        for name, recording in recordings(plan):
            write_recording(recording, arguments.recordings / f'{name}.json')
    return status
