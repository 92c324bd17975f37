"""From a model's description to a network that runs: how it is cut, loaded, and what is known.

The executor loads by this, and again after a failed run or for a new model; `s3dnn build` builds
what it would load. What is still to be measured is cut by `models/cut_network.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cohort import SpeedupAccuracyTable
from s3dnn_ros.engines.base import Engine, Network
from s3dnn_ros.errors import ModelError, ProfileError
from s3dnn_ros.models.cut_network import CutNetwork, cut_as_known, cut_there
from s3dnn_ros.models.decoders import Decoder
from s3dnn_ros.models.metadata import Metadata
from s3dnn_ros.models.prepared import prepare
from s3dnn_ros.profiling.find import find_table
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.runtime.expectation import Times

# Of frames, where neither settings nor model say less.
_LARGEST_BATCH = 64


@dataclasses.dataclass(frozen=True)
class LoadOptions:
    """How a network is to be loaded.

    Attributes
    ----------
    profile : str
        As `find_table` takes it.
    max_batch, lanes : int
        As for `Engine.load`.
    whole : bool
        In one segment, also with a profile: nothing could come between them.
    score : str
        With the coarser variants that were measured, judged by this; '' without them.
        The exact ones alone where there is no profile.
    sets_board : bool
        Whether the board will be set to the profile's configurations.

    """

    profile: str = 'auto'
    max_batch: int = 1
    lanes: int = 1
    whole: bool = False
    score: str = ''
    sets_board: bool = False


@dataclasses.dataclass(frozen=True)
class NetworkParts:
    """What an engine is to load of a model, and what is known of it beforehand.

    `coarser` are the variants of each segment beside the exact one, `accuracy` their tables, and
    `notes` what the user may want to know.
    """

    network: CutNetwork
    profile: Optional[ProfileTable]
    options: LoadOptions
    coarser: Sequence[Sequence[Any]] = ()
    accuracy: Sequence[SpeedupAccuracyTable] = ()
    notes: Tuple[str, ...] = ()

    @property
    def engine_options(self):
        """Return the keyword arguments for `Engine.load`."""
        return {'coarser': self.coarser, 'lanes': self.options.lanes,
                'max_batch': min(self.options.max_batch,
                                 self.network.spec.max_batch or _LARGEST_BATCH)}


@dataclasses.dataclass(frozen=True)
class LoadedNetwork:
    """A network on an engine, and what is known of it, as in its NetworkParts.

    `metadata` is what its file says of itself, `times` what batches take: its profile, or what an
    engine of several units has measured itself; None where nothing is known.
    """

    network: Network
    metadata: Metadata
    profile: Optional[ProfileTable]
    times: Optional[Times]
    accuracy: Sequence[SpeedupAccuracyTable]
    notes: Tuple[str, ...]
    load_again: Callable[[], Network]

    def decoder(self, spec) -> Decoder:
        """Return a decoder that fits what the network gives, as labels do; raises ModelError.

        `spec` is one that `metadata` has completed.
        """
        decoder = spec.make_decoder()
        spec.expect_classes(decoder.check(self.network.output_shapes))
        return decoder


def load_network(spec, engine: Engine, options: LoadOptions, instance='') -> LoadedNetwork:
    """Return a model's network on an engine; errors name the instance.

    Raises ModelError, ProfileError, or what the engine raises.
    """
    parts = choose_parts(spec, engine, options)
    # a function that keeps `parts` would keep a second copy of all weights
    cuts, engine_options = parts.network.cuts, parts.engine_options

    def load_again() -> Network:
        """Return the network in the same segments, proven by a run; its file is read again."""
        again = cut_there(spec, cuts, spec.onnx, 'clean the node up and configure it again').load(
            engine, instance=instance, **engine_options)
        again.run(black_image(spec))
        return again

    network = parts.network.load(engine, instance=instance, **engine_options)
    if spec.max_batch > network.batch > 0:
        raise ModelError(spec.onnx, f'takes batches of {network.batch} at most; correct '
                         f'max_batch in {spec.name}.yaml, or export it with a free batch')
    fixed = (f'{spec.name}: batches of {network.batch} at most, as it was exported; export it '
             'with a free batch for more' if network.batch and not spec.max_batch else '')
    own = getattr(network, 'times', None)
    # who measured the times needs no word on where there is no profile
    notes = (*(parts.notes if own is None else ()), fixed, network.note, spec.remark)
    return LoadedNetwork(network, parts.network.metadata, parts.profile, own or parts.profile,
                         parts.accuracy, tuple(filter(None, notes)), load_again)


def choose_parts(spec, engine: Engine, options: LoadOptions) -> NetworkParts:
    """Return what an engine is to load: as profiled, else as planned, else the whole network.

    Raises ModelError, or ProfileError for a profile that does not fit the network.
    """
    table, reason = find_table(options.profile, spec, engine.name, engine.device)
    if table is not None and options.whole:
        table = table.whole()
    approximates = bool(options.score) and table is not None
    network = (prepare if engine.loads_bytes and not approximates else cut_as_known)(
        spec, table, reason)
    parts = NetworkParts(network, table, options, notes=(network.note,))
    return _with_variants(parts, engine) if approximates else parts


def black_image(spec) -> np.ndarray:
    """Return a batch of one image: what a network is tried with."""
    return np.zeros((1, spec.height, spec.width, 3), np.uint8)


def _with_variants(parts: NetworkParts, engine) -> NetworkParts:
    """Return the parts with the variants of every segment beside the exact one.

    They are the very files that were measured on this engine in these cuts, and found faster;
    none at all, if nothing was, or if they are not there any more. A note tells if they were
    not timed in the first and the last of the configurations that the board will be set to.
    """
    # they need the package onnx, whose import takes long, and only cohorts need them
    from s3dnn_ros.models.variants import stored_variants, variants_dir
    from s3dnn_ros.profiling.variant_table import load_variant_table, variant_table_path

    network, spec = parts.network, parts.network.spec
    segments, options = network.segments, parts.options
    try:
        table = load_variant_table(variant_table_path(spec.name, engine.name))
        table.check(sha256_of(spec.onnx), network.cuts, engine.name, engine.device)
        stored = stored_variants(variants_dir(spec.name, engine.name), segments,
                                 [row.ratio for row in table.rows], table.calibration_sha256)
    except (ModelError, ProfileError) as error:
        return _noting(parts, f'{spec.name}: no variants ({error})')
    coarser = [[each.at(row.ratio).model for row in table.offered(segment)[1:]]
               for segment, each in enumerate(stored)]
    note = f'{spec.name}: {sum(map(len, coarser))} coarser variants of {len(segments)} segments'
    names = [row.name for row in parts.profile.configurations] if options.sets_board else []
    untimed = [name for name in dict.fromkeys((*names[:1], *names[-1:]))
               if name not in table.configurations]
    if untimed:
        note += (f', not timed in {" and ".join(untimed)}, where they may gain less: run '
                 f'`s3dnn models lowrank {spec.name} --platform …`')
    accuracy = [table.accuracy_table(segment, options.score) for segment in range(len(segments))]
    return dataclasses.replace(_noting(parts, note), coarser=coarser, accuracy=accuracy)


def _noting(parts, note):
    return dataclasses.replace(parts, notes=(*parts.notes, note))
