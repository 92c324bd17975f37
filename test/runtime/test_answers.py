"""Answers: every frame gets its result, or is counted with a reason."""

import dataclasses
import types

import numpy as np
import pytest
from executor_bench import NOW_S, SECOND_NS, TOLERANCE, WAIT_S, FakeDecoder

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.runtime import network_loader
from s3dnn_ros.runtime.recorder import Stage
from s3dnn_ros.transport.frames import Transform


def test_a_colour_is_recognised_from_pixels_to_result(make_executor, make_batch):
    clock = SystemClock()
    engine, _ = make_engine('onnxruntime', clock, 1)
    run = make_executor(engine=engine, clock=clock)
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    pixels[..., 1] = 255
    run.executor.accept(make_batch(pixels=pixels))
    (result,) = run.published()
    assert result.labels[result.boxes.class_ids[0]] == 'green'
    assert result.boxes.scores == pytest.approx([1.0], abs=TOLERANCE)
    assert result.boxes.xyxy.tolist() == [[0, 0, 4, 4]]


def test_every_frame_of_a_batch_gets_its_own_result(make_executor, make_batch, make_frame):
    run = make_executor()
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    for index in range(3):
        pixels[index, ..., index] = 255
    frames = [make_frame(camera) for camera in 'abc']
    run.executor.accept(make_batch(*frames, pixels=pixels))
    run.engine.finish()
    results = run.published()
    assert [result.frame for result in results] == frames
    assert [result.boxes.class_ids.tolist() for result in results] == [[0], [1], [2]]
    assert [result.batch for result in results] == [3, 3, 3]


def test_every_frame_tells_its_unit_also_beside_one_that_is_refused(
        make_executor, make_batch, make_frame):
    run = make_executor()
    outputs = {'scores': np.float32([[1, 0, 0], [np.nan, 0, 0], [0, 0, 1]])}
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc'),
                                   pixels=np.zeros((3, 4, 4, 3), np.uint8)))
    run.engine.finish(outputs=outputs, units=('one', 'one', 'two'))
    assert [(result.frame.camera, result.unit) for result in run.published()] == [
        ('a', 'one'), ('c', 'two')]


def test_boxes_come_back_in_source_pixels(make_executor, make_batch, make_frame):
    run = make_executor()
    frame = dataclasses.replace(make_frame(width=640, height=480),
                                transform=Transform(0.00625, 0.00625, 0.0, 0.5))
    run.executor.accept(make_batch(frame, pixels=np.full((1, 4, 4, 3), 255, np.uint8)))
    run.engine.finish()
    assert run.published()[0].boxes.xyxy[0] == pytest.approx([0, 0, 640, 480])


def test_a_result_knows_when_it_was_where(make_executor, make_batch):
    run = make_executor()
    run.executor.accept(make_batch())
    run.engine.finish(took_s=0.25)
    (result,) = run.published()
    assert (result.sent_s, result.arrived_s) == (0.0, NOW_S)
    assert (result.started_s, result.ended_s) == (NOW_S, NOW_S + 0.25)
    assert (result.instance, result.model) == ('net', 'tiny')


def test_the_threshold_can_be_changed_while_running(make_executor, make_batch, executor_settings):
    run = make_executor(instances__net__score_threshold=0.9)
    grey = np.full((1, 4, 4, 3), 128, np.uint8)
    run.executor.accept(make_batch(pixels=grey))
    run.engine.finish()
    assert len(run.results.get(timeout=WAIT_S).boxes.scores) == 0
    run.executor.configure(executor_settings(
        late_policy='run', instances__net__score_threshold=0.3,
        instances__net__max_detections=2))
    run.executor.accept(make_batch(pixels=grey))
    run.engine.finish()
    assert len(run.results.get(timeout=WAIT_S).boxes.scores) == 2


@pytest.mark.parametrize('late_policy, run_late, published', [
    ('drop', False, 1), ('drop', True, 2), ('run', False, 2)])
def test_nobody_decodes_what_is_late_already(make_executor, make_batch, make_frame, late_policy,
                                             run_late, published):
    """The only thread is busy with one result until the deadline of the next one is over."""
    run = make_executor(late_policy=late_policy)
    run.may_publish.clear()
    for camera in ('front', 'rear'):
        batch = make_batch(make_frame(camera, deadline_s=NOW_S + 1.0))
        run.executor.accept(dataclasses.replace(batch, run_late=run_late))
        run.engine.finish()
    assert run.publishes.wait(WAIT_S)
    run.clock.advance(2.0)
    run.may_publish.set()
    assert [result.frame.camera for result in run.published()] == ['front', 'rear'][:published]
    dropped = {} if published == 2 else {'late': 1}
    assert run.dropped('rear') == dropped
    assert run.settled()


