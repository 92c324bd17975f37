"""The TensorRT engine with gates, on fakes: jobs wait, and what cannot wait runs as before."""

import gc
import sys

import numpy as np
import pytest
from fake_cuda import FakeCuda
from fake_gates import FakeGates
from fake_tensorrt import VERSIONS, InProcess, fake_tensorrt

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.engines.tensorrt import engine as tensorrt_engine
from s3dnn_ros.engines.tensorrt import plans as tensorrt_plans
from s3dnn_ros.engines.tensorrt.engine import TensorRtEngine
from s3dnn_ros.engines.tensorrt.gated_lane import TensorRtGatedLane

TOLERANCE = 2e-3        # of float16 between segments


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a builder of engines whose gates a fake device has."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    monkeypatch.setattr(tensorrt_engine, 'find_cuda', FakeCuda)
    monkeypatch.setattr(tensorrt_plans, 'ChildProcess', InProcess)
    monkeypatch.setattr(tensorrt_engine, 'find_gates',
                        lambda cuda, partition: (FakeGates(cuda), ''))

    def build(version='8.6.0', **options):
        monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt(version))
        engine = TensorRtEngine(VirtualClock(), BuildOptions(**options), gates=True)
        # the device runs what can run whenever somebody looks at it
        engine._probe.query = lambda: engine._gates.device.run() or True
        return engine
    return build


@pytest.fixture
def load(in_variants):
    """Return a function that loads the network of two segments without its variants."""
    def load(engine, **options):
        class Plain:
            @staticmethod
            def load(name, models, outputs, spec, coarser, **more):
                return engine.load(name, models, outputs, spec, **more)
        return in_variants.load(Plain, **options)
    return load


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


def means(pixels):
    return pixels.astype(np.float32).mean((1, 2, 3))


def fly(engine, network, pixels):
    """Submit all segments of a flight; return it and what has ended."""
    flight, ended = network.open([network.stage(pixels)]), []
    for segment in range(network.segments):
        flight.submit(segment, ended.append)
    engine._gates.device.run()
    engine.poll()
    return flight, ended


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('count', [1, 3, 8])
def test_results_are_those_of_the_network(make, load, version, count):
    engine = make(version)
    network = load(engine, max_batch=8)
    assert engine.gated and engine.levels == 1
    assert isinstance(network._lanes[0], TensorRtGatedLane)
    for seed in range(2):
        pixels = images(count, seed)
        flight, ended = fly(engine, network, pixels)
        assert [run.error for run in ended] == ['', '']
        found = flight.outputs()['score']
        assert found.shape == (count,)
        np.testing.assert_allclose(found, means(pixels), rtol=TOLERANCE)
        flight.close()


def test_requests_that_were_staged_apart_run_as_one_batch(make, load):
    engine = make()
    network = load(engine, max_batch=4)
    parts = [images(count, seed) for seed, count in enumerate((1, 2))]
    flight = network.open([network.stage(part) for part in parts])
    for segment in range(2):
        flight.submit(segment, lambda run: None)
    engine._gates.device.run()
    np.testing.assert_allclose(flight.outputs()['score'], means(np.concatenate(parts)),
                               rtol=TOLERANCE)


def test_a_flight_that_is_held_stops_behind_its_segment(make, load):
    engine = make()
    network = load(engine, lanes=2)
    device, pixels = engine._gates.device, images(1)
    flight = network.open([network.stage(pixels)])
    flight.submit(0, lambda run: None)
    assert flight.hold()
    flight.submit(1, lambda run: None)
    device.run()
    assert flight.progress() == 1
    other, ended = fly(engine, network, images(1, seed=1))
    assert len(ended) == 2 and flight.progress() == 1
    flight.resume()
    device.run()
    assert flight.progress() == 2 and not flight.hold()
    np.testing.assert_allclose(flight.outputs()['score'], means(pixels), rtol=TOLERANCE)
    for each in (flight, other):
        each.close()


def test_measuring_needs_no_images(make, load):
    network = load(make(), lanes=2)
    assert network.measure(1, 2) == [[0.001, 0.001]] * 2
    assert network.measure_shared(1, 3) == 0.0      # the clock stands


def test_networks_in_variants_have_lanes_without_gates_where_graphs_cannot_choose(
        make, in_variants, monkeypatch):
    engine = make()
    monkeypatch.setattr(engine._gates, 'chooses', False)
    network = in_variants.load(engine)
    assert not isinstance(network._lanes[0], TensorRtGatedLane)
    flight = network.open([network.stage(images(1))])
    assert not flight.hold()            # nor has it a lane yet
    flight.submit(0, lambda run: None)
    assert not flight.hold() and flight.progress() is None
    flight.resume()
    flight.close()
    pixels = images(1)
    np.testing.assert_allclose(network.run(pixels)['score'], means(pixels), rtol=TOLERANCE)


def test_variants_compute_what_they_are_where_graphs_choose(make, in_variants):
    network, pixels = in_variants.load(make()), images(1)
    assert isinstance(network._lanes[0], TensorRtGatedLane)
    for first in range(len(in_variants.factors)):
        for second in range(len(in_variants.addends)):
            wanted = means(pixels) * in_variants.factors[first] + in_variants.addends[second]
            np.testing.assert_allclose(network.run(pixels, (first, second))['score'], wanted,
                                       rtol=TOLERANCE)


def test_what_cannot_be_captured_runs_as_before(make, load, monkeypatch):
    monkeypatch.setattr(FakeCuda, 'captures', False)
    engine = make()
    network = load(engine)
    assert not isinstance(network._lanes[0], TensorRtGatedLane)
    pixels = images(1)
    np.testing.assert_allclose(network.run(pixels)['score'], means(pixels), rtol=TOLERANCE)


def test_more_lanes_than_may_wait_at_once_have_no_gates(make, load, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.engines.gates.streams.most_waiting', lambda: 3)
    engine = make()
    network = load(engine, lanes=3)
    assert [isinstance(lane, TensorRtGatedLane) for lane in network._lanes] == [True, True, False]
    del network
    # the fakes keep what they captured
    engine.cuda.functions.clear()
    gc.collect()
    assert isinstance(load(engine)._lanes[0], TensorRtGatedLane)


def test_a_device_without_gates_says_why(make, load, monkeypatch):
    monkeypatch.setattr(tensorrt_engine, 'find_gates', lambda *_: (None, 'no gates: too old'))
    monkeypatch.setattr(tensorrt_engine, 'find_cuda', FakeCuda)
    monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt('8.6.0'))
    engine = TensorRtEngine(VirtualClock(), BuildOptions(), gates=True)
    assert not engine.gated and engine.gates_note == 'no gates: too old' and engine.levels == 3
    assert not isinstance(load(engine)._lanes[0], TensorRtGatedLane)


def test_an_engine_that_is_closed_arms_nothing_and_leaves_no_thread(make, load):
    engine = make()
    network = load(engine, lanes=2)
    engine.allow_arming(True)
    thread = engine._gate_streams.arming._thread
    assert thread.is_alive()
    engine.close()
    engine._gates.device.run()
    assert not thread.is_alive() and not engine._gates.device.jobs
    assert not any(lane._jobs.armed for lane in network._lanes)
