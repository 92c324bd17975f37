"""What engines on a CUDA device have in common: lanes, flights on them, and events to look at.

A lane has static buffers and streams, for one flight at a time.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from s3dnn_ros.engines.base import Run
from s3dnn_ros.engines.pinned import FrameMemory

# The level for what runs alone.
URGENT = 0


class LaneEngine:
    """Tells what has ended, by looking at events.

    A subclass has `_probe`, an event that has passed, and `synchronize`, which waits for all
    that was submitted. `pinned` returns an array of so many bytes in pinned memory.
    """

    built = 0
    gated = False
    parallel = True
    poll_s = 50e-6
    lead_s = 150e-6
    loads_bytes = False
    _probe: Any
    _gate_streams: Any = None

    def __init__(self, clock, pinned: Callable[[int], Any]):
        self.clock = clock
        self._pending: List[_Pending] = []
        self._frames = FrameMemory(pinned)

    def frame_memory(self, size):
        """Return so many bytes for pixels, in pinned memory if there is some."""
        return self._frames.array(size)

    def reads(self, pixels):
        """Tell whether pixels lie in such memory."""
        return self._frames.holds(pixels)

    def watch(self, event, done: Callable[[Run], None], error='', exact=False):
        """Call `done` in a later `poll`, once the event has passed, with an error if there is.

        `exact` is what the Run says of it.
        """
        self._pending.append(_Pending(event, self.clock.now_s(), done, error, exact))

    def poll(self):
        """Call `done` of what has finished, in the order of submission."""
        # the newest first: if one has passed, those before it have when they are asked
        errors = [pending.error_at_end() for pending in reversed(self._pending)]
        if all(error is None for error in errors):
            return
        pending, self._pending = self._pending, [
            pending for pending, error in zip(self._pending, reversed(errors)) if error is None]
        for run, error in zip(pending, reversed(errors)):
            if error is not None:
                run.done(Run(run.since_s, self.clock.now_s(), error, run.exact))

    def lost(self):
        """Return the error that CUDA answers everything with, if there is one."""
        try:
            self._probe.query()
        except RuntimeError as error:
            # PyTorch's other lines tell how to debug kernels
            return str(error).splitlines()[0]
        return ''

    def allow_arming(self, allowed: bool):
        """Allow lanes with gates to launch jobs before their images are there; any thread.

        At first it is not. While they wait, CUDA frees no memory, and loads no kernel.
        """
        if self._gate_streams is not None:
            self._gate_streams.arming.allow(allowed)

    def synchronize(self):
        """Wait for what was submitted."""
        raise NotImplementedError

    def close(self):
        """Wait for what runs."""
        if self._gate_streams is not None:
            self._gate_streams.arming.close()
        self.synchronize()


class Launched(NamedTuple):
    """Up to which segment a lane has launched, what ended it, and what a Run says of it."""

    last: int
    error: str = ''
    exact: bool = False


class LaneNetwork:
    """A network whose flights have a lane each.

    A subclass has `engine`, `segments`, `batches` (ascending, those that run without padding),
    `largest`, and in `_lanes` and `_free` its lanes; it can `stage`.
    """

    stages = True
    engine: Any
    segments: int
    batches: Tuple[int, ...]
    largest: int
    _lanes: List[Any]
    _free: List[Any]

    def padded(self, frames):
        """Return the least batch that has room for so many frames."""
        place = bisect.bisect_left(self.batches, frames)
        return self.batches[place] if place < len(self.batches) else self.largest

    def open(self, staged, deadline_s=math.inf):
        """Return a flight; it takes a free lane when it is submitted."""
        frames = sum(pixels.shape[0] for pixels in staged)
        return LaneFlight(self, staged, frames, self.padded(frames))

    def run(self, pixels, variants=()):
        """Run now and wait; returns the outputs by name, batch first."""
        flight = self.open([self.stage(pixels)])
        try:
            flight.launch(0, variants=variants or [0] * self.segments).synchronize()
            return flight.outputs()
        finally:
            flight.close()

    def measure(self, batch, repeats, variant=0):
        """Return the seconds of every segment in each of so many runs, by the device's clock."""
        lane = self._lanes[0]
        self.take(lane, URGENT)
        return lane.measure(batch, repeats, variant)

    def measure_shared(self, batch, repeats):
        """Return the seconds of a whole run, for each of many that all lanes run at once."""
        self.engine.synchronize()
        for lane in self._lanes:
            self.take(lane, URGENT)
        started_s = self.engine.clock.now_s()
        for _ in range(repeats):
            for lane in self._lanes:
                lane.repeat(batch)
        self.engine.synchronize()
        return (self.engine.clock.now_s() - started_s) / (repeats * len(self._lanes))

    def memory_mb(self, batch):
        """Return the memory of one lane's buffers for this batch."""
        return self._lanes[0].memory_mb(batch)

    def stage(self, pixels):
        """Copy pixels into pinned memory, from where the device copies by itself."""
        raise NotImplementedError

    def take(self, lane, level):
        """Let a lane use its stream of this level from here on."""
        lane.take(level)

    def free_lane(self, batch):
        """Return a free lane: the one that begins a job of this batch soonest."""
        free = self._free
        return free.pop(min(range(len(free)), key=lambda place: free[place].still_to_do(batch)))

    def give_back(self, lane):
        """Take a lane back."""
        self._free.append(lane)


