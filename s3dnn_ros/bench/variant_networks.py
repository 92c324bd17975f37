"""Networks in variants for the bench of cohorts: made, measured in every configuration, judged."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import Any, Dict, List, Tuple

import numpy as np

from s3dnn_ros.bench.memory import memory_kb
from s3dnn_ros.bench.networks import MAX_ALIVE
from s3dnn_ros.bench.record import percentiles_us
from s3dnn_ros.cohort import ModelTables
from s3dnn_ros.models.calibration import WEIGHTS_ALONE
from s3dnn_ros.models.cut_network import planned
from s3dnn_ros.models.fidelity import fidelity
from s3dnn_ros.models.graph import image_network
from s3dnn_ros.models.spec import ModelSpec, load_spec
from s3dnn_ros.models.variants import make_variants, variants_dir
from s3dnn_ros.profiling.calibrator import calibrate
from s3dnn_ros.profiling.profiler import make_plan, measure_configurations, profile
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.profiling.variant_profiler import measure_variants
from s3dnn_ros.runtime.cohort_client import model_tables

# On so many images fidelity is measured.
PICTURES = 4
# Variants of the bench lie beside those of an engine, in other cuts.
FOLDER = 'bench'
# A configuration runs for so long before it is compared: a meter may average over a second.
CONFIGURATION_S = 1.5
# Runs in which submissions are timed, and how often it is asked whether one has ended, where
# the engine does not mind.
SUBMISSIONS = 100
POLL_S = 1e-4


class Judge:
    """How near a network's answers are to the exact ones, by the variants that it ran in.

    Parameters
    ----------
    network : Network
    images : ndarray
        uint8 (N, H, W, 3).

    """

    def __init__(self, network, images: np.ndarray):
        self._network = network
        self._images = images
        self._expected = self._outputs(())
        self._known = {(): 1.0, (0,) * network.segments: 1.0}

    def fidelity(self, variants: Tuple[int, ...]) -> float:
        """Return the measured fidelity; nothing else may run the first time."""
        if variants not in self._known:
            self._known[variants] = fidelity(self._expected, self._outputs(variants))
        return self._known[variants]

    def _outputs(self, variants):
        return [self._network.run(image[np.newaxis], variants) for image in self._images]


def submission_us(engine, network, image: np.ndarray, switch: bool) -> Dict[str, float]:
    """Return percentiles of the time that it takes to submit a segment.

    With `switch` none runs in the variant that it ran in before, where it has another.
    """
    staged = network.stage(image[np.newaxis])
    times_ns = []
    for number in range(SUBMISSIONS):
        ended: List[Any] = []
        with contextlib.closing(network.open([staged])) as flight:
            for segment, count in enumerate(network.variants):
                variant = number % count if switch else 0
                begun_ns = time.perf_counter_ns()
                flight.submit(segment, ended.append, variant=variant)
                times_ns.append(time.perf_counter_ns() - begun_ns)
            while len(ended) < network.segments:
                engine.poll()
                time.sleep(engine.poll_s or POLL_S)
    return percentiles_us(times_ns)


@dataclasses.dataclass(frozen=True)
class InVariants:
    """A network, ready to run in variants, and what was measured of it; `record` is for JSON."""

    spec: ModelSpec
    network: Any
    profile: ProfileTable
    tables: ModelTables
    judge: Judge
    record: Dict[str, Any]

    def __str__(self):
        """Return how many variants there are, and what the configurations make of it."""
        configurations = ', '.join(f"{one['name']} {one['ms']:.2f} ms {one['power_w']:.0f} W"
                                   for one in self.record['configurations'])
        return (f"{self.network.segments} segments, variants "
                f"{[len(rows) for rows in self.record['variants']]}, {configurations}")


def load_in_variants(engine, platform, clock, name, pictures, *, ratios, target_ms, repeats,
                     lanes) -> InVariants:
    """Load a network with the variants that gain something, and measure all of it.

    `pictures` returns Pictures for a ModelSpec.
    """
    spec = load_spec(name)
    plan = make_plan(engine, spec, target_ms=target_ms, max_alive=MAX_ALIVE)
    cut = planned(spec, plan)
    shown = pictures(spec)
    images = shown.held_out[:PICTURES]
    calibration = WEIGHTS_ALONE
    if len(shown.calibrating):
        calibration = calibrate(engine, spec, image_network(spec), shown.calibrating,
                                shown.calibration)
    variants = make_variants(variants_dir(name, FOLDER), cut.segments, ratios, calibration)
    measured = measure_variants(
        engine, cut, variants, images=images, source=shown.source, calibration=calibration,
        repeats=repeats, platform=platform)
    offered = [measured.offered(segment) for segment in range(len(cut.segments))]
    network = cut.load(engine, lanes=lanes, coarser=[
        [each.at(row.ratio).model for row in rows[1:]]
        for rows, each in zip(offered, variants)])
    table = profile(engine, spec, plan, network, batches=[1], repeats=repeats)
    powered = platform.power_mw() is not None
    if powered:
        table = dataclasses.replace(table, configurations=measure_configurations(
            network, platform, clock, seconds=CONFIGURATION_S))
    accuracy = [measured.accuracy_table(segment) for segment in range(len(cut.segments))]
    tables_kb, tables = memory_kb(model_tables, table, powered, accuracy)
    record = {
        'segments': len(cut.segments), 'images': shown.source, 'calibration': calibration.source,
        # NeuOS's Table 3
        'memory': {'exact_mb': sum(rows[0].size_mb for rows in offered),
                   'coarser_mb': sum(row.size_mb for rows in offered for row in rows[1:]),
                   'tables_kb': tables_kb},
        'submission_us': {'exact': submission_us(engine, network, images[0], switch=False),
                          'switched': submission_us(engine, network, images[0], switch=True)},
        'variants': [[dataclasses.asdict(row) for row in rows] for rows in offered],
        'whole': [dataclasses.asdict(row) for row in measured.of(None)],
        'configurations': [
            {'name': row.name, 'power_w': row.power_mw / 1e3, 'ms': sum(row.times_ms)}
            for row in table.configurations]}
    return InVariants(spec, network, table, tables, Judge(network, images), record)
