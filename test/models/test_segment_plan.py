"""Plans balance the segments exactly, survive a file, and refuse another network."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.segment_plan import (
    SegmentPlan,
    apply,
    balanced,
    load_plan,
    plan_path,
    plan_segments,
)

DIGEST = 'a' * 64
times = st.lists(st.floats(0, 10), min_size=1, max_size=8)


def sums(costs, cuts):
    bounds = [0, *(cut + 1 for cut in cuts), len(costs)]
    return [sum(costs[start:end]) for start, end in zip(bounds, bounds[1:])]


@given(times, st.floats(0.1, 20))
def test_no_other_cuts_are_better(costs, target):
    cuts = balanced(costs, target)
    limit = min(len(costs), max(1, round(sum(costs) / target)))
    assert len(cuts) < limit or limit == 1 == len(cuts) + 1
    assert list(cuts) == sorted(set(cuts)) and set(cuts) <= set(range(len(costs) - 1))

    def cost(cuts):
        parts = sums(costs, cuts)
        return max(parts), sum((part - target) ** 2 for part in parts)

    ways = [cost(way) for count in range(limit)
            for way in itertools.combinations(range(len(costs) - 1), count)]
    largest = min(way[0] for way in ways)
    off = min(way[1] for way in ways if way[0] <= largest * (1 + 1e-9))
    assert cost(cuts) == pytest.approx((largest, off), rel=1e-6, abs=1e-9)


def test_one_long_unit_does_not_make_slivers_of_the_others():
    assert balanced([1, 1, 1, 1, 100], 5) == (3,)
    assert balanced([1] * 12, 3) == (2, 5, 8)
    assert balanced([1, 1], 1e9) == ()


@pytest.mark.parametrize(('costs', 'target'), [
    ([], 1), ([1, -1], 1), ([float('nan')], 1), ([float('inf')], 1), ([1], 0), ([1], -1)])
def test_times_that_are_none_are_refused(costs, target):
    with pytest.raises(ValueError, match='expected times above 0'):
        balanced(costs, target)


@pytest.fixture
def network(make_network):
    names = ['features', 'a', 'b', 'c', 'y']
    return make_network([helper.make_node('Neg', [source], [target], target)
                         for source, target in zip(names, names[1:])])


@pytest.fixture
def plan(network):
    """Plan segments of a millisecond a node, at most two nodes each."""
    def measure(models):
        return [1e-3 * len(model.graph.node) for model in models]

    return plan_segments(network, 'tiny', DIGEST, measure, 2e-3, 1, 'fake', 'a counter of nodes')


def test_a_plan_is_made_from_measured_units_and_applied(plan, network):
    assert len(plan.cuts) == 1 and sorted(plan.times_ms) == pytest.approx([2, 3])
    segments = apply(plan, network, DIGEST)
    assert [segment.outputs for segment in segments] == [plan.cuts[0], ('y',)]
    assert sum(len(segment.model.graph.node) for segment in segments) == 5


def test_a_plan_survives_its_file(plan):
    path = plan_path('tiny')
    plan.save(path)
    loaded = load_plan(path)
    assert loaded == plan and loaded.source == str(path)
    assert 'source' not in json.loads(path.read_text())


def test_a_place_that_cannot_be_written_is_told(plan, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ModelError, match='cannot be written'):
        plan.save(tmp_path / 'file' / 'tiny.json')


@pytest.mark.parametrize('kept', [0.0, 0.3, 0.9])
def test_a_truncated_plan_is_refused(plan, kept):
    path = plan_path('tiny')
    plan.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * kept)])
    refused(path, 'not a whole JSON file')


def refused(path, told):
    with pytest.raises(ModelError, match=told) as caught:
        load_plan(path)
    assert str(path) in str(caught.value)
    assert 'run `s3dnn models segment tiny` again' in str(caught.value)


def test_a_missing_plan_is_refused():
    refused(plan_path('tiny'), 'cannot be read')


@pytest.mark.parametrize(('changes', 'told'), [
    ({'model': 3}, "'model' is 3; expected text"),
    ({'sha256': None}, "'sha256' is None"),
    ({'cuts': [['features', 7]]}, "'cuts' is .* a list of lists of texts"),
    ({'cuts': 5}, "'cuts' is 5"),
    ({'times_ms': [1.0]}, '1 times for 1 cuts'),
    ({'times_ms': [1.0, -1.0]}, "'times_ms' is .*-1.0.* a list of numbers from 0"),
    ({'times_ms': [1.0, 10 ** 400]}, "'times_ms' is .*inf"),
    ({'times_ms': ['x', 'y']}, "'times_ms' is"),
    ({'max_alive': 'many'}, "'max_alive' is 'many'"),
    ({'max_alive': 10 ** 30}, "'max_alive' is 1000"),
    ({'target_ms': []}, r"'target_ms' is \[\]"),
])
def test_a_plan_with_a_wrong_value_is_refused(plan, changes, told):
    values = dataclasses.asdict(plan)
    values.update(changes)
    path = plan_path('tiny')
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(values))
    refused(path, told)


@pytest.mark.parametrize('content, told', [
    ('[]', 'holds no mapping'), ('3', 'holds no mapping'), ('{}', "lacks the key 'cuts'"),
    ('{"model": "tiny"}', "lacks the key 'cuts'")])
def test_json_that_is_no_plan_is_refused(content, told):
    path = plan_path('tiny')
    path.parent.mkdir(parents=True)
    path.write_text(content)
    refused(path, told)


@pytest.mark.parametrize(('changes', 'digest', 'told'), [
    ({}, 'b' * 64, 'SHA-256'),
    ({'cuts': (('gone',),)}, DIGEST, 'cuts at gone'),
    ({'cuts': (('b',), ('a',))}, DIGEST, 'another order'),
    ({'cuts': (('b',), ('b',))}, DIGEST, 'another order'),
    ({'source': '/elsewhere.json'}, 'b' * 64, '/elsewhere.json'),
])
def test_a_plan_of_another_network_is_refused(plan, network, changes, digest, told):
    with pytest.raises(ModelError, match=told) as caught:
        apply(dataclasses.replace(plan, **changes), network, digest)
    assert changes.get('source', str(plan_path('tiny'))) in str(caught.value)
    assert 'run `s3dnn models segment tiny` again' in str(caught.value)


def test_a_network_that_cannot_be_cut_is_one_segment(network):
    plan = plan_segments(
        network, 'tiny', DIGEST, lambda models: np.ones(len(models)), 0.1, 0, 'fake', '')
    assert plan == SegmentPlan('tiny', DIGEST, 0, 100.0, 'fake', '', (), (1e3,))
    segment, = apply(plan, network, DIGEST)
    assert segment.inputs == ('x',) and segment.outputs == ('y',)


def test_a_short_network_is_measured_once_and_not_cut(network):
    measured = []

    def measure(models):
        measured.append(len(models))
        return [1.4e-3]

    plan = plan_segments(network, 'tiny', DIGEST, measure, 1e-3, 1, 'fake', '')
    assert plan.cuts == () and plan.times_ms == (1.4,) and measured == [1]
