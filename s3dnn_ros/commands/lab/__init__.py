"""The command `s3dnn lab`: boards that nobody needs to have, simulated."""

from __future__ import annotations

import importlib

from s3dnn_ros.commands.log_output import Elapsed

# Each is a module of this room whose register(commands) adds a question, as those of `s3dnn` do.
QUESTIONS = ('calibrate', 's3dnn', 'rtmdl', 'partition')


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'lab', help='simulated boards: what the policies do there, and how near to real ones '
                    'they are',
        description='Boards are described by files in config/platforms, or by one of yours. All '
                    'figures are simulated.')
    parser.set_defaults(log_formatter=Elapsed())
    commands = parser.add_subparsers(metavar='QUESTION', required=True)
    for name in QUESTIONS:
        importlib.import_module(f'{__name__}.{name}').register(commands)
