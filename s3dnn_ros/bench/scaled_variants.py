"""Untrained variants of a model for a bench: they take the time of trained ones.

What they lose is given, not measured.
"""

from __future__ import annotations

import dataclasses
from typing import Tuple

from s3dnn_ros.base.cache import cache_dir, write_whole
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import load_graph
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.scaling.describe import description
from s3dnn_ros.scaling.series import in_equal_steps
from s3dnn_ros.scaling.store import storage_of, write
from s3dnn_ros.scaling.width import Width

# What a variant without any work would lose, as a share of the exact one's accuracy. Losses grow
# with the square of the work that is left out: 0.6 % at three quarters, 2.5 % at half, 5.6 % at a
# quarter (DERIVED, from the losses in config/workloads).
GIVEN_LOSS = 0.1


@dataclasses.dataclass(frozen=True)
class ScaledVariants:
    """A model's variants, exact first.

    `models` are the paths of their descriptions, `losses` are shares of the exact one's accuracy.
    """

    models: Tuple[str, ...]
    losses: Tuple[float, ...]
    sizes_mb: Tuple[float, ...]


def scaled_variants(spec: ModelSpec, count: int, smallest: float) -> ScaledVariants:
    """Return the exact model, whose file is there, and up to `count` variants of less width.

    Their work falls in equal steps, down to `smallest` of the exact one's multiply-adds. Raises
    ModelError.
    """
    models = in_equal_steps(Width(load_graph(spec)), count, smallest)
    folder = cache_dir() / 'bench' / spec.name
    try:
        paths = write(models, frozenset(), folder, spec.name)
        for path in paths:
            write_whole(path.with_suffix('.yaml'), description(
                spec, path, f'{spec.name}, scaled for a bench and not trained').encode())
    except OSError as error:
        raise ModelError(folder, f'cannot be written ({error.strerror}); free space there or set '
                                 '$S3DNN_CACHE') from error
    macs = [multiply_adds(model) for model in models]
    return ScaledVariants(
        tuple(str(path.with_suffix('.yaml')) for path in paths),
        tuple(GIVEN_LOSS * (1.0 - each / macs[0]) ** 2 for each in macs),
        tuple(1e-6 * size for size in storage_of(models, frozenset(), spec.name).private))
