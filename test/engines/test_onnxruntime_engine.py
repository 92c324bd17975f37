"""ONNX Runtime: results, errors and threads."""

import itertools
import queue
import sys
import threading

import numpy as np
import pytest

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import ENGINES, make_engine
from s3dnn_ros.engines.onnxruntime_engine import OPENVINO, OnnxRuntimeEngine
from s3dnn_ros.errors import EngineError, ParameterError
from s3dnn_ros.models.graph import with_image_input
from s3dnn_ros.models.segmentation import cut_points, split

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

WAIT_S = 30.0       # for what comes at once; a test that waits so long has failed
TOLERANCE = 1e-5


@pytest.fixture
def engine():
    engine, _ = make_engine('onnxruntime', SystemClock(), threads=1)
    yield engine
    engine.close()


@pytest.fixture
def network(engine, tiny_onnx, make_spec):
    return load(engine, onnx.load(str(tiny_onnx)), make_spec(onnx=tiny_onnx))


@pytest.fixture
def in_segments(engine, tiny_onnx, make_spec):
    """Return the tiny network with a segment for each of its nodes."""
    spec = make_spec(onnx=tiny_onnx)
    model = with_image_input(onnx.load(str(tiny_onnx)), spec)
    segments = [segment.model for segment in split(model, cut_points(model))]
    assert len(segments) > 2
    return engine.load('net', segments, ['scores'], spec, max_batch=8)


def load(engine, model, spec, max_batch=8):
    outputs = [value.name for value in model.graph.output]
    return engine.load('net', [with_image_input(model, spec)], outputs, spec, max_batch=max_batch)


def fly(flight, segments=1):
    """Run all segments of a flight; return their runs."""
    runs = []
    for segment in range(segments):
        done = queue.Queue()
        flight.submit(segment, done.put)
        runs.append(done.get(timeout=WAIT_S))
    return runs


needs_openvino = pytest.mark.skipif(
    OPENVINO not in onnxruntime.get_available_providers(), reason='needs onnxruntime-openvino')


@pytest.mark.skipif(OPENVINO in onnxruntime.get_available_providers(),
                    reason='this ONNX Runtime has OpenVINO')
def test_without_openvino_the_remedy_is_told():
    with pytest.raises(ImportError, match='pip install onnxruntime-openvino'):
        OnnxRuntimeEngine(SystemClock(), openvino='CPU')


@needs_openvino
def test_openvino_gives_the_same_results(network, tiny_onnx, make_spec):
    engine = OnnxRuntimeEngine(SystemClock(), 1, 'CPU')
    assert engine.device.startswith('OpenVINO CPU, 1 threads')
    other = load(engine, onnx.load(str(tiny_onnx)), make_spec(onnx=tiny_onnx))
    assert other.run(images(7, 9))['scores'] == pytest.approx(
        network.run(images(7, 9))['scores'], abs=TOLERANCE)
    engine.close()


@needs_openvino
def test_a_device_that_openvino_does_not_find_is_refused(tiny_onnx, make_spec):
    engine = OnnxRuntimeEngine(SystemClock(), 1, 'GPU.9')
    with pytest.raises(EngineError, match=r'OpenVINO finds no GPU\.9 here'):
        load(engine, onnx.load(str(tiny_onnx)), make_spec(onnx=tiny_onnx))


def images(*values):
    return np.stack([np.full((4, 4, 3), value, np.uint8) for value in values])


@pytest.mark.parametrize('frames', [1, 3])
def test_outputs_come_by_name_with_the_batch_first(network, frames):
    pixels = np.zeros((frames, 4, 4, 3), np.uint8)
    pixels[..., 2] = 255
    outputs = network.run(pixels)
    assert set(outputs) == set(network.output_shapes) == {'scores'}
    assert outputs['scores'].reshape(frames, 3) == pytest.approx(
        np.tile([0.0, 0.0, 1.0], (frames, 1)), abs=TOLERANCE)


def test_mean_and_deviation_are_applied(engine, tiny_onnx, make_spec):
    spec = make_spec(onnx=tiny_onnx, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0))
    network = load(engine, onnx.load(str(tiny_onnx)), spec)
    scores = network.run(np.full((1, 4, 4, 3), 50, np.uint8))['scores'].ravel()
    assert scores == pytest.approx([20.0, 7.5, 4.0], abs=TOLERANCE)


