"""Result files of the benches: which bench wrote one, and its tables."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Collection, Dict, Iterator, List

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import json_of, read_bytes
from s3dnn_ros.bench import (
    distance_results,
    engine_strategies_results,
    engines_results,
    lab_neuos_results,
    lab_partition_results,
    lab_replay_results,
    lab_rtmdl_results,
    lab_s3dnn_results,
    lab_workload_results,
    neuos_results,
    overload_plots,
    overload_results,
    packing_results,
    partition_results,
    s3dnn_plots,
    s3dnn_results,
    steps_results,
    strategies_results,
    virtual_results,
)
from s3dnn_ros.errors import DocumentError, ParameterError, S3dnnError

BENCHES = {'s3dnn': s3dnn_results, 'neuos': neuos_results, 'engines': engines_results,
           'overload': overload_results, 'virtual': virtual_results,
           'distance': distance_results, 'steps': steps_results, 'packing': packing_results,
           'strategies': strategies_results, 'partition': partition_results,
           'strategies --engine': engine_strategies_results, 'lab neuos': lab_neuos_results,
           'lab s3dnn': lab_s3dnn_results, 'lab rtmdl': lab_rtmdl_results,
           'lab partition': lab_partition_results, 'lab replay': lab_replay_results,
           'lab workload': lab_workload_results}
WITH_PICTURES = {'s3dnn': s3dnn_plots, 'overload': overload_plots}
# By what only its results have; those of `s3dnn` have whatever parts were asked for.
_BY_KEY = {'cohorts': 'neuos', 'rows': 'engines', 'overloads': 'overload',
           'virtual': 'virtual', 'distances': 'distance', 'images': 'steps',
           'packing': 'packing', 'searches': 'strategies', 'partitions': 'partition',
           'strategies_on_engine': 'strategies --engine'}


def read_results(path, benches: Collection[str] = tuple(BENCHES)) -> Dict:
    """Return the results in a file.

    Raises ParameterError if they are of none of these benches, or of another format.
    """
    expected = 'expected a file that ' + ' or '.join(
        f'`s3dnn {_command(name)} --out`' for name in benches) + ' wrote'
    try:
        results = json_of(read_bytes(Path(path)))
    except DocumentError as error:
        raise ParameterError('RESULTS', str(path), f'{expected} ({error})') from error
    if (not isinstance(results, dict) or _bench(results) not in benches
            or results.get('format') != BENCHES[_bench(results)].FORMAT):
        raise ParameterError('RESULTS', str(path), f'{expected}, of the format that is written '
                             'now; measure again')
    return results


def write_results(path: Path, results: Dict) -> None:
    """Write results into a file; raises ParameterError if it cannot be written."""
    try:
        write_whole(path, (json.dumps(results, indent=1) + '\n').encode())
    except OSError as error:
        raise ParameterError('--out', str(path), f'it cannot be written ({error.strerror}); '
                             'free space there, or name another') from error


@contextlib.contextmanager
def expect_whole(path) -> Iterator[None]:
    """Raise ParameterError where results of a file turn out to lack something."""
    try:
        yield
    except S3dnnError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ParameterError('RESULTS', str(path), 'something in it is missing or of another '
                             f'kind than the bench writes ({error!r}); measure again') from error


def tables(results) -> List[str]:
    """Return results as lines of markdown."""
    return BENCHES[_bench(results)].tables(results)


def plot(results, directory: Path) -> List[Path]:
    """Write pictures of results into a directory; return their paths. Raises PlotError."""
    return WITH_PICTURES[_bench(results)].plot(results, directory)


def _bench(results):
    if 'lab' in results:
        return f"lab {results['lab']}"
    return next((bench for key, bench in _BY_KEY.items() if key in results), 's3dnn')


def _command(name):
    return name if name.startswith('lab ') else f'bench {name}'
