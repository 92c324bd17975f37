"""The executor: what it accepts, stages, runs and counts."""

import dataclasses
import threading

import numpy as np
import pytest
from executor_bench import NOW_S, WAIT_S

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.errors import RequestError
from s3dnn_ros.runtime.cohort_client import BoardContext
from s3dnn_ros.runtime.energy import EnergyAccount


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


def test_the_energy_of_every_instance_is_known_if_there_is_a_meter(
        make_executor, make_batch, monkeypatch):
    monkeypatch.setattr(EnergyAccount, 'start', EnergyAccount.read)     # and then when we want
    meter = FakeMeter()
    run = make_executor(('net', 'second'), board_context=BoardContext(meter=meter))
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


def test_without_a_meter_nobody_can_tell_the_energy(make_executor):
    use = make_executor().executor.energy
    assert np.isnan([use.power_mw, use.energy_mj]).all() and not use.of_instances_mj


def test_a_recording_says_what_happened_and_what_it_was_of(
        make_executor, make_batch, executor_settings, monkeypatch):
    monkeypatch.setattr(EnergyAccount, 'start', EnergyAccount.read)
    meter = FakeMeter()
    run = make_executor(('net', 'second'), board_context=BoardContext(meter=meter))
    run.executor.accept(make_batch())
    run.engine.finish(took_s=0.5)
    run.results.get(timeout=WAIT_S)
    meter.now_mj += 300.0
    run.executor._energy.read()
    recording = run.executor.recording(executor_settings(), {'commit': 'abc'}, 'a command')
    assert set(recording.models) == {'net', 'second'}
    assert recording.run.environment == {'commit': 'abc'} and not recording.run.simulated
    assert recording.run.energy_j == pytest.approx(0.3)
    assert recording.run.energy_of_instances_j == pytest.approx({'net': 0.3, 'second': 0.0})
    assert [each.instance for each in recording.requests] == ['net']
    assert not recording.boundaries and not recording.configurations


# what is refused

@pytest.mark.parametrize('change, said', [
    ({'instance': 'other'}, ["'governor'", "'other'", 'this executor has net, second']),
    ({'model': 'large'}, ["'governor'", "'net'", "'large'", "'tiny'"]),
    ({'pixels': np.zeros((1, 5, 4, 3), np.uint8)}, ["'net'", '(1, 5, 4, 3)', '(1, 4, 4, 3)']),
    ({'pixels': np.zeros((2, 4, 4, 3), np.uint8)}, ['(2, 4, 4, 3)', '(1, 4, 4, 3)']),
    ({'pixels': np.zeros(48, np.uint8)}, ['(48,)']),
])
def test_a_request_that_does_not_fit_is_refused_with_names_and_given_back(
        make_executor, make_batch, change, said):
    run = make_executor(('net', 'second'))
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
        make_executor, make_batch, make_frame, make_spec, tiny_onnx, model, executor):
    run = make_executor(spec=make_spec(onnx=tiny_onnx, max_batch=model), max_batch=executor)
    run.executor.accept(make_batch(*(make_frame(camera) for camera in 'abc')))
    assert run.dropped('a') == {'request': 1}
    assert '3 frames; it takes 2 at most' in run.complaints[0]
    assert 'max_batch' in run.complaints[0]


def test_a_batch_without_frames_is_refused_and_the_next_one_runs(make_executor, make_batch):
    run = make_executor()
    releases = []
    empty = dataclasses.replace(
        make_batch(releases=releases), frames=(), pixels=np.zeros((0, 4, 4, 3), np.uint8))
    run.executor.accept(empty)
    run.executor.accept(make_batch())
    assert len(run.published()) == 1
    assert len(releases) == 1


def test_a_batch_whose_pixels_cannot_be_read_is_counted(make_executor, make_batch):
    run = make_executor()
    run.executor.accept_refused(make_batch(), 'lease', 'taken back')
    assert run.dropped() == {'lease': 1}
    assert run.complaints == ['taken back']


# staging

def test_pixels_are_staged_by_the_pool_where_that_is_a_copy(make_executor, make_batch):
    run = make_executor(network={'stages': True})
    run.executor.accept(make_batch(pixels=np.full((1, 4, 4, 3), 255, np.uint8)))
    assert run.engine.finish().values == [255]
    (thread,) = run.engine.networks['net'].staging_threads
    assert thread is not threading.current_thread()
    assert thread.name.startswith('s3dnn-stage')
    assert len(run.published()) == 1


def test_pixels_are_staged_at_once_where_that_is_none(make_executor, make_batch):
    run = make_executor()
    run.executor.accept(make_batch())
    assert run.engine.networks['net'].staging_threads == [threading.current_thread()]


def test_pixels_that_the_device_reads_where_they_are_are_staged_at_once(make_executor, make_batch):
    run = make_executor(network={'stages': True})
    run.engine.read = np.full(96, 255, np.uint8)
    run.executor.accept(make_batch(pixels=run.engine.read[:48].reshape(1, 4, 4, 3)))
    assert run.engine.networks['net'].staging_threads == [threading.current_thread()]
    assert run.engine.finish().values == [255]


