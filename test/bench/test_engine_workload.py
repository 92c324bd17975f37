"""Workloads on an engine: which models are loaded, and which times are measured, and once."""

import copy
import shutil

import pytest
import yaml

from s3dnn_ros.bench.engine_workload import model_lanes, workload_on
from s3dnn_ros.bench.task_models import TaskModels, TaskSetup
from s3dnn_ros.errors import ModelError, WorkloadError
from s3dnn_ros.strategy.workload import load_workload

SETUP = TaskSetup(16, 16, 1.0)
GIVEN = {'before_ms': 2.0, 'device_ms': 20.0, 'behind_ms': 1.0, 'utilization': 0.5}
COSTS = {'loss': 0.0, 'storage_mb': 40.0}
WORKLOAD = {
    'storage_limit_mb': 100.0,
    'models': {'net': {'accuracy': 80.0, 'variants': [
        {'model': 'tiny', **COSTS}, {'model': 'tiny_small', **COSTS, 'loss': 2.0}]}},
    'tasks': [{'name': name, 'model': 'net', 'period_ms': 50.0, 'deadline_ms': 40.0,
               'tolerated_miss_rate': 0.1} for name in ('left', 'right')]}


@pytest.fixture
def write(tiny_model, tmp_path):
    """Return a function that writes a workload with changed variants, and returns its path."""
    shutil.copy(tmp_path / 'tiny.yaml', tmp_path / 'tiny_small.yaml')

    def build(*changes, **rest):
        tree = {**copy.deepcopy(WORKLOAD), **rest}
        for variant, change in zip(tree['models']['net']['variants'], changes):
            variant.update(change)
        path = tmp_path / 'work.yaml'
        path.write_text(yaml.safe_dump(tree), encoding='utf-8')
        return path
    return build


@pytest.fixture
def measured(monkeypatch):
    """Return the models whose times are measured, in their order; it takes few repeats."""
    monkeypatch.setattr('s3dnn_ros.bench.task_models.REPEATS', 3)
    models = []
    times = TaskModels.times
    monkeypatch.setattr(TaskModels, 'times',
                        lambda self, model: (models.append(model), times(self, model))[1])
    return models


def test_what_is_left_out_is_measured_and_every_model_is_there(engine, write, measured):
    workload, models = workload_on(engine, engine.clock, write(GIVEN), SETUP)
    assert measured == ['tiny_small'] and workload.device == engine.device
    exact, small = workload.tasks[0].model.variants
    assert exact.device_s == 0.02 and 0.0 < small.device_s < 1.0
    assert sorted(models.works) == ['tiny', 'tiny_small']
    assert model_lanes(workload, '') == {'tiny': 2, 'tiny_small': 2}


def test_all_is_measured_if_that_is_asked_for(engine, write, measured):
    path = write(GIVEN, GIVEN, device='a board')
    workload, _ = workload_on(engine, engine.clock, path, SETUP, anew=True)
    assert measured == ['tiny', 'tiny_small'] and workload.device == engine.device
    with pytest.raises(WorkloadError, match=r"work.yaml: has times of 'a board', and.*--measure"):
        workload_on(engine, engine.clock, path, SETUP)


def test_times_in_the_file_are_not_measured_again(engine, write, measured, tmp_path):
    path, file = write(), tmp_path / 'plan.times.json'
    first, _ = workload_on(engine, engine.clock, path, SETUP, file=file)
    assert measured == ['tiny', 'tiny_small']
    again, _ = workload_on(engine, engine.clock, path, SETUP, file=file)
    assert again == first and len(measured) == 2
    workload_on(engine, engine.clock, path, TaskSetup(32, 16, 1.0), file=file)
    assert len(measured) == 4


def test_times_of_another_file_of_a_model_are_measured_again(engine, write, measured, tmp_path):
    path, file = write(), tmp_path / 'plan.times.json'
    workload_on(engine, engine.clock, path, SETUP, file=file)
    file.write_text(file.read_text().replace('"sha256": "', '"sha256": "0', 1))
    workload_on(engine, engine.clock, path, SETUP, file=file)
    assert measured == ['tiny', 'tiny_small', 'tiny']


def test_a_variant_without_a_model_is_told_with_file_and_key(engine, write):
    path = write({}, {**GIVEN, 'model': ''}, device=engine.device)
    with pytest.raises(WorkloadError, match=r"work.yaml: lacks the key 'models.net.variants.1"):
        workload_on(engine, engine.clock, path, SETUP)
    with pytest.raises(WorkloadError, match=r'seed_4_tasks: lacks.*s3dnn scale'):
        model_lanes(load_workload('seed_4_tasks'), 'seed_4_tasks')


def test_a_model_that_is_not_there_is_told(engine, write, tmp_path):
    with pytest.raises(ModelError, match="'nothing'"):
        workload_on(engine, engine.clock, write({'model': 'nothing'}), SETUP)
    (tmp_path / 'gone.yaml').write_text(
        (tmp_path / 'tiny.yaml').read_text().replace('tiny.onnx', 'gone.onnx'))
    with pytest.raises(ModelError, match=r'gone\.onnx'):
        workload_on(engine, engine.clock, write({'model': 'gone'}), SETUP)
