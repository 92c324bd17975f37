"""Networks for the benches: exported, cut, loaded and profiled on the engine that runs them."""

from __future__ import annotations

import dataclasses
import logging
from typing import Dict, Iterable

from s3dnn_ros.bench.load import FAR_S, STREAMS, Client, Rig
from s3dnn_ros.bench.record import Measured
from s3dnn_ros.models.cut_network import planned
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.models.zoo import make_ready
from s3dnn_ros.profiling.profiler import SHARED_LANES, make_plan, profile

_LOG = logging.getLogger(__name__)

# So many tensors may be alive at a cut: with fewer, detectors have nowhere to cut.
MAX_ALIVE = 3
# How long and how often a model is asked to learn what it takes alone.
ALONE_S = 1.0
ALONE_PERIOD_S = 0.005


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Networks and what was measured of them."""

    engine: object
    rig: Rig
    networks: Dict[str, object]
    profiles: Dict[str, object]
    plans: Dict[str, object]

    @property
    def alone_s(self):
        """Return what an image takes on the device by itself, by model: medians."""
        return {model: table.remaining_s(0, 1) for model, table in self.profiles.items()}

    def alone_ms(self, model) -> float:
        """Return the median time from a request to its answer while nothing else runs."""
        period_s = 5.0 * self.profiles[model].time_s(1)
        client = Client(model, model, FAR_S, max(period_s, ALONE_PERIOD_S))
        return self.run([client], STREAMS, ALONE_S).response_ms['p50']

    def run(self, clients, policy, seconds) -> Measured:
        """Offer the clients' load for so long and measure it."""
        return self.rig.run(clients, policy).record(seconds).measured(self.alone_s)


def ready(names: Iterable[str]) -> None:
    """Fetch and export the networks of a bench before it measures anything.

    Raises as `make_ready`.
    """
    make_ready([load_spec(name) for name in names])


def prepare(engine, clock, lanes: Dict[str, int], *, max_batch, target_ms,
            repeats) -> Prepared:
    """Load the models of `lanes`, each with so many lanes, and profile them."""
    networks, profiles, plans, shapes = {}, {}, {}, {}
    for name, count in lanes.items():
        spec = load_spec(name)
        plan = make_plan(engine, spec, target_ms=target_ms, max_alive=MAX_ALIVE)
        network = planned(spec, plan).load(engine, lanes=max(count, SHARED_LANES),
                                           max_batch=max_batch)
        table = profile(engine, spec, plan, network, batches=range(1, max_batch + 1),
                        repeats=repeats)
        networks[name], profiles[name], plans[name] = network, table, plan
        shapes[name] = spec.height, spec.width
        _LOG.info(f'{name}: {network.segments} segments, {count} lanes, batch 1 '
                  f'{1e3 * table.time_s(1):.2f} ms, batch {max_batch} '
                  f'{1e3 * table.time_s(max_batch):.2f} ms, tb_ratio '
                  + ' '.join(f'{table.tb_ratio(index, 1):.2f}' for index in range(table.segments))
                  + f', utilization {table.utilization(0, 1):.2f}')
    rig = Rig(networks, profiles, engine, clock, shapes, max_batch)
    return Prepared(engine, rig, networks, profiles, plans)


def load_again(engine, clock, name, plan, table) -> Rig:
    """Load one model that was prepared, in another process, for one image at a time."""
    spec = load_spec(name)
    network = planned(spec, plan).load(engine)
    return Rig({name: network}, {name: table}, engine, clock,
               {name: (spec.height, spec.width)}, max_batch=1)
