"""The core in virtual time: repeatable, complete, and fast enough to be of use."""

import pytest

from s3dnn_ros.bench.results import tables
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab import virtual_bench
from s3dnn_ros.lab.virtual_bench import Plan, Simulation
from s3dnn_ros.scheduling.rivals import KNOWN


def outcome(simulation):
    return (simulation.answered, simulation.missed, simulation.dropped, simulation.segments)


@pytest.mark.parametrize('policy', sorted(KNOWN))
def test_the_same_seed_gives_the_same_run(policy):
    outcomes = []
    for seed in (1, 1, 2):
        simulation = Simulation(Plan(load=1.2), policy, seed)
        simulation.run_until(10.0)
        outcomes.append(outcome(simulation))
    assert outcomes[0] == outcomes[1] != outcomes[2]


@pytest.mark.parametrize('board', ['tx2', 'agx_xavier'])
def test_a_board_is_a_device_like_any_other(board):
    outcomes = []
    for _ in range(2):
        simulation = Simulation(Plan(instances=5, load=0.5, board=board), 'edf')
        simulation.run_until(5.0)
        outcomes.append(outcome(simulation))
    assert outcomes[0] == outcomes[1]
    answered, missed, dropped, segments = outcomes[0]
    assert answered > 20 and segments == 4 * answered
    assert missed + dropped < 0.5 * answered


@pytest.mark.parametrize('policy', sorted(KNOWN))
def test_what_the_device_carries_with_ease_is_in_time(policy):
    simulation = Simulation(Plan(instances=2, load=0.1), policy)
    simulation.run_until(20.0)
    answered, missed, dropped, _ = outcome(simulation)
    assert answered > 20
    assert missed + dropped <= 0.1 * answered


def test_deadlines_are_kept_better_by_those_who_know_them():
    late = {}
    for policy in ('fifo', 'edf', 'supervised'):
        simulation = Simulation(Plan(load=0.9), policy, seed=3)
        simulation.run_until(60.0)
        late[policy] = simulation.missed + simulation.dropped
    assert late['supervised'] < late['fifo'] and late['edf'] < late['fifo']


def test_results_have_a_row_for_each_policy_and_are_saved_after_each_run(said):
    saved = []
    results = virtual_bench.run(Plan(instances=2, seconds=2.0, policies=('fifo', 'edf'), runs=2),
                                lambda results: saved.append(results))
    assert [(row['policy'], len(row['runs'])) for row in results['virtual']] == [
        ('fifo', 2), ('edf', 2)]
    assert len(saved) == len(said) == 4
    assert results['device'] == 'simulated' and 0.0 < results['stamp_us'] < 1000.0
    text = '\n'.join(tables(results))
    assert '`fifo`' in text and '`edf`' in text and 'not measured' in text
    assert text.startswith('Simulated device, ')
    results = virtual_bench.run(Plan(instances=1, seconds=2.0, policies=('fifo',), runs=1,
                                     board='tx2'))
    assert '\n'.join(tables(results)).startswith('Simulated tx2, ')


def test_a_long_run_tells_what_a_segment_takes_at_every_mark(monkeypatch):
    monkeypatch.setattr(virtual_bench, 'FIRST_MARK', 100)
    results = virtual_bench.run(Plan(instances=2, seconds=2.0, policies=('edf',), runs=1,
                                     segments_total=5000))
    (row,) = results['virtual']
    counts = [mark['segments'] for mark in row['marks']]
    assert [counted >= mark for counted, mark in zip(counts, (100, 1000, 5000))] == [True] * 3
    assert len(counts) == 3 and counts[-1] < 6000
    assert all(mark['segment_us'] > 0.0 and mark['resident_kb'] > 1000 for mark in row['marks'])
    # what is kept of each segment would be more than that
    assert row['marks'][-1]['resident_kb'] - row['marks'][0]['resident_kb'] < 20_000
    assert '| `edf` | ' + str(counts[-1]) in '\n'.join(tables(results))


def test_a_long_run_ends_where_nothing_does(monkeypatch):
    monkeypatch.setattr(virtual_bench, 'DEADLINES', (0.1, 0.1))
    results = virtual_bench.run(Plan(instances=1, seconds=2.0, policies=('edf',), runs=1,
                                     segments_total=5000))
    assert results['virtual'][0]['marks'] == []


@pytest.mark.parametrize('wrong, said', [
    ({'segments_total': -1}, '--segments-total'),
    ({'instances': 0}, '--instances'), ({'segments': 0}, '--segments'), ({'load': 0.0}, '--load'),
    ({'seconds': float('nan')}, '--seconds'), ({'runs': 0}, '--runs'),
    ({'policies': ('edf', 'magic')}, 'magic')])
def test_what_cannot_be_simulated_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        Plan(**wrong)
