"""The command `s3dnn table study`: how well the batches of measured tables are split."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.bench.output import add_out, written_to


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'study', help='greedy beside optimal splits, and speed-ups, for every table of a folder',
        description='Computes, for every CSV file in a folder, how much longer greedy splits take '
                    'than optimal ones, and how much sooner a batch ends than on the quickest '
                    "unit, beside the paper's figure where the table is one of the study's. "
                    'Nothing runs.')
    parser.add_argument('folder', type=Path, metavar='FOLDER')
    parser.add_argument('--max-batch', type=above_zero(int), default=200, metavar='N',
                        help='compare splits of all batches up to this (default %(default)s)')
    parser.add_argument('--at', type=above_zero(int), default=100, metavar='N',
                        help='the batch of the speed-ups (default %(default)s)')
    add_out(parser, each='')
    parser.set_defaults(run=_run)


def _run(arguments) -> None:
    from s3dnn_ros.bench import table_study

    results = table_study.run(arguments.folder, range(1, arguments.max_batch + 1), arguments.at)
    print('\n'.join(table_study.tables(results)))
    written_to(arguments.out)(results)