class UngatedLane:
    """What lanes have in common whose segments run as soon as they are launched."""

    launch: Callable[..., None]     # of batch, segment and variant

    def still_to_do(self, batch) -> int:
        """Return how far a job is from its begin here, to compare lanes."""
        return 0

    def launch_all(self, batch, first, variants):
        """Launch a segment, and those behind it, each in its variant.

        What was launched runs, also where the next is refused. An error is raised if none was.
        """
        for segment, variant in enumerate(variants, first):
            try:
                self.launch(batch, segment, variant)
            except Exception as refused:
                if segment == first:
                    raise
                return Launched(segment - 1, str(refused) or repr(refused))
        return Launched(first + len(variants) - 1)

    def hold(self):
        """Return False: what was launched cannot be held; see GatedLane."""
        return False

    def resume(self):
        """Do nothing: nothing is held."""

    def progress(self):
        """Return None: nobody asks the device."""
        return None

    def leave(self):
        """Do nothing: what was launched runs by itself."""


class LaneFlight:
    """A batch, and from its first segment on its lane."""

    def __init__(self, network, staged, frames, batch):
        self._network = network
        self._lane: Any = None
        self._staged = staged
        self._frames = frames
        self._batch = batch
        self._host: Dict[str, Any] = {}

    def submit(self, segment, done: Callable[[Run], None], level=0, variant=0, last=None):
        """Launch a segment, or several; `done` is called by the engine's `poll`."""
        exact = [0] * (0 if last is None else last - segment)
        event, launched = self._launch(segment, level, [variant, *exact])
        self._network.engine.watch(event, done, launched.error, launched.exact)

    def launch(self, segment, level=0, variants=(0,)):
        """Launch a segment, and those behind it, in their variants; return the event behind all.

        Raises RuntimeError if one is refused.
        """
        event, launched = self._launch(segment, level, variants)
        if launched.error:
            raise RuntimeError(launched.error)
        return event

    def _launch(self, segment, level, variants):
        """Launch segments, and the copies before the first and behind the last.

        Returns the event behind all that was launched, and what that was.
        """
        if self._lane is None:
            self._lane = self._network.free_lane(self._batch)
        lane = self._lane
        self._network.take(lane, level)
        if segment == 0:
            lane.fetch(self._batch, self._staged)
        launched = lane.launch_all(self._batch, segment, variants)
        if launched.last + 1 == self._network.segments:
            try:
                self._host = lane.send(self._batch)
            except Exception as refused:
                launched = launched._replace(error=str(refused) or repr(refused))
        return lane.mark(launched.last), launched

    def hold(self):
        """Stop behind the segment that runs; tell whether any is left. Lanes with gates only."""
        return self._lane is not None and self._lane.hold()

    def resume(self):
        """Go on with what was submitted."""
        if self._lane is not None:
            self._lane.resume()

    def progress(self):
        """Return how many segments have ended; None: nobody can tell."""
        return None if self._lane is None else self._lane.progress()

    def abandon(self):
        """Open its gates, and keep the lane from all others."""
        self._lane.leave()

    def outputs(self):
        """Return the outputs by name; they lie in pinned memory of their own."""
        return {name: array[:self._frames] for name, array in self._host.items()}

    def close(self):
        """Give the lane back."""
        if self._lane is not None:
            self._lane.leave()
            self._network.give_back(self._lane)


@dataclasses.dataclass(frozen=True)
class _Pending:
    event: Any
    since_s: float
    done: Callable[[Run], None]
    error: str
    exact: bool

    def error_at_end(self) -> Optional[str]:
        """Return the error that ended it, an empty string, or None as long as it runs."""
        try:
            return self.error if self.event.query() else None
        except RuntimeError as caught:
            return self.error or str(caught)


def too_large(name: str, device: str, batch: int, most: int) -> str:
    """Return the sentence for batches that were given up as the device's memory is full."""
    return f'{name}: out of memory on {device} for batches of {batch}; it runs {most} at most'


def batches_up_to(largest: int) -> List[int]:
    """Return 1, 2, 4 … and `largest` itself."""
    sizes = [1]
    while sizes[-1] * 2 < largest:
        sizes.append(sizes[-1] * 2)
    return sizes if largest == 1 else [*sizes, largest]
