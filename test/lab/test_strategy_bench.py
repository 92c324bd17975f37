"""The bench of strategies: it tries everything, compares, and writes what the tables read."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.cli import main
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.strategy_bench import FIRST_LARGE_SEED, PARTS, Plan, every, faster, run
from s3dnn_ros.strategy.rivals import load


@pytest.fixture
def small(tmp_path):
    """Return the path of a workload with 18 strategies."""
    variants = [{'before_ms': 1.0, 'device_ms': device_ms, 'behind_ms': 0.5, 'utilization': 0.8,
                 'loss': loss, 'storage_mb': 30.0}
                for device_ms, loss in ((60.0, 0.0), (40.0, 1.0), (20.0, 4.0))]
    tree = {'device': 'simulated', 'storage_limit_mb': 200.0,
            'models': {'net': {'accuracy': 80.0, 'variants': variants}},
            'tasks': [{'name': name, 'model': 'net', 'period_ms': 100.0, 'deadline_ms': 100.0,
                       'tolerated_miss_rate': 0.05} for name in ('left', 'right')]}
    path = tmp_path / 'small.yaml'
    path.write_text(yaml.safe_dump(tree), encoding='utf-8')
    return str(path)


@given(st.floats(0.5, 2.0))
def test_more_frames_are_more_load(make_workload, speed):
    workload = make_workload(load=0.8)
    assert load(faster(workload, speed), (0, 0, 0)) == pytest.approx(0.8 * speed)


def test_every_strategy_that_storage_allows_is_there_once(make_workload):
    assert len(set(every(make_workload()))) == len(every(make_workload())) == 27 * 6
    assert len(every(make_workload(storage_limit_mb=148.0))) == 6


def test_the_results_are_saved_after_each_row_and_read_by_the_tables(small, tmp_path, said,
                                                                     monkeypatch):
    pytest.importorskip('pymoo')
    pytest.importorskip('sklearn')
    monkeypatch.setattr('s3dnn_ros.lab.strategy_bench.RANDOM', 5)
    saved = []
    plan = Plan((small,), seeds=2, share=0.5, tasks=2, variants=2, large_seeds=1, budget=6,
                speeds=(1.0,), seconds=2.0, jobs=1)
    results = run(plan, lambda results: saved.append(
        [len(results['searches'][part]) for part in PARTS]))
    assert saved == [[1, 0, 0], [1, 1, 0], [1, 1, 1]] and len(said) == 3
    [row] = results['searches']['exhaustive']
    assert row['strategies'] == 18 and row['budget'] == 9
    assert [run['measured'] for run in row['runs']] == [9, 9]
    assert all(run['loss'] >= row['least_loss'] > 0.0 for run in row['runs'])
    [row] = results['searches']['large']
    assert row['rivals']['hidden']['feasible'] and row['random']['measured'] == 5
    assert row['first'] is None or row['rivals']['searched']['mean_loss'] > 0.0
    [row] = results['searches']['rivals']
    searched, exact = (row['rivals'][name] for name in ('searched', 'exact, rate-monotonic'))
    assert searched['missed'] < exact['missed'] and searched['mean_loss'] > exact['mean_loss'] == 0
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(results))
    text = '\n'.join(tables(read_results(path)))
    assert '18 (' in text and 'searched' in text
    assert f'2 tasks, 2 variants, seed {FIRST_LARGE_SEED}' in text


def test_the_command_writes_what_the_table_reads(small, tmp_path, capsys):
    pytest.importorskip('pymoo')
    pytest.importorskip('sklearn')
    out = tmp_path / 'results.json'
    assert main(['bench', 'strategies', '--workloads', small, '--parts', 'rivals', '--budget', '6',
                 '--seconds', '1', '--out', str(out)]) == 0
    assert main(['bench', 'table', str(out)]) == 0
    assert capsys.readouterr().out.count('| searched |') == 4


@pytest.mark.parametrize('wrong, said', [
    ({'parts': ('all',)}, 'exhaustive, large, rivals'), ({'seeds': 0}, '--seeds'),
    ({'budget': 0}, '--budget')])
def test_what_cannot_be_compared_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        Plan(**wrong)


def test_a_workload_that_nothing_can_serve_is_refused(small):
    pytest.importorskip('joblib')
    path = Path(small)
    path.write_text(path.read_text().replace('period_ms: 100.0', 'period_ms: 20.0'))
    with pytest.raises(ParameterError, match='feasible'):
        run(Plan((small,), ('exhaustive',), seconds=1.0, jobs=1))
