"""A device in virtual time: its segments take the times that profiles say.

What runs side by side shares the device (DERIVED): each segment wants its `utilization` of it. The
most urgent level is served first, and what is left goes to the next. Segments of one level that
want more than there is are all slowed alike. A board may say how fast its clocks let them run,
when the host comes to launch them, and which share of the memory's bandwidth they use: if all
together use more than there is, all are slowed alike.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from typing import Dict, Iterable, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from s3dnn_ros.engines.base import DEFAULTS
from s3dnn_ros.engines.simulated_flight import SegmentTimes, SimulatedFlight, SimulatedNetwork


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
        # segments of a flight go by without a look between them
        self.joins = parallel and board is None
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

    def begin(self, flight, launched_s):
        """Start what a flight has next, as soon as the host has launched it."""
        now_s = self.pass_time()
        if launched_s > now_s:
            heapq.heappush(self._launched, (launched_s, next(self._numbers), flight))
        else:
            self._start(flight, now_s)

    def end_changed(self):
        """Take note that something that runs ends at another time than it was to."""
        self._shared_out = False

    def jittered_s(self, time_s) -> float:
        """Return what a segment takes this time."""
        # `uniform` takes twice as long
        return time_s * (1.0 + self._jitter * self._random.random())

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
        self._next_s = math.inf
        for flight, rate in zip(self._running, rates):
            if rate != flight.rate:
                flight.goes_on(rate, self._since_s)
            if flight.ends_s < self._next_s:
                self._next_s = flight.ends_s

    def _rates(self) -> Iterable[float]:
        """Return how fast everything runs by what the device has left for it."""
        running, left = self._running, 1.0 - self._taken
        if not self.parallel:
            return [0.0 if index else min(1.0, left / flight.utilization)
                    for index, flight in enumerate(running)]
        if sum([flight.utilization for flight in running]) <= left:
            return itertools.repeat(1.0)
        by_level: Dict[int, float] = {}
        for level in sorted({flight.level for flight in running}):
            wanted = sum([flight.utilization for flight in running if flight.level == level])
            by_level[level] = min(1.0, left / wanted)
            left = max(0.0, left - by_level[level] * wanted)
        return [by_level[flight.level] for flight in running]

    def _paced(self, rates) -> Iterable[float]:
        """Return how fast everything runs if clocks and memory do not allow for these rates."""
        self._device, wanted, paced = self._taken, 0.0, []
        for flight, rate in zip(self._running, rates):
            pace, traffic = self._board.pace(flight.network.model, flight.number, flight.batch)
            self._device += rate * flight.utilization
            wanted += rate * traffic
            paced.append(rate * pace)
        self._memory = min(1.0, wanted)
        return [rate / wanted for rate in paced] if wanted > 1.0 else paced
