"""A device in virtual time: its segments take the times that profiles say.

What runs side by side shares the device (DERIVED): each segment wants its `utilization` of it. The
most urgent level is served first, and what is left goes to the next. Segments of one level that
want more than there is are all slowed alike. A board may say how fast its clocks let them run,
when the host comes to launch them, and which share of the memory's bandwidth they use: if all
together use more than there is, all are slowed alike.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import math
import random
from typing import (
    Callable,
    Deque,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

import numpy as np

from s3dnn_ros.engines.base import DEFAULTS, Run


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
        self._running: List[SimulatedFlight] = []
        self._launched: List[Tuple[float, int, SimulatedFlight]] = []       # a heap
        self._numbers = itertools.count()
        self._since_s = clock.now_s()       # up to when the board was told what is in use
        self._shared_out = True             # among all that runs, since that has changed
        self._next_s = math.inf             # when the first of them ends

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network of the profile that has the description's name."""
        profile = self._profiles[spec.name]
        return SimulatedNetwork(self, spec.name, profile, self._speedups.get(spec.name), lanes,
                                max_batch)

    def next_end_s(self) -> float:
        """Return when something ends or begins next if nothing changes; inf if nothing does."""
        self._share_out()
        if self._board is None:
            return self._next_s
        return min(self._next_s, self._board.next_change_s(),
                   self._launched[0][0] if self._launched else math.inf)

    def end_due(self):
        """End what is over by now, and begin and change what is due."""
        now_s = self.pass_time()
        if self._board is not None:
            self._begin_due(now_s)
        if self._next_s > now_s:
            return
        over = [flight for flight in self._running if flight.ends_s <= now_s]
        if over:
            self._running = [flight for flight in self._running if flight.ends_s > now_s]
            self._shared_out = False
            for flight in over:
                flight.ended(now_s)

    def launch_s(self) -> float:
        """Return when the device gets what is submitted now."""
        now_s = self._clock.now_s()
        return now_s if self._board is None else self._board.launch(now_s)

    def begin(self, flight, segment, variant, launched_s):
        """Start a segment of a flight, as soon as the host has launched it."""
        now_s = self.pass_time()
        time_s, flight.utilization = flight.network.needs(segment, flight.batch)
        if variant:
            time_s /= flight.network.speedup(segment, variant)
        if self._jitter:
            # as `uniform` of the same class has it, which takes twice as long
            time_s *= 1.0 + self._jitter * self._random.random()
        flight.left_s = time_s
        if launched_s > now_s:
            heapq.heappush(self._launched, (launched_s, next(self._numbers), flight))
        else:
            self._start(flight, now_s)

    def disturb(self, share: float):
        """Have another program take this share of the device from now on, below 1."""
        self.pass_time()
        self._taken = share
        self._shared_out = False

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

    def pass_time(self) -> float:
        """Take note of the time that has passed; return what it is now."""
        now_s = self._clock.now_s()
        passed_s = now_s - self._since_s
        if passed_s:
            self._share_out()
            self._since_s = now_s
            if self._board is not None:
                self._board.passed(passed_s, self._device, self._memory)
        return now_s

    def _begin_due(self, now_s):
        if self._board.change_due(now_s):
            self._shared_out = False
        while self._launched and self._launched[0][0] <= now_s:
            self._start(heapq.heappop(self._launched)[-1], now_s)

    def _start(self, flight, now_s):
        flight.starts(now_s)
        self._running.append(flight)
        self._shared_out = False

    def _share_out(self):
        """Say for all that runs how fast it runs, if that has changed since time passed last."""
        if self._shared_out:
            return
        self._shared_out = True
        rates = self._rates()
        if self._board is not None:
            rates = self._paced(rates)
        for flight, rate in zip(self._running, rates):
            if rate != flight.rate:
                flight.goes_on(rate, self._since_s)
        self._next_s = min([flight.ends_s for flight in self._running], default=math.inf)

    def _rates(self) -> List[float]:
        """Return how fast everything runs by what the device has left for it."""
        running = self._running
        wants = [flight.utilization for flight in running]
        left = 1.0 - self._taken
        if not self.parallel:
            return [0.0 if index else min(1.0, left / want) for index, want in enumerate(wants)]
        if sum(wants) <= left:
            return [1.0] * len(running)
        by_level = {}
        for level in sorted({flight.level for flight in running}):
            wanted = sum([flight.utilization for flight in running if flight.level == level])
            by_level[level] = min(1.0, left / wanted)
            left = max(0.0, left - by_level[level] * wanted)
        return [by_level[flight.level] for flight in running]

    def _paced(self, rates) -> List[float]:
        """Return how fast everything runs if clocks and memory do not allow for these rates."""
        self._device, wanted, paced = self._taken, 0.0, []
        for flight, rate in zip(self._running, rates):
            pace, traffic = self._board.pace(flight.network.model, flight.number, flight.batch)
            self._device += rate * flight.utilization
            wanted += rate * traffic
            paced.append(rate * pace)
        self._memory = min(1.0, wanted)
        return [rate / wanted for rate in paced] if wanted > 1.0 else paced


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


