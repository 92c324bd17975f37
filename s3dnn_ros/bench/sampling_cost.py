"""What it costs to know the energy: the CPU time of the readings, as a share of a core."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Dict

import numpy as np

from s3dnn_ros.platforms import find_meter
from s3dnn_ros.runtime.energy import EnergyAccount

INSTANCES = 8
# An AGX Xavier's, by the address of its sensor: name, voltage in mV, current in mA.
RAILS = {1: (('GPU', 19000, 100), ('CPU', 19000, 50), ('SOC', 19000, 200)),
         2: (('CV', 19000, 0), ('VDDRQ', 5000, 80), ('SYS5V', 5000, 400))}


def sampling_cost(seconds=10.0) -> Dict[str, Any]:
    """Read a board's power as the executor does, for so long; returns what JSON can hold.

    `share_of_core` is the CPU time of all readings over the time that passed; `cpu_us` has
    percentiles of a single one. Here the files are plain ones, laid out as a Jetson's: what its
    kernel takes to ask the sensors comes on top.
    """
    with tempfile.TemporaryDirectory() as root:
        _write_rails(Path(root))
        busy_s = dict.fromkeys((f'instance_{index}' for index in range(INSTANCES)), 0.0)
        meter = find_meter(None, root)
        account = EnergyAccount(meter, busy_s, lambda: dict(busy_s))
        took_ns = []
        begun_s = now_s = time.perf_counter()
        while now_s < begun_s + seconds:
            begun_ns = time.thread_time_ns()
            account.read()
            took_ns.append(time.thread_time_ns() - begun_ns)
            time.sleep(meter.period_s)
            now_s = time.perf_counter()
            for name in busy_s:
                busy_s[name] = now_s
        account.close()
    cpu_us = np.percentile(took_ns, (50, 99)) / 1e3
    return {'board': 'copy of the files of an AGX Xavier', 'rails': sum(map(len, RAILS.values())),
            'instances': INSTANCES, 'period_s': meter.period_s, 'readings': len(took_ns),
            'cpu_us': dict(zip(('p50', 'p99'), cpu_us.round(1).tolist())),
            'share_of_core': round(sum(took_ns) / 1e9 / (now_s - begun_s), 6)}


def _write_rails(root):
    for number, rails in RAILS.items():
        folder = root / f'sys/class/hwmon/hwmon{number}'
        folder.mkdir(parents=True)
        (folder / 'name').write_text('ina3221\n')
        for channel, (name, voltage_mv, current_ma) in enumerate(rails, 1):
            for file, value in ((f'in{channel}_label', name), (f'in{channel}_input', voltage_mv),
                                (f'curr{channel}_input', current_ma)):
                (folder / file).write_text(f'{value}\n')
