"""Results of several runs become points with their confidence."""

import math

import pytest
from runs import lab_results

from s3dnn_ros.report.points import figure, groups, points


def test_a_point_has_the_values_of_all_seeds():
    balanced, poet = points(lab_results())
    assert (balanced.decider, poet.decider) == ('balanced', 'POET')
    assert balanced.group == poet.group == ''
    assert balanced.missed_percent == pytest.approx([0.0, 1.0, 2.0])
    assert (balanced.energy, balanced.mean_ms, balanced.p99_ms) == (
        [5.0] * 3, [8.0] * 3, [20.0] * 3)


def test_bars_are_of_several_runs_and_never_below_zero():
    (one, _), (three, _) = points(lab_results(1)), points(lab_results(3))
    assert figure([one])['data'][0]['error_x'] == {'visible': False}
    bars = figure([three])['data'][0]['error_x']
    assert bars['array'][0] == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert bars['arrayminus'][0] == pytest.approx(1.0)


def test_energy_is_above_and_response_below_over_the_same_misses():
    found = figure(points(lab_results()))
    assert found['layout']['xaxis2']['matches'] == 'x'
    shown = [trace['name'] for trace in found['data'] if trace['showlegend']]
    assert shown == ['balanced', 'POET']
    # in the legend once, with all that goes with it
    assert len({trace['legendgroup'] for trace in found['data']}) == 2


@pytest.mark.parametrize('changes', [
    {'energy_j': None}, {'energy_j': 'much'}, {'energy_j': math.nan}])
def test_energy_that_nobody_knows_is_not_drawn(changes):
    found = points(lab_results(**changes))
    assert not found[0].energy
    assert 'energy' not in str(figure(found)['layout'])


def test_energy_may_be_that_of_a_frame_and_times_by_themselves():
    found = points(lab_results(energy_j=None, response_ms=None, frame_mj=25.0, mean_ms=3.0,
                               p99_ms=None))
    assert (found[0].energy_is, found[0].energy) == ('energy per frame, mJ', [25.0] * 3)
    assert (found[0].mean_ms, found[0].p99_ms) == ([3.0] * 3, [])


def test_results_without_misses_have_no_points():
    assert not points({'format': 1, 'searches': []})
    assert not points({'cells': [{'cell': {'cameras': 3}, 'result': {'missed_share': 0.1}}]})


def test_groups_are_called_by_what_differs_and_keep_their_order():
    results = lab_results()
    for index, entry in enumerate(results['cells']):
        entry['cell']['models'] = ['a', 'b'] if index else ['c']
    results['cells'][0]['cell']['board'] = 'xavier'
    assert list(groups(points(results))) == ['board xavier, models c', 'board tx2, models a + b']
