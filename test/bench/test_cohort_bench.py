"""The bench of the cohort's decision: whom it compares, and that they solve what they should."""

import json
import random

import numpy as np
import pytest

from s3dnn_ros.bench import cohort_bench
from s3dnn_ros.bench.cohort_bench import BOARDS, Board, run
from s3dnn_ros.cohort import Coordinator, Member, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.cohort.lag import MOST_SPEEDUP
from s3dnn_ros.errors import ParameterError

SMALL = Board('small', (('GPU', (0.25, 0.5, 1.0), 0.7, 0.6), ('EMC', (0.5, 1.0), 0.3, 0.4)))


@pytest.fixture(scope='module')
def columns():
    return cohort_bench._tables(SMALL)


def test_the_boards_have_as_many_configurations_as_the_paper_says():
    assert [int(np.prod([len(values) for _, values, _, _ in board.knobs]))
            for board in BOARDS] == [11760, 51968]


def test_everybody_is_timed_on_every_board(said):
    results = run((SMALL,), runs=2, decisions=5, sampling_s=0.05)
    assert json.loads(json.dumps(results)) == results
    rows = results['decisions']
    assert [row['policy'] for row in rows] == [
        'coordinator, min_energy', 'coordinator, max_accuracy', 'coordinator, balanced',
        'linear search', 'POET']
    # and the table's size, and the samples' cost
    assert len(said) == len(rows) + 2
    assert all(row['table_kb'] > 0.0 and row['built_ms'] > 0.0 for row in rows)
    assert all(run['share_of_core'] > 0.0 for run in results['sampling'])
    for row in rows:
        assert row['configurations'] == 6 and row['board'] == 'small'
        assert all(0.0 < run['p50'] <= run['p99'] for run in row['us'])


def test_the_linear_search_decides_as_the_coordinator_does(columns):
    linear = cohort_bench._Linear(*columns)
    tables = [SpeedupPowerTable(*rows) for rows in zip(*columns)]
    # variants that make up for anything: the search does not ask what they give
    accuracy = SpeedupAccuracyTable([1.0, 2.0 * MOST_SPEEDUP], [1.0, 0.0])
    chance = random.Random(0)
    for _ in range(200):
        configuration = chance.randrange(6)
        members = [Member(f'net_{index}', chance.uniform(-0.05, 0.03), 0.04, table, accuracy,
                          configuration) for index, table in enumerate(tables)]
        assert linear.decide(members) == Coordinator('min_energy').decide(members).configuration


@pytest.mark.parametrize('plan', [{'runs': 0}, {'decisions': 0}])
def test_too_little_to_measure(plan):
    with pytest.raises(ParameterError, match='at least 1'):
        run((SMALL,), **plan)
