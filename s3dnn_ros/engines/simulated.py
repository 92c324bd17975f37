"""A device in virtual time: its segments take the times that profiles say.

What runs side by side shares the device (DERIVED): each segment wants its `utilization` of it. The
most urgent level is served first, and what is left goes to the next. Segments of one level that
want more than there is are all slowed alike. A board may say how fast its clocks let them run,
when the host comes to launch them, and which share of the memory's bandwidth they use: if all
together use more than there is, all are slowed alike.
"""

from __future__ import annotations

import collections
import dataclasses
import heapq
import itertools
import math
import random
from typing import Callable, Deque, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from s3dnn_ros.engines.base import DEFAULTS, Run

# What is left of a segment when it has ended, but for rounding.
_NOTHING_S = 1e-12


class SegmentTimes(Protocol):
    """What a profile tells of a network's segments."""

    def segment_times_s(self, batch: int) -> Sequence[float]:
        """Return what each segment takes alone."""

    def utilization(self, segment: int, batch: int) -> float:
        """Return how much of the device a segment takes."""


class Board(Protocol):
    """What the engine asks of a board, and tells it."""

    def pace(self, model: str, segment: int, batch: int) -> Tuple[float, float]:
        """Return how many times as fast as profiled a segment runs, and its share of bandwidth.

        Both are of a segment that runs alone, with the clocks as they are.
        """

    def launch(self, now_s: float) -> float:
        """Return when the device gets what is submitted now."""

    def next_change_s(self) -> float:
        """Return when a clock changes next; inf if none does."""

    def change_due(self, now_s: float) -> bool:
        """Change the clocks that are due; tell whether there were any."""

    def passed(self, time_s: float, device: float, memory: float) -> None:
        """Take note that for so long these shares of device and bandwidth were in use."""


@dataclasses.dataclass(eq=False)
class _Segment:
    """A segment on the device; `left_s` is what it would take alone from now on, as profiled."""

    flight: SimulatedFlight
    number: int
    level: int
    utilization: float
    left_s: float
    done: Callable[[Run], None]
    started_s: float = 0.0
    rate: float = 1.0


