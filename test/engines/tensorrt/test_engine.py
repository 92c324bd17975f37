"""The TensorRT engine on a CUDA device: results, batches, variants, lanes, graphs, its cache."""

import itertools
import os
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.engines.cuda import find_cuda
from s3dnn_ros.engines.gates.gates import Gates
from s3dnn_ros.engines.tensorrt import plans as tensorrt_plans
from s3dnn_ros.errors import EngineError
from s3dnn_ros.models.graph import with_image_input
from s3dnn_ros.models.segmentation import cut_points, split

try:
    find_cuda()
except ImportError as error:
    pytest.skip(str(error), allow_module_level=True)
pytest.importorskip('tensorrt', reason='TensorRT is not here')
onnxruntime = pytest.importorskip('onnxruntime')

from s3dnn_ros.engines.tensorrt.engine import TensorRtEngine
from s3dnn_ros.engines.tensorrt.gated_lane import TensorRtGatedLane

# relative to the largest output
TOLERANCES = {'fp32': 1e-4, 'fp16': 1e-2, 'int8': 0.2}
WAIT_S = 30.0
SIDE = 32


@pytest.fixture(scope='module', autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('S3DNN_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='module')
def make():
    """Return a builder of engines, one for each set of options."""
    engines = {}

    def build(precision='fp32', sms=0, **options):
        key = (precision, sms, *sorted(options.items()))
        if key not in engines:
            engines[key] = TensorRtEngine(SystemClock(), BuildOptions(precision, **options),
                                          sms=sms)
        return engines[key]
    yield build
    for engine in engines.values():
        engine.close()


@pytest.fixture(scope='module')
def spec(make_spec):
    return make_spec(width=SIDE, height=SIDE)


@pytest.fixture(scope='module')
def model(spec):
    """Return a small network with a branch, with the image input."""
    rng = np.random.default_rng(0)

    def weights(name, *shape):
        fan_in = np.prod(shape[1:])
        return numpy_helper.from_array(
            (rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32), name)

    nodes = [
        helper.make_node('Conv', ['x', 'w1'], ['a'], 'one', pads=[1] * 4),
        helper.make_node('Relu', ['a'], ['b'], 'relu1'),
        helper.make_node('Conv', ['b', 'w2'], ['c'], 'two', pads=[1] * 4),
        helper.make_node('Add', ['b', 'c'], ['d'], 'add'),
        helper.make_node('Relu', ['d'], ['e'], 'relu2'),
        helper.make_node('Conv', ['e', 'w3'], ['f'], 'three', strides=[2, 2]),
        helper.make_node('GlobalAveragePool', ['f'], ['g'], 'pool'),
        helper.make_node('Flatten', ['g'], ['scores'], 'flatten')]
    graph = helper.make_graph(
        nodes, 'small',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, SIDE, SIDE])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 32])],
        [weights('w1', 16, 3, 3, 3), weights('w2', 16, 16, 3, 3), weights('w3', 32, 16, 3, 3)])
    return with_image_input(helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), spec)


@pytest.fixture(scope='module')
def expected(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=['CPUExecutionProvider'])

    def run(pixels):
        return session.run(['scores'], {'image': pixels})[0]
    return run


@pytest.fixture(scope='module')
def load(make, model, spec):
    def build(precision='fp32', cut=True, graphs=True, sms=0, level=-1, **options):
        segments = [segment.model for segment in split(model, cut_points(model))] \
            if cut else [model]
        engine = make(precision, sms, graphs=graphs, optimization_level=level)
        return engine.load('net', segments, ['scores'], spec, **options)
    return build


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def assert_close(found, wanted, tolerance):
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
@pytest.mark.parametrize('cut', [False, True])
@pytest.mark.parametrize('graphs', [False, True])
def test_results_are_those_of_onnxruntime_at_any_batch(load, expected, precision, cut, graphs):
    network = load(precision, cut, graphs, max_batch=8)
    assert network.segments > 1 or not cut
    assert network.batches == (1, 2, 4, 8) and not network.note
    for count in (1, 2, 3, 5, 8, 1):
        pixels = images(count, seed=count)
        assert_close(network.run(pixels)['scores'], expected(pixels), TOLERANCES[precision])


