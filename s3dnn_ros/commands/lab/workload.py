"""The command `s3dnn lab WORKLOAD.yaml`: what the policies make of a workload on a board."""

from __future__ import annotations

import logging

from s3dnn_ros.commands.lab.running import add_running, run_experiment

_LOG = logging.getLogger(__name__)


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'workload', help='a workload on a board, and what-if sweeps; `s3dnn lab FILE.yaml` is '
                         'the same',
        description='Simulates the instances of a YAML file on a board, in all combinations of '
                    'its sweep. config/lab has examples, whose comments explain all keys.')
    parser.add_argument('file', metavar='FILE.yaml', help='the workload')
    parser.add_argument('--large', action='store_true',
                        help='simulate however much that is')
    add_running(parser, 5)
    parser.set_defaults(run=_run)


def _run(arguments) -> int:
    from s3dnn_ros.lab.scenario_file import load_scenario
    from s3dnn_ros.lab.what_if import experiment, probe_s, processes_of, size_of

    what_if = load_scenario(arguments.file)
    size = size_of(what_if, arguments.seeds, arguments.large)
    seconds = probe_s(what_if, arguments.seeds, processes_of(arguments.jobs))
    _LOG.info(f'{size.combinations} combinations × {arguments.seeds} seeds = {size.simulations} '
              f'simulations with {size.images:.0f} images; about {_duration(seconds)} at most')
    return run_experiment(arguments, experiment(what_if, arguments.seeds))


def _duration(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 100.0 else f'{seconds / 60.0:.0f} min'
