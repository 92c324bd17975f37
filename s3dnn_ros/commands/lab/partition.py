"""The command `s3dnn lab partition`: a batch on one unit, or split over several."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.lab.running import add_running, run_experiment


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'partition', help="KCC 2020's study: batches on one unit or split over several, also "
                          'while other programs keep units busy',
        description='Splits batches over the units of measured tables, and over parts of the '
                    'GPU of simulated boards.')
    parser.add_argument('--tables', type=Path, metavar='FOLDER',
                        help='CSV files that `s3dnn table measure` wrote, or the study')
    parser.add_argument('--boards', nargs='*', metavar='BOARD',
                        help='names, or YAML files (default: tx2 agx_xavier)')
    parser.add_argument('--batches', type=above_zero(int), nargs='+', metavar='N',
                        help='images to split (default: 1 8 32 100 200)')
    parser.add_argument('--factors', type=above_zero(float), nargs='+', metavar='FACTOR',
                        help='how many times as long a busy unit takes (default: 1 2 4)')
    parser.add_argument('--seconds', type=above_zero(float), metavar='S',
                        help='of virtual time with busy units (default: 120)')
    add_running(parser, seeds=5)
    parser.set_defaults(run=_run)


def _run(arguments) -> int:
    from s3dnn_ros.lab.partition_experiment import Plan, experiment

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('boards', 'batches', 'factors') and value is not None}
    if arguments.seconds:
        given['seconds'] = arguments.seconds
    folder = arguments.tables
    return run_experiment(arguments, experiment(Plan(
        folder=folder.absolute().name if folder else '', seeds=arguments.seeds, **given), folder))
