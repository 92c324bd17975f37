"""Loads the networks of instances; those that run the same network share its queue."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from typing import Callable, ContextManager, Dict, List, Mapping, Sequence

from s3dnn_ros.cohort import SpeedupAccuracyTable
from s3dnn_ros.errors import EngineError, S3dnnError
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.job import Instance
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.network_loader import (
    LoadedNetwork,
    LoadOptions,
    black_image,
    load_network,
)
from s3dnn_ros.runtime.recovery import Recovery
from s3dnn_ros.runtime.variant_chooser import VariantChooser

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Shared:
    """What all instances of one network have."""

    loaded: LoadedNetwork
    queue: ModelQueue
    recovery: Recovery


def _network_of(spec):
    """Return what makes two models the same network: the file, its images, and what is read."""
    return (spec.onnx, spec.width, spec.height, spec.colour, spec.mean, spec.std,
            spec.max_batch, spec.decoder, repr(spec.decoder_options))


class InstanceLoader:
    """Loads instances, proves them by a run, and has them loaded again if a run fails.

    Parameters
    ----------
    engine : Engine
    clock : Clock
    chooser : callable
        Returns the VariantChooser that tells what the device takes of profiled times now.
    submit : callable
        Runs a function in another thread; after the end it raises RuntimeError.
    is_lost : callable
        Tells, after a failed load, whether the engine can run nothing any more.
    quiet : callable
        Returns the context in which a network that serves already is loaded again.
    spare_lanes : int
        Of each network, beside one for each instance: for what waits on the device for its turn.

    Attributes
    ----------
    notes : list of str
        What the user may want to know of what was loaded last.
    profiles : dict of str to ProfileTable
        By model.
    accuracy : dict of str to sequence of SpeedupAccuracyTable
        By model, of each segment.

    """

    def __init__(self, engine, clock, chooser: Callable[[], VariantChooser], submit,
                 is_lost: Callable[[], bool],
                 quiet: Callable[[], ContextManager] = contextlib.nullcontext,
                 spare_lanes=0):
        self.notes: List[str] = []
        self.profiles: Dict[str, ProfileTable] = {}
        self.accuracy: Dict[str, Sequence[SpeedupAccuracyTable]] = {}
        self._engine = engine
        self._clock = clock
        self._chooser = chooser
        self._submit = submit
        self._is_lost = is_lost
        self._quiet = quiet
        self._spare_lanes = spare_lanes

    def load(self, specs: Mapping[str, object], settings, alone=False) -> Dict[str, Instance]:
        """Return an instance for each spec, warm.

        With `alone` nothing will come between the segments of a network, so that they would
        only cost time. Raises ModelError, ProfileError or EngineError.
        """
        self.notes = []
        shared: Dict[object, _Shared] = {}
        instances = {}
        for name, spec in specs.items():
            key = _network_of(spec)
            if key not in shared:
                # as many lanes as there are instances to ask for one
                lanes = self._spare_lanes + sum(
                    _network_of(other) == key for other in specs.values())
                shared[key] = self._share(name, spec, settings, lanes, alone)
            instances[name] = self._instance(name, spec, shared[key], settings)
        return instances

    def _share(self, name, spec, settings, lanes, alone) -> _Shared:
        loaded = load_network(spec, self._engine, LoadOptions(
            settings.instances[name].profile, settings.scheduling.max_batch, lanes, alone,
            settings.cohort.score if settings.cohort.enabled else '', settings.board.is_set), name)
        self.notes += loaded.notes
        if loaded.profile is not None:
            self.profiles[spec.name] = loaded.profile
            if settings.cohort.enabled:
                self.accuracy[spec.name] = loaded.accuracy
                if loaded.network.segments == 1:
                    self.notes.append(
                        f'{spec.name}: one segment, so that the cohort hears nothing of how it '
                        f'goes; cut it finer: `s3dnn profile {spec.name} --target-ms …`')
        queue = ModelQueue(loaded.network, Expectation(
            loaded.network.segments, loaded.times,
            scale=lambda: self._chooser().scale(spec.name),
            least=lambda: self._chooser().least(spec.name)))

        def load_again():
            network = loaded.load_again()
            if network.note:
                _LOG.warning(network.note)
            return network

        return _Shared(loaded, queue, Recovery(name, queue, load_again, self._submit, self._clock,
                                               self._is_lost, self._quiet))

    def _instance(self, name, spec, shared, settings) -> Instance:
        spec = shared.loaded.metadata.complete(spec)
        decoder = shared.loaded.decoder(spec)
        try:
            self._warm_up(shared.queue, decoder, spec, settings.warmup_runs)
        except S3dnnError:
            raise
        except Exception as error:
            raise EngineError(name, f'{spec.onnx} does not run: {error}') from error
        return Instance(name, spec, shared.queue, decoder, settings.instances[name],
                        shared.recovery)

    def _warm_up(self, queue, decoder, spec, runs):
        network = queue.network
        for run in range(runs):
            started_s = self._clock.now_s()
            outputs = network.run(black_image(spec))
            if run == runs - 1:
                queue.ran(network.padded(1), self._clock.now_s() - started_s)
            decoder.decode(outputs, 0.5, 0.5, 1)
        # a variant that cannot run must not be found out on the road
        for variant in range(1, max(network.variants)):
            network.run(black_image(spec), [min(variant, count - 1)
                                            for count in network.variants])
