"""The bench of packing, whole, with a tiny network; loads, figures and tables."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench import packing_bench
from s3dnn_ros.bench.packing_bench import Plan, beside_share, contenders
from s3dnn_ros.bench.record import Span
from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.errors import ParameterError

MODELS = {'small': {'before_ms': 2.0, 'device_ms': 5.0, 'behind_ms': 1.0},
          'large': {'before_ms': 2.0, 'device_ms': 20.0, 'behind_ms': 2.0}}


@pytest.fixture
def plan(tiny_model, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.task_run.SETTLE_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.bench.task_models.REPEATS', 3)
    return Plan(models=(tiny_model,), loads=(0.5, 0.8), width=16, height=16, runs=2, seconds=0.1)


def test_every_contender_runs_under_every_load_and_is_saved(engine, plan, tmp_path):
    saved = []
    results = packing_bench.run(engine, engine.clock, plan, lambda content: saved.append(
        json.dumps(content)))
    assert json.loads(saved[-1]) == json.loads(json.dumps(results))
    names = [contender.name for contender in contenders(1.0)]
    assert len(saved) == len(plan.loads) * plan.runs * len(names)
    for row, load in zip(results['packing'], plan.loads):
        assert row['load'] == load == pytest.approx(max(row['device_load'], row['cpu_load']))
        assert list(row['contenders']) == names
        for runs in row['contenders'].values():
            assert len(runs) == plan.runs
            for run in runs:
                assert sorted(run['tasks']) == ['tiny_0', 'tiny_1']
                assert 0.0 <= run['missed_share'] <= 1.0 and 0.0 <= run['beside_share'] <= 1.0
    path = tmp_path / 'results.json'
    path.write_text(saved[-1])
    lines = tables(read_results(path, ['packing']))
    assert sum(line.startswith('| whole tasks |') for line in lines) == len(plan.loads)
    assert any('At a load of 80%' in line for line in lines)


def test_results_without_an_answer_have_tables():
    shown = {'missed_share': 1.0, 'response_ms': {}}
    row = {'load': 1.1, **packing_bench._demand(MODELS, 1.1, 1)}
    row['contenders'] = {'edf': [{**shown, 'beside_share': 0.0, 'tasks': {
        task['name']: shown for task in row['tasks']}}]}
    results = {'format': 1, 'environment': {'commit': 'abc', 'date': 'today'}, 'device': 'none',
               'models': {name: {**one, 'utilization': 1.0} for name, one in MODELS.items()},
               'packing': [row]}
    assert '| edf | 100.0 (100.0–100.0) | 0 (0–0) |' + ' – / –, 100.0 (100.0–100.0) % |' * 4 in (
        tables(results))


@given(load=st.floats(0.1, 2.0), workers=st.integers(1, 4),
       slower=st.sampled_from([0.1, 1.0, 10.0]))
def test_tasks_ask_for_so_much_of_what_is_busier(load, workers, slower):
    models = {name: {key: ms * (1.0 if key == 'device_ms' else slower)
                     for key, ms in one.items()} for name, one in MODELS.items()}
    demand = packing_bench._demand(models, load, workers)

    def load_of(*keys):
        return sum(models[task['model']][key] / task['period_ms']
                   for task in demand['tasks'] for key in keys)

    assert demand['device_load'] == pytest.approx(load_of('device_ms'))
    assert demand['cpu_load'] == pytest.approx(load_of('before_ms', 'behind_ms') / workers)
    assert max(demand['device_load'], demand['cpu_load']) == pytest.approx(load)
    by_priority = sorted(demand['tasks'], key=lambda task: task['priority'])
    assert [task['priority'] for task in by_priority] == [0, 1, 2, 3]
    periods = [task['period_ms'] for task in by_priority]
    assert periods == sorted(periods, reverse=True)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8))
def test_the_time_side_by_side_is_counted_inside_the_window(pairs):
    spans = [Span('a', 0.0, 0, min(pair), max(pair)) for pair in pairs]
    seconds = [sum(span.submitted_s <= second < span.completed_s for span in spans) > 1
               for second in range(5, 15)]
    assert beside_share(spans, 5.0, 15.0) == pytest.approx(sum(seconds) / 10.0)


def test_contenders_differ_in_what_their_names_say():
    packing, unpacked, whole, edf, streams = contenders(1.5)
    assert packing.policy.make(None).threshold == 1.5
    assert unpacked.policy.make(None).threshold == whole.policy.make(None).threshold == 0.0
    assert [one.whole for one in (packing, unpacked, whole, edf, streams)] == [
        False, False, True, False, False]
    assert [one.ranked for one in (packing, unpacked, whole, edf, streams)] == [
        True, True, True, False, False]


@pytest.mark.parametrize('option, values', [
    ('--runs', {'runs': 0}), ('--cpu-workers', {'workers': 0}), ('--seconds', {'seconds': 0.0}),
    ('--loads', {'loads': (0.5, -1.0)}), ('--threshold', {'threshold': float('nan')}),
    ('--target-ms', {'target_ms': 0.0})])
def test_too_little_to_measure(option, values):
    with pytest.raises(ParameterError, match=option):
        Plan(**values)
