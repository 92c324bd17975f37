"""An engine whose segments end when the test says so."""

import contextlib
import math
import threading

import numpy as np

from s3dnn_ros.engines.base import Run

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed


class FakeNetwork:
    """Gives the mean colour of each image; `broken` holds what its next calls raise, by name."""

    note = ''

    def __init__(self, engine, segments=1, lanes=1, largest=64, batch=0, stages=False,
                 variants=1):
        self.segments, self.lanes, self.largest = segments, lanes, largest
        self.variants = [variants] * segments
        self.batch, self.stages = batch, stages
        self.output_shapes = {'scores': ('N', 3)}
        self.flights = []           # open ones
        self.most_flights = 0
        self.most_ahead = 0         # segments of one flight on their way at once
        self.batches = []           # frames of every flight
        self.deadlines_s = []       # of every flight
        self.staging_threads = []
        self.broken = {}
        self.engine = engine

    def padded(self, frames):
        return max(frames, self.batch)

    def stage(self, pixels):
        self.staging_threads.append(threading.current_thread())
        self.break_if_told('stage')
        return Staged(np.array(pixels) if self.stages else pixels)

    def open(self, staged, deadline_s=math.inf):
        self.break_if_told('open')
        self.deadlines_s.append(deadline_s)
        flight = FakeFlight(self, np.concatenate([images.pixels for images in staged]))
        self.flights.append(flight)
        self.most_flights = max(self.most_flights, len(self.flights))
        self.batches.append(len(flight.pixels))
        return flight

    def run(self, pixels, variants=()):
        self.break_if_told('run')
        return means(pixels)

    def break_if_told(self, what):
        if what in self.broken:
            raise self.broken.pop(what)


class Staged:
    """What `open` takes; pixels that were not staged are none."""

    def __init__(self, pixels):
        self.pixels = pixels


class FakeFlight:
    """Keeps the rules of a flight: segments in order, and closed once, when none runs.

    A segment that fails is the last, but for one that is submitted while it still runs, which an
    engine with a `lead_s` asks for.
    """

    def __init__(self, network, pixels):
        self.network = network
        self.pixels = pixels
        self.submitted = self.over = self.ended = 0     # of those over, so many ended well
        self.given = None           # outputs that the test gave
        self.limit = math.inf       # segments behind that are held

    def submit(self, segment, done, level=0, variant=0, last=None):
        if last in (None, segment):
            self._submit(segment, done, level, variant)
            return
        together = Together(last + 1 - segment, done)
        for index in range(segment, last + 1):
            try:
                self._submit(index, together, level, 0 if index > segment else variant)
            except Exception as error:
                if index == segment:
                    raise
                now_s = self.network.engine.clock.now_s()
                for _ in range(index, last + 1):
                    together(Run(now_s, now_s, str(error)))
                return

    def _submit(self, segment, done, level, variant):
        assert segment == self.submitted, 'a segment out of its order'
        assert variant in range(self.network.variants[segment]), 'a variant that there is not'
        engine = self.network.engine
        with engine.changed:
            # nobody may know yet of a failure right before it
            ahead = self.ended == self.over - 1 == segment - 1
            assert self.ended == self.over or (engine.lead_s and ahead), (
                'a segment behind one that failed')
        assert 0 <= level < engine.levels, 'a level that the engine does not have'
        self.network.break_if_told('submit')
        self.network.break_if_told(f'submit {segment}')
        self.submitted += 1
        self.network.most_ahead = max(self.network.most_ahead, self.submitted - self.over)
        engine.put(Step(self, segment, done, engine.clock.now_s(), level, variant))

    def hold(self):
        with self.network.engine.changed:
            self.limit = min(self.limit, self.over + 1) if self.submitted else 0
            return self.limit < self.network.segments

    def resume(self):
        with self.network.engine.changed:
            self.limit = math.inf
            self.network.engine.changed.notify_all()

    def progress(self):
        return self.over

    def abandon(self):
        assert self.over < self.submitted, 'abandoned though it has ended'
        self.network.flights.remove(self)

    def outputs(self):
        assert self.ended == self.network.segments, 'outputs before the end'
        self.network.break_if_told('outputs')
        return means(self.pixels) if self.given is None else self.given

    def close(self):
        assert self.over == self.submitted, 'closed while it runs'
        self.network.flights.remove(self)
        self.network.break_if_told('close')