def fixed_to(batch):
    """Return the tiny network with a constant that fixes its batch."""
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('GlobalAveragePool', ['x'], ['means']),
         onnx.helper.make_node('Reshape', ['means', 'shape'], ['scores'])], 'tiny',
        [onnx.helper.make_tensor_value_info('x', floats, [batch, 3, 4, 4])],
        [onnx.helper.make_tensor_value_info('scores', floats, [batch, 3])],
        [onnx.numpy_helper.from_array(np.array([batch, 3], np.int64), 'shape')])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                  ir_version=8)


@pytest.mark.parametrize('frames', [1, 2, 3])
def test_a_network_of_fixed_batch_takes_fewer_frames_too(engine, make_spec, frames):
    network = load(engine, fixed_to(3), make_spec())
    assert (network.batch, network.largest, network.padded(frames)) == (3, 3, 3)
    pixels = np.full((frames, 4, 4, 3), 51, np.uint8)
    expected = pytest.approx(np.full((frames, 3), 0.2), abs=TOLERANCE)
    assert network.run(pixels)['scores'] == expected
    flight = network.open([network.stage(pixels)])
    fly(flight)
    assert flight.outputs()['scores'] == expected


def test_a_network_of_free_batch_says_so(network):
    assert (network.batch, network.largest) == (0, 8)
    assert network.padded(3) == 3


@pytest.mark.parametrize('max_batch', [1, 2])
def test_a_flight_has_no_more_frames_than_asked_for_though_the_network_takes_more(
        engine, make_spec, max_batch):
    assert load(engine, fixed_to(3), make_spec(), max_batch).largest == max_batch


def test_segments_compute_what_the_whole_network_does(network, in_segments):
    pixels = np.random.default_rng(1).integers(0, 256, (3, 4, 4, 3), np.uint8)
    expected = network.run(pixels)['scores']
    assert set(in_segments.output_shapes) == {'scores'}
    assert in_segments.run(pixels)['scores'] == pytest.approx(expected, abs=TOLERANCE)
    flight = in_segments.open([pixels])
    runs = fly(flight, in_segments.segments)
    assert {run.error for run in runs} == {''}
    assert flight.outputs()['scores'] == pytest.approx(expected, abs=TOLERANCE)


def test_segments_that_are_submitted_together_are_told_once(network, in_segments):
    pixels, done = images(10, 200), queue.SimpleQueue()
    flight = in_segments.open([pixels])
    flight.submit(0, done.put, last=in_segments.segments - 1)
    assert done.get(timeout=WAIT_S).error == ''
    assert flight.outputs()['scores'] == pytest.approx(network.run(pixels)['scores'],
                                                       abs=TOLERANCE)
    assert done.empty()
    flight.close()


def test_what_was_staged_apart_runs_together_in_this_order(network):
    flight = network.open([network.stage(images(10)), network.stage(images(20, 30))])
    fly(flight)
    assert flight.outputs()['scores'].reshape(3, 3)[:, 0] * 255 == pytest.approx([10, 20, 30])


def test_flights_do_not_mix_and_outputs_outlive_them(in_segments):
    flights = [in_segments.open([images(value)]) for value in (10, 20)]
    for segment in range(in_segments.segments):
        done = queue.Queue()
        for flight in flights:
            flight.submit(segment, done.put)
        assert [done.get(timeout=WAIT_S).error for _ in flights] == ['', '']
    outputs = [flight.outputs()['scores'] for flight in flights]
    for flight in flights:
        flight.close()
    assert [round(float(scores.max()) * 255) for scores in outputs] == [10, 20]


def test_segments_can_be_measured(in_segments):
    times_s = np.array(in_segments.measure(2, 3))
    assert times_s.shape == (3, in_segments.segments)
    assert (times_s >= 0.0).all()
    assert len(in_segments.tb_ratios(2)) == in_segments.segments
    assert in_segments.memory_mb(2) >= 0.0


def test_runs_end_in_the_order_they_were_submitted(network):
    values = (10, 20, 30)
    flights = [network.open([images(value)]) for value in values]
    done = queue.Queue()
    for index, flight in enumerate(flights):
        flight.submit(0, lambda run, index=index: done.put((index, run)))
    order, runs = zip(*(done.get(timeout=WAIT_S) for _ in flights))
    assert order == (0, 1, 2)
    assert [run.error for run in runs] == ['', '', '']
    assert [round(float(flight.outputs()['scores'].max()) * 255)
            for flight in flights] == list(values)
    times = [time_s for run in runs for time_s in (run.started_s, run.ended_s)]
    assert times == sorted(times)


def test_done_is_called_in_the_engines_own_thread(network):
    threads = queue.Queue()
    network.open([images(0)]).submit(0, lambda run: threads.put(threading.current_thread()))
    assert threads.get(timeout=WAIT_S) is not threading.current_thread()


