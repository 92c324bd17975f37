"""The closed loop of cohorts, whole, with a tiny network and a board that only keeps count."""

import functools
import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3dnn_ros.bench import neuos_bench
from s3dnn_ros.bench.contenders import CONTENDERS, contenders
from s3dnn_ros.bench.neuos_bench import Device, Plan, run
from s3dnn_ros.commands.pictures import Pictures
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.platforms import NullPlatform
from s3dnn_ros.platforms.base import Configuration


class FakeBoard:
    """Two configurations, of which the engine knows nothing, and a power for each."""

    board = name = 'fake'
    immediate = True
    configurations = (Configuration(0, 'slow'), Configuration(1, 'fast'))

    def __init__(self, made):
        self.applied, self.closed, self.transition_s = [], False, 0.0
        made.append(self)

    @property
    def transitions(self):
        return len(self.applied)

    def apply(self, index):
        self.applied.append(index)
        return 0.0

    def power_mw(self):
        return 1000.0 + 500.0 * (self.applied or [0])[-1]

    def restore(self):
        self.applied.append(0)

    def close(self):
        self.closed = True


@pytest.fixture(name='quick')
def _quick(monkeypatch):
    """Let what is waited for take little time."""
    monkeypatch.setattr('s3dnn_ros.bench.load.SETTLE_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.bench.networks.ALONE_S', 0.2)
    monkeypatch.setattr(neuos_bench, 'SETTLE_S', 0.05)
    monkeypatch.setattr('s3dnn_ros.bench.variant_networks.CONFIGURATION_S', 0.05)
    monkeypatch.setattr(neuos_bench, 'IDLE_S', 0.2)


def pictures(spec):
    images = np.random.default_rng(0).integers(0, 256, (3, spec.height, spec.width, 3), np.uint8)
    return Pictures(images[:2], images[2:], 'noise')


def counter(clock):
    """Return a counter of 4 W that steps whenever it is read."""
    return lambda: 4e3 * clock.now_s()


def test_every_contender_has_a_row_and_every_board_is_restored(engine, tiny_model, quick):
    made = []
    names = ['Max-N', 'race to idle', 'uncoordinated', 'balanced', 'min_energy, slack', 'Max-Q',
             'POET', 'PredJoule', 'ApNet']
    plan = Plan(models=(tiny_model,), instances=(1, 2), contenders=contenders(names), runs=2,
                seconds=0.4, target_ms=1.0, repeats=3)
    saved = []
    device = Device(engine, engine.clock, functools.partial(FakeBoard, made),
                    counter(engine.clock))
    results = run(device, plan, pictures, lambda content: saved.append(json.dumps(content)))
    assert json.loads(saved[-1]) == json.loads(json.dumps(results))
    assert results['idle_w'] == pytest.approx(4.0, rel=0.01)
    assert [one['name'] for one in results['models'][tiny_model]['configurations']] == [
        'slow', 'fast']
    submission_us = results['models'][tiny_model]['submission_us']
    assert all(submission_us[kind]['p50'] > 0.0 for kind in ('exact', 'switched'))
    memory = results['models'][tiny_model]['memory']
    assert memory['exact_mb'] > 0.0 and memory['coarser_mb'] == 0.0 < memory['tables_kb']
    assert [row['instances'] for row in results['cohorts']] == [1, 2]
    for row in results['cohorts']:
        assert list(row['contenders']) == names
        for runs in row['contenders'].values():
            assert len(runs) == plan.runs
            for one in runs:
                assert one['boundary_us']['p50'] > 0.0
                for half in neuos_bench.HALVES:
                    figures = one[half]
                    assert figures['finished_hz'] > 0.0 and 0.0 <= figures['missed_share'] <= 1.0
                    assert figures['power_w'] == pytest.approx(4.0, rel=0.01)
                    assert figures['above_idle_j'] == pytest.approx(0.0, abs=0.05)
                    assert sum(figures['configurations'].values()) == pytest.approx(1.0)
                    assert figures['fidelity'] == 1.0 and figures['exact_share'] == 1.0
    # one to prepare, and one for each run
    assert len(made) == 1 + 2 * len(names) * plan.runs
    assert all(board.closed for board in made)


def test_without_a_board_only_variants_are_chosen(engine, tiny_model, quick):
    plan = Plan(models=(tiny_model,), instances=(1,), contenders=contenders(['balanced']), runs=2,
                seconds=0.2, target_ms=1.0, repeats=3)
    results = run(Device(engine, engine.clock, NullPlatform), plan, pictures)
    runs = results['cohorts'][0]['contenders']['balanced']
    assert len(runs) == plan.runs
    for one in runs:
        figures = one['quiet']
        assert results['idle_w'] is figures['power_w'] is figures['above_idle_j'] is None
        assert figures['configurations'] == {'as it is': pytest.approx(1.0)}


class CountingJudge:
    """Takes a tenth for each step that a segment is coarser."""

    def __init__(self):
        self.judged = 0

    def fidelity(self, variants):
        assert any(variants)
        self.judged += 1
        return 1.0 - 0.1 * sum(variants)


ANSWERS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


@given(st.dictionaries(st.sampled_from('abc'), ANSWERS))
def test_few_answers_are_all_judged_but_the_exact_ones(answers):
    judges = {model: CountingJudge() for model in answers}
    assume(sum(any(variants) for some in answers.values() for variants in some)
           < neuos_bench.JUDGED)
    found = neuos_bench.fidelity_by_model(judges, answers)
    assert found == pytest.approx({
        model: np.mean([1.0 - 0.1 * sum(variants) for variants in some])
        for model, some in answers.items()})


@given(st.integers(0, 2000), st.integers(1, 2000), st.integers(1, 2000))
def test_many_answers_are_judged_by_a_part(exact, coarse, others):
    answers = {'a': [(0, 0)] * exact + [(1, 2)] * coarse, 'b': [(0, 1)] * others}
    judges = {model: CountingJudge() for model in answers}
    found = neuos_bench.fidelity_by_model(judges, answers)
    assert found == pytest.approx({'a': 1.0 - 0.3 * coarse / (exact + coarse), 'b': 0.9})
    assert sum(judge.judged for judge in judges.values()) <= neuos_bench.JUDGED + len(judges)


@pytest.mark.parametrize('wrong', [{'runs': 0}, {'instances': (1, 0)}, {'seconds': 0.0},
                                   {'target_ms': -1.0}, {'seconds': float('nan')}])
def test_too_little_to_measure_is_refused(wrong):
    with pytest.raises(ParameterError):
        Plan(**wrong)


def test_contenders_are_known_by_name():
    assert contenders(['Max-N', 'balanced']) == (CONTENDERS[0], next(
        one for one in CONTENDERS if one.name == 'balanced'))
    with pytest.raises(ParameterError, match='race to idle'):
        contenders(['sloth'])