@pytest.mark.parametrize('stages', [True, False])
def test_a_batch_that_cannot_be_staged_is_refused_alone_and_given_back(
        make_executor, make_batch, make_frame, stages):
    run = make_executor(network={'stages': stages})
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
def test_what_comes_after_the_end_is_counted_and_given_back(make_executor, make_batch, stages):
    run = make_executor(network={'stages': stages})
    run.close()
    releases = []
    run.executor.accept(make_batch(releases=releases))
    assert run.dropped() == {'shutdown': 1}
    assert len(releases) == 1


# the scheduler

@pytest.mark.parametrize('parallel, running', [(True, 2), (False, 1)])
def test_work_overlaps_only_on_an_engine_that_runs_side_by_side(
        make_executor, fake_engine, make_batch, make_frame, make_spec, tiny_onnx, parallel,
        running):
    clock = VirtualClock(NOW_S)
    engine = fake_engine(clock)
    engine.parallel = parallel
    specs = {name: make_spec(onnx=tiny_onnx, name=name) for name in ('one', 'two')}
    run = make_executor(('one', 'two'), engine=engine, clock=clock, specs=specs,
                        scheduler='supervised', overlap=True)
    for name in ('one', 'two'):
        run.executor.accept(make_batch(make_frame(deadline_s=1e9), instance=name, model=name))
    assert len(run.engine.running(running)) == running
    run.engine.running(running + 1, timeout=0.1)
    assert len(run.engine.running()) == running


def test_the_capacity_is_the_one_of_the_settings(
        make_executor, make_batch, make_frame, make_spec, tiny_onnx):
    specs = {name: make_spec(onnx=tiny_onnx, name=name) for name in ('one', 'two', 'three')}
    run = make_executor(tuple(specs), specs=specs, scheduler='supervised', capacity=2.0,
                        overlap=False)
    for name in specs:
        run.executor.accept(make_batch(make_frame(deadline_s=1e9), instance=name, model=name))
    assert len(run.engine.running(2)) == 2


def test_without_fusion_each_request_runs_alone(make_executor, make_batch, make_frame):
    run = make_executor(('net', 'second'), fusion=False)
    for index in range(6):
        run.executor.accept(make_batch(make_frame(deadline_s=1e9),
                                       instance=('net', 'second')[index % 2]))
    for _ in range(6):
        run.engine.finish(took_s=0.1)
    assert {result.batch for result in run.published()} == {1}


def test_late_batches_are_dropped_if_that_is_the_policy(make_executor, make_batch, make_frame):
    run = make_executor(late_policy='drop')
    releases = []
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S - 1.0), releases=releases))
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S + 1.0), releases=releases))
    run.engine.finish()
    assert run.settled()
    assert run.dropped() == {'late': 1}
    assert len(releases) == 2


def test_a_batch_that_becomes_hopeless_between_two_segments_is_dropped_as_late(
        make_executor, make_batch, make_frame, cuttable):
    releases = []
    run = make_executor(spec=cuttable.spec, scheduler='edf', late_policy='drop')
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


# pixels in memory of another process

class Distant:
    """DistantPixels of one value, or what raises in their place."""

    shape = (1, 4, 4, 3)

    def __init__(self, value=7, error=None):
        self.value, self.error = value, error
        self.threads = []

    def read(self, memory):
        self.threads.append(threading.current_thread().name)
        if self.error:
            raise self.error
        array = memory(48)
        array[:] = self.value
        return array.reshape(self.shape)


@pytest.mark.parametrize('stages', [True, False])
def test_distant_pixels_are_copied_once_to_where_the_device_reads_them(
        make_executor, make_batch, stages):
    run, pixels, given = make_executor(network={'stages': stages}), Distant(), []

    def frame_memory(size):
        given.append(np.zeros(size, np.uint8))
        return given[-1]

    run.engine.frame_memory = frame_memory
    run.executor.accept(make_batch(pixels=pixels))
    assert run.engine.finish().values == [7]
    (memory,) = given
    assert memory.size == 48 and (memory == 7).all()
    (thread,) = pixels.threads
    # where nothing else is to be copied, to wake a thread would take longer than the read
    assert thread.startswith('s3dnn-stage') == stages
    assert len(run.published()) == 1


@pytest.mark.parametrize('error, reason', [
    (RequestError('its front end has cut the segment short'), 'request'),
    (OSError('a bad day'), 'engine')])
def test_distant_pixels_that_cannot_be_read_cost_one_batch(
        make_executor, make_batch, make_frame, error, reason):
    run, releases = make_executor(), []
    run.executor.accept(make_batch(make_frame('bad'), pixels=Distant(error=error),
                                   releases=releases))
    run.complained(str(error))
    run.executor.accept(make_batch(make_frame('good'), pixels=Distant()))
    run.engine.finish()
    assert run.settled()
    assert run.dropped('bad') == {reason: 1} and releases == ['net']
    assert run.counts()['good'].published == 1


def test_names_of_others_are_short_in_what_is_said_and_kept(make_executor, make_batch):
    run = make_executor()
    long = 'x' * 10 ** 6
    run.executor.accept(dataclasses.replace(make_batch(instance=long, model=long),
                                            front_end=long))
    run.executor.accept(make_batch(model=long))
    assert max(map(len, run.complaints)) < 500
    assert sum(map(len, run.counts())) < 100
