"""An engine whose runs end when the test says so."""

import contextlib
import queue

import numpy as np
import pytest

from s3dnn_ros.engines.base import Run

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed


class FakeNetwork:
    """Gives `outputs`; raises it if it is an exception."""

    def __init__(self, batch):
        self.batch = batch
        self.output_shapes = {'scores': ('N', 3)}
        self.outputs = {'scores': np.zeros((1, 3), np.float32)}

    def run(self, pixels):
        if isinstance(self.outputs, Exception):
            raise self.outputs
        return self.outputs


class FakeEngine:
    """Keeps submitted runs until `finish()`, or finishes them at once after `let_go()`."""

    name = 'fake'
    device = 'none'

    def __init__(self, clock):
        self.clock = clock
        self.network_batch = 0
        self.closed = False
        self._at_once = False
        self.networks = {}
        self.submitted = queue.Queue()

    def load(self, instance, model, spec):
        self.networks[instance] = FakeNetwork(self.network_batch)
        return self.networks[instance]

    def submit(self, network, pixels, done):
        self.submitted.put((pixels, done))
        if self._at_once:
            self.let_go()

    def let_go(self):
        """End what runs, and from now on every run as soon as it is submitted."""
        self._at_once = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._finish(*self.submitted.get_nowait())

    def wait_until_running(self):
        """Wait for a run to be submitted; leave it running."""
        self.submitted.put(self.submitted.get(timeout=WAIT_S))

    def finish(self, outputs=None, error='', took_s=0.0):
        """Wait for a submitted run and end it; return its pixels."""
        return self._finish(*self.submitted.get(timeout=WAIT_S), outputs, error, took_s)

    def close(self):
        self.closed = True

    def _finish(self, pixels, done, outputs=None, error='', took_s=0.0):
        if outputs is None:
            scores = pixels.reshape(len(pixels), -1, 3).mean(axis=1) / 255.0
            outputs = {'scores': scores.astype(np.float32)}
        now_s = self.clock.now_s()
        done(Run(now_s, now_s + took_s, None if error else outputs, error))
        return pixels


@pytest.fixture(scope='session')
def fake_engine():
    """Return the engine's class."""
    return FakeEngine
