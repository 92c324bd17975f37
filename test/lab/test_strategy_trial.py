"""Strategies in virtual time: repeatable, complete, and right where the answer is known."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.strategy_trial import Trial, parallel
from s3dnn_ros.scheduling import POLICIES
from s3dnn_ros.strategy.rivals import exact_rate_monotonic
from s3dnn_ros.strategy.strategy import Strategy


@st.composite
def strategies(draw, tasks=3, variants=3):
    return Strategy.in_order(
        draw(st.lists(st.integers(0, variants - 1), min_size=tasks, max_size=tasks)),
        draw(st.permutations(range(tasks))))


@settings(max_examples=15)
@given(strategy=strategies(), load=st.floats(0.1, 3.0), policy=st.sampled_from(sorted(POLICIES)))
def test_a_strategy_has_the_same_result_every_time(make_workload, strategy, load, policy):
    trial = Trial(make_workload(load=load), policy, seconds=1.0, seeds=(0, 1))
    measurement = trial(strategy)
    assert measurement == trial(strategy)
    for rate, response_ms in zip(measurement.missed, measurement.response_ms):
        assert 0.0 <= rate <= 1.0
        assert response_ms is not None or rate == 1.0
    other = dataclasses.replace(trial, seeds=(2, 3))(strategy)
    assert other != measurement


@pytest.mark.parametrize('policy', sorted(POLICIES))
def test_what_the_device_carries_with_ease_is_in_time(make_workload, policy):
    workload = make_workload(load=0.2)
    assert Trial(workload, policy)(exact_rate_monotonic(workload)).missed == (0.0, 0.0, 0.0)


def test_a_task_alone_takes_its_time_and_no_longer_than_the_jitter_allows(make_workload):
    workload = make_workload(tasks=1, load=0.5, before_s=0.004, behind_s=0.002)
    [response_ms] = Trial(workload, jitter=0.1)(Strategy((0,), (1,))).response_ms
    alone_ms = 1e3 * workload.tasks[0].model.variants[0].alone_s
    assert alone_ms < response_ms < 1.1 * alone_ms
    [response_ms] = Trial(workload, jitter=0.0)(Strategy((0,), (1,))).response_ms
    assert response_ms == pytest.approx(alone_ms)


@given(order=st.permutations(range(3)))
@settings(max_examples=6)
def test_in_an_overload_the_least_important_misses_most(make_workload, order):
    workload = make_workload(load=1.5)
    missed = Trial(workload)(Strategy.in_order((0, 0, 0), order)).missed
    assert missed[order[0]] < 0.05 < missed[order[-1]]


def test_smaller_variants_relieve_everybody(make_workload):
    workload = make_workload(load=1.5)
    trial = Trial(workload)
    exact, smaller = (trial(Strategy.in_order([variant] * 3, range(3))) for variant in (0, 2))
    assert sum(smaller.missed) == 0.0 < sum(exact.missed)


def test_processors_are_shared_by_priority(make_workload):
    workload = make_workload(load=0.1, before_s=0.02)
    most, least = Strategy((0, 0, 0), (3, 2, 1)), Strategy((0, 0, 0), (1, 2, 3))
    assert 0.0 < Trial(workload)(most).missed[0] < Trial(workload)(least).missed[0]
    assert Trial(workload, cpus=3)(least).missed[0] == 0.0


def test_of_frames_that_wait_for_a_processor_the_newest_stays(make_workload):
    workload = make_workload(tasks=1, load=0.1, before_s=0.06)
    patient = dataclasses.replace(workload.tasks[0], deadline_s=0.2)
    workload = dataclasses.replace(workload, tasks=(patient,))
    # of a queue that grows, nearly all would be late
    assert 0.0 < Trial(workload)(Strategy((0,), (1,))).missed[0] < 0.4


def test_work_on_a_processor_overlaps_with_that_on_the_device(make_workload):
    # one after the other, they would take 1.25 of the time, and a fifth would be late
    workload = make_workload(tasks=2, load=0.8, before_s=0.015, behind_s=0.0)
    assert max(Trial(workload, segment_ms=1.0)(Strategy((0, 0), (2, 1))).missed) < 0.15


@settings(max_examples=20)
@given(utilization=st.floats(0.05, 1.0), order=st.permutations(range(2)))
def test_packing_runs_side_by_side_only_what_fits(make_workload, utilization, order):
    workload = make_workload(tasks=2, load=1.4, utilization=utilization)
    strategy = Strategy.in_order((0, 0), order)
    packed, one_by_one = (Trial(workload, policy, cpus=2, jitter=0.0)(strategy)
                          for policy in ('packing', 'edf'))
    if 2 * utilization < 1.0:
        assert packed.missed == (0.0, 0.0) and sum(one_by_one.missed) > 0.0
        # the more important task waits for the end of a segment, and nothing slows it down then
        most = order[0]
        alone_ms = 1e3 * workload.tasks[most].model.variants[0].alone_s
        assert packed.response_ms[most] <= alone_ms + Trial.segment_ms + 1e-6
    else:
        assert packed == one_by_one


def test_a_confirming_trial_takes_longer_and_has_other_seeds(make_workload):
    trial = Trial(make_workload(), seconds=2.0, seeds=(4, 5))
    confirming = trial.confirming(3)
    assert confirming.seconds == 6.0 and len(confirming.seeds) == 6
    assert not set(confirming.seeds) & set(trial.seeds)


@pytest.mark.parametrize('wrong, said', [
    ({'policy': 'magic'}, 'policy'), ({'seconds': 0.1}, '0.6 at least'),
    ({'seconds': float('nan')}, 'seconds')])
def test_what_cannot_be_tried_is_refused(make_workload, wrong, said):
    with pytest.raises(ParameterError, match=said):
        Trial(make_workload(), **wrong)


def test_processes_measure_what_one_measures(make_workload):
    pytest.importorskip('joblib')
    trial = Trial(make_workload(load=1.2), seconds=1.0, seeds=(0,))
    strategies = [Strategy.in_order((0, 1, 2), order) for order in ((0, 1, 2), (2, 1, 0))]
    with parallel(trial, 2) as measure:
        assert measure(strategies) == [trial(strategy) for strategy in strategies]


def test_a_key_is_of_all_that_results_depend_on(make_workload):
    trial = Trial(make_workload())
    others = [Trial(make_workload(load=0.6)), dataclasses.replace(trial, policy='fifo'),
              dataclasses.replace(trial, cpus=2), trial.confirming(2)]
    assert trial.key == Trial(make_workload()).key
    assert len({each.key for each in (trial, *others)}) == 5
