"""The command `s3dnn bench cohort`: what the cohort's decisions cost."""

from __future__ import annotations

from s3dnn_ros.commands.bench.output import add_out, written_to


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'cohort', help="what the cohort's decisions cost, beside searches through all "
                       'configurations, its tables and power samples')
    parser.add_argument('--runs', type=int, default=3, help='of each (default 3)')
    parser.add_argument('--decisions', type=int, default=5000, help='per run (default 5000)')
    add_out(parser, each='')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench import cohort_bench

    results = cohort_bench.run(runs=arguments.runs, decisions=arguments.decisions)
    written_to(arguments.out)(results)
