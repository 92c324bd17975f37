"""The command `s3dnn plan`: which variant and priority every task of a workload gets."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator

from s3dnn_ros.commands.argument_types import above_zero, from_zero, image_size, new_file
from s3dnn_ros.commands.bench.output import add_gates
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ParameterError, WorkloadError
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
                    "device with the workload's times, or on an engine (--on). Writes the one "
                    'with the least loss of accuracy whose tasks miss no more than they '
                    'tolerate. It is measured once more before it is written. Needs pymoo and '
                    'scikit-learn.')
    parser.add_argument('workload', metavar='NAME_OR_YAML',
                        help='a file, or the name of one that comes with the package, such as '
                             'robot_mix')
    parser.add_argument('--budget', type=above_zero(int), default=300, metavar='N',
                        help='strategies to measure (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=8.0, metavar='S',
                        help='for each, of virtual time or on the engine (default %(default)s)')
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
    group = parser.add_argument_group('on an engine, with the models that the variants name')
    group.add_argument('--on', dest='engine', choices=('auto', *ENGINES), metavar='ENGINE',
                       help='measure there, one strategy after another, with real work on the '
                            'CPU: ' + ', '.join(('auto', *ENGINES)) + ' (default: virtual time). '
                            'Times that the workload leaves out are measured first, and kept '
                            'beside the strategy file. An engine on the CPU takes the cores that '
                            '--cpus leave')
    group.add_argument('--measure', action='store_true',
                       help="measure all times, also those that the workload's file has")
    group.add_argument('--sms', type=from_zero, default=0, metavar='N',
                       help='multiprocessors of the GPU to use (default 0: all)')
    group.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                       help='of the JPEG images that come (default 1280x720)')
    add_gates(group)
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    parser.set_defaults(run=_plan)


@dataclasses.dataclass(frozen=True)
class _Ground:
    """What strategies are measured with: a Trial, or what is called like one.

    `measuring` is the context that gives the Measure of the search. `how` and `versions` go into
    the strategy file.
    """

    trial: Any
    measuring: ContextManager
    how: Dict[str, Any]
    versions: Dict[str, str]


def _plan(arguments) -> int:
    from s3dnn_ros.bench.s3dnn_plots import load_matplotlib

    if arguments.plots:
        load_matplotlib()       # whatever is missing is told before anything is measured
    if arguments.measure and not arguments.engine:
        raise ParameterError('--measure', True, 'nothing measures in virtual time; say --on, too')
    with (_on_engine if arguments.engine else _in_virtual_time)(arguments) as ground:
        return _found(arguments, ground)


@contextlib.contextmanager
def _in_virtual_time(arguments) -> Iterator[_Ground]:
    from s3dnn_ros.lab.dask_cluster import on_dask
    from s3dnn_ros.lab.strategy_trial import Trial, parallel
    from s3dnn_ros.strategy.workload import load_workload

    trial = Trial(load_workload(arguments.workload), arguments.policy, arguments.seconds,
                  cpus=arguments.cpus, segment_ms=arguments.segment_ms)
    yield _Ground(trial, on_dask(trial, arguments.dask) if arguments.dask
                  else parallel(trial, arguments.jobs or -1),
                  {'how': 'in virtual time, on a simulated device', 'jitter': trial.jitter}, {})


@contextlib.contextmanager
def _on_engine(arguments) -> Iterator[_Ground]:
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench.engine_trial import EngineTrial
    from s3dnn_ros.bench.engine_workload import workload_on
    from s3dnn_ros.bench.task_models import TaskSetup

    for option, value in (('--jobs', arguments.jobs > 1 and arguments.jobs),
                          ('--dask', arguments.dask)):
        if value:
            raise ParameterError(option, value, 'an engine measures one strategy at a time; '
                                 'leave it out')
    clock = SystemClock()
    threads = max(1, len(os.sched_getaffinity(0)) - arguments.cpus)
    engine, reason = chosen_engine(arguments, clock, arguments.sms, threads)
    print(f'engine {engine.name} on {engine.device}: {reason}', flush=True)
    try:
        workload, models = workload_on(
            engine, clock, arguments.workload,
            TaskSetup(*arguments.size, target_ms=arguments.segment_ms), anew=arguments.measure,
            file=arguments.out.with_suffix('.times.json'))
        # a garbage collection would walk all that was loaded, and take 100 ms for it
        gc.freeze()
        trial = EngineTrial(workload, models, arguments.policy, arguments.seconds,
                            cpus=arguments.cpus)
        yield _Ground(trial, contextlib.nullcontext(lambda strategies: map(trial, strategies)),
                      {'how': f'on the engine {engine.name}', 'images': arguments.size,
                       'gates': engine.gated}, dict(engine.versions))
    finally:
        engine.close()


def _found(arguments, ground) -> int:
    """Search, confirm, tell and write."""
    from s3dnn_ros.strategy.plan_file import plan_of
    from s3dnn_ros.strategy.proxy import proxy_error
    from s3dnn_ros.strategy.search import confirmed
    from s3dnn_ros.strategy.strategy import is_feasible

    workload, trial = ground.trial.workload, ground.trial
    with ground.measuring as measure:
        measured = _search(arguments, trial, measure)
    again = trial.confirming(CONFIRMED_TIMES)
    strategy, measurement = confirmed(workload, measured,
                                      lambda strategies: list(map(again, strategies)))
    feasible = is_feasible(workload, strategy, measurement)
    how = {**ground.how, 'strategies': len(measured), 'seconds': again.seconds,
           'cpus': trial.cpus, 'segment_ms': arguments.segment_ms}
    error = None
    if len(measured) > 1:
        error = proxy_error(workload, measured, arguments.seed)
        how['proxy_error'] = error.proxy
    plan = plan_of(workload, strategy, measurement, policy=trial.policy, feasible=feasible,
                   measured=how, versions={**_versions(), **ground.versions})
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


def _search(arguments, trial, measure):
    """Return what is measured when the budget is used up."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from s3dnn_ros.strategy.measured_file import load_measured, save_measured
    from s3dnn_ros.strategy.search import search
    from s3dnn_ros.strategy.strategy import best_first

    file, workload = arguments.measured, trial.workload
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

        def one_by_one(strategies):
            # an engine takes long for each: what was measured is not lost with the rest
            for strategy, measurement in zip(strategies, measure(strategies)):
                known[strategy] = measurement
                told(known)
                yield measurement

        return search(workload, one_by_one, arguments.budget, arguments.seed, dict(known))


def _print(plan, count, error) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=f'{plan.workload} on {plan.device}, scheduler {plan.policy}; '
                        f"{plan.measured['how']}")
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
