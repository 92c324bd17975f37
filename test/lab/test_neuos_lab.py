"""NeuOS's experiment on simulated boards: repeatable, complete, and true where truth is known."""

import dataclasses
import json

import pytest

from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.neuos_lab import COHORTS, MODELS, Cell, Plan, experiment, run
from s3dnn_ros.lab.neuos_networks import networks_of
from s3dnn_ros.lab.sweep import sweep

TINY = Plan(boards=('tx2',), cohorts=('small', 'medium'), contenders=('Max-N', 'balanced'),
            seeds=2, seconds=0.5, period_factors=(2.0,))
# what a machine took is no part of a run
MEASURED = ('times_real', 'decision_us')


def cell(contender='Max-N', models=('GoogLeNet',), seed=0, seconds=1.0, factor=1.0):
    return Cell('tx2', 'small', models, contender, seed, seconds, factor, 8, 'neuos')


def figures(result):
    return {name: value for name, value in result.items() if name not in MEASURED}


@pytest.mark.parametrize('contender', ['balanced', 'PredJoule', 'POET', 'race to idle'])
def test_the_same_seed_gives_the_same_figures(contender):
    one, same, other = (figures(run(cell(contender, MODELS, seed, 0.5, 4.0)))
                        for seed in (3, 3, 4))
    assert one == same != other


def test_more_time_gives_no_fewer_requests():
    counts = [run(cell(seconds=seconds))['requests'] for seconds in (0.3, 0.6, 1.2)]
    assert 0 < counts[0] < counts[1] < counts[2]


def test_of_fixed_configurations_the_fastest_answers_soonest_and_uses_most():
    fastest, slower = (run(cell(name)) for name in ('Max-N', 'Max-Q'))
    assert fastest['mean_ms'] < slower['mean_ms'] < 30.0
    assert fastest['frame_mj'] > slower['frame_mj'] > 0.0
    assert fastest['missed_share'] == slower['missed_share'] == 0.0
    for result in (fastest, slower):
        assert result['score'] == result['exact_share'] == 1.0
        assert result['transitions_hz'] == 0.0 and len(result['configurations']) == 1
        assert 0.0 < result['frame_above_rest_mj'] < result['frame_mj']
        assert result['lag_range'] is None and result['twins_ms'] is None


def test_a_longer_period_needs_less_power():
    often, seldom = (run(cell(factor=factor)) for factor in (1.0, 3.0))
    assert seldom['requests'] < 0.5 * often['requests']
    assert seldom['power_w'] < often['power_w']


def test_a_mode_meets_a_loose_deadline_with_less_energy_and_exact():
    found, fastest = (run(cell(name)) for name in ('min_energy', 'Max-N'))
    assert found['missed_share'] == 0.0 and found['exact_share'] == 1.0
    assert found['frame_mj'] < 0.8 * fastest['frame_mj']


def test_where_exact_networks_are_late_approximation_answers():
    late, approximate = (run(cell(name, ('VGG-16',))) for name in (
        'Max-N', 'balanced, by network'))
    assert late['missed_share'] == 1.0 and late['score'] is None
    assert approximate['missed_share'] < 0.3 and approximate['score'] < 1.0


def test_nobody_races_to_a_rest_from_which_the_board_wakes_too_late():
    # AlexNet has 10 ms, takes 7, and the memory's clock takes 8 to change; ResNet-50 has 150
    restless, rested = (run(cell('race to idle', (model,))) for model in ('AlexNet', 'ResNet-50'))
    assert restless['transitions_hz'] == 0.0 < rested['transitions_hz']
    assert restless['missed_share'] == rested['missed_share'] == 0.0


def test_two_of_a_model_are_twins():
    result = run(cell('Max-N', ('GoogLeNet', 'ResNet-50') * 2, factor=2.0))
    assert result['twins_ms'] >= 0.0 <= result['lag_range'] <= 1.0
    assert set(result['by_model']) == {'GoogLeNet', 'ResNet-50'}


