"""Workers of a Dask cluster measure what a process here measures, or a sentence says why not."""

import sys

import pytest

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.lab.dask_cluster import on_dask
from s3dnn_ros.lab.strategy_trial import Trial
from s3dnn_ros.strategy.strategy import Strategy

STRATEGIES = [Strategy.in_order((0, 1, 2), order) for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2))]


@pytest.fixture(scope='module')
def address():
    """Return the address of a cluster whose workers are threads."""
    distributed = pytest.importorskip('distributed')
    with distributed.LocalCluster(2, processes=False, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def trial(make_workload):
    return Trial(make_workload(load=1.2), seconds=1.0, seeds=(0,))


def test_a_cluster_measures_what_a_process_measures(trial, address):
    with on_dask(trial, address) as measure:
        for strategies in (STRATEGIES, STRATEGIES[:1]):
            assert measure(strategies) == [trial(strategy) for strategy in strategies]


def test_nothing_else_runs_on_the_cluster(trial, address):
    joblib = pytest.importorskip('joblib')
    with on_dask(trial, address):
        assert joblib.effective_n_jobs(None) == 1


def test_a_worker_that_lacks_the_package_is_told(trial, address):
    def missing(_):
        raise ModuleNotFoundError("No module named 's3dnn_ros'", name='s3dnn_ros')

    with pytest.raises(StrategyError, match='a worker without s3dnn_ros; install'), \
            on_dask(missing, address) as measure:
        measure(STRATEGIES)


@pytest.mark.parametrize('address', ['127.0.0.1:1', 'nowhere:port'])
def test_a_scheduler_that_does_not_answer_is_told(trial, monkeypatch, address):
    pytest.importorskip('distributed')
    monkeypatch.setattr('s3dnn_ros.lab.dask_cluster.CONNECT_S', 0.2)
    with pytest.raises(StrategyError, match=f'reached at {address}.*--dask'), \
            on_dask(trial, address):
        pass


def test_without_dask_a_sentence_says_how_to_get_it(trial, monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(StrategyError, match=r'distributed is not here.*pip install "dask'), \
            on_dask(trial, 'host:8786'):
        pass