@pytest.mark.parametrize('graphs', [False, True])
def test_on_a_part_of_the_gpu_results_are_the_same(load, expected, graphs):
    try:
        part = load('fp16', graphs=graphs, sms=8, max_batch=8)
    except EngineError as error:
        if 'SMs for itself' not in str(error):
            raise
        pytest.skip(str(error))
    assert part.engine.sms == 8 and part.engine.device.endswith('fp16, 8 SMs')
    pixels = images(8)
    assert_close(part.run(pixels)['scores'], expected(pixels), TOLERANCES['fp16'])
    assert not part.note


def test_with_the_least_optimization_results_are_the_same(load, expected):
    engine = load().engine
    if not engine.api.has_levels:
        pytest.skip('this TensorRT has no levels')
    pixels = images(3)
    assert_close(load('fp16', level=0, max_batch=4).run(pixels)['scores'], expected(pixels),
                 TOLERANCES['fp16'])


def test_variants_compute_what_they_are(make, in_variants):
    network = in_variants.load(make(), max_batch=2)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    means = pixels.astype(np.float32).mean((1, 2, 3))
    for first, second in itertools.product(range(3), range(2)):
        wanted = means * in_variants.factors[first] + in_variants.addends[second]
        assert_close(network.run(pixels, (first, second))['score'], wanted, TOLERANCES['fp32'])


def fly_all(engine, flights, segments, level=lambda number: 0):
    """Run all flights at once; return the runs of each."""
    runs = [[] for _ in flights]
    for segment in range(segments):
        for number, flight in enumerate(flights):
            flight.submit(segment, runs[number].append, level=level(number))
    end_s = time.monotonic() + WAIT_S
    while any(len(found) < segments for found in runs):
        assert time.monotonic() < end_s
        engine.poll()
    return runs


def test_lanes_and_levels_do_not_touch_each_other(load, expected):
    network = load(max_batch=4, lanes=4)
    engine = network.engine
    for _ in range(20):
        parts = [images(1 + number, seed=number) for number in range(4)]
        flights = [network.open([network.stage(part)]) for part in parts]
        runs = fly_all(engine, flights, network.segments, lambda number: number % engine.levels)
        assert {run.error for found in runs for run in found} == {''}
        for flight, part in zip(flights, parts):
            assert_close(flight.outputs()['scores'], expected(part), TOLERANCES['fp32'])
            flight.close()


def no_graphs(gates):
    raise RuntimeError('graphs are not wanted')


