"""A device in virtual time: its segments take the times that profiles say.

What runs side by side shares the device (DERIVED): each segment wants its `utilization` of it. The
most urgent level is served first, and what is left goes to the next. Segments of one level that
want more than there is are all slowed alike.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import random
from typing import Callable, Deque, Dict, List, Mapping, Protocol, Sequence, Tuple

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


@dataclasses.dataclass(eq=False)
class _Segment:
    """A segment on the device; `left_s` is what it would take alone from now on."""

    flight: SimulatedFlight
    level: int
    utilization: float
    left_s: float
    started_s: float
    done: Callable[[Run], None]
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
                 lead_s=0.0, jitter=0.0, seed=0):
        self.parallel, self.levels, self.lead_s = parallel, levels, lead_s
        self._clock = clock
        self._profiles = profiles
        self._jitter = jitter
        self._random = random.Random(seed)
        self._running: List[_Segment] = []
        self._since_s = clock.now_s()       # from when on what is left counts

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1,
             keep=True):
        """Return the network of the profile that has the description's name."""
        return SimulatedNetwork(self, self._profiles[spec.name], lanes, max_batch)

    def next_end_s(self) -> float:
        """Return when the next segment ends if nothing changes; inf if nothing runs."""
        return min((self._since_s + segment.left_s / segment.rate
                    for segment in self._running if segment.rate), default=math.inf)

    def end_due(self):
        """End what is over by now."""
        self._pass_time()
        over = [segment for segment in self._running if segment.left_s <= _NOTHING_S]
        if over:
            self._running = [segment for segment in self._running
                             if segment.left_s > _NOTHING_S]
            for segment in over:
                segment.flight.ended(segment)
            self._share_out()

    def begin(self, flight, segment, done, level):
        """Start a segment of a flight."""
        self._pass_time()
        time_s, utilization = flight.network.needs(segment, flight.batch)
        if self._jitter:
            time_s *= 1.0 + self._random.uniform(0.0, self._jitter)
        self._running.append(_Segment(flight, level, utilization, time_s, self._since_s, done))
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

    def _pass_time(self):
        now_s = self._clock.now_s()
        passed_s, self._since_s = now_s - self._since_s, now_s
        if passed_s:
            for segment in self._running:
                segment.left_s -= segment.rate * passed_s

    def _share_out(self):
        """Say for all that runs how fast it runs."""
        if not self.parallel:
            for index, segment in enumerate(self._running):
                segment.rate = 0.0 if index else 1.0
            return
        if len(self._running) == 1:
            self._running[0].rate = 1.0
            return
        left = 1.0
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

    def __init__(self, engine, profile: SegmentTimes, lanes, max_batch):
        self.engine = engine
        self.lanes = lanes
        self.largest = max_batch
        self.segments = len(profile.segment_times_s(1))
        self.variants = [1] * self.segments
        self._profile = profile
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
        self._submitted.extend((index, done, level)
                               for index in range(segment, (last or segment) + 1))
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