def test_latency_counts_from_the_stamp_and_lateness_from_the_deadline(
        make_executor, make_batch, make_frame):
    run = make_executor()
    for deadline_s in (NOW_S + 1.0, NOW_S - 1.0):
        run.executor.accept(make_batch(make_frame(
            stamp_ns=99 * SECOND_NS, deadline_s=deadline_s)))
        run.engine.finish()
    run.close()
    count = run.counts()['front']
    assert (count.published, count.missed) == (2, 1)
    assert count.latency_ms.p50 == pytest.approx(1000.0)


@pytest.mark.parametrize(('error', 'end'), [('', Stage.PUBLISHED), ('gone', Stage.DROPPED)])
def test_a_request_is_stamped_from_its_arrival_to_its_end(make_executor, make_batch, error, end):
    run = make_executor()
    run.executor.accept(make_batch())
    run.engine.finish(error=error)
    run.close()
    stamps = run.executor.recorder.stamps()
    assert [stamp.stage for stamp in stamps] == [
        Stage.ARRIVED, Stage.STAGED, Stage.SUBMITTED, Stage.ENDED, Stage.FINISHED, end]
    assert {(stamp.instance, stamp.request) for stamp in stamps} == {('net', stamps[0].request)}
    times_s = [stamp.now_s for stamp in stamps]
    assert times_s == sorted(times_s)


def test_the_engines_time_is_counted(make_executor, make_batch):
    run = make_executor()
    for _ in range(2):
        run.executor.accept(make_batch())
        run.engine.finish(took_s=0.5)
    run.close()
    (count,), busy_s = run.executor.snapshot()
    assert (count.instance, count.model, count.batches, count.errors) == ('net', 'tiny', 2, 0)
    assert count.engine_ms.p50 == pytest.approx(500.0)
    assert busy_s == pytest.approx(1.0)


# what goes wrong

def test_an_engine_error_is_of_one_job_alone(make_executor, make_batch, make_frame):
    run = make_executor()
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


def test_results_of_pixels_that_were_taken_back_are_not_published(make_executor, make_batch):
    run = make_executor()
    run.executor.accept(make_batch(intact=False))
    run.engine.finish()
    assert run.settled()
    assert run.results.empty()
    assert run.dropped() == {'lease': 1}
    assert 'slot_lease_ms' in run.complaints[0]


def test_outputs_that_cannot_be_decoded_are_counted_and_the_next_batch_runs(
        make_executor, make_batch):
    run = make_executor()
    for outputs in ({'scores': np.zeros((1, 2, 3, 4), np.float32)}, None):
        run.executor.accept(make_batch())
        run.engine.finish(outputs=outputs)
    assert run.settled()
    assert run.dropped() == {'decoder': 1}
    assert run.counts()['front'].published == 1
    assert "instance 'net'" in run.complaints[0]


@pytest.mark.parametrize('broken, published', [('a', ''), ('b', 'a'), ('c', 'ab')])
def test_when_publication_fails_the_rest_of_the_batch_is_counted(
        make_executor, make_batch, make_frame, broken, published):
    run = make_executor()
    run.broken_cameras = {broken}
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc')))
    run.engine.finish()
    assert run.settled()
    assert ''.join(result.frame.camera for result in run.results.queue) == published
    assert run.dropped(broken) == {'decoder': 1}
    assert 'the publisher is gone' in run.complaints[0]


@pytest.mark.parametrize('found', [0, 1])
def test_frames_that_the_decoder_forgets_are_counted(
        make_executor, make_batch, make_frame, monkeypatch, found):
    monkeypatch.setattr('s3dnn_ros.models.spec.make_decoder',
                        lambda *_, **__: FakeDecoder(lambda outputs: [Boxes.none()] * found))
    run = make_executor()
    run.executor.accept(make_batch(make_frame('a'), make_frame('b')))
    run.engine.finish()
    assert run.settled()


def test_closing_accounts_for_all_frames_and_gives_all_pixels_back(
        make_executor, make_batch, make_frame):
    run = make_executor(max_queue=3)
    releases = []
    for index in range(8):
        run.executor.accept(make_batch(make_frame('ab'[index % 2]), releases=releases))
    assert run.settled()
    assert len(releases) == 8
    assert sum(count.frames for count in run.counts().values()) == 8
    assert run.engine.closed