class SimulatedEngine:
    """Runs the networks of profiles; the same seed gives the same times.

    Parameters
    ----------
    clock : VirtualClock
    profiles : mapping of model name to SegmentTimes
    parallel : bool
        Segments run side by side; otherwise one after the other.
    levels : int
        Of urgency.
    lead_s : float
        How long before a segment's end the next is best chosen.
    jitter : float
        A segment takes up to this part longer than its profile says.
    seed : int
    board : Board, optional
        Without it clocks never change, and a launch takes no time.
    speedups : mapping of model name to sequence of sequence of float
        What every variant of each segment gains against the exact one, which is the first.

    """

    name = device = 'simulated'
    precision = 'fp32'
    options = DEFAULTS
    heeds = ()
    built = 0
    gated = True
    gpu = poll_s = None
    sms = 0
    loads_bytes = True
    versions: Mapping[str, str] = {}

    def __init__(self, clock, profiles: Mapping[str, SegmentTimes], *, parallel=True, levels=1,
                 lead_s=0.0, jitter=0.0, seed=0, board: Optional[Board] = None,
                 speedups: Optional[Mapping[str, Sequence[Sequence[float]]]] = None):
        self.parallel, self.levels, self.lead_s = parallel, levels, lead_s
        self._clock = clock
        self._profiles = profiles
        self._jitter = jitter
        self._random = random.Random(seed)
        self._board = board
        self._speedups = speedups or {}
        self._taken = 0.0                   # of the device, by another program
        self._device = self._memory = 0.0   # in use
        self._running: List[_Segment] = []
        self._launched: List[Tuple[float, int, _Segment]] = []      # a heap
        self._numbers = itertools.count()
        self._since_s = clock.now_s()       # from when on what is left counts

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network of the profile that has the description's name."""
        profile = self._profiles[spec.name]
        return SimulatedNetwork(self, spec.name, profile, self._speedups.get(spec.name), lanes,
                                max_batch)

    def next_end_s(self) -> float:
        """Return when something ends or begins next if nothing changes; inf if nothing does."""
        next_s = min((self._since_s + segment.left_s / segment.rate
                      for segment in self._running if segment.rate), default=math.inf)
        if self._board is None:
            return next_s
        return min(next_s, self._board.next_change_s(),
                   self._launched[0][0] if self._launched else math.inf)

    def end_due(self):
        """End what is over by now, and begin and change what is due."""
        self.pass_time()
        if self._board is not None:
            self._begin_due()
        over = [segment for segment in self._running if segment.left_s <= _NOTHING_S]
        if over:
            self._running = [segment for segment in self._running
                             if segment.left_s > _NOTHING_S]
            for segment in over:
                segment.flight.ended(segment)
            self._share_out()

    def launch_s(self) -> float:
        """Return when the device gets what is submitted now."""
        now_s = self._clock.now_s()
        return now_s if self._board is None else self._board.launch(now_s)

    def begin(self, flight, segment, done, level, variant, launched_s):
        """Start a segment of a flight, as soon as the host has launched it."""
        self.pass_time()
        time_s, utilization = flight.network.needs(segment, flight.batch)
        if variant:
            time_s /= flight.network.speedup(segment, variant)
        if self._jitter:
            time_s *= 1.0 + self._random.uniform(0.0, self._jitter)
        started = _Segment(flight, segment, level, utilization, time_s, done)
        if launched_s > self._since_s:
            heapq.heappush(self._launched, (launched_s, next(self._numbers), started))
            return
        self._start(started)
        self._share_out()

    def disturb(self, share: float):
        """Have another program take this share of the device from now on, below 1."""
        self.pass_time()
        self._taken = share
        self._share_out()

    def frame_memory(self, size):
        """Return so many bytes; nothing reads them."""
        return np.zeros(size, np.uint8)

    def reads(self, pixels):
        """Return True: nothing is read."""
        return True

    def poll(self):
        """Do nothing: the driver ends what is due."""

    def lost(self):
        """Return nothing: a device that is not there is never lost."""
        return ''

    def allow_arming(self, allowed):
        """Do nothing: a launch takes no time."""

    def close(self):
        """Do nothing."""

    def now_s(self):
        """Return the time on the engine's clock."""
        return self._clock.now_s()

    def pass_time(self):
        """Take note of the time that has passed."""
        now_s = self._clock.now_s()
        passed_s, self._since_s = now_s - self._since_s, now_s
        if passed_s:
            for segment in self._running:
                segment.left_s -= segment.rate * passed_s
            if self._board is not None:
                self._board.passed(passed_s, self._device, self._memory)

    def _begin_due(self):
        changed = self._board.change_due(self._since_s)
        while self._launched and self._launched[0][0] <= self._since_s:
            self._start(heapq.heappop(self._launched)[-1])
            changed = True
        if changed:
            self._share_out()

    def _start(self, segment):
        segment.started_s = self._since_s
        self._running.append(segment)

    def _share_out(self):
        """Say for all that runs how fast it runs."""
        self._share_device()
        if self._board is not None:
            self._pace()

    def _pace(self):
        """Slow down what the clocks and the memory do not let run as fast as profiled."""
        self._device = self._taken + sum(segment.rate * segment.utilization
                                         for segment in self._running)
        wanted = 0.0
        for segment in self._running:
            pace, traffic = self._board.pace(segment.flight.network.model, segment.number,
                                             segment.flight.batch)
            wanted += segment.rate * traffic
            segment.rate *= pace
        self._memory = min(1.0, wanted)
        if wanted > 1.0:
            for segment in self._running:
                segment.rate /= wanted

    def _share_device(self):
        left = 1.0 - self._taken
        if not self.parallel:
            for index, segment in enumerate(self._running):
                segment.rate = 0.0 if index else min(1.0, left / segment.utilization)
            return
        if len(self._running) == 1:
            segment = self._running[0]
            segment.rate = min(1.0, left / segment.utilization)
            return
        for level in sorted({segment.level for segment in self._running}):
            peers = [segment for segment in self._running if segment.level == level]
            wanted = sum(segment.utilization for segment in peers)
            rate = min(1.0, left / wanted)
            for segment in peers:
                segment.rate = rate
            left = max(0.0, left - rate * wanted)


