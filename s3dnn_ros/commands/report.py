"""The command `s3dnn report`: runs as one page that shows what they did."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import new_file, seconds


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'report', help='recordings and results as one HTML page; needs plotly',
        description='Recordings of an executor (its service ~/write_recording) or of the lab '
                    'become timelines: segments, LAG, configuration, variants. Results of `s3dnn '
                    'bench` and `s3dnn lab` become energy against misses, and tables. The page '
                    'holds all that it needs, and opens in any browser, offline.')
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN',
                        help='JSON file of a recording or of results')
    parser.add_argument('-o', '--out', type=new_file, default=Path('report.html'),
                        metavar='PAGE', help='HTML file (default %(default)s)')
    parser.add_argument('--png', type=Path, metavar='FOLDER',
                        help='folder for the figures as PNG files, too; needs matplotlib')
    parser.add_argument('--from', dest='from_s', type=seconds, metavar='S',
                        help='draw recordings from this second after their begin on (default: '
                             'the newest minute of each, and its newest segments)')
    parser.add_argument('--to', dest='to_s', type=seconds, metavar='S',
                        help='and to this one')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.cache import write_whole
    from s3dnn_ros.bench.results import expect_whole
    from s3dnn_ros.bench.s3dnn_plots import load_matplotlib
    from s3dnn_ros.report.page import ReportError, page, plotly_script, sections
    from s3dnn_ros.report.pictures import pictures

    script = plotly_script()
    if arguments.png:
        load_matplotlib()       # what is missing is told before anything is read
    found = []
    for path in arguments.runs:
        with expect_whole(path):
            found += sections([(path.stem, _read(path))], arguments.from_s, arguments.to_s,
                              first=len(found))
    try:
        write_whole(arguments.out, page(found, script).encode())
    except OSError as error:
        raise ReportError(f'{arguments.out} cannot be written ({error.strerror}); name another '
                          'with --out') from error
    print(arguments.out)
    if arguments.png:
        print('\n'.join(map(str, pictures({name: figure for section in found for name, figure
                                           in section.figures.items()}, arguments.png))))


def _read(path: Path):
    """Return what is in a file: a Recording, or Results."""
    from s3dnn_ros.base.content import MOST_JSON_BYTES, json_of, read_bytes
    from s3dnn_ros.bench.results import read_results, tables
    from s3dnn_ros.errors import DocumentError, RecordingError
    from s3dnn_ros.report.page import Results
    from s3dnn_ros.runtime.recording import is_recording, recording_of

    try:
        content = json_of(read_bytes(path, MOST_JSON_BYTES))
        if is_recording(content):
            return recording_of(content)
    except DocumentError as error:
        raise RecordingError(path, f'{error}: name a recording, or results of `s3dnn bench` or '
                             '`s3dnn lab`') from error
    results = read_results(path)
    return Results(results, tables(results))
