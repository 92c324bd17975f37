"""The command `s3dnn bench`: how fast it is here."""

from __future__ import annotations

import importlib

from s3dnn_ros.commands.log_output import Elapsed

# Each is a module of this room whose register(commands) adds a bench, as those of `s3dnn` do.
BENCHES = ('pipeline', 'overload', 'virtual', 'strategies', 'distance', 'steps', 's3dnn',
           'packing', 'partition', 'cohort', 'neuos', 'engines', 'digits', 'table', 'plot')


def register(subparsers):
    """Add the command."""
    benches = subparsers.add_parser('bench', help='measure; prints figures and writes JSON')
    benches.set_defaults(log_formatter=Elapsed())
    commands = benches.add_subparsers(metavar='BENCH', required=True)
    for name in BENCHES:
        importlib.import_module(f'{__name__}.{name}').register(commands)
