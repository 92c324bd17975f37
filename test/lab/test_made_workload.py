"""Made-up workloads: a hidden strategy serves them, and little else does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.lab.made_workload import HIDDEN_LOAD, made_workload
from s3dnn_ros.lab.strategy_trial import Trial
from s3dnn_ros.strategy.rivals import exact_rate_monotonic, load
from s3dnn_ros.strategy.strategy import is_feasible, is_of

SECONDS = 4.0


@settings(max_examples=10)
@given(seed=st.integers(0, 50), tasks=st.integers(1, 8), variants=st.integers(2, 10),
       policy=st.sampled_from(('edf', 'packing')))
def test_the_hidden_strategy_serves_it(seed, tasks, variants, policy):
    workload, hidden = made_workload(tasks, variants, seed, policy, SECONDS)
    assert is_of(workload, hidden) and load(workload, hidden.variants) == pytest.approx(
        HIDDEN_LOAD)
    again = Trial(workload, policy, SECONDS).confirming(4)
    assert is_feasible(workload, hidden, again(hidden))
    assert (workload, hidden) == made_workload(tasks, variants, seed, policy, SECONDS)


@settings(max_examples=10)
@given(seed=st.integers(0, 50))
def test_exact_models_and_larger_variants_do_not(seed):
    workload, hidden = made_workload(8, 10, seed, 'packing', SECONDS)
    exact = exact_rate_monotonic(workload)
    assert load(workload, exact.variants) > 1.5 and not workload.fits(exact.variants)
    assert not is_feasible(workload, exact, Trial(workload, seconds=SECONDS)(exact))
    larger = [variant - 2 for variant in hidden.variants]
    assert not workload.fits(larger) and load(workload, larger) > load(workload, hidden.variants)
    assert workload.fits(workload.least_storage)
