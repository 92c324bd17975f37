"""When a batch is split, what runs teach, who may run, and how units come back."""

import math
import queue
import types

import pytest
from timed_units import FakeTimedEngine, ThreadClock

from s3dnn_ros.partition import PerformanceTable, Row
from s3dnn_ros.units.engine import UnitsEngine
from s3dnn_ros.units.retries import FIRST_DELAY_S, LONGEST_DELAY_S
from s3dnn_ros.units.split_network import SplitNetwork
from s3dnn_ros.units.unit import Unit
from s3dnn_ros.units.units_network import UnitsNetwork

WAIT_S = 30.0       # for what comes at once; a test that waits so long has failed
# Deadlines: no unit is in time; any is.
LATE_S, RELAXED_S = -math.inf, math.inf


@pytest.fixture
def bench():
    """Return a builder of a network on units that take so many milliseconds for each image."""
    engines = []

    def build(**each_ms):
        clock = ThreadClock()
        units = [Unit(name, lambda ms=ms: FakeTimedEngine(clock, ms / 1e3))
                 for name, ms in each_ms.items()]
        engine = UnitsEngine(units, clock)
        engine.ask = lambda function: function()        # at once, in the engine's thread
        engines.append(engine)
        split = SplitNetwork(units, lambda unit: unit.load('net', [], [], None, max_batch=32),
                             clock)
        table = PerformanceTable([Row(name, batch, ms, 0.0)
                                  for name, ms in each_ms.items() for batch in (1, 32)])
        return types.SimpleNamespace(
            clock=clock, engine=engine, split=split, units={unit.name: unit for unit in units},
            network=UnitsNetwork(engine, split, table, (2, 2, 3), 32))

    yield build
    for engine in engines:
        engine.close()


def fly(network, pixels, deadline_s):
    """Run a flight; return its Run and what it gave, by image."""
    flight, done = network.open([pixels[:1], pixels[1:]], deadline_s), queue.Queue()
    flight.submit(0, done.put)
    run = done.get(timeout=WAIT_S)
    outputs = flight.outputs()
    flight.close()
    return run, outputs['value'].tolist() if outputs else []


def counts(run):
    return {unit: run.units.count(unit) for unit in sorted(set(run.units))}


def test_a_batch_is_split_only_if_its_deadline_wants_that(bench, images):
    network = bench(a=1.0, b=3.0).network
    for deadline_s, wanted, untypical in (
            (RELAXED_S, {'a': 8}, True), (0.008 / 0.79, {'a': 8}, True),
            (0.009, {'a': 6, 'b': 2}, False), (LATE_S, {'a': 6, 'b': 2}, False)):
        run, values = fly(network, images(8), deadline_s)
        assert (counts(run), run.untypical, run.error) == (wanted, untypical, '')
        assert values == list(range(8))


def test_a_split_that_does_not_pay_is_none_and_typical(bench, images):
    run, _ = fly(bench(a=1.0, b=100.0).network, images(8), LATE_S)
    assert (counts(run), run.untypical) == ({'a': 8}, False)


def test_times_are_those_of_the_best_split(bench):
    times = bench(a=1.0, b=3.0).network.times
    assert times.time_s(8) == pytest.approx(0.006)
    assert times.segment_times_s(1) == [pytest.approx(0.001)]
    assert times.tb_ratio(0, 8) == times.utilization(0, 8) == 1.0


def test_a_busy_unit_gets_less_and_is_forgiven(bench, images):
    built = bench(a=1.0, b=1.0)
    assert counts(fly(built.network, images(8), LATE_S)[0]) == {'a': 4, 'b': 4}
    built.units['b'].engine.each_s = 0.003
    for _ in range(40):
        run, _ = fly(built.network, images(8), LATE_S)
    assert counts(run) == {'a': 6, 'b': 2}
    built.units['b'].engine.each_s = 0.001
    for _ in range(40):
        run, _ = fly(built.network, images(8), LATE_S)
    assert counts(run) == {'a': 4, 'b': 4}


def test_only_pinned_units_run_until_none_of_them_is_left(bench, images):
    built = bench(a=1.0, b=1.0, c=1.0)
    built.engine.pin(['b', 'c'])
    assert counts(fly(built.network, images(8), LATE_S)[0]) == {'b': 4, 'c': 4}
    built.engine.pin(['c'])
    assert counts(fly(built.network, images(8), LATE_S)[0]) == {'c': 8}
    built.split.networks['c'].broken = 'it smokes'
    run, values = fly(built.network, images(8), LATE_S)
    assert (counts(run), run.untypical) == ({'a': 4, 'b': 4}, True)
    assert values == list(range(8))
    built.engine.pin([])
    assert counts(fly(built.network, images(8), RELAXED_S)[0]) == {'a': 8}


def test_a_run_without_any_unit_ends_with_an_error(bench, images):
    built = bench(a=1.0)
    built.split.networks['a'].broken = 'it smokes'
    run, values = fly(built.network, images(8), LATE_S)
    assert 'no unit is left: a: it smokes' in run.error and not values


def test_a_unit_comes_back_later_each_time_that_it_fails(bench, images, said):
    built = bench(a=1.0, b=1.0)
    engine = built.units['b'].engine
    built.split.networks['b'].broken = 'it smokes'
    delays_s = [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    engine.broken_loads = [RuntimeError('it burns'), RuntimeError('it glows')]

    def pass_s(seconds):
        done = queue.Queue()
        built.engine.submit(lambda: done.put(built.clock.advance(seconds)))
        done.get(timeout=WAIT_S)

    fly(built.network, images(8), LATE_S)
    for delay_s in delays_s:
        fly(built.network, images(8), LATE_S)
        pass_s(0.9 * delay_s)
        assert counts(fly(built.network, images(8), LATE_S)[0]) == {'a': 8}
        pass_s(0.11 * delay_s)
        run, _ = fly(built.network, images(8), LATE_S)
    assert counts(run) == {'a': 4, 'b': 4} and not built.split.left_out
    assert [line.partition('; the next')[0] for line in said] == [
        'unit b is left out, others do its part: it smokes',
        'unit b cannot be used again: it burns', 'unit b cannot be used again: it glows',
        'unit b is used again']
    assert '2 s' in said[1] and '4 s' in said[2] and LONGEST_DELAY_S > 4 * FIRST_DELAY_S


def test_what_an_engine_has_to_tell_of_a_network_is_told(bench, images):
    network = bench(a=1.0, b=3.0).network
    assert network.memory_mb(8) == 32.0 and network.tb_ratios(8) == [1.0]
    assert network.padded(5) == 5 and network.output_shapes == {'value': ('N',)}
    assert network.measure(8, 3) == [[pytest.approx(0.006)]] * 3
    assert network.measure_shared(8, 3) == pytest.approx(0.006)
    assert network.note == 'batches of 32 take 32.0 ms on a, 96.0 ms on b; split 24.0 ms'
    pixels = images(8)
    assert network.stage(pixels) is pixels
    assert network.run(pixels)['value'].tolist() == list(range(8))
