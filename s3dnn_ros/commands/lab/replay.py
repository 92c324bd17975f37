"""The command `s3dnn lab replay`: a bench of a real device beside its simulation."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.lab.running import add_running, run_experiment


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'replay', help='a bench of a real device once more on the simulated one, from the '
                       'profiles that it kept: how far to trust what is simulated')
    parser.add_argument('results', metavar='JSON',
                        help='results of `s3dnn bench s3dnn` with throughput or deadlines; its '
                             'part boundaries tells what the host takes')
    parser.add_argument('--seconds', type=above_zero(float), default=5.0, metavar='T',
                        help='of virtual time for each run (default %(default)s)')
    add_running(parser)
    parser.set_defaults(run=_run)


def _run(arguments) -> int:
    from s3dnn_ros.bench.results import read_results
    from s3dnn_ros.lab.replay import Plan, experiment

    plan = Plan(Path(arguments.results).name, arguments.seconds)
    return run_experiment(arguments, experiment(read_results(arguments.results, ('s3dnn',)),
                                                plan))
