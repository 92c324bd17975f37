"""What benches have in common: options, the file of their results, tables."""

from __future__ import annotations

import json

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.commands.argument_types import new_file
from s3dnn_ros.errors import ParameterError


def add_gates(parser):
    """Add the option that leaves gates out."""
    parser.add_argument('--no-gates', dest='gates', action='store_false',
                        help='the host launches every segment, as with engine_gates: false')


def add_out(parser, each='run'):
    """Add the option for the results, which are written after each `each`; '': at the end."""
    anew = f', written anew after every {each}' if each else ''
    parser.add_argument('--out', type=new_file, help=f'JSON file for the results{anew}')


def written_to(path):
    """Return what writes results to a file, or does nothing if `path` is None."""
    def write(results):
        if path is None:
            return
        try:
            write_whole(path, (json.dumps(results, indent=1) + '\n').encode())
        except OSError as error:
            raise ParameterError('--out', str(path), f'it cannot be written ({error.strerror}); '
                                 'free space there, or name another') from error
    return write


def print_tables(results):
    """Print the tables of a bench's results."""
    from s3dnn_ros.bench.results import tables

    print('\n'.join(tables(results)))