def test_a_run_that_fails_is_reported_and_the_next_one_works(network):
    bad, good = network.open([np.zeros((1, 9, 9, 3), np.uint8)]), network.open([images(0)])
    (failed,) = fly(bad)
    assert failed.error
    assert failed.ended_s >= failed.started_s
    with pytest.raises(KeyError):
        bad.outputs()
    bad.close()
    assert not fly(good)[0].error
    assert good.outputs()['scores'] is not None


def test_a_model_that_onnxruntime_refuses_is_named_with_its_instance(
        engine, tiny_onnx, make_spec):
    model = onnx.load(str(tiny_onnx))
    model.graph.node[0].op_type = 'NoSuchOperator'
    with pytest.raises(EngineError) as caught:
        load(engine, model, make_spec(onnx=tiny_onnx))
    for part in ("instance 'net'", str(tiny_onnx), 'NoSuchOperator', 's3dnn models check'):
        assert part in str(caught.value)


def test_loading_leaves_the_model_as_it_was(engine, tiny_onnx, make_spec):
    spec = make_spec(onnx=tiny_onnx)
    model = with_image_input(onnx.load(str(tiny_onnx)), spec)
    before = model.SerializeToString(deterministic=True)
    engine.load('net', [model], ['scores'], spec)
    assert model.SerializeToString(deterministic=True) == before


def test_closing_finishes_what_was_submitted(network, engine):
    runs = []
    for _ in range(5):
        network.open([images(0)]).submit(0, runs.append)
    engine.close()
    engine.close()
    assert len(runs) == 5


def test_the_device_says_what_runs_where(engine):
    assert 'CPU, 1 threads, onnxruntime' in engine.device


def test_without_a_number_of_threads_there_is_at_least_one():
    engine, _ = make_engine('onnxruntime', SystemClock())
    engine.close()
    assert int(engine.device.split()[1]) >= 1


def test_auto_takes_the_first_that_works_and_says_so():
    engine, reason = make_engine('auto', SystemClock(), 1)
    engine.close()
    assert engine.name in ENGINES
    assert 'auto: the first that works' in reason


@pytest.mark.parametrize('sms', [8, [8, 0]])
def test_multiprocessors_that_an_engine_does_not_have_are_not_passed_over(sms):
    engine, reason = make_engine('onnxruntime', SystemClock(), 1, sms)
    engine.close()
    assert reason == 'as wanted; it has no multiprocessors to choose'


def test_an_unknown_engine_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"'engine' is 'warp'.*onnxruntime"):
        make_engine('warp', SystemClock())


@pytest.mark.parametrize('name', ['auto', 'onnxruntime'])
def test_an_engine_that_is_not_installed_is_answered_with_what_to_do(name, monkeypatch):
    for module in ('onnxruntime', 'tensorrt', 'torch'):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ParameterError, match='pip install onnxruntime'):
        make_engine(name, SystemClock())


@pytest.mark.parametrize('variants', list(itertools.product(range(3), range(2))))
def test_every_segment_runs_in_the_variant_that_it_is_told(engine, in_variants, variants):
    network = in_variants.load(engine, max_batch=2)
    assert list(network.variants) == [3, 2]
    pixels = in_variants.images(3, 5)
    factor, addend = in_variants.factors[variants[0]], in_variants.addends[variants[1]]
    wanted = np.array([3.0, 5.0]) * factor + addend
    assert network.run(pixels, variants)['score'] == pytest.approx(wanted)
    flight = network.open([network.stage(pixels)])
    for segment, variant in enumerate(variants):
        done = queue.Queue()
        flight.submit(segment, done.put, variant=variant)
        assert not done.get(timeout=WAIT_S).error
    assert flight.outputs()['score'] == pytest.approx(wanted)
    flight.close()
    # and what ran before leaves nothing behind
    assert network.run(pixels)['score'] == pytest.approx([3.0, 5.0])


def test_variants_are_measured_where_a_segment_has_them(engine, in_variants):
    network = in_variants.load(engine)
    for variant in range(3):
        rows = network.measure(1, 2, variant)
        assert len(rows) == 2 and all(len(row) == 2 and min(row) > 0.0 for row in rows)


def test_variants_of_other_segments_than_there_are_are_refused(engine, tiny_onnx, make_spec):
    model = onnx.load(str(tiny_onnx))
    with pytest.raises(ValueError, match='1 segments, and coarser variants of 2'):
        engine.load('net', [model], ['scores'], make_spec(), coarser=[[], []])
