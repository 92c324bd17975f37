"""One batch over several units: what the table foretells of splits, and what they take."""

from __future__ import annotations

import dataclasses
import logging
import statistics
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.networks import ready
from s3dnn_ros.bench.option_checks import at_least_one
from s3dnn_ros.bench.partition_results import FORMAT, error_of
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.errors import EngineError
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.partition import PerformanceTable, partition_batch
from s3dnn_ros.partition.learned import LearnedTimes
from s3dnn_ros.units.about import about_model, about_units
from s3dnn_ros.units.measure import batches_to_measure, measure
from s3dnn_ros.units.open import open_units
from s3dnn_ros.units.split_network import Share, SplitNetwork

_LOG = logging.getLogger(__name__)

MODEL = 'squeezenet_1_1'
BATCHES = (4, 8, 16, 32)
# By which factors are learned before a batch is split by them.
LEARNING_RUNS = 15
# No unit of any use takes longer for a batch.
LIMIT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure.

    Batches are split over `units`; each of `others` runs whole ones, to compare. Every split runs
    `repeats` times in each of `runs`. With `table`, a CSV file, what is in it is not measured;
    what was measured is written there.
    """

    units: Sequence[str]
    others: Sequence[str] = ()
    model: str = MODEL
    batches: Sequence[int] = BATCHES
    runs: int = 5
    repeats: int = 5
    table: Optional[Path] = None
    build: BuildOptions = BuildOptions()

    def __post_init__(self):
        """Refuse what cannot be measured; raises ParameterError."""
        for option in ('runs', 'repeats'):
            at_least_one(f'--{option}', [getattr(self, option)])
        at_least_one('--batches', self.batches)


def run(clock, plan: Plan, save: Callable[[Dict], None] = ignore) -> Dict:
    """Run the bench; returns what JSON can hold, `save` gets it after every batch.

    Raises ParameterError, ModelError, EngineError or TableError.
    """
    ready([plan.model])
    spec = load_spec(plan.model)
    cut = whole(spec)
    units = open_units((*plan.units, *plan.others), clock, plan.build)
    try:
        network = SplitNetwork(units, lambda unit: cut.load(unit, max_batch=max(plan.batches)),
                               clock, LIMIT_S)
        table = _table(network, units, spec, plan, clock)
        results: Dict[str, Any] = {
            'format': FORMAT, 'environment': environment(), 'model': plan.model,
            'units': {unit.name: engine_record(unit.engine) for unit in units},
            'table': [{'unit': row.unit, 'batch': row.batch, 'time_ms': row.total_ms,
                       'io_ms': row.io_ms_per_image * row.batch} for row in table.rows],
            'partitions': []}
        pixels = np.random.default_rng(0).integers(
            0, 256, (max(plan.batches), spec.height, spec.width, 3), np.uint8)
        learned = LearnedTimes(table)
        for batch in plan.batches:
            row = _row(network, learned, pixels[:batch], plan, clock)
            results['partitions'].append(row)
            for line in _lines(row):
                _LOG.info(line)
            save(results)
        return results
    finally:
        for unit in units:
            unit.close()


def _table(network, units, spec, plan, clock) -> PerformanceTable:
    """Return the table of a file, or a new one, which is written there."""
    about = {**about_model(spec), **about_units(units)}
    if plan.table is not None and plan.table.exists():
        table = PerformanceTable.from_csv(plan.table)
        table.expect(about)
        return table
    table = measure(network, (spec.height, spec.width, 3),
                    batches_to_measure(max(plan.batches)), clock, progress=lambda row: _LOG.info(
                        f'{row.unit}: batch {row.batch} takes {row.total_ms:.2f} ms'))
    if plan.table is not None:
        table.with_about(about).to_csv(plan.table)
    return table


def _row(network, learned, pixels, plan, clock) -> Dict:
    """Return what every split of a batch takes."""
    names = network.units
    units, others = names[:len(plan.units)], names[len(plan.units):]
    splits = {name: _split(learned.table, assignment)
              for name, assignment in _splits(learned.table, len(pixels), units, others)}
    for _ in range(LEARNING_RUNS):
        answer = network.run(pixels, _exactly(_optimal(learned, len(pixels), units, clock)))
        for part in answer.parts:
            learned.observe(part.unit, part.count, 1e3 * (part.ended_s - part.started_s),
                            part.ended_s)
    splits['learned'] = _split(learned.at(clock.now_s()),
                               _optimal(learned, len(pixels), units, clock))

    def took_ms(split):
        begun_s = clock.now_s()
        network.run(pixels, _exactly(split['assignment']))
        return 1e3 * (clock.now_s() - begun_s)

    for split in splits.values():
        took_ms(split)
    # in turn, so that whatever else the machine does meets all alike
    for _ in range(plan.runs):
        for split in splits.values():
            split['measured_ms'].append(statistics.median(
                took_ms(split) for _ in range(plan.repeats)))
    return {'batch': len(pixels), 'splits': splits}


def _split(table, assignment) -> Dict:
    """Return a split before it has run."""
    return {'assignment': dict(assignment), 'measured_ms': [], 'predicted_ms': max(
        float(table.times_ms(unit, [count])[0]) for unit, count in assignment.items())}


def _exactly(assignment) -> Share:
    """Return what shares images out like this, or raises EngineError once a unit has failed."""
    def share(count, units):
        if not set(assignment) <= set(units):
            raise EngineError('partition', 'a unit failed while it was measured; the line before '
                                           'says why')
        return assignment
    return share


def _splits(table, batch, units, others) -> Iterator[Tuple[str, Mapping[str, int]]]:
    """Give the splits of a batch by name."""
    for method in ('alone', 'equal', 'greedy', 'optimal'):
        yield method, partition_batch(table, batch, units, method).assignment
    for unit in others:
        yield f'alone on {unit}', {unit: batch}


def _optimal(learned, batch, units, clock) -> Mapping[str, int]:
    return partition_batch(learned.at(clock.now_s()), batch, units, 'optimal').assignment


def _lines(row) -> List[str]:
    return [f"batch {row['batch']}, {name}: {spread(split['measured_ms'], 2)} ms, foretold "
            f"{split['predicted_ms']:.2f} ms ({error_of(split):.0%} off)"
            for name, split in row['splits'].items()]
