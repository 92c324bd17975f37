"""Measures the variants of a network's segments on the engine that will run them."""

from __future__ import annotations

import logging
from typing import List, Mapping, Sequence

import numpy as np

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.models.calibration import Calibration
from s3dnn_ros.models.cut_network import CutNetwork
from s3dnn_ros.models.fidelity import fidelity, same_answers
from s3dnn_ros.models.variants import Variants
from s3dnn_ros.profiling.profiler import WARM_UP_RUNS
from s3dnn_ros.profiling.variant_table import VariantRow, VariantTable

_LOG = logging.getLogger(__name__)

# Variants take turns in rounds of so many runs, so that what slows the machine down for a
# while slows all of them.
RUNS_PER_ROUND = 5


def measure_variants(engine, cut: CutNetwork, variants: Sequence[Variants], *,
                     images: np.ndarray, source: str, calibration: Calibration, repeats: int,
                     batch: int = 1, platform=None) -> VariantTable:
    """Return what each variant gains and loses; nothing else may run.

    Times are those of a segment where the others run in as coarse a variant; fidelity is that
    of the whole network where only one segment is not exact. With a platform a variant gains
    what it gains in the slowest and in the fastest configuration, whichever is less: who is in
    the greatest hurry has the fastest, and there may be little to gain there.

    Parameters
    ----------
    engine : Engine
    cut : CutNetwork
    variants : sequence of Variants
        Of each segment.
    images : ndarray
        uint8 (N, H, W, 3), fitted to the network; `source` says what they are.
    calibration : Calibration
        What the variants were made with; not of the same images, which would flatter.
    repeats : int
        Runs of each network.
    batch : int
        Images at once for the times.
    platform : Platform, optional
        Restored at the end; without, the device is taken as it is.

    """
    ratios = sorted({variant.ratio for each in variants for variant in each.variants},
                    reverse=True)
    network = cut.load(engine, max_batch=batch, coarser=[
        [variant.model for variant in each.variants[1:]] for each in variants])
    _LOG.info(f'times of {len(ratios)} ratios …')
    timed_in = _slowest_and_fastest(platform)
    timed_ms = _timed_ms(network, batch, repeats, platform, timed_in)
    exact = [0] * len(variants)
    spec = cut.metadata.complete(cut.spec)
    expected = _run(network, images, exact)

    def row(segment, ratio, chosen: Sequence[int]) -> VariantRow:
        """Return the row of a segment, or of all, where segments run in the chosen variants."""
        found = _run(network, images, chosen)
        where = range(len(variants)) if segment is None else [segment]
        used = [variants[index].variants[chosen[index]] for index in where]
        totals_ms = [(sum(times_ms[index][0] for index in where),
                      sum(times_ms[index][chosen[index]] for index in where))
                     for times_ms in timed_ms]
        return VariantRow(
            segment, ratio, layers=sum(len(variant.layers) for variant in used),
            macs=sum(variant.macs for variant in used),
            size_mb=sum(variant.size_mb for variant in used), time_ms=float(totals_ms[-1][1]),
            # a clock may see nothing of a segment that only renames
            speedup=min(float(exact_ms / time_ms) if time_ms > 0 and exact_ms > 0 else 1.0
                        for exact_ms, time_ms in totals_ms),
            fidelity=fidelity(expected, found), answers=same_answers(spec, expected, found))

    rows: List[VariantRow] = []
    for segment, each in enumerate(variants):
        _LOG.info(f'fidelity of segment {segment} …')
        for index, variant in enumerate(each.variants):
            rows.append(row(segment, variant.ratio,
                            [*exact[:segment], index, *exact[segment + 1:]]))
    _LOG.info('fidelity of the whole network …')
    rows += [row(None, ratio, [each.index(ratio) for each in variants])
             for ratio in ratios]
    return VariantTable(
        model=cut.spec.name, model_sha256=sha256_of(cut.spec.onnx), engine=engine.name,
        device=engine.device, images=source, calibration=calibration.source,
        calibration_sha256=calibration.sha256, batch=batch, versions=engine.versions,
        cuts=cut.cuts, rows=tuple(rows),
        configurations=tuple(configuration.name for configuration in timed_in))


def _slowest_and_fastest(platform) -> Sequence:
    """Return these configurations, one where there is one, none without a platform."""
    found = platform.configurations if platform else ()
    return found if len(found) < 2 else (found[0], found[-1])


def _timed_ms(network, batch: int, repeats: int, platform, configurations
              ) -> List[List[Sequence[float]]]:
    """Return the times in each of the configurations, or as the device is."""
    if platform is None:
        return [_times_ms(network, batch, repeats)]
    timed_ms = []
    try:
        for configuration in configurations:
            platform.apply(configuration.index)
            timed_ms.append(_times_ms(network, batch, repeats))
    finally:
        platform.restore()
    return timed_ms


def _times_ms(network, batch: int, repeats: int) -> List[Sequence[float]]:
    """Return the median time of every variant of each segment; a segment may have fewer."""
    batch, count = network.padded(batch), max(network.variants)
    for variant in range(count):
        network.measure(batch, WARM_UP_RUNS, variant)
    runs: List[List] = [[] for _ in range(count)]
    for start in range(0, repeats, RUNS_PER_ROUND):
        for variant, rows in enumerate(runs):
            rows += network.measure(batch, min(RUNS_PER_ROUND, repeats - start), variant)
    return list(zip(*(1e3 * np.median(np.asarray(rows), axis=0) for rows in runs)))


def _run(network, images: np.ndarray, chosen: Sequence[int]) -> List[Mapping[str, np.ndarray]]:
    """Return the outputs of each image."""
    return [network.run(image[np.newaxis], chosen) for image in images]
