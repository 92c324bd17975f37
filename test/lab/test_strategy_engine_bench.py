"""The bench of strategies on an engine: whole, where a simulated device answers for the engine."""

import json

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench.engine_trial import EngineTrial
from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.bench.scaled_variants import scaled_variants
from s3dnn_ros.bench.task_models import TaskModels
from s3dnn_ros.cli import main
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.lab import strategy_engine_bench
from s3dnn_ros.lab.strategy_engine_bench import HEADROOMS, PLANNED, Plan, run, workload_of
from s3dnn_ros.lab.strategy_trial import Trial
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.strategy.rivals import load
from s3dnn_ros.strategy.strategy import Measurement
from s3dnn_ros.strategy.workload import ModelTimes, ScaledModel, Variant

EXACT = 'exact, rate-monotonic'
WIDTHS, SIDE = (32, 64), 8


@pytest.fixture
def net(tmp_path, monkeypatch):
    """Let the name `net` stand for a network of two convolutions."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    shapes = [(WIDTHS[0], 3, 3, 3), (WIDTHS[1], WIDTHS[0], 3, 3), (5, WIDTHS[1], 1, 1)]
    weights = [onnx.numpy_helper.from_array(np.random.default_rng(index).normal(
        size=shape).astype(np.float32), f'w{index}') for index, shape in enumerate(shapes)]
    nodes = [helper.make_node('Conv', ['x', 'w0'], ['a'], pads=[1] * 4),
             helper.make_node('Relu', ['a'], ['b']),
             helper.make_node('Conv', ['b', 'w1'], ['c'], pads=[1] * 4),
             helper.make_node('Conv', ['c', 'w2'], ['d']),
             helper.make_node('GlobalAveragePool', ['d'], ['y'])]
    graph = helper.make_graph(
        nodes, 'net', [helper.make_tensor_value_info('x', floats, ['N', 3, SIDE, SIDE])],
        [helper.make_tensor_value_info('y', floats, ['N', 5, 1, 1])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8),
              str(tmp_path / 'net.onnx'))
    description = {'onnx': str(tmp_path / 'net.onnx'), 'width': SIDE, 'height': SIDE,
                   'colour': 'rgb', 'mean': [0, 0, 0], 'std': [255, 255, 255],
                   'resize': 'stretch', 'decoder': 'classification'}
    (tmp_path / 'net.yaml').write_text(yaml.safe_dump(description))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    return 'net'


@pytest.fixture
def simulated(monkeypatch):
    """Let the last digit of a model's name say its time, and a simulated device answer."""
    pytest.importorskip('pymoo')
    pytest.importorskip('sklearn')
    monkeypatch.setattr('s3dnn_ros.bench.task_models.REPEATS', 3)
    monkeypatch.setattr(strategy_engine_bench, 'VIRTUAL_FRAMES', 20)
    monkeypatch.setattr(TaskModels, 'times', lambda self, model: ModelTimes(
        self.prepared.engine.device, 0.02 * 0.6 ** int(model[-len('0.yaml')]), 1.0, 1e-3, 1e-3))
    monkeypatch.setattr(EngineTrial, '__call__', lambda self, strategy: Trial(
        self.workload, self.policy, self.seconds, self.seeds)(strategy))


@pytest.fixture
def engine():
    engine, _ = make_engine('onnxruntime', SystemClock(), threads=1)
    yield engine
    engine.close()


def plan(**changes):
    return Plan(**{'models': ('net',), 'variants': 2, 'loads': (1.5,), 'width': 16, 'height': 16,
                   'budget': 18, 'runs': 2, 'seconds': 3.0, **changes})


def test_the_planned_strategy_misses_less_and_all_is_saved(engine, net, simulated, tmp_path):
    saved = []
    results = run(engine, engine.clock, plan(loads=(1.2, 1.4)), lambda content: saved.append(
        json.dumps(content)), jobs=1)
    assert json.loads(saved[-1]) == json.loads(json.dumps(results))
    assert len(saved) == 2 * 2 * 5
    for row, asked in zip(results['strategies_on_engine'], (1.2, 1.4)):
        assert row['confirmed'] and row['searches'][-1]['headroom'] in HEADROOMS
        contenders = row['contenders']
        assert contenders[EXACT]['load'] == pytest.approx(asked)
        assert contenders[EXACT]['mean_loss'] == 0.0 < contenders[PLANNED]['mean_loss']
        for planned, exact in zip(contenders[PLANNED]['runs'], contenders[EXACT]['runs']):
            assert planned['missed'] < 0.6 * exact['missed'] and len(planned['tasks']) == 2
    path = tmp_path / 'results.json'
    path.write_text(saved[-1])
    text = '\n'.join(tables(read_results(path, ['strategies --engine'])))
    assert text.count('| planned |') == 2 and 'given, not measured' in text
    assert 'confirmed here' in text and 'not confirmed' not in text


