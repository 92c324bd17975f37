"""Readings of a copy of a board's files are timed; how long they take is for the bench."""

import json

from s3dnn_ros.bench.sampling_cost import RAILS, sampling_cost
from s3dnn_ros.platforms.power import PowerSampler


def test_a_copy_of_a_board_is_read_and_the_cost_is_told(capsys):
    cost = sampling_cost(seconds=0.01)
    assert json.loads(json.dumps(cost)) == cost
    assert cost['readings'] == 1
    assert cost['rails'] == sum(map(len, RAILS.values()))
    assert cost['period_s'] == PowerSampler.period_s
    assert 0.0 < cost['cpu_us']['p50'] <= cost['cpu_us']['p99']
    assert 0.0 < cost['share_of_core'] < 1.0
    assert not capsys.readouterr().out       # every rail could be read
