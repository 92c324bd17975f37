"""Fake units that take a time for each image, and tell it by a clock of their own thread."""

import threading
from typing import Mapping

import numpy as np


class ThreadClock:
    """A time for each thread, as units that run side by side take the same time together."""

    def __init__(self):
        self._own = threading.local()

    def advance(self, seconds):
        self._own.now_s = self.now_s() + seconds

    def now_s(self):
        return getattr(self._own, 'now_s', 0.0)


class FakeTimedEngine:
    """Its networks take `each_s` for an image; `broken_loads` holds what the next loads raise."""

    versions: Mapping[str, str] = {'fake': '1'}
    precision = 'fp32'
    loads_bytes = True
    built = 1
    loss = ''

    def __init__(self, clock, each_s, gpu=None):
        self.device = f'{1e3 * each_s:g} ms each'
        self.clock, self.each_s, self.gpu = clock, each_s, gpu
        self.broken_loads = []

    def load(self, instance, segments, outputs, spec, **options):
        if self.broken_loads:
            raise self.broken_loads.pop(0)
        return FakeTimedNetwork(self, options['max_batch'])

    def frame_memory(self, size):
        return np.full(size, self.gpu or 0, np.uint8)

    def lost(self):
        return self.loss

    def close(self):
        """Do nothing."""


class FakeTimedNetwork:
    """Gives the first value of each image; raises while it is `broken`."""

    note = ''
    output_shapes: Mapping[str, tuple] = {'value': ('N',)}

    def __init__(self, engine, largest):
        self.engine, self.largest = engine, largest
        self.broken = ''

    def padded(self, frames):
        return frames

    def run(self, pixels):
        if self.broken:
            raise RuntimeError(self.broken)
        self.engine.clock.advance(self.engine.each_s * len(pixels))
        return {'value': pixels.reshape(len(pixels), -1)[:, 0].astype(np.float32)}

    def measure(self, batch, repeats):
        return [[self.engine.each_s * batch]] * repeats

    def memory_mb(self, batch):
        return 2.0 * batch
