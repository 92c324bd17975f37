"""What benches have in common: options, the file of their results, tables."""

from __future__ import annotations

import functools

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.commands.argument_types import new_file


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
    from s3dnn_ros.bench.results import write_results

    return ignore if path is None else functools.partial(write_results, path)


def print_tables(results):
    """Print the tables of a bench's results."""
    from s3dnn_ros.bench.results import tables

    print('\n'.join(tables(results)))
