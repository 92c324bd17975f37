"""What the device takes for a job beyond its segments: gates between them, and choices."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.networks import Prepared
from s3dnn_ros.models.cut_network import planned
from s3dnn_ros.models.spec import load_spec

REPEATS = 100
EXACT, IN_VARIANTS = 'exact', 'in variants'


def boundaries(prepared: Prepared, models: Sequence[str], runs: int, rows: List[Dict],
               note: Callable[[str], None]):
    """Fill a row for each model: what a job takes if many follow each other on one lane.

    `job_ms` is that of the exact network, and of one whose segments have a variant each, which is
    as exact: so the difference is the choice. The images and the outputs are part of it.
    """
    for model in models:
        cut = planned(load_spec(model), prepared.plans[model])
        row: Dict[str, Any] = {'model': model, 'segments': len(cut.models),
                               'device_ms': 1e3 * prepared.alone_s[model], 'job_ms': {}}
        rows.append(row)
        for how, coarser in ((EXACT, ()), (IN_VARIANTS, [[same] for same in cut.models])):
            network = cut.load(prepared.engine, coarser=coarser)
            network.measure_shared(1, 1)
            row['job_ms'][how] = [1e3 * network.measure_shared(1, REPEATS) for _ in range(runs)]
            note(f'{model}, {how}: {spread(beyond_us(row, how), 1)} µs per segment beyond it')


def beyond_us(row: Dict, how: str) -> List[float]:
    """Return what a job takes beyond its segments, for each of them, in µs."""
    return [1e3 * (job_ms - row['device_ms']) / row['segments'] for job_ms in row['job_ms'][how]]
