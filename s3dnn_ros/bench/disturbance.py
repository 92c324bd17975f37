"""What disturbs a pipeline for a while: other programs on all cores, or a process that stands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import Iterator

# How long each lasts.
DURATIONS_S = {'none': 0.0, 'cores': 2.0, 'stop': 4.0}
# Starts in a moment: without the user's packages and environment.
_BUSY = [sys.executable, '-I', '-S', '-c', 'while True: pass']


@contextlib.contextmanager
def disturbed(kind: str, pid: int) -> Iterator[None]:
    """Disturb as long as the context lasts.

    `cores` keeps as many processes busy as this one may use cores; `stop` stops the process
    `pid`, and lets it go on afterwards.
    """
    with contextlib.ExitStack() as ending:
        if kind == 'stop':
            ending.callback(os.kill, pid, signal.SIGCONT)
            os.kill(pid, signal.SIGSTOP)
        elif kind == 'cores':
            for _ in os.sched_getaffinity(0):
                process = subprocess.Popen(_BUSY, stdin=subprocess.DEVNULL)
                ending.callback(process.wait)
                ending.callback(process.kill)
        yield
