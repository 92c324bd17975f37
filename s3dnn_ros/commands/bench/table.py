"""The command `s3dnn bench table`: results in markdown."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.bench.output import print_tables


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'table', help='results of `s3dnn bench overload`, `s3dnn`, `packing`, `neuos`, '
                      '`engines`, `virtual`, `strategies`, `distance` or `steps` in markdown')
    parser.add_argument('results', type=Path, metavar='RESULTS.json')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench.results import expect_whole, read_results

    results = read_results(arguments.results)
    with expect_whole(arguments.results):
        print_tables(results)
