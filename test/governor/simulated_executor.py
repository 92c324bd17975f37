"""A pipeline in virtual time: a real governor, and an executor that is simulated.

It tells its capacity and runs one batch after the other. How long runs and ways take, a seeded
random generator says.
"""

from __future__ import annotations

import heapq
import itertools
import random
from typing import Callable, List

import numpy as np

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.counters import Counters
from s3dnn_ros.governor.batch import Image
from s3dnn_ros.governor.governor import Governor, frame_bytes
from s3dnn_ros.images.pixels import ENCODINGS, Pixels
from s3dnn_ros.recent import RecentTimes, RunTimes
from s3dnn_ros.transport.slots import HeapSlots, SlotSize

START_S = 1000.0
HEARTBEAT_S = 0.25
IN_TIME_FRAMES = 16
# This share of the runs takes twice as long.
STALLS = 0.01
INSTANCE = 'net'
GREY = np.zeros((6, 8, 3), np.uint8)


class Result:
    """A frame that was published."""

    def __init__(self, frame, published_s):
        self.camera = frame.camera
        self.published_s = published_s
        self.latency_s = published_s - frame.stamp_ns / 1e9
        self.in_time = published_s <= frame.deadline_s


class Pipeline:
    """Cameras, a real Governor, and an executor that is simulated.

    Parameters
    ----------
    run_s : callable
        What a run takes that starts at this time with so many frames, before the noise.
    noise : float
        Runs take up to this share longer.
    stopped : callable
        Tells whether the executor stands still at this time.

    """

    def __init__(self, settings, spec, run_s: Callable[[float, int], float], *, noise=0.2, seed=0,
                 profile=None, drops_late=True, stopped=lambda now_s: False):
        self.results: List[Result] = []
        self.counters = Counters()
        self._pool = HeapSlots(8, SlotSize(8, frame_bytes(spec)))
        self._governor = Governor(settings, {INSTANCE: spec}, {INSTANCE: self._pool},
                                  self.counters, {INSTANCE: profile} if profile else None)
        self._run_s, self._noise, self._profile = run_s, noise, profile
        self._drops_late, self._stopped = drops_late, stopped
        self._random = random.Random(seed)
        self._events: List = []
        self._numbers = itertools.count()
        self._waiting: List = []
        self._running = None            # (batch, expected end)
        self._runs = RunTimes()
        self._finish, self._handover = RecentTimes(), RecentTimes()
        self._taken = 0
        self._in_time = {}              # by camera: the part of its last frames
        self._now_s = START_S
        self._wake_number = 0

    def camera(self, name, rate_hz, seconds, phase_s=0.0, way_s=0.003):
        """Have a camera send for a while, its images on their way for some ms."""
        for index in range(int(seconds * rate_hz)):
            stamp_s = START_S + phase_s + index / rate_hz
            self._at(stamp_s + way_s * self._random.uniform(0.5, 1.5), self._offer, name, stamp_s)

    def run(self, seconds):
        """Let time pass until so long after the start."""
        self._at(START_S, self._tell, True)
        while self._events and self._events[0][0] <= START_S + seconds:
            self._now_s, _, step, arguments = heapq.heappop(self._events)
            step(*arguments)
        return self.results

    def _at(self, time_s, step, *arguments):
        heapq.heappush(self._events, (time_s, next(self._numbers), step, arguments))

    # the governor's side

    def _offer(self, camera, stamp_s):
        self._governor.offer(Image(camera, '', round(stamp_s * 1e9), self._now_s,
                                   lambda: Pixels(GREY, ENCODINGS['bgr8'])), self._now_s)
        self._pump()

    def _told(self, capacity):
        self._governor.tell(capacity, self._now_s)
        self._pump()

    def _pump(self, number=None):
        if number not in (None, self._wake_number):
            return      # a timer that was set anew
        for batch in self._governor.poll(self._now_s):
            sent_s = self._now_s + 0.0015 * len(batch.frames)       # it fits the frames
            self._governor.sent(batch, sent_s)
            self._at(sent_s + self._random.uniform(0.0005, 0.003), self._arrive, batch, sent_s)
        wake_s = self._governor.next_wake_s(self._now_s)
        self._wake_number += 1
        if wake_s is not None:
            self._at(max(wake_s, self._now_s), self._pump, self._wake_number)

    # the executor's side

    def _arrive(self, batch, sent_s):
        if self._stopped(self._now_s):
            self._at(self._now_s + 0.01, self._arrive, batch, sent_s)
            return
        self._handover.add(self._now_s - sent_s)
        self._taken = batch.sequence
        self._waiting.append(batch)
        self._start()

    def _start(self):
        while self._waiting and self._running is None:
            batch = self._waiting.pop(0)
            if (self._drops_late and not batch.run_late
                    and self._now_s + self._least_s(len(batch.frames))
                    > min(frame.deadline_s for frame in batch.frames)):
                self._pool.release(batch.slot)
                for frame in batch.frames:
                    self._settled(frame.camera, False)
                continue
            frames = len(batch.frames)
            took_s = self._run_s(self._now_s, frames) * (
                1.0 + self._random.uniform(0.0, self._noise)) * (
                2.0 if self._random.random() < STALLS else 1.0)
            known = self._known_run_s(frames)
            self._running = batch, self._now_s + known
            self._at(self._now_s + took_s, self._end, batch, self._now_s)
            self._tell()

    def _end(self, batch, started_s):
        if self._stopped(self._now_s):
            self._at(self._now_s + 0.01, self._end, batch, started_s)
            return
        self._runs.add(len(batch.frames), self._now_s - started_s)
        self._running = None
        finish_s = self._random.uniform(0.002, 0.004)
        self._finish.add(finish_s)
        if self._pool.release(batch.slot):
            found = [Result(frame, self._now_s + finish_s) for frame in batch.frames]
            self.results += found
            for result in found:
                self._settled(result.camera, result.in_time)
        self._start()
        if self._running is None:
            self._tell()

    def _settled(self, camera, in_time):
        part = self._in_time.get(camera, 1.0)
        self._in_time[camera] = part + (in_time - part) / IN_TIME_FRAMES

    def _margin_s(self):
        return self._runs.slow_s(1) - self._runs.typical_s(1) if self._runs.runs(1) else 0.0

    def _least_s(self, frames):
        return self._runs.low_s(frames)

    def _known_run_s(self, frames):
        if self._runs.runs(frames):
            return self._runs.typical_s(frames)
        if self._profile:
            return self._profile(frames)
        nearest = self._runs.nearest(frames)
        return self._runs.typical_s(nearest) * frames / nearest if nearest else 0.0

    def _tell(self, again=False):
        if again:
            self._at(self._now_s + HEARTBEAT_S, self._tell, True)
        if self._stopped(self._now_s):
            return
        wait_s = max(0.0, self._running[1] - self._now_s) if self._running else 0.0
        wait_s += sum(self._known_run_s(len(batch.frames)) for batch in self._waiting)
        run_s = tuple(map(self._known_run_s, range(1, 5)))
        capacity = Capacity('simulated', True, self._drops_late, (InstanceCapacity(
            INSTANCE, wait_s=wait_s, run_s=run_s if run_s[0] else (),
            measured=tuple(bool(self._runs.runs(size) or self._profile) for size in range(1, 5)),
            margin_s=self._margin_s(), handover_s=self._handover.typical_s,
            finish_s=self._finish.typical_s, taken={0: self._taken},
            in_time=dict(self._in_time)),))
        self._at(self._now_s + self._random.uniform(0.0003, 0.002), self._told, capacity)
