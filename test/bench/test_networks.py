"""Benches bring the networks that they need, or say why not before they measure."""

import sys

import pytest

from s3dnn_ros.bench import engines_bench, neuos_bench, pipeline_bench, s3dnn_bench
from s3dnn_ros.bench.networks import ready
from s3dnn_ros.errors import ModelError


class NoEngine:
    """Stands for an engine that must not be asked to measure."""

    name = device = 'none'
    versions, heeds = {}, ()


def _s3dnn(model):
    s3dnn_bench.run(NoEngine(), None, s3dnn_bench.Plan(models=(model,)))


def _neuos(model):
    neuos_bench.run(neuos_bench.Device(NoEngine(), None, pytest.fail),
                    neuos_bench.Plan(models=(model,)), pytest.fail)


def _engines(model):
    engines_bench.run(None, engines_bench.Plan(models=(model,)), pytest.fail)


def _pipeline(model):
    pipeline_bench.run(seconds=1.0, runs=1, memory_seconds=0.0, model=model)


@pytest.fixture
def nothing_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setitem(sys.modules, 'torch', None)


@pytest.mark.parametrize('bench', [_s3dnn, _neuos, _engines, _pipeline])
def test_without_torch_a_bench_of_its_networks_says_so_and_measures_nothing(
        nothing_fetched, bench):
    with pytest.raises(ModelError, match='pip install torch'):
        bench('resnet50')


@pytest.mark.parametrize('bench', [_s3dnn, _neuos, _engines, _pipeline])
def test_every_bench_asks_for_its_networks_first(nothing_fetched, monkeypatch, bench):
    class Asked(Exception):
        pass

    def fetch(names):
        raise Asked(names)

    monkeypatch.setattr('s3dnn_ros.models.zoo.fetch', fetch)
    monkeypatch.setattr(s3dnn_bench, 'TABLE_MODEL', 'squeezenet_1_1')
    with pytest.raises(Asked) as caught:
        bench('squeezenet_1_1')
    assert caught.value.args == (['squeezenet_1_1.pkl', 'imagenet_names.json'],)


def test_the_users_own_network_needs_nothing_but_its_file(tiny_model, said):
    ready([tiny_model])
    assert not said
