"""What the device draws while nothing runs, with armed lanes and without."""

from __future__ import annotations

import contextlib
import time
from typing import Callable, Dict, List, Optional

from s3dnn_ros.bench.alone import ARMED, LAUNCHED
from s3dnn_ros.bench.energy_log import EnergyLog
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.networks import Prepared
from s3dnn_ros.platforms import EnergyMeter

# A device that has just run something draws more for a while.
SETTLE_S = 3.0


def idle_power(prepared: Prepared, meter: Optional[EnergyMeter], clock, runs: int,
               seconds: float, rows: List[Dict], note: Callable[[str], None]):
    """Fill a row by whether the lanes are armed: mean power of each run, `power_w`.

    They take turns, so that what changes on its own changes for both. Without a meter, or if it
    does not step twice in so many seconds, there are no rows.
    """
    if meter is None:
        note('idle power: nobody can tell it here')
        return
    found: Dict[str, List[float]] = {}
    for _ in range(runs):
        for how in (LAUNCHED, ARMED) if prepared.engine.gated else (LAUNCHED,):
            with prepared.rig.armed() if how == ARMED else contextlib.nullcontext(), \
                    EnergyLog(meter.energy_mj, clock) as log:
                time.sleep(SETTLE_S)
                begin_s = clock.now_s()
                time.sleep(seconds)
                power_w = log.power_w(begin_s, clock.now_s())
            if power_w is None:
                note('idle power: the meter did not step twice; take a larger --seconds')
                return
            found.setdefault(how, []).append(power_w)
    for how, powers_w in found.items():
        rows.append({'lanes': how, 'power_w': powers_w})
        note(f'idle, lanes {how}: {spread(powers_w, 2)} W')
