"""A Dask cluster whose workers simulate."""

from __future__ import annotations

import contextlib
from typing import Iterator

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.lab.strategy_trial import Trial, measuring
from s3dnn_ros.strategy.libraries import library
from s3dnn_ros.strategy.strategy import Measure

# For the scheduler to answer.
CONNECT_S = 10


@contextlib.contextmanager
def on_dask(trial: Trial, address: str) -> Iterator[Measure]:
    """Give what measures several strategies at once, on the workers of a Dask cluster.

    `address` is that of the cluster's scheduler, such as 'host:8786'. Raises StrategyError if Dask
    is missing, the scheduler does not answer, or a worker lacks this package.
    """
    with workers_on(address) as workers, workers:
        yield measuring(trial, workers)


@contextlib.contextmanager
def workers_on(address: str, **options) -> Iterator:
    """Give a joblib.Parallel with these options, whose workers are those of a Dask cluster.

    Raises StrategyError as `on_dask` does.
    """
    distributed, joblib = library('distributed'), library('joblib')
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise StrategyError('the Dask scheduler', f'cannot be reached at {address} ({error}); '
                            'start it, or correct --dask') from error
    with client:
        # scikit-learn looks for the backend, too, and is to stay here
        with joblib.parallel_config(backend='dask'):
            workers = joblib.Parallel(-1, **options)
        try:
            yield workers
        except ModuleNotFoundError as error:
            raise StrategyError('the Dask cluster', f'has a worker without {error.name}; install '
                                'this version of s3dnn_ros there') from error
