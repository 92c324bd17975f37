"""The bench of distances has a row for each kind of depths, and its results become a table."""

import pytest

from s3dnn_ros.bench import distance_bench
from s3dnn_ros.bench.distance_bench import Plan
from s3dnn_ros.bench.results import tables
from s3dnn_ros.errors import ParameterError


def test_every_kind_of_depths_is_measured_and_saved_after_each_run(said):
    saved = []
    plan = Plan(64, 48, points=100, boxes=3, fps=1000.0, frames=4, runs=2)
    results = distance_bench.run(plan, lambda results: saved.append(len(results['distances'])))
    assert saved == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5] and len(said) == 10
    for row in results['distances']:
        assert len(row['runs']) == 2
        assert all(0.0 < one['p50_ms'] <= one['p99_ms'] for one in row['runs'])
    text = '\n'.join(tables(results))
    assert '| depth image, 16UC1 |' in text and '| compressed depth image, 16UC1 |' in text
    assert 'clouds of 100 points, 3 boxes' in text


@pytest.mark.parametrize('wrong, said', [
    ({'points': 0}, '--points'), ({'boxes': 0}, '--boxes'), ({'frames': 0}, '--frames'),
    ({'runs': 0}, '--runs'), ({'fps': 0.0}, '--fps')])
def test_what_cannot_be_measured_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        Plan(**wrong)
