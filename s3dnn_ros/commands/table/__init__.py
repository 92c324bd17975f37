"""The command `s3dnn table`: how long units of this machine take for batches of a network."""

from __future__ import annotations

import importlib

# Each is a module of this room whose register(commands) adds a command.
COMMANDS = ('show', 'edit', 'measure', 'measure_io', 'plot', 'study')


def register(subparsers):
    """Add the command."""
    table = subparsers.add_parser(
        'table', help='what each unit of a machine takes for batches of a network, and how a '
                      'batch is best split')
    commands = table.add_subparsers(metavar='COMMAND', required=True)
    for name in COMMANDS:
        importlib.import_module(f'{__name__}.{name}').register(commands)