class _Submitted(NamedTuple):
    """A segment that is to run; `done` is None if another follows without a decision."""

    segment: int
    done: Optional[Callable[[Run], None]]
    level: int
    variant: int
    launched_s: float


class SimulatedFlight:
    """One batch on its way through a network.

    Attributes
    ----------
    number, level, utilization
        Of the segment that runs.
    left_s : float
        What that would take alone from its last change on, as profiled.
    rate : float
        How fast it runs since.
    ends_s : float
        When it ends if nothing changes any more.

    """

    __slots__ = ('_changed_s', '_ended', '_held', '_runs', '_started_s', '_submitted', 'batch',
                 'ends_s', 'left_s', 'level', 'network', 'number', 'rate', 'utilization')

    def __init__(self, network, batch):
        self.network = network
        self.batch = batch
        self.number = self.level = self._ended = 0
        self.utilization = self.left_s = self.rate = self.ends_s = self._changed_s = 0.0
        self._started_s: Optional[float] = None     # the first of those that are told together
        self._submitted: Deque[_Submitted] = collections.deque()    # the first runs, if any does
        self._runs = self._held = False

    def submit(self, segment, done, level=0, variant=0, last=None):
        """Start a segment, or several, behind the one before it."""
        launched_s = self.network.engine.launch_s()
        if last is None or last == segment:
            self._submitted.append(_Submitted(segment, done, level, variant, launched_s))
        else:
            self._submitted.append(_Submitted(segment, None, level, variant, launched_s))
            self._submitted.extend([_Submitted(index, None, level, 0, launched_s)
                                    for index in range(segment + 1, last)])
            self._submitted.append(_Submitted(last, done, level, 0, launched_s))
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

    def starts(self, now_s):
        """Take note that the device has begun the first segment; it does not run yet."""
        self.rate, self.ends_s, self._changed_s = 0.0, math.inf, now_s
        if self._started_s is None:
            self._started_s = now_s

    def goes_on(self, rate, now_s):
        """Run at another rate from now on."""
        self.left_s -= self.rate * (now_s - self._changed_s)
        self.rate, self._changed_s = rate, now_s
        self.ends_s = now_s + max(0.0, self.left_s) / rate if rate else math.inf

    def ended(self, now_s):
        """Tell that the first segment has ended, and start the one behind it."""
        done = self._submitted.popleft().done
        self._ended += 1
        self._runs = False
        if done is None:
            self._begin()
            return
        run, self._started_s = Run(self._started_s, now_s), None
        self._begin()
        done(run)

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
            self.number, _, self.level, variant, launched_s = self._submitted[0]
            self.network.engine.begin(self, self.number, variant, launched_s)