def test_the_oracle_misses_no_more_and_uses_no_more_than_the_fastest():
    found, fastest = (run(dataclasses.replace(cell(name, seconds=0.15), segments=2))
                      for name in ('oracle', 'Max-N'))
    assert found['missed_share'] <= fastest['missed_share']
    assert found['frame_mj'] < 0.8 * fastest['frame_mj']


def test_what_the_oracle_cannot_reach_is_told_beside_the_others(tmp_path):
    path = tmp_path / 'out.json'
    sweep(experiment(dataclasses.replace(
        TINY, cohorts=('medium',), contenders=('oracle', 'Max-N', 'balanced'), seeds=1,
        period_factors=(1.0,))), path, 1)
    results = read_results(path)
    found, fastest, _ = (row['result'] for row in results['cells'])
    assert not found['search']['searched'] and 1 < found['search']['runs'] < 12
    assert 0.0325 < found['missed_share'] <= fastest['missed_share']
    text = '\n'.join(tables(results))
    assert '| oracle | simulations for a search | Max-N | balanced |' in text
    assert f"| {found['search']['runs']}; searched 0 of 1 |" in text


@pytest.mark.parametrize('board', ['tx2', 'agx_xavier'])
def test_networks_have_variants_that_gain_and_lose(board):
    for network in networks_of(board, 'neuos', 8).values():
        assert len(network.segments) == len(network.tables.power) == 8
        assert network.low_rank_mb < network.weights_mb
        for speedups, table in zip(network.speedups, network.tables.accuracy):
            assert list(speedups) == sorted(set(speedups)) and speedups[0] == 1.0
            assert list(table.score) == pytest.approx(
                [1.0 - 0.01 * number for number in range(len(speedups))])
            # the host's time gains nothing
            assert all(1.0 <= known <= alone for known, alone in zip(table.speedup, speedups))


def test_cells_are_all_combinations_and_a_sweep_goes_on(tmp_path):
    path = tmp_path / 'out.json'
    small = experiment(dataclasses.replace(TINY, cohorts=('small',)))
    assert len(small.cells) == 4 * 2 * 2
    assert {each.models for each in small.cells} == set(COHORTS['small'])
    sweep(small, path, 1)
    whole = experiment(TINY)
    results = sweep(whole, path, 1)
    assert results['complete'] and len(results['cells']) == len(whole.cells) == 5 * 2 * 2
    json.loads(json.dumps(results))
    text = '\n'.join(tables(read_results(path)))
    assert '### tx2, small (VGG-16), a frame every 2 deadlines' in text
    assert '| Max-N | 100.0 ± 0.0 | – | – |' in text       # VGG-16 is late there
    assert '| small | 3.25 |' in text and '| AlexNet, small | 9.2 |' in text
    assert '`balanced` against each other one' in text and '−68 % of energy' in text
    assert '| tx2: AlexNet | 122.2 | 118.6 |' in text
    assert 'Measured, not simulated' in text


def test_without_names_everyone_contends_but_the_oracle():
    names = {each.contender for each in experiment(dataclasses.replace(
        TINY, contenders=())).cells}
    assert {'Max-N', 'Max-Q', 'race to idle', 'uncoordinated', 'POET', 'PredJoule', 'ApNet',
            'min_energy', 'balanced', 'max_accuracy'} < names
    assert 'oracle' not in names


@pytest.mark.parametrize('wrong, said', [
    ({'boards': ('nano',)}, '--boards'), ({'cohorts': ('huge',)}, '--cohorts'),
    ({'contenders': ('magic',)}, '--contenders'), ({'seeds': 0}, '--seeds'),
    ({'seconds': float('inf')}, '--seconds'),
    ({'seconds': 0.49}, '--seconds.*0.50 at least'), ({'segments': 0}, '--segments'),
    ({'period_factors': (0.0,)}, '--period-factors')])
def test_what_cannot_be_simulated_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        experiment(dataclasses.replace(TINY, **wrong))
