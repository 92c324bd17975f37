"""An executor on an engine that waits for the test, and what it did."""

import queue
import threading

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.models.segment_plan import SegmentPlan, plan_path
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable, profile_path
from s3dnn_ros.runtime.executor import Executor

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed
NOW_S = 100.0
SECOND_NS = 1_000_000_000
TOLERANCE = 1e-5


class FakeDecoder:
    """Finds one box per frame, or whatever `answer` makes of the outputs."""

    def __init__(self, answer):
        self.answer = answer

    def check(self, output_shapes):
        return 3

    def reads(self, outputs):
        return tuple(outputs)

    def scores(self, outputs):
        return outputs

    def decode(self, outputs, score_threshold, iou_threshold, max_detections):
        return self.answer(outputs)


# Instances of one network that may interrupt each other.
TWO = ('net', 'other')


class Bench:
    """An executor with an engine that waits for us, and what it published and complained of."""

    def __init__(self, engine, clock, settings, specs, board_context):
        self.clock = clock
        self.engine = engine
        self.results = queue.Queue()
        self.complaints = []
        self.losses = queue.Queue()
        self.broken_cameras = set()
        self.may_publish = threading.Event()
        self.may_publish.set()
        self.publishes = threading.Event()      # a thread has a result
        self._complained = threading.Condition()
        self.executor = Executor(settings, specs, engine, clock, self._publish, self._lose,
                                 board_context)

    def _lose(self, sentence):
        self.losses.put((sentence, list(self.complaints)))

    def complain(self, sentence):
        """Take note of what was logged."""
        with self._complained:
            self.complaints.append(sentence)
            self._complained.notify_all()

    def complained(self, words, times=1):
        """Wait until so many complaints have these words."""
        with self._complained:
            assert self._complained.wait_for(
                lambda: sum(words in complaint for complaint in self.complaints) >= times, WAIT_S)

    def _publish(self, result):
        if result.frame.camera in self.broken_cameras:
            raise RuntimeError('the publisher is gone')
        self.publishes.set()
        assert self.may_publish.wait(WAIT_S)
        self.results.put(result)
        return self.clock.now_s()

    def close(self):
        """Let the engine finish what it has, and close."""
        if hasattr(self.engine, 'let_go'):
            self.engine.let_go()
        self.executor.close()

    def published(self):
        """Close, and return all results in the order of their publication."""
        self.close()
        return list(self.results.queue)

    def counts(self):
        return {count.camera: count for count in self.executor.counters.snapshot()}

    def dropped(self, camera='front'):
        return dict(self.counts()[camera].dropped)

    def settled(self):
        """Close, and tell whether every frame that came was published or dropped."""
        self.close()
        return all(count.frames == count.published + count.dropped_total
                   for count in self.executor.counters.snapshot())


class Cuttable:
    """A network of four nodes in a chain, planned and profiled by nobody yet."""

    def __init__(self, spec):
        self.spec = spec
        self.sha256 = sha256_of(spec.onnx)

    def plan(self, *cuts, **changes):
        """Write a plan with these cuts."""
        values = {'model': 'chain', 'sha256': self.sha256, 'max_alive': 1, 'target_ms': 1.0,
                  'engine': 'fake', 'device': 'none', 'cuts': cuts,
                  'times_ms': (1.0,) * (len(cuts) + 1)}
        values.update(changes)
        SegmentPlan(**values).save(plan_path('chain'))

    def profile(self, *cuts, **changes):
        """Write a profile with these cuts."""
        rows = tuple(ProfileRow(segment, 1, 100.0, 100.0, 100.0, 0.5, 0.25)
                     for segment in range(len(cuts) + 1))
        values = {'model': 'chain', 'model_sha256': self.sha256, 'engine': 'fake',
                  'device': 'none', 'configuration': 'default', 'versions': {}, 'rows': rows,
                  'cuts': cuts}
        values.update(changes)
        ProfileTable(**values).save(profile_path('chain', 'fake'))