class Together:
    """Tells of segments that were submitted together, once, when all have ended."""

    def __init__(self, count, done):
        self.count, self.done = count, done
        self.runs = []

    def __call__(self, run):
        self.runs.append(run)
        if len(self.runs) == self.count:
            error = next((run.error for run in self.runs if run.error), '')
            self.done(Run(self.runs[0].started_s, self.runs[-1].ended_s, error))


class Step:
    """A segment on its way."""

    def __init__(self, flight, segment, done, started_s, level, variant):
        self.flight, self.segment, self.level, self.variant = flight, segment, level, variant
        self.done, self.started_s = done, started_s

    @property
    def network(self):
        return self.flight.network

    @property
    def values(self):
        """Return the first value of every image."""
        return [int(image.flat[0]) for image in self.flight.pixels]


def means(pixels):
    scores = pixels.reshape(len(pixels), -1, 3).mean(axis=1) / 255.0
    return {'scores': scores.astype(np.float32)}


class FakeEngine:
    """Keeps submitted segments until `finish()`; after `let_go()` a thread ends them at once.

    While `may_load` is clear, loads wait; `broken_loads` holds what the next ones raise.
    """

    name = 'fake'
    gated = False
    parallel = False
    device = 'none'
    levels = 1
    poll_s = None
    lead_s = 0.0
    loads_bytes = False

    def __init__(self, clock, **network):
        self.clock = clock
        self.versions = {}
        self.network = network      # of those to be loaded
        self.networks = {}          # by the instance they were loaded for
        self.loads = []
        self.may_load = threading.Event()
        self.may_load.set()
        self.broken_loads = []
        self.loss = ''              # why nothing can run any more
        self.read = None            # an array that the device reads where it is
        self.closed = False
        self.arming = []            # what it was allowed, and forbidden
        self._steps = []
        self.changed = threading.Condition()
        self._freely = None

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1):
        assert self.may_load.wait(WAIT_S)
        self.loads.append((instance, segments, outputs, lanes, max_batch))
        if self.broken_loads:
            raise self.broken_loads.pop(0)
        network = {'segments': len(segments), 'lanes': lanes, 'largest': max_batch,
                   **self.network}
        loaded = self.networks[instance] = FakeNetwork(self, **network)
        if coarser:
            loaded.variants = [1 + len(others) for others in coarser]
        return loaded

    def frame_memory(self, size):
        return np.zeros(size, np.uint8)

    def reads(self, pixels):
        return pixels.base is not None and pixels.base is self.read

    def poll(self):
        pass

    def lost(self):
        return self.loss

    def put(self, step):
        with self.changed:
            self._steps.append(step)
            self.changed.notify_all()

    def running(self, count=1, timeout=WAIT_S):
        """Wait until at least so many segments run; return all that do, one of each flight."""
        with self.changed:
            self.changed.wait_for(lambda: len(self._first()) >= count, timeout)
            steps = self._first()
        assert timeout < WAIT_S or len(steps) >= count, 'nothing was submitted'
        return steps

    def submitted(self):
        """Return all segments that are on their way, those behind others too."""
        with self.changed:
            return list(self._steps)

    def finish(self, step=None, outputs=None, error='', took_s=0.0, **told):
        """End a segment, the oldest unless told otherwise, when it has come; return it.

        `told` is what the Run says besides.
        """
        if step is None:
            step = self.running()[0]
        with self.changed:
            self._steps.remove(step)
            assert step.segment == step.flight.over, 'a segment ended before the one before it'
            step.flight.over += 1
            step.flight.ended += not error
            step.flight.given = outputs
        self.clock.advance(took_s)
        step.done(Run(step.started_s, self.clock.now_s(), error, **told))
        return step

    def let_go(self):
        """End what runs, and from now on every segment as soon as it is submitted."""
        if self._freely is None:
            self._freely = threading.Thread(target=self._finish_all, daemon=True)
            self._freely.start()

    def allow_arming(self, allowed):
        self.arming.append(allowed)

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _first(self):
        return [step for step in self._steps
                if step.segment == step.flight.over < step.flight.limit]

    def _finish_all(self):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._steps or self.closed)
                if not self._steps:
                    return
                step = self._steps[0]
            with contextlib.suppress(ValueError):       # the test was faster
                self.finish(step)


class FakeGatedEngine(FakeEngine):
    """One whose jobs wait on the device."""

    gated = True