@pytest.mark.parametrize('where', ['open', 'submit', 'outputs'])
def test_whatever_the_engine_raises_costs_one_batch(make_executor, make_batch, make_frame, where):
    run = make_executor()
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
        make_executor, make_batch, outputs):
    run = make_executor()
    for given in (outputs, None):
        run.executor.accept(make_batch())
        run.engine.finish(outputs=given)
    assert run.settled()
    assert run.dropped() == {'decoder': 1}


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_frames_whose_outputs_are_no_numbers_are_refused_and_the_others_answered(
        make_executor, make_batch, make_frame, value):
    run = make_executor()
    scores = np.eye(3, dtype=np.float32)
    scores[1, 2] = value
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc')))
    run.engine.finish(outputs={'scores': scores})
    run.executor.accept(make_batch(make_frame('b')))
    run.engine.finish()
    assert run.settled()
    assert [(result.frame.camera, result.boxes.class_ids.tolist())
            for result in run.results.queue] == [('a', [0]), ('c', [2]), ('b', [])]
    assert run.dropped('b') == {'nan': 1}
    assert run.counts()['b'].published == 1
    (complaint,) = run.complaints
    for part in ("instance 'net'", "output 'scores'", 'NaN or infinity', 's3dnn models check'):
        assert part in complaint
    assert run.counts()['b'].last_error == complaint


def test_outputs_that_nobody_reads_may_be_anything(make_executor, make_batch, make_spec,
                                                   tiny_onnx):
    run = make_executor(spec=make_spec(onnx=tiny_onnx, decoder_options={'output': 'scores'}))
    scores = np.eye(3, dtype=np.float32)[:1]
    for others in ({'loss': np.float32(7.0)}, {'loss': np.array(np.nan)},
                   {'masks': np.full((1, 4, 8, 8), np.inf)}, {'text': np.zeros(0)}):
        run.executor.accept(make_batch())
        run.engine.finish(outputs={**others, 'scores': scores})
    assert [result.boxes.class_ids.tolist() for result in run.published()] == 4 * [[0]]
    assert run.settled() and not run.dropped()


def test_scores_above_1_are_refused(make_executor, make_batch):
    run = make_executor()
    run.executor.accept(make_batch())
    run.engine.finish(outputs={'scores': np.array([[0.1, 57.3, 0.2]], np.float32)})
    assert run.settled()
    assert run.dropped() == {'decoder': 1}
    (complaint,) = run.complaints
    assert 'a score of 57.3' in complaint and 'softmax' in complaint


def test_a_batch_without_a_single_number_publishes_nothing_and_the_next_one_runs(
        make_executor, make_batch, make_frame):
    run = make_executor()
    frames = [make_frame(camera) for camera in 'ab']
    run.executor.accept(make_batch(*frames))
    run.engine.finish(outputs={'scores': np.full((2, 3), np.nan, np.float32)})
    run.executor.accept(make_batch(*frames))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('a') == run.dropped('b') == {'nan': 1}
    assert run.counts()['a'].published == run.counts()['b'].published == 1


# fusion

@pytest.fixture
def fused(make_executor, make_batch, make_frame, make_profile, monkeypatch):
    """Return a function that lets requests of several instances wait, to run as one batch.

    It takes (camera, instance, images, options of make_batch) each, and returns the executor's
    bench with these running.
    """
    monkeypatch.setattr(network_loader, 'find_table',
                        lambda *arguments: (make_profile(0.1, 0.01), 'made for this test'))

    def build(*requests, **values):
        run = make_executor(('net', 'second'), scheduler='streams', **values)
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
    assert [(result.frame.camera, result.instance, result.boxes.class_ids[0], result.batch)
            for result in results] == [
        ('a', 'net', 0, 3), ('b', 'second', 1, 3), ('b', 'second', 2, 3)]


def test_each_request_of_a_fused_batch_has_the_settings_of_its_instance(fused):
    run = fused(('a', 'net', [(128, 100, 90)], {}), ('b', 'second', [(128, 100, 90)], {}),
                instances__net__score_threshold=0.45, instances__second__score_threshold=0.0,
                instances__second__max_detections=2)
    run.engine.finish()
    assert {result.frame.camera: len(result.boxes.scores) for result in run.published()
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
    assert {result.frame.camera: result.boxes.class_ids[0] for result in run.results.queue
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
