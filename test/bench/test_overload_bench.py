"""What the bench is asked for, and one quick run of it through real nodes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench import overload_bench
from s3dnn_ros.bench.disturbance import DURATIONS_S
from s3dnn_ros.bench.overload_bench import Plan, run
from s3dnn_ros.bench.overload_results import tables
from s3dnn_ros.errors import ParameterError

HZ = st.floats(1.0, 120.0)


@pytest.mark.parametrize('changes', [
    {'rates_hz': ()}, {'rates_hz': (15.0, 0.0)}, {'loads': (-1.0,)}, {'deadline_ms': -5.0},
    {'max_batch': 0}, {'runs': 0}, {'seconds': 1.0}, {'seconds': float('inf')}])
def test_what_cannot_be_measured_is_refused(changes):
    with pytest.raises(ParameterError, match='--'):
        Plan(**changes)


@given(st.lists(HZ, min_size=1, max_size=16), st.floats(0.1, 5.0), st.floats(1.0, 1000.0))
def test_a_load_is_a_share_of_the_limit_in_the_proportions_of_the_rates(rates_hz, load, limit_hz):
    rates = Plan(rates_hz=tuple(rates_hz)).rates(load, limit_hz)
    assert sum(rates.values()) == pytest.approx(load * limit_hz, abs=0.01)
    first = next(iter(rates.values()))
    for found_hz, rate_hz in zip(rates.values(), rates_hz):
        assert found_hz * rates_hz[0] == pytest.approx(first * rate_hz, abs=0.2)


def test_without_loads_the_rates_are_as_given():
    assert list(Plan(rates_hz=(15.0, 30.0)).rates(None, 7.0).values()) == [15.0, 30.0]


@pytest.mark.parametrize(('instants', 'phases_ms'), [
    ('together', [0.0, 0.0, 0.0, 0.0]), ('spread', [0.0, 25.0, 50.0, 75.0])])
def test_shutters_fall_together_or_are_spread_over_the_period(instants, phases_ms):
    plan = Plan(instants=instants)
    assert [overload_bench._phase_ms(plan, index, 10.0) for index in range(4)] == phases_ms


@pytest.mark.ros
def test_the_bench_through_real_nodes(tiny_model, monkeypatch, said):
    pytest.importorskip('rclpy', reason='ROS 2 is not here')
    pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')
    pytest.importorskip('onnxruntime')
    monkeypatch.setitem(DURATIONS_S, 'stop', 0.5)
    monkeypatch.setattr(overload_bench, 'SETTLE_S', 0.3)
    # long enough for the cameras to use a tick of CPU time, in which it is counted
    monkeypatch.setattr(overload_bench, 'LIMIT_S', 1.0)
    saved = []
    plan = Plan(rates_hz=(20.0, 10.0), width=64, height=48, instants='spread',
                modes=('composed',), profiles=('auto',), gates=('off',), disturb=('stop',),
                model=tiny_model, engine='onnxruntime', deadline_ms=2000.0, seconds=2.0, runs=1)
    results = run(SystemClock(), plan, save=lambda results: saved.append(json.dumps(results)))
    row, = results['overloads']
    found, = row['runs']
    assert json.loads(saved[-1]) == json.loads(json.dumps(results))
    assert found['in_time_hz'] > 5.0 and len(found['series']) == 10
    assert found['phases']['end_s'] - found['phases']['begin_s'] >= 0.5
    assert found['phases']['before_hz'] > found['phases']['during_hz']
    assert set(found['processes']) == {'pipeline', 'replay', 'monitor'}
    assert 20.0 < found['offered_hz'] < 35.0
    limit, = results['limits']
    assert limit['alone']['frames_hz'] > 0.0
    assert limit['beside'][0]['processes']['replay']['cpu_share'] > 0.0
    assert 'composed, with profile, drop, no gates, stop' in said[-1]
    assert any('composed, with profile' in line for line in tables(results))
