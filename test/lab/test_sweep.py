"""Experiments run side by side, and go on where they stopped."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.sweep import Experiment, sweep


@dataclasses.dataclass(frozen=True)
class Plan:
    seeds: int = 4


@dataclasses.dataclass(frozen=True)
class Cell:
    seed: int
    names: tuple = ('a', 'b')


def square(cell):
    return {'squared': cell.seed**2}


def experiment(seeds=4, run=square, name='squares', form=1):
    return Experiment(name, form, Plan(seeds), [Cell(seed) for seed in range(seeds)], run)


def squares(results):
    return [row['result']['squared'] for row in results['cells']]


class Fails:
    """Runs cells, up to one that fails."""

    def __init__(self, at, error=RuntimeError):
        self.at, self.error, self.ran = at, error, []

    def __call__(self, cell):
        if cell.seed == self.at:
            raise self.error
        self.ran.append(cell.seed)
        return square(cell)


def test_results_come_in_the_order_of_the_cells(tmp_path):
    told = []
    results = sweep(experiment(6), tmp_path / 'out.json', 1,
                    progress=lambda *each: told.append(each))
    assert squares(results) == [0, 1, 4, 9, 16, 25]
    assert results['complete']
    assert told == [(done, 6) for done in range(7)]
    assert json.loads((tmp_path / 'out.json').read_text())['cells'] == json.loads(
        json.dumps(results['cells']))


@given(st.integers(0, 5))
def test_only_what_a_file_lacks_is_run(tmp_path_factory, stopped_at):
    path = tmp_path_factory.mktemp('sweep') / 'out.json'
    first, second = Fails(stopped_at, KeyboardInterrupt), Fails(None)
    results = sweep(experiment(6, first), path, 1)
    assert not results['complete']
    assert squares(results) == [seed**2 for seed in range(stopped_at)]
    assert sweep(experiment(6, second), path, 1)['complete']
    assert first.ran + second.ran == list(range(6))


def test_what_was_done_before_an_error_is_kept(tmp_path):
    with pytest.raises(RuntimeError):
        sweep(experiment(4, Fails(2)), tmp_path / 'out.json', 1)
    assert squares(sweep(experiment(4, Fails(1)), tmp_path / 'out.json', 1)) == [0, 1, 4, 9]


def test_more_seeds_go_on_from_fewer(tmp_path):
    sweep(experiment(2), tmp_path / 'out.json', 1)
    more = Fails(None)
    sweep(experiment(4, more), tmp_path / 'out.json', 1)
    assert more.ran == [2, 3]


@pytest.mark.parametrize('other', [
    experiment(2), experiment(4, name='cubes'), experiment(4, form=2)])
def test_results_of_something_else_are_not_lost(other, tmp_path):
    path = tmp_path / 'out.json'
    sweep(experiment(4), path, 1)
    before = path.read_text()
    with pytest.raises(ParameterError, match=r'of another experiment, or of more.*name another'):
        sweep(other, path, 1)
    assert path.read_text() == before


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"cells": 3}', '\x00'])
def test_another_file_is_not_lost(content, tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_text(content)
    with pytest.raises(ParameterError, match='holds no results'):
        sweep(experiment(), path, 1)
    assert path.read_text() == content


def test_another_version_does_not_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_COMMIT', 'older')
    sweep(experiment(2), tmp_path / 'out.json', 1)
    monkeypatch.setenv('S3DNN_COMMIT', 'newer')
    with pytest.raises(ParameterError, match='another version'):
        sweep(experiment(4), tmp_path / 'out.json', 1)


def test_without_joblib_one_simulation_runs_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'joblib', None)
    assert squares(sweep(experiment(3))) == [0, 1, 4]
    with pytest.raises(ParameterError, match='pip install "joblib'):
        sweep(experiment(3), tmp_path / 'out.json', jobs=2)
    assert not (tmp_path / 'out.json').exists()


@pytest.fixture
def in_processes(tmp_path):
    """Return what starts eight simulations in two processes; from a seed on they take a minute."""
    pytest.importorskip('joblib')
    (tmp_path / 'simulate.py').write_text(textwrap.dedent("""
        import dataclasses, pathlib, sys, time
        from s3dnn_ros.lab.sweep import Experiment, sweep

        @dataclasses.dataclass(frozen=True)
        class Cell:
            seed: int
            slow_from: int

        def run(cell):
            time.sleep(0.1 * (8 - cell.seed) if cell.seed < cell.slow_from else 60.0)
            return {'seed': cell.seed}

        if __name__ == '__main__':
            cells = [Cell(seed, int(sys.argv[1])) for seed in range(8)]
            results = sweep(Experiment('slow', 1, cells[0], cells, run),
                            pathlib.Path('out.json'), 2,
                            progress=lambda done, total: print(done, flush=True))
            sys.exit(3 if results['complete'] else 4)
        """))

    def start(slow_from):
        return subprocess.Popen(
            [sys.executable, 'simulate.py', str(slow_from)], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})

    def seeds():
        return [row['result']['seed'] for row in json.loads(
            (tmp_path / 'out.json').read_text())['cells']]

    return start, seeds


def test_processes_give_results_in_the_order_of_the_cells(in_processes):
    start, seeds = in_processes
    run = start(8)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 3, told
    assert seeds() == list(range(8))


def test_ctrl_c_ends_processes_and_leaves_what_is_done(in_processes):
    start, seeds = in_processes
    run = start(2)
    for line in run.stdout:
        if line.strip() == '2':
            break
    begun_s = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)       # as a terminal does
    _, told = run.communicate(timeout=30)
    assert run.returncode == 4, told
    assert time.monotonic() - begun_s < 20.0
    assert 'Traceback' not in told
    assert seeds() == [0, 1]
