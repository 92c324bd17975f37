"""The bench of the policies, whole, with a tiny network on ONNX Runtime."""

import dataclasses
import json

import pytest

from s3dnn_ros.bench import s3dnn_bench
from s3dnn_ros.bench.s3dnn_bench import Plan, policies, run
from s3dnn_ros.errors import ParameterError


@pytest.fixture
def plan(tiny_model, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.load.SETTLE_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.bench.networks.ALONE_S', 0.1)
    names = ['streams', 'supervised, fused', 'application batching']
    return Plan(models=(tiny_model,), instances=(1, 2), loads=(0.5,), runs=2, seconds=0.1,
                target_ms=1.0, repeats=5, policies=policies(names),
                parts=('throughput', 'deadlines', 'timeline'))


def test_the_parts_and_what_they_hold(engine, plan, said):
    saved = []
    results = run(engine, engine.clock, plan, lambda content: saved.append(json.dumps(content)))
    assert json.loads(saved[-1]) == json.loads(json.dumps(results))
    # a row for each policy, as soon as it is there; the first sentence is of the network
    assert len(saved) == len(said) - 1 >= 2 * 2 * len(plan.policies)
    names = [policy.name for policy in plan.policies]
    for part in ('throughput', 'deadlines'):
        assert [row['instances'] for row in results[part]] == [1, 2]
        for row in results[part]:
            assert list(row['policies']) == names and not row['left_out']
            assert all(len(runs) == plan.runs for runs in row['policies'].values())
            for measured in row['policies']['streams']:
                assert measured['work_share'] > 0.0
    for row in results['throughput']:
        batches = [entry['batch'] for entry in row['limits']]
        assert batches == ([1] if row['instances'] == 1 else [1, 2])
        assert all(entry['work_share'] > 0.0 for entry in row['limits'])
    for row in results['deadlines']:
        assert 0.0 <= row['ideal_missed_share'] <= 1.0 and row['overload_share'] == 0.0
    assert [row['policy'] for row in results['timeline']] == names
    for row in results['timeline']:
        assert row['images'] and row['spans'] and row['clients'] == ['tiny_0', 'tiny_1']


def test_a_request_alone_is_begun_and_answered(engine, plan, tiny_model, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.alone.SECONDS', 0.1)
    monkeypatch.setattr('s3dnn_ros.bench.alone.BEGINS', 5)
    results = run(engine, engine.clock, dataclasses.replace(plan, parts=('alone',)))
    row, = results['alone']
    assert row['model'] == tiny_model and row['device_ms'] > 0.0
    assert list(row['begin_us']) == ['launched']    # no gates here
    # who collects images has none that comes alone
    assert list(row['response_ms']) == ['streams', 'supervised, fused']
    for found in (*row['begin_us'].values(), *row['response_ms'].values()):
        assert len(found) == plan.runs and all(figures['p50'] > 0.0 for figures in found)


def test_a_job_is_timed_beside_its_segments_exact_and_in_variants(
        engine, plan, tiny_model, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.boundaries.REPEATS', 3)
    row, = run(engine, engine.clock, dataclasses.replace(plan, parts=('boundaries',)))[
        'boundaries']
    assert row['model'] == tiny_model and row['segments'] >= 1 and row['device_ms'] > 0.0
    assert list(row['job_ms']) == ['exact', 'in variants']
    assert all(len(found) == plan.runs and min(found) > 0.0 for found in row['job_ms'].values())


def test_the_table_of_batches_has_a_row_for_each(engine, plan, tiny_model, monkeypatch):
    monkeypatch.setattr(s3dnn_bench, 'TABLE_MODEL', tiny_model)
    monkeypatch.setattr(s3dnn_bench, 'TABLE_S', 0.05)
    rows = []
    s3dnn_bench.batches(engine, engine.clock, plan, rows, lambda sentence: None)
    assert [(row['policy'], row['streams'], row['batch']) for row in rows] == [
        (policy, streams, batch) for policy in ('streams', 'supervised')
        for streams in (1, 4) for batch in (2, 4, 8, 16)]
    assert all(len(row['ms']) == plan.runs and min(row['ms']) > 0.0 for row in rows)


def test_decisions_are_timed_once_for_each_scheduler_and_without_networks(
        engine, plan, monkeypatch):
    monkeypatch.setattr(s3dnn_bench, 'DECISIONS', 20)
    monkeypatch.setattr(s3dnn_bench, 'prepare', None)
    # nothing runs, so that no gates are needed
    names = ['streams', 'supervised', 'S3DNN', 'supervised, fused', 'application batching',
             'gated']
    plan = dataclasses.replace(plan, parts=('decisions',), policies=policies(names))
    rows = run(engine, engine.clock, plan)['decisions']
    assert {row['policy'] for row in rows} == {'streams', 'supervised', 'S3DNN', 'gated'}
    assert len(rows) == 4 * len(s3dnn_bench.QUEUED)
    assert all(len(row['us']) == plan.runs for row in rows)


def test_processes_have_their_place_in_a_row(engine, plan):
    plan = dataclasses.replace(plan, parts=('deadlines',), instances=(2,), runs=1,
                               policies=policies(['process per instance']))
    row, = run(engine, engine.clock, plan)['deadlines']
    measured, = row['policies']['process per instance']
    assert measured['work_share'] > 0.0 and measured['busy_share'] is None


def test_processes_that_fail_are_left_out_with_the_reason(engine, plan, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.instance_processes.PATIENCE_S', 0.0)
    plan = dataclasses.replace(plan, parts=('throughput',), instances=(1,),
                               policies=policies(['streams', 'process per instance']))
    row, = run(engine, engine.clock, plan)['throughput']
    assert 'did not answer' in row['left_out']['process per instance']
    assert 'process per instance' not in row['policies'] and 'streams' in row['policies']


def test_names_that_there_are_not():
    with pytest.raises(ParameterError, match=r'--policies.*streams.*process per instance'):
        policies(['stream'])
    with pytest.raises(ParameterError, match=r'--parts.*throughput'):
        Plan(parts=('latency',))


@pytest.mark.parametrize('option, values', [
    ('--runs', {'runs': 0}), ('--instances', {'instances': (4, 0)}), ('--seconds', {'seconds': 0}),
    ('--loads', {'loads': (0.5, -0.1)}), ('--loads', {'loads': (float('nan'),)}),
    ('--target-ms', {'target_ms': float('inf')})])
def test_too_little_to_measure(option, values):
    with pytest.raises(ParameterError, match=option):
        Plan(**values)


@pytest.mark.parametrize('capacity', [0.0, -1.0, float('nan'), float('inf')])
def test_a_capacity_that_holds_nothing(capacity):
    with pytest.raises(ParameterError, match='--capacity'):
        policies(['supervised'], capacity)


def test_a_policy_that_holds_jobs_needs_an_engine_that_can(engine, plan):
    plan = dataclasses.replace(plan, policies=policies(['streams', 'gated']))
    with pytest.raises(ParameterError, match='has no gates'):
        run(engine, engine.clock, plan)
