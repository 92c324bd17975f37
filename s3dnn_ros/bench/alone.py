"""What a request takes that has the device to itself: to begin it, and until it is answered."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, List, Sequence

from s3dnn_ros.bench.load import FAR_S, Client, Policy
from s3dnn_ros.bench.networks import Prepared
from s3dnn_ros.bench.record import percentiles_us

# Requests come so often, or after so many times what the network takes, if that is longer: lanes
# are armed again by then.
PERIOD_S = 0.005
PERIOD_RUNS = 5.0
SECONDS = 1.0
BEGINS = 200
# How often an engine is looked at that has threads of its own, or must be asked.
LOOK_S = 50e-6
ARMED, LAUNCHED = 'armed', 'launched'


def alone(prepared: Prepared, models: Sequence[str], policies: Sequence[Policy], runs: int,
          rows: List[Dict], note: Callable[[str], None]):
    """Fill a row for each model.

    `begin_us` is what it takes to submit a whole network, from lanes that are armed, where the
    engine has gates, and from lanes that are not. `response_ms` is the time from a request to its
    answer, by policy.
    """
    for model in models:
        row: Dict[str, Any] = {'model': model, 'device_ms': 1e3 * prepared.alone_s[model],
                               'begin_us': {}, 'response_ms': {}}
        rows.append(row)
        for how in (ARMED, LAUNCHED) if prepared.engine.gated else (LAUNCHED,):
            with prepared.rig.armed() if how == ARMED else contextlib.nullcontext():
                found = row['begin_us'][how] = [_begin_us(prepared, model) for _ in range(runs)]
            note(f'{model} alone, {how}: to begin it takes '
                 f"{[run['p50'] for run in found]} µs")
        for policy in policies:
            if policy.processes or policy.frames > 1:
                continue
            client = Client(model, model, FAR_S, _period_s(prepared, model))
            found = row['response_ms'][policy.name] = [
                prepared.run([client], policy, SECONDS).response_ms for _ in range(runs)]
            note(f"{model} alone, {policy.name}: answered after {[run['p50'] for run in found]} "
                 f"ms, {row['device_ms']:.3f} of them on the device")


def _period_s(prepared, model):
    return max(PERIOD_S, PERIOD_RUNS * prepared.alone_s[model])


def _begin_us(prepared, model) -> Dict[str, float]:
    """Return percentiles of the time that it takes to submit a network."""
    network, times_ns = prepared.networks[model], []
    image = prepared.rig.images(Client(model, model, FAR_S))[0]
    for _ in range(BEGINS):
        time.sleep(_period_s(prepared, model))
        ended: List[Any] = []
        begun_ns = time.perf_counter_ns()
        with contextlib.closing(network.open([image])) as flight:
            flight.submit(0, ended.append, last=network.segments - 1)
            times_ns.append(time.perf_counter_ns() - begun_ns)
            while not ended:
                time.sleep(LOOK_S)
                prepared.engine.poll()
    return percentiles_us(times_ns)
