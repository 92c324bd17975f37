"""A bench is replayed with its networks, arrivals and policies."""

import copy
import json

import pytest

from s3dnn_ros.bench.results import tables
from s3dnn_ros.cli import main
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.replay import FIGURES, Plan, Replay, experiment
from s3dnn_ros.lab.sweep import sweep

SMALL_MS, LARGE_MS = 2.0, 8.0
POLICIES = ('streams', 'fifo', 'edf', 'supervised, fused')


def _rows(time_ms, utilization):
    return [{'segment': segment, 'batch': batch, 'median_ms': batch * time_ms / 2,
             'p99_ms': batch * time_ms / 2, 'worst_ms': batch * time_ms / 2,
             'tb_ratio': utilization, 'utilization': utilization}
            for segment in range(2) for batch in (1, 2)]


@pytest.fixture
def results():
    """Return what a bench writes, of figures that nobody compares."""
    nothing = dict(dict.fromkeys(FIGURES, 0.5), loop_cpu_share=0.0)
    policies = {name: [nothing, nothing] for name in POLICIES}
    return {
        'format': 2, 'environment': {'commit': 'a', 'date': 'b'}, 'device': 'a device',
        'levels': 2, 'engine': {'torch': '2'},
        'alone_ms': {'small': SMALL_MS + 0.5, 'large': LARGE_MS + 0.5},
        'profiles': {'small': _rows(SMALL_MS, 0.5), 'large': _rows(LARGE_MS, 1.0)},
        'throughput': [{'instances': 2, 'policies': policies}],
        'deadlines': [{'instances': 2, 'load': load, 'policies': policies,
                       'capacity_hz_by_client': {'small_0': 200.0, 'large_0': 110.0}}
                      for load in (0.1, 1.4)]}


def _simulated(results, part, load, policy):
    made = experiment(results, Plan('file.json', seconds=2.0))
    return next(row['simulated'] for cell, row in ((cell, made.run(cell)) for cell in made.cells
                                                   if (cell.part, cell.policy) == (part, policy))
                if row['load'] == load)


def test_a_request_alone_takes_what_it_took(results):
    response_ms = _simulated(results, 'deadlines', 0.1, 'fifo')['response_ms']
    assert response_ms['p50'] == pytest.approx(SMALL_MS + 0.5, abs=0.01)


@pytest.mark.parametrize('policy', POLICIES)
def test_more_load_misses_more_and_answers_more(results, policy):
    low, high = (_simulated(results, 'deadlines', load, policy) for load in (0.1, 1.4))
    assert high['missed_share'] > low['missed_share']
    assert high['finished_hz'] > 3.0 * low['finished_hz']


def test_work_share_is_1_where_networks_run_one_after_another(results):
    for name in results['alone_ms']:
        results['alone_ms'][name] -= 0.5
    assert _simulated(results, 'throughput', None, 'fifo')['work_share'] == pytest.approx(
        1.0, abs=0.01)


def test_what_the_host_takes_for_a_launch_makes_all_slower(results):
    before = _simulated(results, 'throughput', None, 'edf')['work_share']
    results['boundaries'] = [{'model': 'small', 'segments': 2, 'device_ms': SMALL_MS,
                              'job_ms': {'exact': [SMALL_MS + 1.0]}}]
    assert _simulated(results, 'throughput', None, 'edf')['work_share'] < 0.95 * before


def test_the_host_does_one_thing_after_the_other(results):
    """What it takes for a request is taken from all."""
    for name in results['alone_ms']:
        results['alone_ms'][name] += 5.0
    assert _simulated(results, 'deadlines', 1.4, 'edf')['finished_hz'] > 1.0 / 5e-3
    for row in [*results['throughput'], *results['deadlines']]:
        row['policies'] = {'edf': [dict(row['policies']['edf'][0], loop_cpu_share=5e-3 * 0.5)]}
    assert _simulated(results, 'deadlines', 1.4, 'edf')['finished_hz'] <= 1.0 / 5e-3


@pytest.mark.parametrize('engine, leads', [({'torch': '2', 'cuda': '13'}, True),
                                           ({'tensorrt': '8.6'}, True),
                                           ({'onnxruntime': '1.16'}, False)])
def test_the_next_segment_is_chosen_as_early_as_by_the_engine(results, engine, leads):
    results['engine'] = engine
    results['boundaries'] = [{'model': 'small', 'segments': 2, 'device_ms': SMALL_MS,
                              'job_ms': {'exact': [SMALL_MS + 0.2]}}]
    # with 0.1 ms for a launch, the device stands still only if nothing was submitted before
    work = _simulated(results, 'throughput', None, 'edf')['work_share']
    results['boundaries'] = []
    assert (work > 0.98 * _simulated(results, 'throughput', None, 'edf')['work_share']) == leads


def test_every_run_of_the_bench_is_replayed(results):
    made = experiment(results, Plan('file.json', 0.5))
    assert len(made.cells) == 3 * len(POLICIES) * 2
    assert len(set(made.cells)) == len(made.cells)


def test_policies_that_are_not_known_are_left_out(results):
    results['deadlines'][0]['policies']['of long ago'] = results['deadlines'][0]['policies']['edf']
    results['deadlines'][0]['policies']['process per instance'] = []
    assert {cell.policy for cell in experiment(results, Plan('file.json')).cells} == set(POLICIES)


def test_what_measured_as_it_simulates_is_near(results):
    made = experiment(results, Plan('file.json', 0.2))
    for cell in made.cells:
        row = results[cell.part][cell.row]
        row['policies'] = copy.deepcopy(row['policies'])
        row['policies'][cell.policy][cell.seed] = dict(made.run(cell)['simulated'],
                                                       loop_cpu_share=0.0)
    told = '\n'.join(tables(sweep(experiment(results, Plan('file.json', 0.2)), jobs=1)))
    assert 'Work within 10% in 12 of 12 rows.' in told
    assert 'Misses within 3 points in 8 of 8 rows.' in told


@pytest.mark.parametrize('key', ['profiles', 'alone_ms', 'levels', 'device'])
def test_what_is_missing_is_told(results, key):
    del results[key]
    with pytest.raises(ParameterError, match=r'file.json.*missing.*measure again'):
        experiment(results, Plan('file.json'))


def test_rates_that_are_missing_are_told(results):
    del results['deadlines'][1]['capacity_hz_by_client']
    with pytest.raises(ParameterError, match='measure again'):
        experiment(results, Plan('file.json'))


def test_nothing_to_replay_is_told(results):
    results['throughput'] = results['deadlines'] = []
    with pytest.raises(ParameterError, match='no throughput or deadlines'):
        experiment(results, Plan('file.json'))


def test_the_command(results, tmp_path, capsys):
    for row in (*results['throughput'], *results['deadlines']):
        row['policies'] = {'edf': row['policies']['edf'][:1]}
    (tmp_path / 'bench.json').write_text(json.dumps(results))
    assert main(['lab', 'replay', str(tmp_path / 'bench.json'), '--seconds', '0.2', '--jobs', '1',
                 '--out', str(tmp_path / 'out.json')]) == 0
    assert 'Misses within 3 points in' in capsys.readouterr().out
    assert main(['bench', 'table', str(tmp_path / 'out.json')]) == 0


def test_the_last_requests_have_their_chance(results):
    made = experiment(results, Plan('file.json', 0.5))
    cell = next(cell for cell in made.cells if cell.part == 'deadlines' and cell.policy == 'edf')
    record = Replay(made.run.args[0], cell).record(0.5)
    assert record.measured({'small': 1.0, 'large': 1.0}).missed_share == 0.0
