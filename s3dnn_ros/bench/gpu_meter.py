"""How busy the GPU was, as NVML sees it, sampled outside of the process that is measured."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import threading
import time
from typing import List, Optional, Tuple

# NVML itself averages over a sixth of a second or more.
PERIOD_S = 0.1


class GpuMeter:
    """Samples the share of time in which a kernel ran, on the first visible GPU.

    With nvidia-ml-py, or with the program nvidia-smi. A context manager.
    """

    def __init__(self):
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """End the process."""
        self._connection.close()
        self._process.join()

    def busy_share(self, begin_s, end_s) -> Optional[float]:
        """Return the mean of the samples between two times since 1970; None without any."""
        try:
            self._connection.send((begin_s, end_s))
            return self._connection.recv()
        except (EOFError, OSError):
            return None


def _serve(connection):
    """Answer with means until the other side has gone."""
    samples: List[Tuple[float, float]] = []
    threading.Thread(target=_sample, args=(samples,), daemon=True).start()
    try:
        while True:
            begin_s, end_s = connection.recv()
            chosen = [share for moment_s, share in list(samples) if begin_s <= moment_s < end_s]
            connection.send(sum(chosen) / len(chosen) if chosen else None)
    except EOFError:
        pass


def _sample(samples):
    gpu = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',')[0] or '0'
    try:
        _sample_nvml(samples, gpu)
    except Exception:
        # not installed, or it does not know this GPU: the program may
        _sample_smi(samples, gpu)


def _sample_nvml(samples, gpu):
    import pynvml

    pynvml.nvmlInit()
    handle = (pynvml.nvmlDeviceGetHandleByIndex(int(gpu)) if gpu.isdigit()
              else pynvml.nvmlDeviceGetHandleByUUID(gpu))
    while True:
        percent = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
        samples.append((time.time(), percent / 1e2))
        time.sleep(PERIOD_S)


def _sample_smi(samples, gpu):
    command = ['nvidia-smi', '--query-gpu=utilization.gpu', '--format=csv,noheader,nounits',
               f'--id={gpu}', f'--loop-ms={1e3 * PERIOD_S:.0f}']
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              universal_newlines=True) as program:
            for line in program.stdout:
                samples.append((time.time(), float(line) / 1e2))
    except (OSError, ValueError):
        # there is no such program, or it answers '[N/A]': then nobody knows
        return
