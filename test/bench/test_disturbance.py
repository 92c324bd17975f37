"""Disturbances begin and end with their context."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from s3dnn_ros.bench import disturbance
from s3dnn_ros.bench.disturbance import disturbed

TIMEOUT_S = 20.0


@pytest.fixture
def sleeper():
    process = subprocess.Popen(['sleep', '60'])
    yield process
    process.kill()
    process.wait()


def wait_for(predicate):
    end_s = time.monotonic() + TIMEOUT_S
    while not predicate():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def is_stopped(process):
    state = Path(f'/proc/{process.pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
    return state == 'T'


def test_a_process_stands_and_goes_on(sleeper):
    with pytest.raises(KeyError), disturbed('stop', sleeper.pid):
        wait_for(lambda: is_stopped(sleeper))
        raise KeyError('whatever happens meanwhile')
    wait_for(lambda: not is_stopped(sleeper))


def test_a_busy_process_for_each_core(monkeypatch, sleeper):
    started, start = [], subprocess.Popen

    def remember(*args, **options):
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(disturbance.subprocess, 'Popen', remember)
    with disturbed('cores', sleeper.pid):
        assert len(started) == len(os.sched_getaffinity(0))
        assert all(process.poll() is None for process in started)
    assert all(process.returncode is not None for process in started)
    assert sleeper.poll() is None


def test_nothing_disturbs(sleeper):
    with disturbed('none', sleeper.pid):
        assert not is_stopped(sleeper)
