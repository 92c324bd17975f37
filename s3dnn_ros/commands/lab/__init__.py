"""The command `s3dnn lab`: boards that nobody needs to have, simulated."""

from __future__ import annotations

import importlib

from s3dnn_ros.commands.log_output import Elapsed

# Each is a module of this room whose register(commands) adds a question, as those of `s3dnn` do.
QUESTIONS = ('calibrate', 'replay', 'neuos', 's3dnn', 'rtmdl', 'partition', 'workload')


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'lab', help='simulated boards: what the policies do there, and how near to real ones '
                    'they are',
        description='Boards are described by files in config/platforms, or by one of yours. All '
                    'figures are simulated. A YAML file in place of a question is a workload: '
                    '`s3dnn lab FILE.yaml`.')
    parser.set_defaults(log_formatter=Elapsed())
    commands = parser.add_subparsers(metavar='QUESTION', required=True)
    for name in QUESTIONS:
        importlib.import_module(f'{__name__}.{name}').register(commands)
    parse = parser.parse_known_args

    def parse_known_args(args=None, namespace=None):
        """Take a YAML file in place of a question for a workload."""
        is_file = bool(args) and args[0].endswith(('.yaml', '.yml'))
        return parse(['workload', *args] if is_file else args, namespace)

    parser.parse_known_args = parse_known_args
