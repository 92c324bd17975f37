"""The command `s3dnn plan`: which variant and priority every task of a workload gets."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero, from_zero, new_file
from s3dnn_ros.errors import WorkloadError
from s3dnn_ros.scheduling import POLICIES

# The strategy is measured again for so many times as long, with other seeds.
CONFIRMED_TIMES = 4
# What results depend on.
_LIBRARIES = ('s3dnn_ros', 'numpy', 'scikit-learn', 'pymoo')


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'plan', help='choose a variant and a priority for every task of a workload',
        description='Tries strategies in virtual time, on the shipped scheduler and a simulated '
                    "device with the workload's times, and writes the one with the least loss of "
                    'accuracy whose tasks miss no more than they tolerate. It is measured once '
                    'more before it is written. Needs pymoo and scikit-learn.')
    parser.add_argument('workload', metavar='NAME_OR_YAML',
                        help='a file, or the name of one that comes with the package, such as '
                             'robot_mix')
    parser.add_argument('--budget', type=above_zero(int), default=300, metavar='N',
                        help='strategies to measure (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=8.0, metavar='S',
                        help='of virtual time for each (default %(default)s)')
    parser.add_argument('--out', type=new_file, default=Path('strategy.yaml'), metavar='YAML',
                        help='the strategy file (default %(default)s)')
    parser.add_argument('--plots', type=Path, metavar='DIR',
                        help='folder for pictures of the front and of the proxy; needs matplotlib')
    parser.add_argument('--measured', type=new_file, metavar='JSON',
                        help='file of measured strategies: the search goes on from what is there, '
                             'and keeps it up to date')
    parser.add_argument('--policy', choices=sorted(POLICIES), default='packing',
                        help="the executor's scheduler (default %(default)s)")
    parser.add_argument('--cpus', type=above_zero(int), default=1, metavar='N',
                        help="the executor's cpu_workers (default %(default)s)")
    parser.add_argument('--segment-ms', type=above_zero(float), default=5.0, metavar='T',
                        help='time of a segment, at whose end a scheduler decides (default '
                             '%(default)s)')
    parser.add_argument('--jobs', type=from_zero, default=0, metavar='N',
                        help='processes that measure; 0: one for each core (default %(default)s)')
    parser.add_argument('--dask', metavar='HOST:PORT',
                        help='measure on the workers of a Dask cluster, whose scheduler is there, '
                             'in place of processes')
    parser.add_argument('--seed', type=from_zero, default=0, metavar='N',
                        help='of the search (default %(default)s)')
    parser.add_argument('--nearest', action='store_true',
                        help='if every strategy misses too much, write the nearest one')
    parser.set_defaults(run=_plan)


def _plan(arguments) -> int:
    from s3dnn_ros.bench.s3dnn_plots import load_matplotlib
    from s3dnn_ros.lab.strategy_trial import Trial
    from s3dnn_ros.strategy.plan_file import plan_of
    from s3dnn_ros.strategy.proxy import proxy_error
    from s3dnn_ros.strategy.search import confirmed
    from s3dnn_ros.strategy.strategy import is_feasible
    from s3dnn_ros.strategy.workload import load_workload

    if arguments.plots:
        load_matplotlib()       # whatever is missing is told before anything is measured
    workload = load_workload(arguments.workload)
    trial = Trial(workload, arguments.policy, arguments.seconds, cpus=arguments.cpus,
                  segment_ms=arguments.segment_ms)
    with _parallel(arguments, trial) as measure:
        measured = _search(arguments, workload, trial, measure)
    again = trial.confirming(CONFIRMED_TIMES)
    strategy, measurement = confirmed(workload, measured,
                                      lambda strategies: list(map(again, strategies)))
    feasible = is_feasible(workload, strategy, measurement)
    how = {'how': 'in virtual time, on a simulated device', 'strategies': len(measured),
           'seconds': again.seconds, 'cpus': trial.cpus, 'segment_ms': trial.segment_ms,
           'jitter': trial.jitter}
    error = None
    if len(measured) > 1:
        error = proxy_error(workload, measured, arguments.seed)
        how['proxy_error'] = error.proxy
    plan = plan_of(workload, strategy, measurement, policy=trial.policy, feasible=feasible,
                   measured=how, versions=_versions())
    _print(plan, len(measured), error)
    if arguments.plots and error:
        from s3dnn_ros.bench.strategy_plots import plot

        for path in plot(workload, measured, strategy, error, arguments.plots):
            print(path)
    if not (feasible or arguments.nearest):
        raise WorkloadError(arguments.workload, _infeasible(workload, plan, len(measured)))
    plan.save(arguments.out)
    print(f'written to {arguments.out}')
    return 0 if feasible else 1


def _parallel(arguments, trial):
    """Return the context that gives what measures several strategies at once."""
    from s3dnn_ros.lab.dask_cluster import on_dask
    from s3dnn_ros.lab.strategy_trial import parallel

    if arguments.dask:
        return on_dask(trial, arguments.dask)
    return parallel(trial, arguments.jobs or -1)


def _search(arguments, workload, trial, measure):
    """Return what is measured when the budget is used up."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from s3dnn_ros.strategy.measured_file import load_measured, save_measured
    from s3dnn_ros.strategy.search import search
    from s3dnn_ros.strategy.strategy import best_first

    file = arguments.measured
    known = load_measured(file, trial.key, workload) if file and file.exists() else {}
    console = Console()
    with Progress(TextColumn('{task.description}'), BarColumn(),
                  TextColumn('{task.completed} of {task.total}'), TimeRemainingColumn(),
                  console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task('measuring strategies', total=arguments.budget,
                                completed=len(known))

        def told(measured):
            if file:
                save_measured(file, trial.key, measured)
            best = best_first(workload, measured)[0]
            excess = workload.excess(measured[best].missed)
            progress.update(bar, completed=len(measured), description=(
                f'best: loss {1e2 * workload.loss(best.variants):.2f} %' if not excess else
                f'nearest: {1e2 * excess:.2f} % too many missed'))

        return search(workload, measure, arguments.budget, arguments.seed, known, told)


def _print(plan, count, error) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=f'{plan.workload} on {plan.device}, scheduler {plan.policy}; simulated')
    for label in ('Task', 'Model', 'Variant', 'Priority', 'Missed', 'Tolerated', 'p95 ms'):
        shown.add_column(label, justify='left' if label in ('Task', 'Model') else 'right')
    for task in plan.tasks:
        shown.add_row(task.name, task.planned_model or task.model, str(task.variant),
                      str(task.priority), f'{1e2 * task.missed:.1f} %',
                      f'{1e2 * task.tolerated_miss_rate:.1f} %',
                      '-' if task.response_ms is None else f'{task.response_ms:.1f}',
                      style='yellow' if task.missed > task.tolerated_miss_rate else '')
    Console().print(shown)
    print(f'loss {1e2 * plan.loss:.2f} % of accuracy, summed over tasks; {plan.storage_mb:g} MB; '
          f'{count} strategies measured')
    if error:
        print(f'the proxy is off by {1e2 * error.proxy:.2f} points on average, on held-out '
              f'strategies; the mean of all by {1e2 * error.constant:.2f}')


def _infeasible(workload, plan, count) -> str:
    """Return which constraint cannot be kept, by how much, and what to do."""
    late = [f"'{planned.name}' misses {1e2 * planned.missed:.1f} % of its frames and tolerates "
            f'{1e2 * planned.tolerated_miss_rate:.1f} %{_hopeless(task)}'
            for planned, task in zip(plan.tasks, workload.tasks)
            if planned.missed > planned.tolerated_miss_rate]
    return (f'none of {count} measured strategies keeps every tolerated_miss_rate; of the '
            f'nearest, {", and ".join(late)}; raise what is tolerated, a period or a deadline, '
            'measure more (--budget), or write the nearest with --nearest')


def _hopeless(task) -> str:
    """Return what to know of a task for which no variant is quick enough, else nothing."""
    alone_s = min(variant.alone_s for variant in task.model.variants)
    if alone_s <= task.deadline_s:
        return ''
    return (f' (alone, its quickest variant takes {1e3 * alone_s:g} ms of the '
            f'{1e3 * task.deadline_s:g} ms until its deadline)')


def _versions():
    """Return the versions of what results depend on."""
    versions = {'python': platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = 'of the checkout'
    return versions
