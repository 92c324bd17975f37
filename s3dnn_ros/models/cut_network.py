"""A network cut into segments: the one way from a model's file to an engine."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Sequence, Tuple

from s3dnn_ros.base.cache import plan_path, sha256_of
from s3dnn_ros.errors import ModelError, ProfileError
from s3dnn_ros.models.metadata import Metadata, metadata_of

Cuts = Tuple[Tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class CutNetwork:
    """A network in segments, the first of which takes images.

    Attributes
    ----------
    spec : ModelSpec
    outputs : tuple of str
        The network's, whichever segment makes them.
    cuts : tuple of tuple of str
        The tensors alive at each cut.
    models : tuple
        Each segment, as a graph or as the bytes of an ONNX file.
    segments : tuple of Segment
        Empty where the models are bytes.
    metadata : Metadata
        What the model's file says of itself.
    note : str
        Tells the user where the cuts come from, if that is not what was asked for.

    """

    spec: Any
    outputs: Tuple[str, ...]
    cuts: Cuts
    models: Tuple[Any, ...]
    metadata: Metadata
    segments: Tuple[Any, ...] = ()
    note: str = ''

    def load(self, engine, *, instance='', **options):
        """Return the network on an engine; `options` and errors are those of `Engine.load`."""
        return engine.load(instance or self.spec.name, list(self.models), list(self.outputs),
                           self.spec, **options)


def whole(spec) -> CutNetwork:
    """Return a model's network in one segment. Raises ModelError, as all functions here."""
    return _cut(spec, lambda model: _split(model, ''))


def planned(spec, plan) -> CutNetwork:
    """Return a model's network as a SegmentPlan cuts it."""
    from s3dnn_ros.models.segment_plan import apply
    return _cut(spec, lambda model: (plan.cuts, apply(plan, model, sha256_of(spec.onnx)), ''))


def cut_there(spec, cuts: Cuts, source, again: str) -> CutNetwork:
    """Return a model's network in these cuts.

    An error names `source`, where they come from, and what to do `again`.
    """
    from s3dnn_ros.models.segment_plan import cut_at
    return _cut(spec, lambda model: (cuts, cut_at(model, cuts, source, again), ''))


def cut_as_known(spec, table, reason: str) -> CutNetwork:
    """Return a model's network in the cuts of its profile, else of its plan, else whole.

    `table` is the profile, or None, and `reason` says why. Raises ProfileError, too, for a
    profile that does not fit the network.
    """
    if table is not None:
        again = f'run `s3dnn profile {spec.name}` again'
        if table.segments != len(table.cuts) + 1:
            raise ProfileError(reason, f'has times of {table.segments} segments and '
                                       f'{len(table.cuts)} cuts; {again}')
        return dataclasses.replace(cut_there(spec, table.cuts, reason, again),
                                   note=f'{spec.name}: profile {reason}')
    return _cut(spec, lambda model: _as_planned(spec, model, reason))


def _as_planned(spec, model, reason):
    from s3dnn_ros.models.segment_plan import apply, load_plan
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
    return _split(model, f'{spec.name}: one segment, without times ({reason})')


def _split(model, note):
    from s3dnn_ros.models.segmentation import split
    return (), split(model, ()), note


def _cut(spec, choose: Callable[[Any], Tuple[Cuts, Sequence[Any], str]]) -> CutNetwork:
    """Return a model's network, read from its file, as `choose` cuts the graph."""
    # the package onnx, whose import takes long, is not needed where all is in the cache
    from s3dnn_ros.models.graph import image_network
    model = image_network(spec)
    cuts, segments, note = choose(model)
    return CutNetwork(spec, tuple(value.name for value in model.graph.output),
                      tuple(map(tuple, cuts)), tuple(segment.model for segment in segments),
                      metadata_of(model), tuple(segments), note)
