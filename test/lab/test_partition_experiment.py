"""KCC 2020's study: splits of tables and of parts of a GPU, also while units are busy."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.cli import main
from s3dnn_ros.errors import ParameterError, S3dnnError, TableError
from s3dnn_ros.lab.partition_experiment import (
    DECIDERS,
    BusyCell,
    Plan,
    Source,
    StillCell,
    experiment,
)
from s3dnn_ros.lab.sweep import sweep
from s3dnn_ros.partition import PerformanceTable, Row

SMALL = Plan(boards=('agx_xavier',), networks=('mobilenet_v2',), batches=(1, 16), busy_batch=16,
             factors=(4.0,), seconds=2.0, seeds=2)


def source(quick_ms=1.0, slow_ms=3.0):
    return Source('net', PerformanceTable(
        [Row(unit, batch, ms, 0.0) for unit, ms in (('quick', quick_ms), ('slow', slow_ms))
         for batch in (1, 64)]))


def busy(factor, seed=0, seconds=200.0, jitter=0.0, batch=16):
    made = source(20.0, 60.0)
    return BusyCell('net', made.digest, batch, factor, jitter, seconds, seed).run(made)


@given(st.integers(1, 64), st.floats(0.5, 5.0), st.floats(0.5, 5.0))
def test_no_split_ends_sooner_than_the_optimal_one(batch, quick_ms, slow_ms):
    made = source(quick_ms, slow_ms)
    result = StillCell('net', made.digest, batch).run(made)
    assert result['optimal_ms'] <= result['greedy_ms'] <= result['alone_ms'] * (1 + 1e-9)
    assert result['optimal_ms'] <= result['equal_ms']
    assert result['alone_ms'] == pytest.approx(min(result['units'].values()))
    assert sum(result['split'].values()) == batch


def test_where_nothing_is_busy_nobody_has_anything_to_learn():
    result = busy(1.0)
    assert result['learned'] == pytest.approx(result['table'])
    assert result['table'] == pytest.approx(result['told'])
    assert result['alone'] == pytest.approx(320.0)


@pytest.mark.parametrize('seed', range(3))
def test_who_learns_keeps_most_of_the_gain(seed):
    result = busy(4.0, seed, jitter=0.1)
    assert set(result) == set(DECIDERS)
    assert result['told'] <= result['learned'] < 0.95 * result['table']
    assert result['learned'] < result['alone']


def test_the_same_seed_gives_the_same_run():
    first, again, other = (busy(3.0, seed, 60.0, 0.1) for seed in (1, 1, 2))
    assert first == again != other


def test_parts_of_a_gpu_are_no_quicker_than_all_of_it():
    results = sweep(experiment(dataclasses.replace(SMALL, seeds=1)), None, 1)
    for row in results['cells']:
        if 'factor' not in row['cell']:
            assert row['result']['optimal_ms'] <= row['result']['alone_ms']
            assert row['result']['whole_ms'] < row['result']['alone_ms']
            assert len(row['result']['units']) == 3


def test_results_are_tables_and_go_on(tmp_path):
    source(1.0, 2.0).table.to_csv(tmp_path / 'resnet-50.csv')
    path = tmp_path / 'out.json'
    fewer = sweep(experiment(dataclasses.replace(SMALL, seeds=1), tmp_path), path, 1)
    results = sweep(experiment(SMALL, tmp_path), path, 1)
    assert len(results['cells']) == len(fewer['cells']) + 2
    text = '\n'.join(tables(read_results(path)))
    for told in ('resnet-50', '1.32', 'agx_xavier, mobilenet_v2', 'learned', 'part 1 (4 SM)'):
        assert told in text
    for count in range(len(results['cells'])):
        assert tables({**results, 'complete': False, 'cells': results['cells'][:count]})


def test_a_file_of_other_tables_does_not_go_on(tmp_path):
    path = tmp_path / 'out.json'
    for name, slow_ms in (('a', 2.0), ('b', 3.0)):
        (tmp_path / name).mkdir()
        source(1.0, slow_ms).table.to_csv(tmp_path / name / 'net.csv')
    plan = dataclasses.replace(SMALL, boards=(), seconds=0.1)
    sweep(experiment(plan, tmp_path / 'a'), path, 1)
    with pytest.raises(ParameterError, match='another experiment'):
        sweep(experiment(plan, tmp_path / 'b'), path, 1)


@pytest.mark.parametrize('wrong, said', [
    ({'batches': (0,)}, '--batches'), ({'factors': (0.5,)}, '--factors'),
    ({'seconds': 0.0}, '--seconds'), ({'seeds': 0}, '--seeds'), ({'networks': ('x',)}, 'x')])
def test_what_cannot_be_simulated_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        dataclasses.replace(SMALL, **wrong)


def test_what_cannot_be_read_is_one_sentence(tmp_path, capsys):
    with pytest.raises(TableError, match='has no table'):
        experiment(SMALL, tmp_path)
    with pytest.raises(S3dnnError, match='nano'):
        experiment(dataclasses.replace(SMALL, boards=('nano',)))
    assert main(['lab', 'partition', '--boards']) == 1
    assert '--tables' in capsys.readouterr().err


def test_the_command(tmp_path, capsys):
    assert main(['lab', 'partition', '--boards', 'tx2', '--batches', '8', '--factors', '2',
                 '--seconds', '1', '--seeds', '1', '--jobs', '1', '--out',
                 str(tmp_path / 'out.json')]) == 0
    assert 'part 1 (1 SM)' in capsys.readouterr().out
