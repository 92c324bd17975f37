"""Networks of a simulated device, and their batches on the way through it."""

from __future__ import annotations

import collections
import itertools
import math
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

from s3dnn_ros.engines.base import Run

# Sums of times that mean the same differ by less.
_ROUNDING_S = 1e-9


class SegmentTimes(Protocol):
    """What a profile tells of a network's segments."""

    def segment_times_s(self, batch: int) -> Sequence[float]:
        """Return what each segment takes alone."""

    def utilization(self, segment: int, batch: int) -> float:
        """Return how much of the device a segment takes."""


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
        # by segment, batch and variant
        self._needs: Dict[Tuple[int, int, int], Tuple[float, float]] = {}

    def padded(self, frames):
        """Return the frames themselves."""
        return frames

    def stage(self, pixels):
        """Return the pixels themselves."""
        return pixels

    def open(self, staged, deadline_s=math.inf):
        """Start a flight; what was staged tells only how many images there are."""
        return SimulatedFlight(self, sum(len(pixels) for pixels in staged))

    def needs(self, segment, batch, variant) -> Tuple[float, float]:
        """Return what a segment takes alone, in seconds, and of the device.

        If there is no such variant, that is the coarsest.
        """
        needs = self._needs.get((segment, batch, variant))
        if needs is None:
            speedups = self._speedups[segment] if variant else (1.0,)
            needs = self._needs[segment, batch, variant] = (
                self._profile.segment_times_s(batch)[segment]
                / speedups[min(variant, len(speedups) - 1)],
                self._profile.utilization(segment, batch))
        return needs


class _Submitted(NamedTuple):
    """A segment that is to run; `done` is None if another follows without a decision."""

    segment: int
    done: Optional[Callable[[Run], None]]
    level: int
    variant: int
    launched_s: float


class SimulatedFlight:
    """One batch on its way through a network.

    Segments between which nothing is decided, and that take the same of the device, run as one
    stretch: the device is not asked at every boundary.

    Attributes
    ----------
    number, level, utilization
        Of the first segment of the stretch that runs.
    rate : float
        How fast that runs.
    ends_s : float
        When it ends if nothing changes any more.

    """

    __slots__ = ('_changed_s', '_ended', '_held', '_left_after_s', '_left_s', '_started_s',
                 '_submitted', 'batch', 'ends_s', 'level', 'network', 'number', 'rate',
                 'utilization')

    def __init__(self, network, batch):
        self.network = network
        self.batch = batch
        self.number = self.level = self._ended = 0
        self.utilization = self.rate = self.ends_s = 0.0
        # what the stretch would take alone since the rate changed last, as profiled
        self._left_s = self._changed_s = 0.0
        self._left_after_s: List[float] = []        # each of its segments; empty: nothing runs
        self._started_s: Optional[float] = None     # the first of those that are told together
        self._submitted: Deque[_Submitted] = collections.deque()    # with those that run
        self._held = False

    def submit(self, segment, done, level=0, variant=0, last=None):
        """Start a segment, or several, behind the one before it."""
        launched_s = self.network.engine.launch_s()
        last = segment if last is None else last
        for index in range(segment, last):
            self._submitted.append(_Submitted(index, None, level, variant, launched_s))
            variant = 0
        self._submitted.append(_Submitted(last, done, level, variant, launched_s))
        self._begin()

    def hold(self):
        """Stop behind the segment that runs; tell whether any is left then."""
        self._held = True
        if len(self._left_after_s) > 1:
            self._cut_short()
        return len(self._submitted) > len(self._left_after_s)

    def resume(self):
        """Go on with what was submitted."""
        self._held = False
        self._begin()

    def progress(self):
        """Return how many segments have ended."""
        return self._ended + (self._passed() if len(self._left_after_s) > 1 else 0)

    def starts(self, now_s):
        """Take note that the device has begun the stretch; it does not run yet."""
        self.rate, self.ends_s, self._changed_s = 0.0, math.inf, now_s
        if self._started_s is None:
            self._started_s = now_s

    def goes_on(self, rate, now_s):
        """Run at another rate from now on."""
        self._left_s -= self.rate * (now_s - self._changed_s)
        self.rate, self._changed_s = rate, now_s
        self.ends_s = now_s + max(0.0, self._left_s) / rate if rate else math.inf

    def ended(self, now_s):
        """Tell that the stretch has ended, and start what is behind it."""
        done = None
        for _ in self._left_after_s:
            done = self._submitted.popleft().done
        self._ended += len(self._left_after_s)
        self._left_after_s = []
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
        """Start the first segment, and what may join it, unless one runs or the flight is held."""
        if not self._submitted or self._left_after_s or self._held:
            return
        engine, times_s = self.network.engine, []
        for segment, done, level, variant, _ in self._submitted:
            time_s, utilization = self.network.needs(segment, self.batch, variant)
            if not times_s:
                self.number, self.level, self.utilization = segment, level, utilization
            elif utilization != self.utilization:
                break
            times_s.append(engine.jittered_s(time_s))
            if done is not None or not engine.joins:
                break
        if len(times_s) == 1:
            self._left_s, self._left_after_s = times_s[0], [0.0]
        else:
            left_s = list(itertools.accumulate(reversed(times_s), initial=0.0))[::-1]
            self._left_s, self._left_after_s = left_s[0], left_s[1:]
        engine.begin(self, self._submitted[0].launched_s)

    def _passed(self) -> int:
        """Return how many segments of the stretch have ended."""
        now_s = self.network.engine.now_s()
        left_s = self._left_s - self.rate * (now_s - self._changed_s) - _ROUNDING_S
        return sum([left_s <= after_s for after_s in self._left_after_s])

    def _cut_short(self):
        """End the stretch behind the segment that runs."""
        place = min(self._passed(), len(self._left_after_s) - 1)
        spared_s = self._left_after_s[place]
        self._left_s -= spared_s
        self._left_after_s = [after_s - spared_s for after_s in self._left_after_s[:place + 1]]
        self.goes_on(self.rate, self.network.engine.now_s())
        self.network.engine.end_changed()
