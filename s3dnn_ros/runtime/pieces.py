"""Which pieces a network runs in: its segments, and the coarser variants of each."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

from s3dnn_ros.cohort import SpeedupAccuracyTable
from s3dnn_ros.errors import ModelError, ProfileError
from s3dnn_ros.models.cache import sha256_of
from s3dnn_ros.models.segment_plan import apply, cut_at, load_plan, plan_path
from s3dnn_ros.models.segmentation import split
from s3dnn_ros.models.variants import stored_variants, variants_dir
from s3dnn_ros.profiling.variant_table import load_variant_table, variant_table_path


def cut(spec, model, table, reason: str) -> Tuple[Tuple, Sequence[Any], str]:
    """Return cuts, segments and a note for the user.

    They are those profiled, else those planned, else the whole network. `reason` says why it is
    this profile, or why there is none. Raises ProfileError or ModelError for a profile that
    does not fit the network.
    """
    if table is not None:
        again = f'run `s3dnn profile {spec.name}` again'
        if table.segments != len(table.cuts) + 1:
            raise ProfileError(reason, f'has times of {table.segments} segments and '
                                       f'{len(table.cuts)} cuts; {again}')
        return (table.cuts, cut_at(model, table.cuts, reason, again),
                f'{spec.name}: profile {reason}')
    path = plan_path(spec.name)
    if path.exists():
        try:
            plan = load_plan(path)
            segments = apply(plan, model, sha256_of(spec.onnx))
        except ModelError as error:
            reason += f'; {error}'
        else:
            return plan.cuts, segments, (f'{spec.name}: {len(segments)} segments of {path}, '
                                         f'without times ({reason})')
    return (), split(model, ()), f'{spec.name}: one segment, without times ({reason})'


def coarser(spec, engine, cuts, segments, score: str, configurations: Sequence[str] = ()
            ) -> Tuple[List[List[Any]], List[SpeedupAccuracyTable], str]:
    """Return the variants of every segment beside the exact one, their tables, and a note.

    They are the very files that were measured on this engine in these cuts, and found faster;
    none at all, if nothing was, or if they are not there any more. The note tells if they were
    not timed in the first and the last of the configurations that the board will be set to.
    """
    path = variant_table_path(spec.name, engine.name)
    try:
        table = load_variant_table(path)
        table.check(sha256_of(spec.onnx), cuts, engine.name, engine.device)
        stored = stored_variants(variants_dir(spec.name, engine.name), segments,
                                 [row.ratio for row in table.rows], table.calibration_sha256)
    except (ModelError, ProfileError) as error:
        return [], [], f'{spec.name}: no variants ({error})'
    models = [[each.at(row.ratio).model for row in table.offered(segment)[1:]]
              for segment, each in enumerate(stored)]
    tables = [table.accuracy_table(segment, score) for segment in range(len(segments))]
    note = f'{spec.name}: {sum(map(len, models))} coarser variants of {len(segments)} segments'
    slowest_and_fastest = dict.fromkeys((*configurations[:1], *configurations[-1:]))
    untimed = [name for name in slowest_and_fastest if name not in table.configurations]
    if untimed:
        note += (f', not timed in {" and ".join(untimed)}, where they may gain less: run '
                 f'`s3dnn models lowrank {spec.name} --platform …`')
    return models, tables, note
