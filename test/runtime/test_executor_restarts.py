"""A network that failed is loaded again while the others run."""

import threading

import pytest
from executor_bench import WAIT_S


@pytest.fixture
def two(make_executor, make_spec, tiny_onnx):
    """Return a function that makes a bench of two networks, 'one' and 'two'."""
    def build(**values):
        return make_executor(('one', 'two'), specs={
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


def test_the_restarted_network_is_loaded_as_the_first_was(make_executor, make_batch, cuttable):
    cuttable.profile(('a',), ('c',))
    run = make_executor(spec=cuttable.spec, max_batch=5)
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
        make_executor, make_batch, make_frame):
    run = make_executor(('net', 'second'), scheduler='streams')
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
        make_executor, make_batch, make_frame, cuttable):
    specs = dict.fromkeys(('net', 'second'), cuttable.spec)
    run = make_executor(tuple(specs), specs=specs, scheduler='streams')
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


def test_a_lost_engine_is_told_when_pixels_cannot_be_staged(make_executor, make_batch):
    run = make_executor()
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