class SimulatedNetwork:
    """A network that takes the times of a profile, and gives no outputs."""

    stages = False
    batch = 0
    note = ''
    output_shapes: Mapping[str, tuple] = {}

    def __init__(self, engine, model: str, profile: SegmentTimes, speedups, lanes, max_batch):
        self.engine = engine
        self.model = model
        self.lanes = lanes
        self.largest = max_batch
        self.segments = len(profile.segment_times_s(1))
        self.variants = [len(each) for each in speedups] if speedups else [1] * self.segments
        self._profile = profile
        self._speedups = speedups
        self._needs: Dict[Tuple[int, int], Tuple[float, float]] = {}    # by segment and batch

    def padded(self, frames):
        """Return the frames themselves."""
        return frames

    def stage(self, pixels):
        """Return the pixels themselves."""
        return pixels

    def open(self, staged, deadline_s=math.inf):
        """Start a flight; what was staged tells only how many images there are."""
        return SimulatedFlight(self, sum(len(pixels) for pixels in staged))

    def needs(self, segment, batch) -> Tuple[float, float]:
        """Return what a segment takes alone, in seconds, and of the device."""
        needs = self._needs.get((segment, batch))
        if needs is None:
            needs = self._needs[segment, batch] = (
                self._profile.segment_times_s(batch)[segment],
                self._profile.utilization(segment, batch))
        return needs

    def speedup(self, segment, variant) -> float:
        """Return what a variant of a segment gains; the coarsest, if there is no such."""
        speedups = self._speedups[segment]
        return speedups[min(variant, len(speedups) - 1)]


class SimulatedFlight:
    """One batch on its way through a network."""

    def __init__(self, network, batch):
        self.network = network
        self.batch = batch
        self._submitted: Deque[Tuple] = collections.deque()     # the first runs, if any does
        self._runs = self._held = False
        self._ended = 0

    def submit(self, segment, done, level=0, variant=0, last=None):
        """Start a segment, or several, behind the one before it."""
        if last is not None and last > segment:
            done = _WhenAllEnded(last + 1 - segment, done)
        launched_s = self.network.engine.launch_s()
        self._submitted.append((segment, done, level, variant, launched_s))
        if last is not None:
            self._submitted.extend((index, done, level, 0, launched_s)
                                   for index in range(segment + 1, last + 1))
        self._begin()

    def hold(self):
        """Stop behind the segment that runs; tell whether any is left then."""
        self._held = True
        return len(self._submitted) > self._runs

    def resume(self):
        """Go on with what was submitted."""
        self._held = False
        self._begin()

    def progress(self):
        """Return how many segments have ended."""
        return self._ended

    def ended(self, segment):
        """Tell that the first segment has ended, and start the one behind it."""
        self._submitted.popleft()
        self._ended += 1
        self._runs = False
        self._begin()
        segment.done(Run(segment.started_s, self.network.engine.now_s()))

    def abandon(self):
        """Do nothing: there are lanes enough."""

    def outputs(self):
        """Return nothing: nothing was computed."""
        return {}

    def close(self):
        """Do nothing."""

    def _begin(self):
        """Start the first segment, unless one runs or the flight is held."""
        if self._submitted and not (self._runs or self._held):
            self._runs = True
            self.network.engine.begin(self, *self._submitted[0])


class _WhenAllEnded:
    """Calls `done` once, when so many segments have ended, with one run for all."""

    def __init__(self, count, done: Callable[[Run], None]):
        self._left = count
        self._done = done
        self._started_s = math.inf

    def __call__(self, run):
        self._left -= 1
        self._started_s = min(self._started_s, run.started_s)
        if not self._left:
            self._done(Run(self._started_s, run.ended_s))