@pytest.fixture(scope='module', params=['graphs', 'windows'])
def gated(request, model, spec):
    """Return a builder of networks whose jobs wait on the device."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == 'windows':
            patch.setattr(Gates, '_graphs', no_graphs)
        engine = TensorRtEngine(SystemClock(), BuildOptions('fp32'), gates=True)
    if not engine.gated:
        pytest.skip(engine.gates_note)

    def build(**options):
        segments = [segment.model for segment in split(model, cut_points(model))]
        network = engine.load('net', segments, ['scores'], spec, **options)
        assert all(isinstance(lane, TensorRtGatedLane) for lane in network._lanes)
        return network
    yield build
    engine.close()


def test_with_gates_results_are_the_same_whether_lanes_are_armed_or_not(gated, expected):
    network = gated(max_batch=4, lanes=3)
    engine = network.engine
    for arming in (False, True, False):
        engine.allow_arming(arming)
        for turn in range(20):
            parts = [images(1 + (number + turn) % 4, seed=number) for number in range(3)]
            flights = [network.open([network.stage(part)]) for part in parts]
            runs = fly_all(engine, flights, network.segments)
            assert {run.error for found in runs for run in found} == {''}
            for flight, part in zip(flights, parts):
                assert_close(flight.outputs()['scores'], expected(part), TOLERANCES['fp32'])
                flight.close()
    # memory can be taken and freed again
    assert_close(gated(max_batch=1).run(images(1))['scores'], expected(images(1)),
                 TOLERANCES['fp32'])


def test_a_job_that_is_held_lets_others_pass(gated, expected):
    network = gated(max_batch=1, lanes=2)
    parts, runs = [images(1, 1), images(1, 2)], []
    held, other = (network.open([network.stage(part)]) for part in parts)
    last = network.segments - 1
    held.submit(0, runs.append)
    assert held.hold()
    held.submit(1, runs.append, last=last)
    other.submit(0, runs.append, last=last)
    end_s = time.monotonic() + WAIT_S
    while len(runs) < 2:
        assert time.monotonic() < end_s
        network.engine.poll()
    assert (held.progress(), other.progress()) == (1, network.segments)
    held.resume()
    while len(runs) < 3:
        assert time.monotonic() < end_s
        network.engine.poll()
    for flight, part in zip((held, other), parts):
        assert_close(flight.outputs()['scores'], expected(part), TOLERANCES['fp32'])
        flight.close()


def test_outputs_stay_valid_after_their_flight(load, expected):
    network = load(max_batch=1)
    found = [network.run(images(1, seed))['scores'] for seed in range(4)]
    for seed, scores in enumerate(found):
        assert_close(scores, expected(images(1, seed)), TOLERANCES['fp32'])


def test_times_are_measured(load):
    network = load(lanes=2)
    rows = network.measure(1, 5)
    assert len(rows) == 5 and {len(row) for row in rows} == {network.segments}
    assert all(0 < time_s < 1 for row in rows for time_s in row)
    assert 0 < network.measure_shared(1, 5) < 1
    assert network.memory_mb(1) > 0 and network.engine.lost() == ''


def test_a_second_load_builds_nothing(load, monkeypatch):
    load(max_batch=2)
    monkeypatch.setattr(tensorrt_plans, 'build', None)
    load(max_batch=2)


def test_a_damaged_plan_is_told_and_built_again(load, expected):
    load(max_batch=2)
    folder = tensorrt_plans.plans_dir('tiny')
    path = max(folder.glob('*_fp32_b2_*.plan'), key=os.path.getsize)
    path.write_bytes(path.read_bytes()[:-100])
    network = load(max_batch=2)
    assert str(path) in network.note
    assert_close(network.run(images(2))['scores'], expected(images(2)), TOLERANCES['fp32'])


def test_a_segment_that_tensorrt_does_not_know_runs_on_the_cpu(make, model, spec, expected):
    odd = onnx.ModelProto()
    odd.CopyFrom(model)
    # Det is an operator that TensorRT has no importer for; 0 × det changes nothing
    odd.graph.node[-1].output[0] = 'flat'
    eye = numpy_helper.from_array(np.eye(3, dtype=np.float32), 'eye')
    zero = numpy_helper.from_array(np.float32(0), 'zero')
    odd.graph.initializer.extend([eye, zero])
    odd.graph.node.extend([
        helper.make_node('ReduceMean', ['flat'], ['mean'], axes=[0, 1], keepdims=0),
        helper.make_node('Mul', ['eye', 'mean'], ['matrix']),
        helper.make_node('Det', ['matrix'], ['det']),
        helper.make_node('Mul', ['det', 'zero'], ['nothing']),
        helper.make_node('Add', ['flat', 'nothing'], ['scores'])])
    cuts = [cut for cut in cut_points(odd) if cut.tensors in (('e',), ('flat',))]
    segments = [segment.model for segment in split(odd, cuts)]
    network = make().load('net', segments, ['scores'], spec, max_batch=2)
    assert 'runs 1 of 3 segments on the CPU' in network.note
    assert_close(network.run(images(2))['scores'], expected(images(2)), TOLERANCES['fp32'])


def test_int8_is_calibrated_and_near(make, model, spec, expected):
    engine = make('int8')
    with pytest.raises(EngineError, match='--precision int8'):
        engine.load('net', [model], ['scores'], spec)
    wanted = engine.wanted('tiny', [model], ['scores'])
    calibration = tensorrt_plans.Calibration(wanted, images(8), 1)
    assert not tensorrt_plans.provide(wanted, engine.clock, calibration=calibration).refused
    network = engine.load('net', [model], ['scores'], spec)
    assert_close(network.run(images(1))['scores'], expected(images(1)), TOLERANCES['int8'])
