"""The executor with the scheduler `packing`; and priorities on the CPU beside it."""

import dataclasses
import threading

import pytest
from executor_bench import NOW_S, WAIT_S

from s3dnn_ros.base.clock import VirtualClock

# No network here was profiled, so that each is taken to fill the device.
BOTH_FIT, NONE_FITS = 2.5, 1.0


@pytest.fixture
def two(make_executor, fake_engine, make_spec, tiny_onnx):
    """Return a builder of executors with the instances `high` and `low`, each of its own model."""
    def build(levels=1, gated=False, **values):
        clock = VirtualClock(NOW_S)
        engine = fake_engine(clock, stages=True)
        engine.parallel, engine.levels, engine.gated = True, levels, gated
        # models of different limits share no network
        specs = {name: make_spec(onnx=tiny_onnx, name=name, max_batch=max_batch,
                                 decoder_options={'top_k': 3})
                 for name, max_batch in (('high', 1), ('low', 2))}
        return make_executor(tuple(specs), engine=engine, clock=clock, specs=specs, **{
            'scheduler': 'packing', 'packing_threshold': BOTH_FIT,
            'instances__high__priority': 2, 'instances__low__priority': 1, **values})
    return build


@pytest.fixture
def ask(make_batch, make_frame):
    """Return a function that asks an instance of an executor for a run."""
    def accept(run, name, camera='front'):
        run.executor.accept(make_batch(make_frame(camera, deadline_s=1e9), instance=name,
                                       model=name))
    return accept


def running(run, *names):
    """Wait until the engine runs a segment of each; return them."""
    steps = run.engine.running(len(names))
    by_name = {name: step for name in names for step in steps
               if step.network is run.engine.networks[name]}
    assert len(by_name) == len(steps) == len(names)
    return [by_name[name] for name in names]


def configure(run, settings, **changes):
    """Change some of the scheduling parameters."""
    run.executor.configure(dataclasses.replace(
        settings, scheduling=dataclasses.replace(settings.scheduling, **changes)))


@pytest.mark.parametrize('levels, gated, expected', [
    (3, False, [0, 1]), (1, False, [0, 0]), (1, True, [0, 0])])
def test_two_run_side_by_side_each_at_its_streams_level_if_there_is_one(
        two, ask, levels, gated, expected):
    run = two(levels, gated)
    ask(run, 'high')
    running(run, 'high')
    ask(run, 'low')
    assert [step.level for step in running(run, 'high', 'low')] == expected


def test_the_threshold_changes_while_it_runs(two, ask, executor_settings):
    run = two(packing_threshold=NONE_FITS)
    settings = executor_settings(('high', 'low'), scheduler='packing')
    ask(run, 'high')
    running(run, 'high')
    ask(run, 'low')
    run.engine.running(2, timeout=0.1)
    running(run, 'high')
    configure(run, settings, packing_threshold=BOTH_FIT)
    high, low = running(run, 'high', 'low')
    configure(run, settings, packing_threshold=NONE_FITS)
    run.engine.finish(low)
    ask(run, 'low')
    run.engine.running(2, timeout=0.1)
    running(run, 'high')
    run.engine.finish(high)
    running(run, 'low')


@pytest.mark.parametrize('scheduler, priority, times', [
    ('packing', 2, 1), ('packing', 1, 0), ('edf', 2, 0)])
def test_that_nothing_is_packed_among_equals_is_said_once(
        two, executor_settings, said, scheduler, priority, times):
    values = {'scheduler': scheduler, 'instances__low__priority': priority}
    run = two(**values)
    run.executor.configure(executor_settings(
        ('high', 'low'), instances__high__priority=2, **values))
    assert sum('same priority' in sentence for sentence in said) == times


# the work on the CPU

class Watched:
    """A function that tells when it begins, and waits until it may go on."""

    def __init__(self, function):
        self.function = function
        self.begins, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self, *arguments):
        self.begins.set()
        assert self.may_go_on.wait(WAIT_S)
        return self.function(*arguments)


def watch(run, name):
    """Have the staging of an instance's images wait for the test."""
    network = run.engine.networks[name]
    network.stage = Watched(network.stage)
    return network.stage


def test_cpu_work_of_low_priority_runs_while_high_priority_is_on_the_device(two, ask):
    """RT-mDL's split: both its copy before and its decoding behind need no device."""
    run = two()
    ask(run, 'high')
    high, = running(run, 'high')
    before = watch(run, 'low')
    ask(run, 'low')
    assert before.begins.wait(WAIT_S)
    assert running(run, 'high') == [high]
    before.may_go_on.set()
    run.engine.finish(running(run, 'high', 'low')[1])
    assert run.results.get(timeout=WAIT_S).instance == 'low'
    assert running(run, 'high') == [high]


def test_of_copies_that_wait_those_of_high_priority_go_first(two, ask):
    run = two()
    before = {name: watch(run, name) for name in ('low', 'high')}
    ask(run, 'low', 'first')
    assert before['low'].begins.wait(WAIT_S)
    before['low'].begins.clear()
    ask(run, 'low', 'second')
    ask(run, 'high')
    before['low'].may_go_on.set()
    assert before['high'].begins.wait(WAIT_S)
    assert not before['low'].begins.is_set()
    before['high'].may_go_on.set()


def test_of_results_that_wait_those_of_high_priority_go_first(two, ask):
    run = two()
    run.may_publish.clear()
    for name, camera in (('low', 'first'), ('low', 'second'), ('high', 'third')):
        ask(run, name, camera)
        run.engine.finish(running(run, name)[0])
        assert run.publishes.wait(WAIT_S)
    # the core takes in the second of these in a step behind the one in which the third has ended
    for names in (('high',), ('high', 'low')):
        ask(run, names[-1], 'last')
        running(run, *names)
    run.may_publish.set()
    cameras = [result.frame.camera for result in run.published()]
    assert [camera for camera in cameras if camera != 'last'] == ['first', 'third', 'second']
