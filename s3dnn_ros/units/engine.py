"""An engine that is made of units; it splits a batch over them where its deadline wants that."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Callable, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.base.content import full_path
from s3dnn_ros.engines.base import DEFAULTS, UNITS
from s3dnn_ros.engines.lanes import batches_up_to
from s3dnn_ros.errors import EngineError, S3dnnError
from s3dnn_ros.partition import PerformanceTable
from s3dnn_ros.units.about import about_model, about_units
from s3dnn_ros.units.measure import measure
from s3dnn_ros.units.split_network import SplitNetwork
from s3dnn_ros.units.unit import Unit
from s3dnn_ros.units.units_network import UnitsNetwork

# Of each batch of a table that is measured while a network is loaded.
REPEATS = 3


class UnitsEngine:
    """Runs one batch at a time, each in one segment, on one unit or on several.

    Parameters
    ----------
    units : sequence of Unit
    clock : Clock
    tables : mapping of str to path, optional
        Of instances whose performance table is in a file. Those of others are measured while
        their networks are loaded.

    """

    name = UNITS
    options = DEFAULTS
    heeds = ()
    sms = 0
    gated = False
    parallel = False
    levels = 1
    poll_s = None
    lead_s = 0.0

    def __init__(self, units: Sequence[Unit], clock,
                 tables: Optional[Mapping[str, str]] = None):
        self.clock = clock
        self._tables = tables or {}
        self.units = tuple(units)
        engines = [unit.engine for unit in units]
        self.device = ' + '.join(engine.device for engine in engines)
        self.versions = {name: version for engine in engines
                         for name, version in engine.versions.items()}
        self.precision = ' and '.join(dict.fromkeys(engine.precision for engine in engines))
        self.loads_bytes = all(engine.loads_bytes for engine in engines)
        gpus = {engine.gpu for engine in engines if engine.gpu is not None}
        # of several GPUs, no meter tells the energy
        self.gpu = gpus.pop() if len(gpus) == 1 else None
        self._pinned: Tuple[str, ...] = ()
        self._worker = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-engine')

    @property
    def built(self) -> int:
        """Return how many plans all units have built so far."""
        return sum(unit.engine.built for unit in self.units)

    def pin(self, names: Sequence[str]) -> None:
        """Let only units of these names run; none: all of them. Any thread."""
        self._pinned = tuple(names)

    def allowed(self, units: Sequence[str]) -> Sequence[str]:
        """Return those of some units that may run; all, if no pinned one is among them."""
        return [unit for unit in units if unit in self._pinned] or units

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network on all units; each has run it.

        Segments run exact, and one behind the other. Raises EngineError naming the instance, or
        TableError if its table cannot be used here.
        """
        path = self._tables.get(instance)
        table = path and self._read(path, spec)
        network = SplitNetwork(self.units, lambda unit: unit.load(
            instance, segments, outputs, spec, max_batch=max_batch, keep=keep), self.clock)
        shape = spec.height, spec.width, 3
        try:
            measured = measure(network, shape, [max_batch] if table else batches_up_to(max_batch),
                               self.clock, repeats=REPEATS)
        except S3dnnError as error:
            raise EngineError(instance, f'{spec.onnx} does not run on all units: {error}; take '
                                        'out of engine_units what cannot run it') from error
        return UnitsNetwork(self, network, table or measured, shape, max_batch)

    def submit(self, function: Callable[[], None]) -> None:
        """Call a function in the engine's thread."""
        self._worker.submit(function)

    def ask(self, function: Callable[[], None]) -> None:
        """Call a function that takes long in a thread, which does not keep the process alive."""
        threading.Thread(target=function, name='s3dnn-ask-again', daemon=True).start()

    def frame_memory(self, size):
        """Return so many bytes, pinned if a unit is on a GPU."""
        engines = sorted((unit.engine for unit in self.units),
                         key=lambda engine: engine.gpu is None)
        return engines[0].frame_memory(size)

    def reads(self, pixels):
        """Return True: every unit copies in its own thread what its device does not read."""
        return True

    def poll(self):
        """Do nothing: the engine's thread calls `done`."""

    def lost(self):
        """Return why nothing can run any more: what all units say, if all do."""
        losses = [unit.engine.lost() for unit in self.units]
        return '; '.join(losses) if all(losses) else ''

    def close(self):
        """Wait for the batch under way, and close all units."""
        self._worker.shutdown()
        for unit in self.units:
            unit.close()

    def _read(self, path, spec) -> PerformanceTable:
        """Return the rows of all units in a table of this model; raises TableError."""
        table = PerformanceTable.from_csv(full_path(path))
        table.expect({**about_model(spec), **about_units(self.units)})
        rows = [row for unit in self.units for row in table.rows_of(unit.name)]
        return PerformanceTable(rows, str(path), table.about)