def test_a_workload_comes_as_often_as_the_load_says(engine, net, simulated, tmp_path):
    for index in range(2):
        (tmp_path / f'net_{index}.yaml').write_text((tmp_path / 'net.yaml').read_text())
    tree = {'storage_limit_mb': 10.0, 'models': {'net': {'accuracy': 80.0, 'variants': [
        {'model': str(tmp_path / f'net_{index}.yaml'), 'loss': 4.0 * index, 'storage_mb': 1.0}
        for index in range(2)]}}, 'tasks': [
        {'name': name, 'model': 'net', 'period_ms': 500.0, 'deadline_ms': 400.0,
         'tolerated_miss_rate': 0.05} for name in ('left', 'right')]}
    path = tmp_path / 'work.yaml'
    path.write_text(yaml.safe_dump(tree))
    results = run(engine, engine.clock, plan(workloads=(str(path),), runs=1), jobs=1)
    [row] = results['strategies_on_engine']
    assert row['contenders'][EXACT]['load'] == pytest.approx(1.5)
    # 20 ms each, and 1.5 times as much as there is
    assert [task['period_ms'] for task in row['tasks']] == [pytest.approx(2 * 20.0 / 1.5)] * 2
    assert [variant['loss'] for variant in results['models'][str(path)]['net']] == [0.0, 0.05]
    assert 'those of this workload' in '\n'.join(tables(results))


def test_what_fails_on_the_engine_is_searched_with_more_headroom(engine, net, simulated,
                                                                 monkeypatch):
    monkeypatch.setattr(EngineTrial, '__call__',
                        lambda self, strategy: Measurement((1.0, 1.0), (None, None)))
    results = run(engine, engine.clock, plan(runs=1), jobs=1)
    [row] = results['strategies_on_engine']
    assert [each['headroom'] for each in row['searches']] == list(HEADROOMS)
    assert not row['confirmed'] and 'not confirmed here' in '\n'.join(tables(results))


def test_the_command_writes_what_the_table_reads(net, simulated, tmp_path, capsys):
    out = tmp_path / 'results.json'
    assert main(['bench', 'strategies', '--engine', 'onnxruntime', '--models', 'net', '--variants',
                 '2', '--loads', '1.4', '--budget', '6', '--runs', '1', '--seconds', '2', '--size',
                 '16x16', '--policy', 'edf', '--out', str(out)]) == 0
    assert main(['bench', 'table', str(out)]) == 0
    assert capsys.readouterr().out.count('| planned |') == 2


@given(times_s=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=4))
def test_exact_models_ask_for_the_device_and_all_for_as_much(times_s):
    models = [ScaledModel(f'net_{index}', 1.0, (Variant(0.0, time_s, 0.0, 1.0, 0.0, 2.0),
                                                Variant(0.0, time_s / 2, 0.0, 1.0, 0.1, 1.0)))
              for index, time_s in enumerate(times_s)]
    workload = workload_of(models, 'a board', 0.05)
    assert load(workload, [0] * len(workload.tasks)) == pytest.approx(1.0)
    for model in models:
        assert sum(task.model.variants[0].device_s / task.period_s for task in workload.tasks
                   if task.model is model) == pytest.approx(1.0 / len(models))
    assert workload.fits([0, 1] * len(models))
    assert all(task.deadline_s == task.period_s for task in workload.tasks)


def test_variants_are_models_that_take_less_and_lose_more(net):
    found = scaled_variants(load_spec(net), 2, 0.3)
    assert len(found.models) == 3 and found.losses[0] == 0.0
    assert list(found.losses) == sorted(found.losses)
    assert list(found.sizes_mb) == sorted(found.sizes_mb, reverse=True)
    for model in found.models:
        spec = load_spec(model)
        assert spec.onnx.is_file() and (spec.width, spec.height) == (SIDE, SIDE)


def test_variants_that_cannot_be_written_are_told(net, tmp_path):
    (tmp_path / 'cache').touch()
    with pytest.raises(ModelError, match='cannot be written'):
        scaled_variants(load_spec(net), 1, 0.5)


@pytest.mark.parametrize('option, values', [
    ('--runs', {'runs': 0}), ('--budget', {'budget': 0}), ('--variants', {'variants': 0}),
    ('--loads', {'loads': (1.5, -1.0)}), ('--smallest', {'smallest': 1.0})])
def test_what_cannot_be_compared_is_refused(option, values):
    with pytest.raises(ParameterError, match=option):
        Plan(**values)
