"""Series of variants whose work falls in equal steps, and how many layers they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, FrozenSet, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np
import onnx

from s3dnn_ros.base.content import shortened
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.scaling.layers import Layers
from s3dnn_ros.scaling.store import Storage, storage_of

# So many numbers of shared layers are tried, evenly spread.
MOST_TRIED = 12
SMALLEST = 0.25

Models = Sequence[onnx.ModelProto]


class Scaler(Protocol):
    """Makes a network smaller by width or by depth."""

    layers: Layers

    def at_most(self, macs: int, shared_layers: int = 0) -> Optional[onnx.ModelProto]:
        """Return the largest network of at most so much work, None if there is none."""

    def kept_filters(self, macs: int, shared_layers: int = 0) -> Mapping[str, np.ndarray]:
        """Return which filters that network has of each layer; all of those not there."""


@dataclass(frozen=True)
class Series:
    """The exact network and variants of it, each smaller than the one before.

    The first `shared_layers` layers are those of the exact network in all of them; `shared`
    names their weights.
    """

    shared_layers: int
    shared: FrozenSet[str]
    models: Tuple[onnx.ModelProto, ...]
    storage: Storage


def in_equal_steps(
    scaler: Scaler, count: int, smallest: float = SMALLEST, shared_layers: int = 0
) -> Tuple[onnx.ModelProto, ...]:
    """Return the exact network and up to `count` variants [RT-mDL, Eq. 2].

    Each takes at least (1 − smallest) / count of the exact network's multiply-adds less than
    the one before; there are fewer where none is as small.
    """
    step = (1.0 - smallest) * scaler.layers.macs / count
    models = [scaler.at_most(scaler.layers.macs)]
    while len(models) <= count:
        found = scaler.at_most(int(multiply_adds(models[-1]) - step), shared_layers)
        if found is None:
            break
        models.append(found)
    return tuple(models)


def spread(models: Models, count: int) -> Tuple[onnx.ModelProto, ...]:
    """Return the first network and `count` of the others, in equal intervals."""
    last = len(models) - 1
    return (models[0], *(models[round(index * last / count)] for index in range(1, count + 1)))


def choose(
    scaler: Scaler,
    count: int,
    fidelity_of: Callable[[onnx.ModelProto], float],
    *,
    name: str,
    smallest: float = SMALLEST,
    most_bytes: float = float('inf'),
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Series:
    """Return the series of the most variants, up to `count`, whose files are within the limit.

    The number of shared layers is the one that loses the least fidelity for each byte it saves
    against a series that shares none (DERIVED: the paper does not say how it chooses); none are
    shared if that is within the limit and sharing always loses some. A number that leaves too
    little work to save for the smallest variants is not taken. `told` is called with how
    many numbers have been tried, and of how many. The files have this
    `name`. Raises ModelError, naming it, for a network of which there is no variant,
    ParameterError for a limit under which there is none.
    """
    tried = sorted({round(part * len(scaler.layers) / MOST_TRIED)
                    for part in range(MOST_TRIED + 1)})
    found = [(shared, in_equal_steps(scaler, count, smallest, shared)) for shared in tried]
    most = len(found[0][1]) - 1
    if not most:
        raise ModelError(name, f'has no variant of {1 - (1 - smallest) / count:.0%} of its '
                                 'multiply-adds or less; scale it the other way (--by), or in '
                                 'smaller steps')
    for wanted in range(most, 0, -1):
        candidates = [_series(scaler, name, shared, spread(models, wanted))
                      for shared, models in found if len(models) == len(found[0][1])]
        within = [each for each in candidates if each.storage.total <= most_bytes]
        if within:
            for model in candidates[0].models[1:]:
                _expect_chained(model, candidates[0].models[0], name)
            return _cheapest(candidates[0], within, fidelity_of, told)
    raise ParameterError('--storage-mb', most_bytes / 1e6, 'the exact network and one variant '
                         f'take {min(each.storage.total for each in candidates) / 1e6:.2f} MB '
                         'at least; allow that much')


def _expect_chained(model: onnx.ModelProto, exact: onnx.ModelProto, name: str) -> None:
    """Raise ModelError for a variant that onnx does not take, or of another face."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(name, f'has a variant whose shapes do not chain ({shortened(error)}); '
                               'scale it the other way (--by)') from error
    for field in ('input', 'output'):
        before, after = (list(getattr(each.graph, field)) for each in (exact, model))
        if before != after:
            raise ModelError(name, f'has a variant with other {field}s; scale it the other way '
                                   '(--by)')


def _series(scaler: Scaler, name: str, shared_layers: int, models: Models) -> Series:
    shared = scaler.layers.constants(shared_layers)
    return Series(shared_layers, shared, tuple(models), storage_of(models, shared, name))


def _cheapest(unshared: Series, within: List[Series], fidelity_of, told) -> Series:
    """Return what loses least for each byte saved."""
    lost = {}
    asked = {each.shared_layers: each for each in [unshared, *within]}
    for done, (shared_layers, series) in enumerate(asked.items()):
        told(done, len(asked))
        fidelities = [fidelity_of(model) for model in series.models[1:]]
        lost[shared_layers] = 1.0 - sum(fidelities) / len(fidelities)

    def price(series: Series) -> Tuple[float, int]:
        saved = unshared.storage.total - series.storage.total
        more = lost[series.shared_layers] - lost[unshared.shared_layers]
        return (more / saved if saved > 0 else 0.0), series.storage.total

    return min(within, key=price)
