"""Measures the variants of a network's segments on the engine that will run them."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.models.fidelity import fidelity, same_answers
from s3dnn_ros.models.variants import EXACT, Variant, Variants
from s3dnn_ros.profiling.profiler import WARM_UP_RUNS
from s3dnn_ros.profiling.variant_table import VariantRow, VariantTable

# Networks take turns in rounds of so many runs, so that what slows the machine down for a
# while slows all of them.
RUNS_PER_ROUND = 5
Cuts = Tuple[Tuple[str, ...], ...]


def measure_variants(engine, spec, variants: Sequence[Variants], *, model_sha256: str,
                     cuts: Cuts, outputs: Sequence[str], images: np.ndarray, source: str,
                     repeats: int, batch: int = 1,
                     progress: Optional[Callable[[str], None]] = None) -> VariantTable:
    """Return what each variant gains and loses; nothing else may run.

    Times are those of a segment in a network whose segments all have the same ratio; fidelity
    is that of the whole network where only one segment is not exact.

    Parameters
    ----------
    engine, spec
        As for `Engine.load`.
    variants : sequence of Variants
        Of each segment.
    model_sha256, cuts, outputs
        What the network is: its file, where it is cut, and what it gives.
    images : ndarray
        uint8 (N, H, W, 3), fitted to the network; `source` says what they are.
    repeats : int
        Runs of each network.
    batch : int
        Images at once for the times.
    progress : callable
        Called with a line before each step.

    """
    tell = progress or (lambda line: None)
    ratios = sorted({variant.ratio for each in variants for variant in each.variants},
                    reverse=True)

    def load(chosen: Sequence[Variant]):
        models = [variant.model for variant in chosen]
        return engine.load(spec.name, models, outputs, spec, max_batch=batch)

    def judge(network) -> Dict[str, float]:
        found = _run(network, images)
        return {'fidelity': fidelity(expected, found),
                'answers': same_answers(spec, expected, found)}

    chains = {ratio: [each.at(ratio) for each in variants] for ratio in ratios}
    networks = {ratio: load(chain) for ratio, chain in chains.items()}
    tell(f'times of {len(networks)} networks …')
    times_ms = _times_ms(networks, batch, repeats)
    expected = _run(networks[EXACT], images)
    rows: List[VariantRow] = []
    for index, each in enumerate(variants):
        tell(f'fidelity of segment {index} …')
        for variant in each.variants:
            chosen = list(chains[EXACT])
            chosen[index] = variant
            exact_ms, time_ms = (times_ms[ratio][index] for ratio in (EXACT, variant.ratio))
            network = networks[EXACT] if variant.ratio == EXACT else load(chosen)
            rows.append(_row(index, variant.ratio, [variant], time_ms, exact_ms,
                             judge(network)))
    tell('fidelity of the whole network …')
    for ratio, chain in chains.items():
        rows.append(_row(None, ratio, chain, times_ms[ratio].sum(), times_ms[EXACT].sum(),
                         judge(networks[ratio])))
    return VariantTable(
        model=spec.name, model_sha256=model_sha256, engine=engine.name, device=engine.device,
        images=source, batch=batch, versions=engine.versions, cuts=cuts, rows=tuple(rows))


def _row(segment, ratio, chain: Sequence[Variant], time_ms, exact_ms,
         judged: Mapping[str, float]) -> VariantRow:
    return VariantRow(
        segment, ratio, layers=sum(len(variant.layers) for variant in chain),
        macs=sum(variant.macs for variant in chain),
        size_mb=sum(variant.size_mb for variant in chain), time_ms=float(time_ms),
        # a clock may see nothing of a segment that only renames
        speedup=float(exact_ms / time_ms) if time_ms > 0 and exact_ms > 0 else 1.0, **judged)


def _times_ms(networks: Mapping[float, Any], batch: int, repeats: int) -> Dict[float, np.ndarray]:
    """Return the median time of each segment of each network."""
    for network in networks.values():
        network.measure(network.padded(batch), WARM_UP_RUNS)
    runs: Dict[float, List] = {ratio: [] for ratio in networks}
    for start in range(0, repeats, RUNS_PER_ROUND):
        for ratio, network in networks.items():
            count = min(RUNS_PER_ROUND, repeats - start)
            runs[ratio] += network.measure(network.padded(batch), count)
    return {ratio: 1e3 * np.median(np.asarray(rows), axis=0) for ratio, rows in runs.items()}


def _run(network, images: np.ndarray) -> List[Mapping[str, np.ndarray]]:
    """Return the outputs of each image."""
    return [network.run(image[np.newaxis]) for image in images]
