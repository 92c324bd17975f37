"""The command `s3dnn bench plot`: results as pictures."""

from __future__ import annotations

from pathlib import Path


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'plot', help='results of `s3dnn bench overload` or `s3dnn` as pictures; needs '
                     'matplotlib')
    parser.add_argument('results', type=Path, metavar='RESULTS.json')
    parser.add_argument('--out', type=Path, default=Path('bench-plots'), metavar='DIR',
                        help='folder for the PNG files (default %(default)s)')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench.results import WITH_PICTURES, expect_whole, plot, read_results

    results = read_results(arguments.results, WITH_PICTURES)
    with expect_whole(arguments.results):
        print('\n'.join(map(str, plot(results, arguments.out))))
