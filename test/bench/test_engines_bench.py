"""The bench of engines, whole, with a tiny network on the CPU."""

import functools
import json

import numpy as np
import pytest

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench.engines_bench import Plan, run, worst_error
from s3dnn_ros.bench.engines_results import tables
from s3dnn_ros.commands.pictures import pictures_for
from s3dnn_ros.errors import ParameterError


def test_all_that_is_asked_for_is_measured(tiny_model, said):
    pytest.importorskip('onnxruntime')
    saved = []
    plan = Plan((tiny_model,), ('onnxruntime',), runs=2, repeats=3, target_ms=1e3)
    results = run(SystemClock(), plan, functools.partial(pictures_for, source=None),
                  save=lambda results: saved.append(json.dumps(results)))
    assert [row['precision'] for row in results['rows']] == ['fp32', 'fp16']
    assert len(said) == len(saved) == 2 and json.loads(saved[-1]) == results
    for row in results['rows']:
        assert (row['model'], row['name'], row['computes_in']) == (
            tiny_model, 'onnxruntime', 'fp32')
        # it is what the others are compared with
        assert row['errors'] == {'whole': 0.0, 'chain': 0.0}
        assert [len(times) for times in row['times_ms'].values()] == [2, 2]
        assert row['chain_over_whole'] == [
            chain / whole for chain, whole in zip(row['times_ms']['chain'],
                                                  row['times_ms']['whole'])]
        assert set(row['load']) == {'whole', 'first', 'second'}
        assert row['load']['second']['built'] == 0 and row['notes'] == []
    lines = tables(results)
    assert lines[4].startswith(f'| {tiny_model}, onnxruntime, fp32 | 0.0e+00, 0.0e+00 | ')


def test_an_error_is_that_of_the_worst_output_by_its_largest_number():
    exact = [{'a': np.array([1.0, -10.0]), 'b': np.array([1e-3])},
             {'a': np.array([0.0, 0.0]), 'b': np.array([2e-3])}]
    found = [{'a': np.array([1.0, -10.5]), 'b': np.array([1e-3])},
             {'a': np.array([0.1, 0.0]), 'b': np.array([1.8e-3])}]
    assert worst_error(exact, exact) == 0.0
    assert worst_error(exact, found) == pytest.approx(0.1)


@pytest.mark.parametrize('values', [
    {'runs': 0}, {'repeats': 0}, {'target_ms': 0.0}, {'precisions': ('int8',)}])
def test_too_little_is_refused(values):
    with pytest.raises(ParameterError):
        Plan(**values)
