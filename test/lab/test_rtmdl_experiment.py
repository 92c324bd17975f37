"""RT-mDL's study: every strategy has a line, and the same seed gives the same."""

import dataclasses
import json
import sys

import pytest

from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.cli import main
from s3dnn_ros.errors import ParameterError, S3dnnError, StrategyError
from s3dnn_ros.lab.rtmdl_experiment import Cell, Plan, experiment
from s3dnn_ros.lab.strategy_bench import ON_STREAMS, SEARCHED
from s3dnn_ros.lab.sweep import sweep
from s3dnn_ros.strategy.rivals import RIVALS

SMALL = Plan(speeds=(1.0,), budget=6, seconds=1.2, seeds=2)


@pytest.fixture
def libraries():
    """Skip without what the search needs."""
    pytest.importorskip('pymoo')
    pytest.importorskip('sklearn')


def test_the_same_seed_gives_the_same_and_others_share_no_run(libraries):
    cells = [Cell('seed_4_tasks', 1.0, 'packing', 6, 1.2, seed) for seed in (0, 0, 1)]
    first, again, other = (cell.run() for cell in cells)
    assert first == again != other
    assert set(first['strategies']) == {*RIVALS, ON_STREAMS, SEARCHED}
    seeds = [{*cell.trial().seeds, *cell.trial().confirming(4).seeds} for cell in cells[1:]]
    assert seeds[0].isdisjoint(seeds[1])


def test_results_are_tables_and_go_on(libraries, tmp_path):
    path = tmp_path / 'out.json'
    fewer = sweep(experiment(dataclasses.replace(SMALL, seeds=1)), path, 1)
    results = sweep(experiment(SMALL), path, 1)
    assert results['cells'][:1] == json.loads(json.dumps(fewer['cells']))
    assert len(results['cells']) == 2
    text = '\n'.join(tables(read_results(path)))
    for told in (*RIVALS, SEARCHED, 'alexnet_fast', '−40.12 %', 'of 2'):
        assert told in text
    shares = results['cells'][0]['result']['strategies'][SEARCHED]['missed_by_task']
    assert len(shares) == 4 and all(0.0 <= share <= 1.0 for share in shares)


@pytest.mark.parametrize('wrong, said', [
    ({'speeds': (0.0,)}, '--speeds'), ({'budget': 0}, '--budget'), ({'seeds': 0}, '--seeds'),
    ({'workloads': ()}, '--workloads')])
def test_what_cannot_be_simulated_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        dataclasses.replace(SMALL, **wrong)


@pytest.mark.parametrize('wrong, said', [
    ({'seconds': 0.1}, 'seconds'), ({'policy': 'magic'}, 'magic'),
    ({'workloads': ('nothing',)}, 'nothing')])
def test_what_cannot_be_tried_is_told_before_anything_runs(libraries, wrong, said):
    with pytest.raises(S3dnnError, match=said):
        experiment(dataclasses.replace(SMALL, **wrong))


def test_without_the_libraries_one_sentence_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'pymoo', None)
    with pytest.raises(StrategyError, match='pip install'):
        experiment(SMALL)
    assert main(['lab', 'rtmdl']) == 1
    assert 'pip install "pymoo' in capsys.readouterr().err


def test_the_command(libraries, tmp_path, capsys):
    assert main(['lab', 'rtmdl', '--speeds', '1', '--budget', '2', '--seconds', '1.2', '--seeds',
                 '1', '--jobs', '1', '--out', str(tmp_path / 'out.json')]) == 0
    assert 'exact, rate-monotonic' in capsys.readouterr().out
