"""The executor: from batches to results, with every frame accounted for."""

import dataclasses
import gc
import queue
import threading
import time
import types
import weakref

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.clock import SystemClock, VirtualClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import EngineError, ModelError, ProfileError
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.models.graph import load_graph, with_image_input
from s3dnn_ros.models.segment_plan import SegmentPlan, cut_at, plan_path
from s3dnn_ros.models.variants import make_variants, variants_dir
from s3dnn_ros.profiling.table import ConfigurationRow, ProfileRow, ProfileTable, profile_path
from s3dnn_ros.profiling.variant_table import VariantRow, VariantTable, variant_table_path
from s3dnn_ros.runtime import network_loader
from s3dnn_ros.runtime.cohort_client import BoardContext
from s3dnn_ros.runtime.energy import EnergyAccount
from s3dnn_ros.runtime.executor import ALONE, Executor
from s3dnn_ros.runtime.recorder import Stage
from s3dnn_ros.transport.frames import Transform

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

    def decode(self, outputs, score_threshold, iou_threshold, max_detections):
        return self.answer(outputs)


class FakeMeter:
    """Draws 7 W, and has used what the test says."""

    period_s = 0.1

    def __init__(self):
        self.now_mj = 0.0
        self.closed = False

    def energy_mj(self):
        return self.now_mj

    def power_mw(self):
        return 7000.0

    def close(self):
        self.closed = True


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


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    """Keep the user's plans and profiles out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def bench(fake_engine, executor_settings, make_spec, tiny_onnx, sentences):
    """Return a builder of benches; they are closed at the end."""
    built = []

    def build(instances=('net',), engine=None, clock=None, spec=None, specs=None, network=None,
              board_context=ALONE, **values):
        clock = clock or VirtualClock(NOW_S)
        spec = spec or make_spec(onnx=tiny_onnx, decoder_options={'top_k': 3})
        built.append(Bench(engine or fake_engine(clock, **network or {}), clock,
                           executor_settings(instances, **{'late_policy': 'run', **values}),
                           specs or dict.fromkeys(instances, spec), board_context))
        sentences.callbacks.append(built[-1].complain)
        return built[-1]

    yield build
    for bench in built:
        bench.close()


# results

def test_a_colour_is_recognised_from_pixels_to_result(bench, make_batch):
    clock = SystemClock()
    engine, _ = make_engine('onnxruntime', clock, 1)
    run = bench(engine=engine, clock=clock)
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    pixels[..., 1] = 255
    run.executor.accept(make_batch(pixels=pixels))
    (result,) = run.published()
    assert result.labels[result.class_ids[0]] == 'green'
    assert result.scores == pytest.approx([1.0], abs=TOLERANCE)
    assert result.xyxy.tolist() == [[0, 0, 4, 4]]


def test_every_frame_of_a_batch_gets_its_own_result(bench, make_batch, make_frame):
    run = bench()
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    for index in range(3):
        pixels[index, ..., index] = 255
    frames = [make_frame(camera) for camera in 'abc']
    run.executor.accept(make_batch(*frames, pixels=pixels))
    run.engine.finish()
    results = run.published()
    assert [result.frame for result in results] == frames
    assert [result.class_ids.tolist() for result in results] == [[0], [1], [2]]
    assert [result.batch for result in results] == [3, 3, 3]


def test_boxes_come_back_in_source_pixels(bench, make_batch, make_frame):
    run = bench()
    frame = dataclasses.replace(make_frame(width=640, height=480),
                                transform=Transform(0.00625, 0.00625, 0.0, 0.5))
    run.executor.accept(make_batch(frame, pixels=np.full((1, 4, 4, 3), 255, np.uint8)))
    run.engine.finish()
    assert run.published()[0].xyxy[0] == pytest.approx([0, 0, 640, 480])


def test_a_result_knows_when_it_was_where(bench, make_batch):
    run = bench()
    run.executor.accept(make_batch())
    run.engine.finish(took_s=0.25)
    (result,) = run.published()
    assert (result.sent_s, result.arrived_s) == (0.0, NOW_S)
    assert (result.started_s, result.ended_s) == (NOW_S, NOW_S + 0.25)
    assert (result.instance, result.model) == ('net', 'tiny')


def test_the_threshold_can_be_changed_while_running(bench, make_batch, executor_settings):
    run = bench(instances__net__score_threshold=0.9)
    grey = np.full((1, 4, 4, 3), 128, np.uint8)
    run.executor.accept(make_batch(pixels=grey))
    run.engine.finish()
    assert len(run.results.get(timeout=WAIT_S).scores) == 0
    run.executor.configure(executor_settings(
        late_policy='run', instances__net__score_threshold=0.3,
        instances__net__max_detections=2))
    run.executor.accept(make_batch(pixels=grey))
    run.engine.finish()
    assert len(run.results.get(timeout=WAIT_S).scores) == 2


def test_latency_counts_from_the_stamp_and_lateness_from_the_deadline(
        bench, make_batch, make_frame):
    run = bench()
    for deadline_s in (NOW_S + 1.0, NOW_S - 1.0):
        run.executor.accept(make_batch(make_frame(
            stamp_ns=99 * SECOND_NS, deadline_s=deadline_s)))
        run.engine.finish()
    run.close()
    count = run.counts()['front']
    assert (count.published, count.missed) == (2, 1)
    assert count.latency_ms.p50 == pytest.approx(1000.0)


@pytest.mark.parametrize(('error', 'end'), [('', Stage.PUBLISHED), ('gone', Stage.DROPPED)])
def test_a_request_is_stamped_from_its_arrival_to_its_end(bench, make_batch, error, end):
    run = bench()
    run.executor.accept(make_batch())
    run.engine.finish(error=error)
    run.close()
    stamps = run.executor.recorder.stamps()
    assert [stamp.stage for stamp in stamps] == [
        Stage.ARRIVED, Stage.STAGED, Stage.SUBMITTED, Stage.ENDED, Stage.FINISHED, end]
    assert {(stamp.instance, stamp.request) for stamp in stamps} == {('net', stamps[0].request)}
    times_s = [stamp.now_s for stamp in stamps]
    assert times_s == sorted(times_s)


def test_the_engines_time_is_counted(bench, make_batch):
    run = bench()
    for _ in range(2):
        run.executor.accept(make_batch())
        run.engine.finish(took_s=0.5)
    run.close()
    (count,), busy_s = run.executor.snapshot()
    assert (count.instance, count.model, count.batches, count.errors) == ('net', 'tiny', 2, 0)
    assert count.engine_ms.p50 == pytest.approx(500.0)
    assert busy_s == pytest.approx(1.0)


def test_the_energy_of_every_instance_is_known_if_there_is_a_meter(bench, make_batch, monkeypatch):
    monkeypatch.setattr(EnergyAccount, 'start', EnergyAccount.read)     # and then when we want
    meter = FakeMeter()
    run = bench(('net', 'second'), board_context=BoardContext(meter=meter))
    run.executor.accept(make_batch())
    run.engine.finish(took_s=0.5)
    run.results.get(timeout=WAIT_S)
    meter.now_mj += 300.0
    run.executor._energy.read()
    use = run.executor.energy
    assert (use.power_mw, use.energy_mj) == (7000.0, pytest.approx(300.0))
    assert use.of_instances_mj == pytest.approx({'net': 300.0, 'second': 0.0})
    run.close()
    assert meter.closed


def test_without_a_meter_nobody_can_tell_the_energy(bench):
    use = bench().executor.energy
    assert np.isnan([use.power_mw, use.energy_mj]).all() and not use.of_instances_mj


# what is refused

@pytest.mark.parametrize('change, said', [
    ({'instance': 'other'}, ["'governor'", "'other'", 'this executor has net, second']),
    ({'model': 'large'}, ["'governor'", "'net'", "'large'", "'tiny'"]),
    ({'pixels': np.zeros((1, 5, 4, 3), np.uint8)}, ["'net'", '(1, 5, 4, 3)', '(1, 4, 4, 3)']),
    ({'pixels': np.zeros((2, 4, 4, 3), np.uint8)}, ['(2, 4, 4, 3)', '(1, 4, 4, 3)']),
    ({'pixels': np.zeros(48, np.uint8)}, ['(48,)']),
])
def test_a_request_that_does_not_fit_is_refused_with_names_and_given_back(
        bench, make_batch, change, said):
    run = bench(('net', 'second'))
    releases = []
    run.executor.accept(make_batch(releases=releases, **change))
    assert len(releases) == 1
    assert run.dropped() == {'request': 1}
    (complaint,) = run.complaints
    for part in said:
        assert part in complaint
    assert run.counts()['front'].last_error == complaint


@pytest.mark.parametrize('model, executor', [(2, 8), (0, 2), (9, 2)])
def test_a_batch_larger_than_the_model_or_the_executor_takes_is_refused(
        bench, make_batch, make_frame, make_spec, tiny_onnx, model, executor):
    run = bench(spec=make_spec(onnx=tiny_onnx, max_batch=model), max_batch=executor)
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc')))
    assert run.dropped('a') == {'request': 1}
    assert '3 frames; it takes 2 at most' in run.complaints[0]
    assert 'max_batch' in run.complaints[0]


def test_a_batch_without_frames_is_refused_and_the_next_one_runs(bench, make_batch):
    run = bench()
    releases = []
    empty = dataclasses.replace(
        make_batch(releases=releases), frames=(), pixels=np.zeros((0, 4, 4, 3), np.uint8))
    run.executor.accept(empty)
    run.executor.accept(make_batch())
    assert len(run.published()) == 1
    assert len(releases) == 1


def test_a_batch_whose_pixels_cannot_be_read_is_counted(bench, make_batch):
    run = bench()
    run.executor.accept_refused(make_batch(), 'lease', 'taken back')
    assert run.dropped() == {'lease': 1}
    assert run.complaints == ['taken back']


# what goes wrong

def test_an_engine_error_is_of_one_job_alone(bench, make_batch, make_frame):
    run = bench()
    releases = []
    run.executor.accept(make_batch(make_frame('bad'), releases=releases))
    run.engine.finish(error='out of memory')
    run.complained('runs again')
    run.executor.accept(make_batch(make_frame('good'), releases=releases))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('bad') == {'engine': 1}
    assert run.counts()['good'].published == 1
    assert len(releases) == 2
    assert "instance 'net'" in run.complaints[0]
    assert 'out of memory' in run.complaints[0]
    (count,), _ = run.executor.snapshot()
    assert (count.batches, count.errors) == (1, 1)


def test_results_of_pixels_that_were_taken_back_are_not_published(bench, make_batch):
    run = bench()
    run.executor.accept(make_batch(intact=False))
    run.engine.finish()
    assert run.settled()
    assert run.results.empty()
    assert run.dropped() == {'lease': 1}
    assert 'slot_lease_ms' in run.complaints[0]


def test_outputs_that_cannot_be_decoded_are_counted_and_the_next_batch_runs(bench, make_batch):
    run = bench()
    for outputs in ({'scores': np.zeros((1, 2, 3, 4), np.float32)}, None):
        run.executor.accept(make_batch())
        run.engine.finish(outputs=outputs)
    assert run.settled()
    assert run.dropped() == {'decoder': 1}
    assert run.counts()['front'].published == 1
    assert "instance 'net'" in run.complaints[0]


@pytest.mark.parametrize('broken, published', [('a', ''), ('b', 'a'), ('c', 'ab')])
def test_when_publication_fails_the_rest_of_the_batch_is_counted(
        bench, make_batch, make_frame, broken, published):
    run = bench()
    run.broken_cameras = {broken}
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc')))
    run.engine.finish()
    assert run.settled()
    assert ''.join(result.frame.camera for result in run.results.queue) == published
    assert run.dropped(broken) == {'decoder': 1}
    assert 'the publisher is gone' in run.complaints[0]


@pytest.mark.parametrize('found', [0, 1])
def test_frames_that_the_decoder_forgets_are_counted(
        bench, make_batch, make_frame, monkeypatch, found):
    monkeypatch.setattr('s3dnn_ros.models.spec.make_decoder',
                        lambda *_, **__: FakeDecoder(lambda outputs: [Boxes.none()] * found))
    run = bench()
    run.executor.accept(make_batch(make_frame('a'), make_frame('b')))
    run.engine.finish()
    assert run.settled()


def test_closing_accounts_for_all_frames_and_gives_all_pixels_back(
        bench, make_batch, make_frame):
    run = bench(max_queue=3)
    releases = []
    for index in range(8):
        run.executor.accept(make_batch(make_frame('ab'[index % 2]), releases=releases))
    assert run.settled()
    assert len(releases) == 8
    assert sum(count.frames for count in run.counts().values()) == 8
    assert run.engine.closed


@pytest.mark.parametrize('where', ['open', 'submit', 'outputs'])
def test_whatever_the_engine_raises_costs_one_batch(bench, make_batch, make_frame, where):
    run = bench()
    releases = []
    run.engine.networks['net'].broken[where] = RuntimeError('lost device')
    run.executor.accept(make_batch(make_frame('bad'), releases=releases))
    if where == 'outputs':
        run.engine.finish()
    run.complained('runs again')
    run.executor.accept(make_batch(make_frame('good'), releases=releases))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('bad') == {'engine': 1}
    assert run.counts()['good'].published == 1
    assert len(releases) == 2
    assert "instance 'net'" in run.complaints[0]
    assert 'lost device' in run.complaints[0]


@pytest.mark.parametrize('outputs', [
    {'scores': np.float32(1.0)}, {'scores': np.zeros((0, 3), np.float32)}, {'scores': None}, {}])
def test_outputs_without_a_batch_are_counted_and_the_next_batch_runs(
        bench, make_batch, outputs):
    run = bench()
    for given in (outputs, None):
        run.executor.accept(make_batch())
        run.engine.finish(outputs=given)
    assert run.settled()
    assert run.dropped() == {'decoder': 1}


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_frames_whose_outputs_are_no_numbers_are_refused_and_the_others_answered(
        bench, make_batch, make_frame, value):
    run = bench()
    scores = np.eye(3, dtype=np.float32)
    scores[1, 2] = value
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc')))
    run.engine.finish(outputs={'scores': scores})
    run.executor.accept(make_batch(make_frame('b')))
    run.engine.finish()
    assert run.settled()
    assert [(result.frame.camera, result.class_ids.tolist()) for result in run.results.queue] == [
        ('a', [0]), ('c', [2]), ('b', [])]
    assert run.dropped('b') == {'nan': 1}
    assert run.counts()['b'].published == 1
    (complaint,) = run.complaints
    for part in ("instance 'net'", "output 'scores'", 'NaN or infinity', 's3dnn models check'):
        assert part in complaint
    assert run.counts()['b'].last_error == complaint


def test_a_batch_without_a_single_number_publishes_nothing_and_the_next_one_runs(
        bench, make_batch, make_frame):
    run = bench()
    frames = [make_frame(camera) for camera in 'ab']
    run.executor.accept(make_batch(*frames))
    run.engine.finish(outputs={'scores': np.full((2, 3), np.nan, np.float32)})
    run.executor.accept(make_batch(*frames))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('a') == run.dropped('b') == {'nan': 1}
    assert run.counts()['a'].published == run.counts()['b'].published == 1


# restarts

@pytest.fixture
def two(bench, make_spec, tiny_onnx):
    """Return a function that makes a bench of two networks, 'one' and 'two'."""
    def build(**values):
        return bench(('one', 'two'), specs={
            name: make_spec(onnx=tiny_onnx, name=name, std=(std, std, std))
            for name, std in (('one', 1.0), ('two', 2.0))}, **values)
    return build


@pytest.fixture
def ask(make_batch, make_frame):
    """Return a function that has an instance run a frame of the camera of this name."""
    def accept(run, camera, instance, releases=None):
        run.executor.accept(make_batch(make_frame(camera, deadline_s=1e9), instance=instance,
                                       model=instance, releases=releases))
    return accept


def test_a_network_that_failed_is_restarted_while_the_others_run(two, ask):
    run = two()
    failed, releases = run.engine.networks['one'], []
    run.engine.may_load.clear()
    for camera in ('bad', 'waiting'):
        ask(run, camera, 'one', releases)
    run.engine.finish(error='lost device')
    run.complained('the engine failed', times=2)
    ask(run, 'refused', 'one', releases)
    ask(run, 'other', 'two')
    assert run.engine.finish().network is run.engine.networks['two']
    assert run.results.get(timeout=WAIT_S).frame.camera == 'other'
    assert 'lost device' in run.executor.troubles()['one']
    assert run.executor.troubles()['two'] == ''
    run.engine.may_load.set()
    run.complained("instance 'one': its network was restarted and runs again")
    assert run.executor.troubles() == {'one': '', 'two': ''}
    ask(run, 'good', 'one', releases)
    assert run.engine.finish().network is run.engine.networks['one'] is not failed
    assert run.settled()
    for camera in ('bad', 'waiting', 'refused'):
        assert run.dropped(camera) == {'engine': 1}
        assert "instance 'one'" in run.counts()[camera].last_error
    assert 'being restarted' in run.counts()['refused'].last_error
    assert run.counts()['good'].published == 1
    assert len(releases) == 4
    assert [load[0] for load in run.engine.loads] == ['one', 'two', 'one']


def test_the_restarted_network_is_loaded_as_the_first_was(bench, make_batch, cuttable):
    cuttable.profile(('a',), ('c',))
    run = bench(spec=cuttable.spec, max_batch=5)
    cuttable.profile(('b',))        # what is measured meanwhile is for the next configure
    run.executor.accept(make_batch(model='chain'))
    run.engine.finish(error='lost device')
    run.complained('runs again')
    first, second = run.engine.loads
    assert [load[0] for load in (first, second)] == ['net', 'net']
    assert first[2:] == second[2:]
    assert [model.SerializeToString() for model in first[1]] == [
        model.SerializeToString() for model in second[1]]


def test_a_network_that_fails_again_and_again_is_not_loaded_in_a_tight_loop(two, ask):
    run = two()
    run.engine.broken_loads = [RuntimeError('out of memory')] * 3
    ask(run, 'bad', 'one')
    run.engine.finish(error='lost device')
    run.complained('out of memory')
    for times, delay_s in ((2, 0.5), (3, 1.0)):
        run.clock.advance(0.9 * delay_s)
        ask(run, 'early', 'one')
        assert len(run.engine.loads) == 1 + times
        run.clock.advance(0.2 * delay_s)
        ask(run, 'due', 'one')
        run.complained('out of memory', times)
    run.clock.advance(2.1)
    ask(run, 'due', 'one')
    run.complained('runs again')
    ask(run, 'good', 'one')
    run.engine.finish()
    assert run.settled()
    assert (run.dropped('early'), run.dropped('due')) == ({'engine': 2}, {'engine': 3})
    assert run.counts()['good'].published == 1


def test_a_restarted_network_must_run_before_it_is_used(two, ask, monkeypatch):
    def broken(network, pixels):
        raise RuntimeError('no kernel image')

    run = two()
    monkeypatch.setattr(type(run.engine.networks['one']), 'run', broken)
    ask(run, 'bad', 'one')
    run.engine.finish(error='lost device')
    run.complained('no kernel image')
    assert run.executor.troubles()['one']


def test_jobs_of_the_old_network_that_fail_later_start_no_other_restart(
        bench, make_batch, make_frame):
    run = bench(('net', 'second'), scheduler='streams')
    for camera, instance in (('a', 'net'), ('b', 'second')):
        run.executor.accept(make_batch(make_frame(camera), instance=instance))
    first, second = run.engine.running(2)
    run.engine.finish(first, error='lost device')
    run.complained('runs again')
    run.engine.finish(second, error='lost device')
    run.executor.accept(make_batch(make_frame('c')))
    run.engine.finish()
    assert run.settled()
    assert len(run.engine.loads) == 2
    assert run.counts()['c'].published == 1


def test_what_was_under_way_on_the_old_network_still_gets_its_results(
        bench, make_batch, make_frame, cuttable):
    specs = dict.fromkeys(('net', 'second'), cuttable.spec)
    run = bench(tuple(specs), specs=specs, scheduler='streams')
    for instance in specs:
        run.executor.accept(make_batch(make_frame(instance), instance=instance, model='chain'))
    first = run.engine.running(2)[0].flight
    for _ in range(2):
        run.engine.finish(next(step for step in run.engine.running(2) if step.flight is first),
                          error='lost device')
    run.complained('runs again')
    run.engine.let_go()
    assert run.results.get(timeout=WAIT_S).frame.camera == 'second'


def test_a_lost_engine_is_told_before_anything_else(two, ask):
    run = two()
    ask(run, 'bad', 'one')
    run.engine.loss = 'illegal address'
    run.engine.finish(error='illegal address')
    assert run.losses.get(timeout=WAIT_S) == ('engine fake on none is lost: illegal address', [])


def test_a_network_whose_load_loses_the_engine_is_not_said_to_be_tried_again(two, ask):
    run = two()
    run.engine.may_load.clear()
    ask(run, 'bad', 'one')
    run.engine.finish(error='lost device')
    run.complained('being restarted')
    run.engine.loss = 'illegal address'
    run.engine.broken_loads = [RuntimeError('illegal address')]
    run.engine.may_load.set()
    run.losses.get(timeout=WAIT_S)
    run.close()
    assert not any('next attempt' in complaint for complaint in run.complaints)


def test_a_lost_engine_is_told_when_pixels_cannot_be_staged(bench, make_batch):
    run = bench()
    run.engine.loss = 'illegal address'
    run.engine.networks['net'].broken['stage'] = RuntimeError('illegal address')
    run.executor.accept(make_batch())
    assert 'illegal address' in run.losses.get(timeout=WAIT_S)[0]


def test_closing_waits_for_a_restart(two, ask):
    run = two()
    run.engine.may_load.clear()
    ask(run, 'bad', 'one')
    run.engine.finish(error='lost device')
    run.complained('the engine failed')
    run.engine.let_go()
    closing = threading.Thread(target=run.executor.close)
    closing.start()
    run.engine.may_load.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    ask(run, 'late', 'one')
    assert run.dropped('late') in ({'engine': 1}, {'shutdown': 1})


# staging

def test_pixels_are_staged_by_the_pool_where_that_is_a_copy(bench, make_batch):
    run = bench(network={'stages': True})
    run.executor.accept(make_batch(pixels=np.full((1, 4, 4, 3), 255, np.uint8)))
    assert run.engine.finish().values == [255]
    (thread,) = run.engine.networks['net'].staging_threads
    assert thread is not threading.current_thread()
    assert thread.name.startswith('s3dnn-stage')
    assert len(run.published()) == 1


def test_pixels_are_staged_at_once_where_that_is_none(bench, make_batch):
    run = bench()
    run.executor.accept(make_batch())
    assert run.engine.networks['net'].staging_threads == [threading.current_thread()]


@pytest.mark.parametrize('stages', [True, False])
def test_a_batch_that_cannot_be_staged_is_refused_alone_and_given_back(
        bench, make_batch, make_frame, stages):
    run = bench(network={'stages': stages})
    releases = []
    run.engine.networks['net'].broken['stage'] = RuntimeError('no pinned memory')
    run.executor.accept(make_batch(make_frame('bad'), releases=releases))
    run.executor.accept(make_batch(make_frame('good'), releases=releases))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('bad') == {'engine': 1}
    assert run.counts()['good'].published == 1
    assert len(releases) == 2
    (complaint,) = run.complaints
    assert "instance 'net'" in complaint
    assert 'no pinned memory' in complaint


@pytest.mark.parametrize('stages', [True, False])
def test_what_comes_after_the_end_is_counted_and_given_back(bench, make_batch, stages):
    run = bench(network={'stages': stages})
    run.close()
    releases = []
    run.executor.accept(make_batch(releases=releases))
    assert run.dropped() == {'shutdown': 1}
    assert len(releases) == 1


# fusion

@pytest.fixture
def fused(bench, make_batch, make_frame, make_profile, monkeypatch):
    """Return a function that lets requests of several instances wait, to run as one batch.

    It takes (camera, instance, images, options of make_batch) each, and returns the executor's
    bench with these running.
    """
    monkeypatch.setattr(network_loader, 'find_table',
                        lambda *arguments: (make_profile(0.1, 0.01), 'made for this test'))

    def build(*requests, **values):
        run = bench(('net', 'second'), scheduler='streams', **values)
        # these hold both lanes
        for count in (1, 2):
            run.executor.accept(make_batch(make_frame('first', deadline_s=1e9)))
            run.engine.running(count)
        for camera, instance, images, options in requests:
            frames = [make_frame(camera, deadline_s=1e9) for _ in images]
            pixels = np.stack([np.full((4, 4, 3), image, np.uint8) for image in images])
            run.executor.accept(make_batch(*frames, instance=instance, pixels=pixels, **options))
        for _ in range(2):
            run.engine.finish()
        assert len(run.engine.running()[0].values) == sum(len(request[2]) for request in requests)
        return run
    return build


BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_each_request_of_a_fused_batch_gets_what_its_own_images_show(fused):
    run = fused(('a', 'net', [BLUE], {}), ('b', 'second', [GREEN, RED], {}))
    run.engine.finish()
    results = [result for result in run.published() if result.frame.camera != 'first']
    assert [(result.frame.camera, result.instance, result.class_ids[0], result.batch)
            for result in results] == [
        ('a', 'net', 0, 3), ('b', 'second', 1, 3), ('b', 'second', 2, 3)]


def test_each_request_of_a_fused_batch_has_the_settings_of_its_instance(fused):
    run = fused(('a', 'net', [(128, 100, 90)], {}), ('b', 'second', [(128, 100, 90)], {}),
                instances__net__score_threshold=0.45, instances__second__score_threshold=0.0,
                instances__second__max_detections=2)
    run.engine.finish()
    assert {result.frame.camera: len(result.scores) for result in run.published()
            if result.frame.camera != 'first'} == {'a': 1, 'b': 2}


def test_a_fused_batch_that_fails_is_told_to_each_of_its_instances(fused):
    releases = []
    run = fused(('a', 'net', [BLUE], {'releases': releases}),
                ('b', 'second', [GREEN], {'releases': releases}))
    run.engine.finish(error='out of memory')
    assert run.settled()
    assert run.dropped('a') == run.dropped('b') == {'engine': 1}
    assert len(releases) == 2
    assert "instance 'net'" in run.complaints[0]
    assert "instance 'second'" in run.complaints[1]
    assert all('out of memory' in complaint for complaint in run.complaints[:2])
    counts, _ = run.executor.snapshot()
    assert [(count.batches, count.errors) for count in counts] == [(2, 1), (0, 1)]


def test_pixels_that_were_taken_back_cost_only_their_own_request(fused):
    run = fused(('a', 'net', [BLUE], {'intact': False}), ('b', 'second', [GREEN], {}),
                ('c', 'net', [RED], {}))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('a') == {'lease': 1}
    assert {result.frame.camera: result.class_ids[0] for result in run.results.queue
            if result.frame.camera != 'first'} == {'b': 1, 'c': 2}


def test_a_request_that_cannot_be_given_back_costs_none_of_the_others(fused):
    def release(instance):
        raise OSError('the memory is gone')

    run = fused(('a', 'net', [BLUE], {'releases': types.SimpleNamespace(append=release)}),
                ('b', 'second', [GREEN], {}), ('c', 'net', [RED], {}))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('a') == {'lease': 1}
    assert 'the memory is gone' in run.counts()['a'].last_error
    assert {result.frame.camera for result in run.results.queue} == {'first', 'b', 'c'}


def test_outputs_that_are_no_numbers_cost_only_their_own_frames_of_a_fused_batch(fused):
    run = fused(('a', 'net', [BLUE], {}), ('b', 'second', [GREEN, RED], {}))
    scores = np.eye(3, dtype=np.float32)
    scores[2, 0] = np.nan
    run.engine.finish(outputs={'scores': scores})
    assert run.settled()
    assert run.counts()['a'].published == 1
    assert (run.counts()['b'].published, run.dropped('b')) == (1, {'nan': 1})
    assert "instance 'second'" in run.complaints[0]


def test_a_request_that_cannot_be_decoded_costs_none_of_the_others(fused):
    run = fused(('a', 'net', [BLUE], {}), ('b', 'second', [GREEN], {}))
    run.engine.finish(outputs={'scores': np.eye(3, dtype=np.float32)[:1]})
    assert run.settled()
    assert run.counts()['a'].published == 1
    assert run.dropped('b') == {'decoder': 1}


def test_without_fusion_each_request_runs_alone(bench, make_batch, make_frame):
    run = bench(('net', 'second'), fusion=False)
    for index in range(6):
        run.executor.accept(make_batch(make_frame(deadline_s=1e9),
                                       instance=('net', 'second')[index % 2]))
    for _ in range(6):
        run.engine.finish(took_s=0.1)
    assert {result.batch for result in run.published()} == {1}


def test_late_batches_are_dropped_if_that_is_the_policy(bench, make_batch, make_frame):
    run = bench(late_policy='drop')
    releases = []
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S - 1.0), releases=releases))
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S + 1.0), releases=releases))
    run.engine.finish()
    assert run.settled()
    assert run.dropped() == {'late': 1}
    assert len(releases) == 2


def test_a_batch_that_becomes_hopeless_between_two_segments_is_dropped_as_late(
        bench, make_batch, make_frame, cuttable):
    releases = []
    run = bench(spec=cuttable.spec, scheduler='edf', late_policy='drop')
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S + 1.0),
                                   make_frame('second', deadline_s=NOW_S + 1.0), model='chain',
                                   releases=releases))
    run.engine.finish(took_s=2.0)
    run.executor.accept(make_batch(make_frame('third', deadline_s=1e9), model='chain',
                                   releases=releases))
    for _ in range(run.engine.networks['net'].segments):
        run.engine.finish()
    assert run.settled()
    assert run.dropped() == run.dropped('second') == {'late': 1}
    assert "instance 'net'" in run.counts()['front'].last_error
    assert run.counts()['third'].published == 1
    assert len(releases) == 2
    assert run.engine.networks['net'].most_flights == 1
    (count,), _ = run.executor.snapshot()
    assert (count.batches, count.errors) == (1, 0)


# segments

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


@pytest.fixture
def cuttable(make_spec, tmp_path):
    """Return a network that can be cut behind 'a', 'b' and 'c'; planned are two segments."""
    names = ['x', 'a', 'b', 'c']
    nodes = [helper.make_node('Neg', [before], [after])
             for before, after in zip(names, names[1:])]
    graph = helper.make_graph(
        [*nodes, helper.make_node('GlobalAveragePool', ['c'], ['scores'])], 'chain',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 3, 1, 1])])
    path = tmp_path / 'chain.onnx'
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid('', 13)]), str(path))
    found = Cuttable(make_spec(name='chain', onnx=path))
    found.plan(('b',))
    return found


def segments_of(run):
    """Return the inputs of the segments that the engine got."""
    ((_, models, _, _, _),) = run.engine.loads
    return [[value.name for value in model.graph.input] for model in models[1:]]


def test_a_profile_tells_where_to_cut_and_how_long_it_takes(bench, make_batch, cuttable):
    cuttable.profile(('a',), ('c',))
    run = bench(TWO, spec=cuttable.spec)
    assert segments_of(run) == [['a'], ['c']]
    (note,) = run.executor.notes
    assert note == f"chain: profile {profile_path('chain', 'fake')}"
    expect = run.executor._instances['net'].queue.expect
    assert expect.run_s(1) == pytest.approx(0.3)
    work = expect.work('net', 1, 0.0, 0).successor
    assert (work.tb_ratio, work.utilization) == (0.5, 0.25)
    run.executor.accept(make_batch(model='chain'))
    for _ in range(3):
        run.engine.finish()
    assert len(run.published()) == 1


def test_a_network_that_nothing_can_interrupt_runs_in_one_segment(bench, make_batch, cuttable):
    cuttable.profile(('a',), ('c',))
    run = bench(spec=cuttable.spec)
    assert segments_of(run) == []
    expect = run.executor._instances['net'].queue.expect
    assert expect.run_s(1) == pytest.approx(0.3)
    assert expect.work('net', 1, 0.0, 0).successor is None
    run.executor.accept(make_batch(model='chain'))
    run.engine.finish()
    assert len(run.published()) == 1


@pytest.fixture
def in_variants(cuttable):
    """Return the chain in two segments, the second with a variant of twice the speed."""
    cuttable.profile(('a',))
    rows = [VariantRow(segment, ratio, 0, 1, 1.0, 1.0, speedup, fidelity, 1.0)
            for segment in (0, 1, None)
            for ratio, speedup, fidelity in ((1.0, 1.0, 1.0), (0.5, 2.0 if segment else 1.0, 0.9))]

    model = with_image_input(load_graph(cuttable.spec), cuttable.spec)
    make_variants(variants_dir('chain', 'fake'), cut_at(model, (('a',),), '', ''), (0.5,))

    def save(**changes):
        values = {'model': 'chain', 'model_sha256': cuttable.sha256, 'engine': 'fake',
                  'device': 'none', 'images': 'none', 'calibration': 'none',
                  'calibration_sha256': '', 'batch': 1, 'versions': {},
                  'cuts': (('a',),), 'rows': tuple(rows), **changes}
        VariantTable(**values).save(variant_table_path('chain', 'fake'))

    save()
    return types.SimpleNamespace(spec=cuttable.spec, save=save)


COHORT = {'cohort': True, 'scheduler': 'edf', 'cohort_horizon': 'slack'}


@pytest.mark.parametrize('took_s, variant', [(0.1, 0), (0.18, 1)])
def test_who_falls_behind_goes_on_in_a_faster_variant(
        bench, make_batch, make_frame, in_variants, took_s, variant):
    run = bench(spec=in_variants.spec, **COHORT)
    assert run.engine.networks['net'].variants == [1, 2]
    assert run.executor.notes[-1] == 'chain: 1 coarser variants of 2 segments'
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S + 0.25), model='chain'))
    # each takes 0.1 s by its profile, the second half of that in its variant
    run.engine.finish(took_s=took_s)
    assert run.engine.running()[0].variant == variant
    run.engine.finish()
    result, = run.published()
    assert result.variants == (0, variant) and result.configuration == ''


CONFIGURATIONS = tuple(ConfigurationRow(name, 1e3 + power_mw, (100.0, 100.0))
                       for power_mw, name in enumerate(('low', 'middle', 'high')))
FOLLOWER = {**COHORT, 'cohort_horizon': 'deadline', 'platform': 'follow'}


def test_results_tell_the_configuration_at_the_end_of_their_run(
        bench, make_batch, make_frame, cuttable):
    cuttable.profile(('a',), configurations=CONFIGURATIONS)
    run = bench(spec=cuttable.spec, cpu_workers=1, **FOLLOWER)
    run.may_publish.clear()         # the worker is busy with the first image
    for image, configuration in enumerate(('low', 'middle')):
        run.executor.cohort_client.configuration_set('', image, configuration)
        run.executor.accept(make_batch(make_frame(), model='chain'))
        run.engine.finish()
        run.engine.finish()
        end_s = time.monotonic() + 30.0
        while run.executor.snapshot()[0][0].batches <= image:
            assert time.monotonic() < end_s
            time.sleep(0.001)
    run.executor.cohort_client.configuration_set('', 0, 'low')
    run.may_publish.set()
    assert [result.configuration for result in run.published()] == ['low', 'middle']


def test_without_a_cohort_nothing_but_the_exact_network_is_loaded(bench, in_variants):
    run = bench(TWO, spec=in_variants.spec)
    assert run.engine.networks['net'].variants == [1, 1]


def test_a_network_of_one_segment_is_told_of_in_a_cohort(bench, cuttable):
    cuttable.profile()
    for settings, told in ((COHORT, 1), ({}, 0)):
        notes = bench(spec=cuttable.spec, **settings).executor.notes
        assert sum('`s3dnn profile chain --target-ms' in note for note in notes) == told


@pytest.mark.parametrize('platform, timed_in, told', [
    ('follow', ('low', 'high'), ''), ('none', (), ''),
    ('follow', ('low',), ', not timed in high, where they may gain less: run '
                         '`s3dnn models lowrank chain --platform …`'),
    ('follow', (), ', not timed in low and high, where')])
def test_variants_that_were_not_timed_where_they_may_run_are_told(
        bench, cuttable, in_variants, platform, timed_in, told):
    cuttable.profile(('a',), configurations=CONFIGURATIONS)
    in_variants.save(configurations=timed_in)
    note = bench(spec=in_variants.spec, **{**FOLLOWER, 'platform': platform}).executor.notes[-1]
    assert note.startswith(f'chain: 1 coarser variants of 2 segments{told}')
    assert ('timed' in note) == bool(told)


@pytest.mark.parametrize('changes', [
    {'model_sha256': 'ff'}, {'device': 'another'}, {'cuts': (('b',),)},
    {'calibration_sha256': 'ab'}])
def test_variants_of_something_else_are_left_out_and_that_is_said(bench, in_variants, changes):
    in_variants.save(**changes)
    run = bench(spec=in_variants.spec, **COHORT)
    assert run.engine.networks['net'].variants == [1, 1]
    assert 'chain: no variants' in run.executor.notes[-1]
    assert '`s3dnn models lowrank chain`' in run.executor.notes[-1]


def test_without_a_profile_the_plan_tells_where_to_cut(bench, cuttable):
    run = bench(spec=cuttable.spec)
    assert segments_of(run) == [['b']]
    (note,) = run.executor.notes
    assert note.startswith('chain: 2 segments of ')
    assert str(plan_path('chain')) in note
    assert 's3dnn profile chain' in note


def test_a_profile_of_another_engine_does_not_count(bench, cuttable):
    cuttable.profile(('a',), device='another')
    run = bench(spec=cuttable.spec)
    assert segments_of(run) == [['b']]
    assert 'another' in run.executor.notes[0]


def test_who_wants_no_profile_gets_the_plan(bench, cuttable):
    cuttable.profile(('a',))
    run = bench(spec=cuttable.spec, instances__net__profile='')
    assert segments_of(run) == [['b']]


@pytest.mark.parametrize('cuts, changes, said', [
    ([('b',)], {'sha256': 'a' * 64}, 'a' * 64),
    ([('gone',)], {}, 'cuts at gone'),
    ([('c',), ('a',)], {}, 'another order'),
])
def test_a_plan_that_does_not_fit_leaves_the_network_whole_and_is_told(
        bench, make_batch, cuttable, cuts, changes, said):
    cuttable.plan(*cuts, **changes)
    run = bench(spec=cuttable.spec)
    assert segments_of(run) == []
    (note,) = run.executor.notes
    assert note.startswith('chain: one segment, without times')
    assert said in note
    assert 's3dnn models segment chain' in note
    run.executor.accept(make_batch(model='chain'))
    run.engine.finish()
    assert len(run.published()) == 1


def test_a_broken_plan_leaves_the_network_whole_and_is_told(bench, cuttable):
    plan_path('chain').write_text('{"model"')
    run = bench(spec=cuttable.spec)
    assert segments_of(run) == []
    assert 'not a whole JSON file' in run.executor.notes[0]


def test_without_plan_and_profile_the_network_stays_whole(bench, cuttable):
    plan_path('chain').unlink()
    run = bench(spec=cuttable.spec)
    assert segments_of(run) == []
    (note,) = run.executor.notes
    assert note.startswith('chain: one segment, without times')
    assert 's3dnn profile chain' in note


def test_a_profile_whose_cuts_do_not_exist_is_refused_with_the_remedy(bench, cuttable):
    cuttable.profile(('gone',))
    with pytest.raises(ModelError, match=r'cuts at gone.*`s3dnn profile chain` again'):
        bench(TWO, spec=cuttable.spec)


def test_a_profile_with_other_segments_than_cuts_is_refused_with_the_remedy(bench, cuttable):
    cuttable.profile(('a',), ('c',), rows=(ProfileRow(0, 1, 1.0, 1.0, 1.0, 1.0),))
    with pytest.raises(ProfileError, match='`s3dnn profile chain`'):
        bench(TWO, spec=cuttable.spec)


# the scheduler

@pytest.mark.parametrize('parallel, running', [(True, 2), (False, 1)])
def test_work_overlaps_only_on_an_engine_that_runs_side_by_side(
        bench, fake_engine, make_batch, make_frame, make_spec, tiny_onnx, parallel, running):
    clock = VirtualClock(NOW_S)
    engine = fake_engine(clock)
    engine.parallel = parallel
    specs = {name: make_spec(onnx=tiny_onnx, name=name) for name in ('one', 'two')}
    run = bench(('one', 'two'), engine=engine, clock=clock, specs=specs,
                scheduler='supervised', overlap=True)
    for name in ('one', 'two'):
        run.executor.accept(make_batch(make_frame(deadline_s=1e9), instance=name, model=name))
    assert len(run.engine.running(running)) == running
    run.engine.running(running + 1, timeout=0.1)
    assert len(run.engine.running()) == running


def test_the_capacity_is_the_one_of_the_settings(
        bench, make_batch, make_frame, make_spec, tiny_onnx):
    specs = {name: make_spec(onnx=tiny_onnx, name=name) for name in ('one', 'two', 'three')}
    run = bench(tuple(specs), specs=specs, scheduler='supervised', capacity=2.0, overlap=False)
    for name in specs:
        run.executor.accept(make_batch(make_frame(deadline_s=1e9), instance=name, model=name))
    assert len(run.engine.running(2)) == 2


# loading

def test_a_network_that_does_not_fit_its_decoder_is_refused_at_once(
        bench, make_spec, tiny_onnx):
    with pytest.raises(ModelError, match='yolov8'):
        bench(spec=make_spec(onnx=tiny_onnx, decoder='yolov8'))


def test_a_missing_file_is_refused_with_its_path(bench, make_spec, tmp_path):
    with pytest.raises(ModelError, match='gone'):
        bench(spec=make_spec(onnx=tmp_path / 'gone.onnx'))


def test_what_the_engine_gets_is_the_network_with_the_image_input(bench):
    run = bench(max_batch=5)
    ((instance, (model,), outputs, lanes, max_batch),) = run.engine.loads
    assert (instance, outputs, lanes, max_batch) == ('net', ['scores'], 1, 5)
    (image,) = model.graph.input
    assert image.type.tensor_type.elem_type == 2        # uint8


@pytest.mark.parametrize('max_batch, expected', [(0, 8), (3, 3), (20, 8)])
def test_a_network_is_loaded_for_no_more_images_than_model_and_executor_take(
        bench, make_spec, tiny_onnx, max_batch, expected):
    run = bench(spec=make_spec(onnx=tiny_onnx, max_batch=max_batch), max_batch=8)
    assert run.engine.loads[0][-1] == expected


def test_instances_of_one_model_share_a_network_with_a_lane_for_each(bench, make_spec, tiny_onnx):
    spec = make_spec(onnx=tiny_onnx)
    other = make_spec(onnx=tiny_onnx, name='other', mean=(1.0, 1.0, 1.0))
    smaller = make_spec(onnx=tiny_onnx, name='smaller', max_batch=2)
    renamed = make_spec(onnx=tiny_onnx, name='renamed')
    run = bench(('a', 'b', 'c', 'd', 'e'), specs={
        'a': spec, 'b': other, 'c': renamed, 'd': spec, 'e': smaller})
    assert [(load[0], load[3]) for load in run.engine.loads] == [('a', 3), ('b', 1), ('e', 1)]


@pytest.mark.parametrize('max_batch, refused', [(0, True), (3, True), (2, False), (1, False)])
def test_a_network_of_fixed_batch_needs_a_description_that_says_so(
        bench, fake_engine, make_spec, tiny_onnx, max_batch, refused):
    engine = fake_engine(VirtualClock(), batch=2)
    spec = make_spec(onnx=tiny_onnx, max_batch=max_batch)
    if refused:
        with pytest.raises(ModelError, match=r'max_batch: 2 in tiny\.yaml'):
            bench(engine=engine, spec=spec)
    else:
        bench(engine=engine, spec=spec)


def test_a_network_that_fails_when_warmed_up_is_named(bench, fake_engine, monkeypatch):
    engine = fake_engine(VirtualClock())
    load = engine.load

    def broken(*arguments, **options):
        network = load(*arguments, **options)
        network.broken['run'] = RuntimeError('no kernel image')
        return network

    monkeypatch.setattr(engine, 'load', broken)
    with pytest.raises(EngineError, match=r"instance 'net'.*no kernel image"):
        bench(engine=engine)


def test_instances_run_their_own_networks(bench, make_batch, make_frame, make_spec, tiny_onnx):
    specs = {name: make_spec(onnx=tiny_onnx, name=name, std=(std, std, std))
             for name, std in (('one', 1.0), ('two', 2.0))}
    run = bench(('one', 'two'), specs=specs)
    for name in ('one', 'two'):
        run.executor.accept(make_batch(make_frame(name), instance=name, model=name))
        assert run.engine.finish().network is run.engine.networks[name]
    assert {result.instance: result.frame.camera for result in run.published()} == {
        'one': 'one', 'two': 'two'}


# models that are loaded again, or others

class Reload:
    """A change of the model of `net`, on a bench whose loads wait."""

    def __init__(self, run, settings, spec, names=('net',)):
        self.run, self.ended = run, queue.Queue()
        run.engine.may_load.clear()
        run.executor.reload(dict.fromkeys(names, spec), settings, self.ended.put)

    def finish(self):
        """Let the load end; return its error, or None."""
        self.run.engine.may_load.set()
        return self.ended.get(timeout=WAIT_S)


@pytest.fixture
def larger(make_spec, tiny_onnx_of):
    """Return the description of another model, with images of another size."""
    return make_spec(name='large', onnx=tiny_onnx_of(8), width=8, height=8,
                     labels=('x', 'y', 'z'), decoder_options={'top_k': 3})


@pytest.fixture
def tiny_onnx_of(tmp_path):
    """Return a builder of files of networks for images of so many pixels a side."""
    def build(side):
        graph = helper.make_graph(
            [helper.make_node('GlobalAveragePool', ['x'], ['y'])], 'mean',
            [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, side, side])],
            [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 3, 1, 1])])
        path = tmp_path / f'mean_{side}.onnx'
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)],
                                    ir_version=8), str(path))
        return path
    return build


def test_the_old_model_serves_until_the_new_one_is_warm_and_ends_what_it_has(
        bench, make_batch, make_frame, make_spec, tiny_onnx, executor_settings):
    run = bench()
    old = run.engine.networks['net']
    spec = make_spec(onnx=tiny_onnx, labels=('x', 'y', 'z'), decoder_options={'top_k': 3})
    reload = Reload(run, executor_settings(warmup_runs=0), spec)
    for camera in ('runs', 'waits'):
        run.executor.accept(make_batch(make_frame(camera)))
    assert run.engine.running()[0].network is old
    assert reload.finish() is None
    new = run.engine.networks['net']
    run.executor.accept(make_batch(make_frame('new')))
    assert [run.engine.finish().network for _ in range(3)].count(old) == 2
    assert len(new.batches) == 1
    labels = {result.frame.camera: result.labels for result in run.published()}
    assert labels == {'runs': ('blue', 'green', 'red'), 'waits': ('blue', 'green', 'red'),
                      'new': ('x', 'y', 'z')}
    assert run.settled()
    assert all(count.published == 1 for count in run.counts().values())


def test_batches_for_the_former_model_still_run_and_later_ones_are_counted(
        bench, make_batch, make_frame, larger, executor_settings, monkeypatch):
    run = bench()
    old = run.engine.networks['net']
    former_s = threading.Event()
    monkeypatch.setattr(run.executor._reloader._closing, 'wait', lambda _: former_s.wait(WAIT_S))
    settings = executor_settings(instances__net__model='large')
    assert Reload(run, settings, larger).finish() is None
    run.executor.accept(make_batch(make_frame('old'), model='tiny'))
    assert run.engine.finish().network is old
    run.executor.accept(make_batch(make_frame('new'), model='large',
                                   pixels=np.zeros((1, 8, 8, 3), np.uint8)))
    assert run.engine.finish().network is run.engine.networks['net'] is not old
    assert [run.results.get(timeout=WAIT_S).model for _ in range(2)] == ['tiny', 'large']
    former_s.set()
    run.executor._reloader.close()
    run.executor.accept(make_batch(make_frame('late'), model='tiny'))
    assert run.dropped('late') == {'request': 1}
    assert "model 'tiny', which runs 'large' here" in run.counts()['late'].last_error
    assert run.settled()


def test_a_model_that_cannot_be_loaded_leaves_the_old_one(
        bench, make_batch, make_spec, tmp_path, executor_settings):
    run = bench()
    old = run.engine.networks['net']
    missing = make_spec(onnx=tmp_path / 'missing.onnx')
    assert isinstance(Reload(run, executor_settings(), missing).finish(), ModelError)
    run.engine.broken_loads = [EngineError('net', 'out of memory')]
    spec = dataclasses.replace(missing, onnx=run.executor._instances['net'].spec.onnx)
    assert isinstance(Reload(run, executor_settings(), spec).finish(), EngineError)
    run.executor.accept(make_batch())
    assert run.engine.finish().network is old
    assert run.settled() and len(run.published()) == 1


def test_instances_of_one_model_are_loaded_once(
        bench, make_batch, make_frame, make_spec, tiny_onnx, executor_settings):
    names = ('net', 'second')
    run = bench(names)
    spec = run.executor._instances['net'].spec
    assert Reload(run, executor_settings(names), spec, names).finish() is None
    assert len(run.engine.loads) == 2
    assert run.engine.loads[1][3] == 2      # lanes
    assert len({id(instance.queue) for instance in run.executor._instances.values()}) == 1


def test_a_network_that_failed_is_mended_by_a_reload(
        bench, make_batch, make_frame, executor_settings):
    run = bench()
    spec = run.executor._instances['net'].spec
    run.engine.broken_loads = [RuntimeError('broken file')]
    run.executor.accept(make_batch(make_frame('bad')))
    run.engine.finish(error='no such kernel')
    run.complained('broken file')
    assert run.executor.troubles()['net']
    assert Reload(run, executor_settings(), spec).finish() is None
    assert run.executor.troubles() == {'net': ''}
    run.executor.accept(make_batch(make_frame('good')))
    run.engine.finish()
    assert run.settled() and run.counts()['good'].published == 1


def test_the_memory_of_the_former_is_free_without_a_collection(
        bench, make_batch, make_frame, executor_settings):
    """The node freezes what was loaded, so that no collection would find it."""
    run = bench()
    spec = run.executor._instances['net'].spec
    former = weakref.ref(run.executor._instances['net'].queue)
    run.executor.accept(make_batch(make_frame('a')))
    run.engine.finish()
    gc.disable()
    try:
        assert Reload(run, executor_settings(), spec).finish() is None
        run.executor.accept(make_batch(make_frame('b')))
        run.engine.finish()
        run.close()
        assert former() is None
    finally:
        gc.enable()
