"""What experiments have in common: options, progress, the file of their results, tables."""

from __future__ import annotations

import contextlib
from typing import Callable, Iterator

from s3dnn_ros.commands.argument_types import above_zero, from_zero, new_file


def add_running(parser, seeds: int = 0) -> None:
    """Add the options of all experiments; `seeds` is the default, 0 if others say them."""
    if seeds:
        parser.add_argument('--seeds', type=above_zero(int), default=seeds, metavar='N',
                            help='runs of each, with seeds from 0 on (default %(default)s)')
    parser.add_argument('--out', type=new_file, metavar='JSON',
                        help='file of the results, kept up to date; if it is there, only what it '
                             'lacks is simulated')
    parser.add_argument('--jobs', type=from_zero, default=0, metavar='N',
                        help='processes that simulate; 0: one for each core (default '
                             '%(default)s)')
    parser.add_argument('--dask', default='', metavar='HOST:PORT',
                        help='simulate on the workers of a Dask cluster, whose scheduler is '
                             'there, in place of processes')


def run_experiment(arguments, experiment) -> int:
    """Run an experiment, print its tables, and return the exit status: 130 after Ctrl-C."""
    from s3dnn_ros.commands.bench.output import print_tables
    from s3dnn_ros.lab.sweep import sweep

    with _progress(experiment.name) as progress:
        results = sweep(experiment, arguments.out, arguments.jobs or -1, arguments.dask, progress)
    if results['cells']:
        print_tables(results)
    return 0 if results['complete'] else 130


@contextlib.contextmanager
def _progress(title) -> Iterator[Callable[[int, int], None]]:
    """Give what shows how many simulations are done: a bar on a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress('{task.description}', BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
