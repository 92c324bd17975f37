"""Experiments of many simulations, which run side by side, and go on after a stop."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.base.content import json_of, read_bytes
from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.results import write_results
from s3dnn_ros.errors import DocumentError, ParameterError
from s3dnn_ros.lab.dask_cluster import workers_on

_LOG = logging.getLogger(__name__)

# The file is written anew no more often.
SAVE_EVERY_S = 2.0


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is simulated: `run` once for each of the `cells`, in any order and any process.

    `plan` is a frozen dataclass of the whole; `format` is that of the results' tables. A cell is
    a frozen dataclass too, seed included, and holds all that its result depends on. JSON can hold
    plan, cells and results.
    """

    name: str
    format: int
    plan: Any
    cells: Sequence[Any]
    run: Callable[[Any], Dict]


def sweep(experiment: Experiment, path: Optional[Path] = None, jobs: int = -1, dask: str = '',
          progress: Callable[[int, int], None] = ignore) -> Dict:
    """Run the cells that a file does not have yet; return all results.

    Results are in the order of the cells. After Ctrl-C there are those that were done by then:
    `complete` is False, and the same call goes on.

    Parameters
    ----------
    experiment : Experiment
    path : Path, optional
        JSON file of the results. It is kept up to date, so that nothing is lost.
    jobs : int
        Processes, as joblib counts them: -1 is one for each core. Without joblib there is one.
    dask : str
        Address of a Dask scheduler, whose workers are used in place of processes.
    progress : callable
        Called with how many cells are done, and how many there are.

    Raises
    ------
    ParameterError
        If the file has results of something else, or cannot be written.
    StrategyError
        If the Dask cluster cannot be used.

    """
    keys = [_key(dataclasses.asdict(cell)) for cell in experiment.cells]
    results = {'format': experiment.format, 'lab': experiment.name,
               'environment': environment(), 'device': 'simulated',
               'plan': dataclasses.asdict(experiment.plan), 'total': len(keys),
               'complete': False, 'cells': []}
    done = _kept(path, results, keys)
    left = [place for place, key in enumerate(keys) if key not in done]
    saved_s = time.monotonic()

    def save():
        results['cells'] = [done[key] for key in keys if key in done]
        results['complete'] = len(results['cells']) == len(keys)
        if path is not None:
            write_results(path, results)

    progress(len(done), len(keys))
    try:
        with _workers(jobs, dask, len(left)) as workers:
            for place, result in workers(experiment.run, [(place, experiment.cells[place])
                                                          for place in left]):
                done[keys[place]] = {'cell': dataclasses.asdict(experiment.cells[place]),
                                     'result': result}
                progress(len(done), len(keys))
                if time.monotonic() > saved_s + SAVE_EVERY_S:
                    save()
                    saved_s = time.monotonic()
    except KeyboardInterrupt:
        _LOG.warning(f'stopped: {len(done)} of {len(keys)} simulations are done'
                     + (f' and kept in {path}; the same command goes on' if path else ''))
    finally:
        if done:
            save()
    return results


def _kept(path, results, keys) -> Dict[str, Dict]:
    """Return by key what a file has of the cells; raises ParameterError if it is of others."""
    if path is None or not path.exists():
        return {}
    try:
        kept = json_of(read_bytes(path))
        cells = {_key(row['cell']): {'cell': row['cell'], 'result': row['result']}
                 for row in kept['cells']}
        same = all(kept[name] == results[name] for name in ('lab', 'format'))
        versions = [(each['environment']['commit'], each['environment']['versions'])
                    for each in (kept, results)]
    except (DocumentError, AttributeError, LookupError, TypeError) as error:
        raise ParameterError('--out', str(path), 'it is there and holds no results of '
                             '`s3dnn lab`; name another file, or remove it') from error
    if not same or not set(cells) <= set(keys):
        raise ParameterError('--out', str(path), 'it has results of another experiment, or of '
                             'more than this one asks for; name another file, or remove it')
    if versions[0] != versions[1]:
        raise ParameterError('--out', str(path), 'it has results of another version of s3dnn_ros '
                             'or its libraries; name another file, or remove it')
    return cells


def _key(cell: Dict) -> str:
    return json.dumps(cell, sort_keys=True)


@contextlib.contextmanager
def _workers(jobs, dask, most) -> Iterator[Callable]:
    """Give what runs cells side by side, and gives (place, result) of each once it is done."""
    if dask:
        with workers_on(dask, return_as='generator_unordered') as parallel:
            yield lambda run, cells: _run_by(parallel, run, cells)
        return
    joblib = None
    with contextlib.suppress(ImportError):
        joblib = importlib.import_module('joblib')
    if joblib is None and jobs not in (-1, 1):
        raise ParameterError('--jobs', jobs, 'needs joblib; install it with '
                             '`pip install "joblib>=1.3"`, or leave --jobs out')
    if joblib is None or min(joblib.effective_n_jobs(jobs), most) <= 1:
        yield lambda run, cells: ((place, run(cell)) for place, cell in cells)
        return
    parallel = joblib.Parallel(jobs, return_as='generator_unordered')
    yield lambda run, cells: _run_by(parallel, run, cells)


def _run_by(parallel, run, cells: List[Tuple[int, Any]]):
    joblib = importlib.import_module('joblib')
    with contextlib.closing(parallel(
            joblib.delayed(_run_quietly)(run, place, cell) for place, cell in cells)) as results:
        yield from results


def _run_quietly(run, place, cell) -> Tuple[int, Dict]:
    """Run a cell in a process of its own: Ctrl-C is for the one that has the results."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return place, run(cell)
