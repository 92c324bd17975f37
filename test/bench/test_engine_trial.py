"""Strategies on an engine: who runs what, what counts as missed, and what results depend on."""

import dataclasses
import math
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.bench import engine_trial
from s3dnn_ros.bench.engine_trial import EngineTrial
from s3dnn_ros.bench.record import Answer, Offered, Record
from s3dnn_ros.bench.task_models import TaskModels, TaskSetup, load_task_models
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.strategy.strategy import Strategy

ENGINE = types.SimpleNamespace(device='a board', versions={'engine': '1'})


def models_of(setup=None, engine=ENGINE, works=None):
    return TaskModels(setup or TaskSetup(), types.SimpleNamespace(engine=engine, rig=None), works,
                      b'')


@pytest.fixture(scope='session')
def named(make_workload):
    """Return a builder of workloads whose variants name models: `net_0_2` is a smaller one."""
    def build(**options):
        workload = make_workload(**options)
        return dataclasses.replace(workload, tasks=tuple(
            dataclasses.replace(task, model=dataclasses.replace(task.model, variants=tuple(
                dataclasses.replace(variant, model=f'{task.model.name}_{index}')
                for index, variant in enumerate(task.model.variants))))
            for task in workload.tasks))
    return build


@pytest.fixture(scope='session')
def make_trial(named):
    """Return a builder of trials on no engine."""
    def build(workload=None, **options):
        workload = workload or named()
        works = {variant.model: variant.model for task in workload.tasks
                 for variant in task.model.variants}
        return EngineTrial(workload, models_of(works=works), **options)
    return build


@pytest.fixture
def runs(monkeypatch):
    """Return what runs were made with: they answer as `answer` says, a function of a task.

    It gives for each frame of the task, of which 10 are in the window, when its result comes
    after it, or None.
    """
    made = types.SimpleNamespace(calls=[], answer=lambda task: [0.0] * 10)

    class Run:
        def __init__(self, rig, works, tasks, contender, workers):
            made.calls.append((works, tasks, contender, workers))
            self._tasks = tasks

        def record(self, seconds):
            offered, answers = [], []
            for task in self._tasks:
                # the first comes before the window, and the last after it
                for number, late_s in enumerate([9.0, *made.answer(task), None]):
                    offered.append(Offered(task.name, number, number + task.deadline_s))
                    if late_s is not None:
                        answers.append(Answer(task.name, number, number + late_s,
                                              number + task.deadline_s, 1))
            return Record(0.5, 10.5, {}, offered, answers, (), (), 0.0, None)

    monkeypatch.setattr(engine_trial, 'TaskRun', Run)
    return made


@given(order=st.permutations(range(3)), variants=st.tuples(*[st.integers(0, 2)] * 3),
       seed=st.integers(0, 9))
@settings(max_examples=20)
def test_tasks_run_their_variants_with_their_priorities(make_trial, order, variants, seed):
    with pytest.MonkeyPatch.context() as patch:
        made = []

        class Stop(Exception):
            pass

        def run(rig, works, tasks, contender, workers):
            made.append((works, tasks, contender, workers))
            raise Stop

        patch.setattr(engine_trial, 'TaskRun', run)
        strategy = Strategy.in_order(variants, order)
        trial = make_trial(seeds=(seed,), cpus=2, policy='edf')
        with pytest.raises(Stop):
            trial(strategy)
        [(works, tasks, contender, workers)] = made
    names = [f'net_{task}_{variant}' for task, variant in enumerate(variants)]
    assert [task.model for task in tasks] == names and works == {name: name for name in names}
    assert tuple(task.priority for task in tasks) == strategy.priorities
    assert all(0.0 <= task.phase_s <= task.period_s for task in tasks)
    assert (contender.policy.scheduler, contender.ranked, workers) == ('edf', True, 2)


def test_what_has_no_result_in_time_is_missed_over_all_runs(make_trial, runs):
    late = {'task_0': 0, 'task_1': 4, 'task_2': 10}
    runs.answer = lambda task: [None if number < late[task.name] else 0.001
                                for number in range(10)]
    measurement = make_trial(seeds=(0, 1))(Strategy((0, 0, 0), (3, 2, 1)))
    assert measurement.missed == (0.0, 0.4, 1.0) and len(runs.calls) == 2
    assert measurement.response_ms == (pytest.approx(1.0), pytest.approx(1.0), None)
    phases = [[task.phase_s for task in tasks] for _, tasks, _, _ in runs.calls]
    assert phases[0] != phases[1]


def test_a_result_behind_its_deadline_is_missed(make_trial, runs):
    runs.answer = lambda task: [2.0 * task.deadline_s] * 3 + [0.5 * task.deadline_s] * 7
    assert make_trial()(Strategy((0, 0, 0), (3, 2, 1))).missed == (0.3, 0.3, 0.3)


def test_on_streams_nobody_is_more_important(make_trial, runs):
    make_trial(policy='streams')(Strategy((0, 0, 0), (3, 2, 1)))
    [(_, _, contender, _)] = runs.calls
    assert contender.policy.scheduler == 'streams' and not contender.ranked


def test_a_confirming_trial_takes_longer_and_has_other_seeds(make_trial):
    trial = make_trial(seconds=2.0, seeds=(4, 5))
    confirming = trial.confirming(3)
    assert confirming.seconds == 6.0 and len(confirming.seeds) == 6
    assert not set(confirming.seeds) & set(trial.seeds)


def test_a_key_is_of_all_that_results_depend_on(make_trial, named):
    trial = make_trial()
    others = [make_trial(named(load=0.6)), make_trial(policy='fifo'), make_trial(cpus=2),
              trial.confirming(2),
              dataclasses.replace(trial, models=models_of(TaskSetup(width=640))),
              dataclasses.replace(trial, models=models_of(engine=types.SimpleNamespace(
                  device='a board', versions={'engine': '2'})))]
    assert trial.key == make_trial().key
    assert len({each.key for each in (trial, *others)}) == 7


@pytest.mark.parametrize('wrong, said', [
    ({'policy': 'magic'}, 'policy'), ({'seconds': 0.1}, '0.15 at least'),
    ({'seconds': math.nan}, 'seconds')])
def test_what_cannot_be_tried_is_refused(make_trial, wrong, said):
    with pytest.raises(ParameterError, match=said):
        make_trial(**wrong)


def test_on_an_engine_it_measures_what_comes(engine, tiny_model, make_workload, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.task_run.SETTLE_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.bench.task_models.REPEATS', 3)
    models = load_task_models(engine, engine.clock, {tiny_model: 2}, TaskSetup(16, 16, 1.0))
    times = models.times(tiny_model)
    assert times.device == engine.device and 0.0 < times.utilization <= 1.0
    assert min(times.before_s, times.device_s, times.behind_s) > 0.0
    workload = make_workload(tasks=2, variants=1)
    exact = dataclasses.replace(workload.tasks[0].model.variants[0], model=tiny_model)
    workload = dataclasses.replace(workload, tasks=tuple(
        dataclasses.replace(task, model=dataclasses.replace(task.model, variants=(exact,)),
                            deadline_s=deadline_s)
        for task, deadline_s in zip(workload.tasks, (1.0, -1.0))))
    measurement = EngineTrial(workload, models, seconds=0.3)(Strategy((0, 0), (1, 2)))
    assert measurement.missed[1] == 1.0 and measurement.response_ms[1] is None
    assert 0.0 <= measurement.missed[0] < 1.0 and measurement.response_ms[0] > 0.0
