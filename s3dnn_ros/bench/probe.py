"""CPU time and memory of other processes, from /proc.

Memory is what a process has for itself (RssAnon). The pages of shared segments
that it has touched so far are told apart: they grow to the segments' size and
belong to several processes at once.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import List, Mapping

import numpy as np

_TICKS_PER_S = os.sysconf('SC_CLK_TCK')


class Probe:
    """Samples processes once a period, in a thread of its own, until it is stopped."""

    def __init__(self, pids: Mapping[str, int], period_s=0.5):
        self._pids = dict(pids)
        self._period_s = period_s
        self._times_s: List[float] = []
        self._cpu_s = {name: [] for name in pids}
        self._own_mb = {name: [] for name in pids}
        self._shared_mb = dict.fromkeys(pids, 0.0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self, settle_s=0.0):
        """Return, per process, CPU share (of one core) and memory in MB with its slope.

        Samples of the first `settle_s` seconds are left out.
        """
        self._stopping.set()
        self._thread.join()
        times = np.array(self._times_s) - self._times_s[0]
        kept = times >= min(settle_s, times[-1] / 2.0)
        return {name: self._figures(times[kept], np.array(self._cpu_s[name])[kept],
                                    np.array(self._own_mb[name])[kept], self._shared_mb[name])
                for name in self._pids}

    def _figures(self, times, cpu_s, own_mb, shared_mb):
        took_s = max(times[-1] - times[0], 1e-9)
        slope = np.polyfit(times, own_mb, 1)[0] if len(times) > 2 else 0.0
        return {'cpu_share': round(float(cpu_s[-1] - cpu_s[0]) / took_s, 3),
                'own_mb_first': round(float(own_mb[0]), 1),
                'own_mb_last': round(float(own_mb[-1]), 1),
                'own_mb_max': round(float(own_mb.max()), 1),
                'shared_mb': round(shared_mb, 1),
                'own_slope_mb_per_min': round(60.0 * float(slope), 3),
                'seconds': round(float(took_s), 1)}

    def _run(self):
        while not self._stopping.wait(self._period_s):
            try:
                sample = {name: _read(pid) for name, pid in self._pids.items()}
            except OSError:
                return      # one has ended: so has what was measured
            self._times_s.append(time.monotonic())
            for name, (cpu_s, own_mb, shared_mb) in sample.items():
                self._cpu_s[name].append(cpu_s)
                self._own_mb[name].append(own_mb)
                self._shared_mb[name] = shared_mb


def _read(pid):
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    status = dict(line.split(':', 1) for line in
                  Path(f'/proc/{pid}/status').read_text().splitlines())
    own_kb, shared_kb = (int(status[key].split()[0]) for key in ('RssAnon', 'RssShmem'))
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S, own_kb / 1e3, shared_kb / 1e3
