"""The bench of partitioned batches, whole, with a tiny network on two units of the CPU."""

import json

import pytest

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench import partition_bench
from s3dnn_ros.bench.partition_bench import Plan
from s3dnn_ros.bench.partition_results import error_of
from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeNetwork
from s3dnn_ros.errors import EngineError, ParameterError
from s3dnn_ros.partition import PerformanceTable, Row

ONE, TWO, OTHER = (f'onnxruntime:cpu,threads=1{copy}' for copy in ('', ',copy=2', ',copy=3'))


def test_all_splits_are_measured_and_a_table_serves_again(tiny_model, tmp_path):
    pytest.importorskip('onnxruntime')
    saved = []
    plan = Plan((ONE, TWO), (OTHER,), tiny_model, (3, 8), runs=2, repeats=2,
                table=tmp_path / 'table.csv')
    results = partition_bench.run(SystemClock(), plan,
                                  lambda results: saved.append(json.dumps(results)))
    assert len(saved) == 2 and json.loads(saved[-1]) == results
    assert list(results['units']) == [ONE, TWO, OTHER]
    for batch, row in zip((3, 8), results['partitions']):
        splits = row['splits']
        assert list(splits) == ['alone', 'equal', 'greedy', 'optimal', f'alone on {OTHER}',
                                'learned']
        assert splits['equal']['assignment'] == {ONE: batch - batch // 2, TWO: batch // 2}
        assert splits[f'alone on {OTHER}']['assignment'] == {OTHER: batch}
        for split in splits.values():
            assert sum(split['assignment'].values()) == batch == row['batch']
            assert len(split['measured_ms']) == 2 and min(split['measured_ms']) > 0.0
        assert splits['optimal']['predicted_ms'] <= splits['greedy']['predicted_ms']
    (tmp_path / 'results.json').write_text(saved[-1])
    lines = tables(read_results(tmp_path / 'results.json', ['partition']))
    assert any(line.startswith('| 8 | equal | 4 + 4 | ') for line in lines)
    assert lines[2].startswith(f'{tiny_model}; foretold by the table, makespans are off by ')
    # what is in the file is not measured again
    written = plan.table.read_text()
    again = partition_bench.run(SystemClock(), plan)
    assert again['table'] == results['table'] and plan.table.read_text() == written


def test_a_unit_that_fails_ends_the_bench_with_a_sentence(
        tiny_model, tmp_path, monkeypatch, said):
    pytest.importorskip('onnxruntime')
    path = tmp_path / 'table.csv'
    PerformanceTable([Row(unit, 1, 1.0, 0.0) for unit in (ONE, TWO)]).to_csv(path)
    monkeypatch.setattr(OnnxRuntimeNetwork, 'finish', lambda *_: [][0])
    with pytest.raises(EngineError, match='a unit failed while it was measured'):
        partition_bench.run(SystemClock(), Plan((ONE, TWO), (), tiny_model, (4,), table=path))
    assert 'is left out, others do its part: list index out of range' in said[-1]


def test_an_error_is_a_share_of_the_measured_time():
    assert error_of({'predicted_ms': 3.0, 'measured_ms': [1.0, 2.0, 9.0]}) == 0.5


@pytest.mark.parametrize('wrong', [{'runs': 0}, {'repeats': 0}, {'batches': (4, 0)}])
def test_what_cannot_be_measured_is_refused(wrong):
    with pytest.raises(ParameterError):
        Plan((ONE,), **wrong)
