"""One network on several units, each of which runs a part of the batch."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import logging
import queue
import threading
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.content import shortened
from s3dnn_ros.engines.base import Network
from s3dnn_ros.errors import EngineError
from s3dnn_ros.units.unit import Unit

_LOG = logging.getLogger(__name__)

# Units of which none reports for so long hang.
LIMIT_S = 10.0

# Says how many of so many images each of some units is to run.
Share = Callable[[int, Sequence[str]], Mapping[str, int]]


@dataclasses.dataclass(frozen=True)
class Part:
    """Consecutive images of a batch, and when a unit ran them."""

    unit: str
    first: int
    count: int
    started_s: float
    ended_s: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """The outputs of a batch by name, batch first, and its parts in the order of images."""

    outputs: Mapping[str, np.ndarray]
    parts: Tuple[Part, ...]

    @property
    def makespan_s(self) -> float:
        """Return the time from the first part's start to the last one's end."""
        return (max(part.ended_s for part in self.parts)
                - min(part.started_s for part in self.parts))

    @property
    def units(self) -> Tuple[str, ...]:
        """Return for every image the unit that ran it."""
        return tuple(part.unit for part in self.parts for _ in range(part.count))


def equal_share(count: int, units: Sequence[str]) -> Dict[str, int]:
    """Return equal shares; the first units take what is left over."""
    least, more = divmod(count, len(units))
    return {unit: least + (place < more) for place, unit in enumerate(units)}


class SplitNetwork:
    """A network that is loaded on several units.

    A unit that fails is left out until somebody asks for it again. One caller at a time.

    Parameters
    ----------
    units : sequence of Unit
    load : callable
        Returns the Network on a Unit.
    clock : Clock
    limit_s : float
        Where no unit reports for so long, those that are still to report count as hanging. May
        be set.

    Attributes
    ----------
    networks : dict of str to Network
        By the names of the units.

    Raises
    ------
    Exception
        Whatever `load` raises.

    """

    def __init__(self, units: Sequence[Unit], load: Callable[[Unit], Network], clock,
                 limit_s: float = LIMIT_S):
        self._units = {unit.name: unit for unit in units}
        self._load = load
        self._clock = clock
        self.limit_s = limit_s
        self.networks: Dict[str, Network] = {unit.name: load(unit) for unit in units}
        self._left_out: Dict[str, str] = {}     # why, by name

    @property
    def units(self) -> Tuple[str, ...]:
        """Return the names of the units that are not left out."""
        return tuple(name for name in self._units if name not in self._left_out)

    @property
    def left_out(self) -> Mapping[str, str]:
        """Return why units are left out, by name."""
        return dict(self._left_out)

    def run(self, pixels: np.ndarray, share: Share = equal_share) -> Answer:
        """Run a batch, uint8 (N, H, W, 3), on several units at once.

        What a unit does not finish is shared out again among the others.

        Parameters
        ----------
        pixels : array
            Each unit gets a view of its images.
        share : callable
            Says which unit gets how many images; those that are left out are not among its units.

        Raises
        ------
        EngineError
            No unit is left.

        """
        gathered = _Gathered(len(pixels))
        reports: queue.SimpleQueue = queue.SimpleQueue()
        waited_for: List[_Task] = []
        ended: List[Part] = []

        def begin(first, count):
            for task in self._tasks(pixels, first, count, share):
                waited_for.append(task)
                unit = self._units[task.unit]
                unit.call(functools.partial(
                    task.run, self.networks[task.unit], gathered, self._clock)
                ).add_done_callback(functools.partial(_report, reports, task))

        begin(0, len(pixels))
        while waited_for:
            try:
                task, future = reports.get(timeout=self.limit_s)
            except queue.Empty:
                late = [task for task in waited_for if task.give_up()]
                for task in late:
                    self._units[task.unit].hangs = True
                failed = [(task, f'nothing came from it within {self.limit_s:g} s')
                          for task in late]
            else:
                if task not in waited_for:
                    continue        # it was given up before
                error = future.exception()
                failed = [] if error is None else [(task, shortened(error))]
                if error is None:
                    waited_for.remove(task)
                    ended.append(future.result())
            for task, sentence in failed:
                waited_for.remove(task)
                self._leave_out(task.unit, sentence)
            for task, _ in failed:
                begin(task.first, len(task.pixels))
        return Answer(gathered.outputs, tuple(sorted(ended, key=lambda part: part.first)))

    def alone(self, name: str, function: Callable[[Network], Any]) -> Any:
        """Return what a function gives for the network on one unit, called in its thread.

        Raises what that raises.
        """
        return self._units[name].call(functools.partial(function, self.networks[name])).result()

    def ask_again(self, name: str) -> None:
        """Load the network on a unit that was left out, and use it again.

        Raises what `load` raises; the unit is left out then as before.
        """
        self.networks[name] = self._load(self._units[name])
        self._left_out.pop(name, None)

    def _tasks(self, pixels, first, count, share) -> List[_Task]:
        units = self.units
        if not units:
            raise EngineError('units', 'no unit is left: ' + '; '.join(
                f'{name}: {reason}' for name, reason in self._left_out.items()))
        shares = share(count, units)
        if sum(shares.values()) != count or not set(shares) <= set(units):
            raise ValueError(f'{count} images for {units} are shared out as {shares}')
        tasks = []
        for unit, images in shares.items():
            if images:
                tasks.append(_Task(unit, first, pixels[first:first + images]))
                first += images
        return tasks

    def _leave_out(self, name, sentence):
        if name not in self._left_out:
            self._left_out[name] = sentence
            _LOG.warning(f'unit {name} is left out, others do its part: {sentence}')


class _Gathered:
    """The outputs of a whole batch, into which every unit writes its part."""

    def __init__(self, count):
        self.outputs: Dict[str, np.ndarray] = {}
        self._count = count
        self._lock = threading.Lock()

    def write(self, first, outputs: Mapping[str, np.ndarray]):
        """Write the outputs of consecutive images; those of the whole batch are not copied."""
        for name, values in outputs.items():
            if len(values) == self._count:
                self.outputs[name] = values
                continue
            with self._lock:
                whole = self.outputs.get(name)
                if whole is None:
                    whole = self.outputs[name] = np.empty((self._count, *values.shape[1:]),
                                                          values.dtype)
            whole[first:first + len(values)] = values


@dataclasses.dataclass(eq=False)
class _Task:
    """Images that a unit is to run; either it writes their outputs, or it was given up."""

    unit: str
    first: int
    pixels: np.ndarray
    _claim: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def give_up(self) -> bool:
        """Keep the unit from writing; tell whether that was in time."""
        return self._claim.acquire(blocking=False)

    def run(self, network: Network, gathered: _Gathered, clock) -> Part:
        """Run the images, in the unit's thread."""
        started_s = clock.now_s()
        results = run_in_turns(network, self.pixels)
        if self._claim.acquire(blocking=False):
            first = self.first
            for outputs in results:
                gathered.write(first, outputs)
                first += len(next(iter(outputs.values())))
        return Part(self.unit, self.first, len(self.pixels), started_s, clock.now_s())


def run_in_turns(network: Network, pixels: np.ndarray) -> List[Mapping[str, np.ndarray]]:
    """Return the outputs of images that run in this thread, as many at once as are taken."""
    return [network.run(pixels[start:start + network.largest])
            for start in range(0, len(pixels), network.largest)]


def _report(reports, task, future: concurrent.futures.Future) -> None:
    reports.put((task, future))
