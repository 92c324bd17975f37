"""The meter asks NVML's program where there is no library, and knows nothing without both."""

import stat
import time

import pytest

from s3dnn_ros.bench.gpu_meter import GpuMeter

TIMEOUT_S = 20.0


@pytest.fixture
def fake_nvidia_smi(tmp_path, monkeypatch):
    """Return a function that puts a program of that name first; no library is found."""
    def write(script):
        path = tmp_path / 'nvidia-smi'
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    (tmp_path / 'pynvml.py').write_text('raise ImportError')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')
    return write


def test_the_mean_of_what_the_program_says(fake_nvidia_smi):
    fake_nvidia_smi('while :; do echo 25; echo 75; sleep 0.01; done')
    begin_s = time.time()
    with GpuMeter() as meter:
        while meter.busy_share(begin_s, time.time()) is None:
            assert time.time() < begin_s + TIMEOUT_S
        assert meter.busy_share(begin_s, time.time()) == pytest.approx(0.5, abs=0.26)
        assert meter.busy_share(begin_s - 2.0, begin_s - 1.0) is None


@pytest.mark.parametrize('script', ['exit 6', 'echo "[N/A]"'])
def test_nobody_knows(fake_nvidia_smi, script):
    fake_nvidia_smi(script)
    with GpuMeter() as meter:
        assert meter.busy_share(0.0, time.time()) is None
