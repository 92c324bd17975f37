"""The TensorRT engine on fakes: results, variants, lanes, levels, and segments that it refuses."""

import ctypes
import itertools
import json
import os
import sys

import numpy as np
import onnx
import pytest
from fake_cuda import FakeCuda
from fake_tensorrt import (
    VERSIONS,
    FakeContext82,
    FakeContext85,
    FakeEngine10,
    FakeEngine82,
    FakeEngine85,
    FakeParser,
    InProcess,
    Severity,
    fake_tensorrt,
)
from onnx import TensorProto, helper

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.engines.tensorrt import builder as tensorrt_builder
from s3dnn_ros.engines.tensorrt import engine as tensorrt_engine
from s3dnn_ros.engines.tensorrt import plans as tensorrt_plans
from s3dnn_ros.engines.tensorrt.api import TensorRt
from s3dnn_ros.engines.tensorrt.engine import TensorRtEngine
from s3dnn_ros.engines.tensorrt.host_segment import HostStep
from s3dnn_ros.errors import EngineError, ParameterError

pytest.importorskip('onnxruntime')
TOLERANCE = 2e-3        # of float16 between segments


@pytest.fixture(autouse=True)
def fakes(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    monkeypatch.delenv(tensorrt_engine.TACTICS, raising=False)
    monkeypatch.setattr(tensorrt_engine, 'find_cuda', FakeCuda)
    monkeypatch.setattr(tensorrt_plans, 'ChildProcess', InProcess)


@pytest.fixture
def make(monkeypatch):
    """Return a builder of engines."""
    def build(version='8.6.0', sms=0, behind_sms=0, **options):
        monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt(version))
        return TensorRtEngine(VirtualClock(), BuildOptions(**options), sms=sms,
                              behind_sms=behind_sms)
    return build


@pytest.fixture
def refuse(monkeypatch):
    """Return a function that makes TensorRT refuse nodes of a type."""
    def install(kind):
        parse = FakeParser.parse

        def parse_less(self, model):
            parse(self, model)
            self._refused = [node for node in onnx.load_from_string(model).graph.node
                             if node.op_type == kind]
            return not self._refused
        monkeypatch.setattr(FakeParser, 'parse', parse_less)
    return install


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


def test_the_machine_says_which_tactics_there_are(make, monkeypatch):
    monkeypatch.setenv(tensorrt_engine.TACTICS, 'edge_mask_convolutions,jit_convolutions')
    assert make().options.tactics == ('edge_mask_convolutions', 'jit_convolutions')
    assert make(tactics=('cudnn',)).options.tactics == ('cudnn',)


def test_tactics_that_there_are_not_are_refused_at_once(make, monkeypatch):
    monkeypatch.setenv(tensorrt_engine.TACTICS, 'cudnn,jit_convolutions')
    with pytest.raises(ParameterError, match=r"S3DNN_TENSORRT_TACTICS' is 'jit_convolutions'; "
                       r'TensorRT 8.2.5 has no such tactics; choose among cublas, cublas_lt, '):
        make('8.2.5')


@pytest.mark.parametrize('wanted, found', [(None, 'LAZY'), ('EAGER', 'EAGER')])
def test_kernels_are_loaded_as_they_are_needed_unless_the_user_says_otherwise(
        make, monkeypatch, wanted, found):
    monkeypatch.setenv('CUDA_MODULE_LOADING', wanted or '')
    if wanted is None:
        monkeypatch.delenv('CUDA_MODULE_LOADING')
    make()
    assert os.environ['CUDA_MODULE_LOADING'] == found


@pytest.mark.parametrize('version', VERSIONS)
def test_how_much_it_tries_can_be_said_from_8_6_on(make, version):
    if version in ('8.2.5', '8.5.2'):
        with pytest.raises(ParameterError, match=f'TensorRT {version} knows no levels'):
            make(version, optimization_level=0)
    else:
        make(version, optimization_level=0)
    make(version)


@pytest.mark.parametrize('version', VERSIONS)
def test_on_a_part_of_the_gpu_plans_are_timed_and_run_there(make, in_variants, monkeypatch,
                                                            version, tmp_path):
    def built(wanted, *arguments, **options):
        plans.append(provide(wanted, *arguments, **options))
        return plans[-1]
    plans, provide = [], tensorrt_engine.provide
    monkeypatch.setattr(tensorrt_engine, 'provide', built)
    builder = FakeCuda()
    monkeypatch.setattr(tensorrt_builder, 'find_cuda', lambda: builder)
    tensorrt_builder._stream_on.cache_clear()
    in_variants.load(make(version))
    assert not builder.streams
    engine = make(version, sms=6)
    network = in_variants.load(engine)
    assert (engine.sms, engine.device) == (8, 'a fake GPU, fp16, 8 SMs')
    assert {stream.sms for stream in engine.cuda.streams} == {8}
    everywhere, there = (json.loads(each.plans[0, 0].content) for each in plans)
    assert everywhere['stream'] is None and there['stream'] is not None
    # one for all segments and variants
    assert [stream.sms for stream in builder.streams] == [8]
    assert there['aux_streams'] == (None if version in ('8.2.5', '8.5.2') else 0)
    assert everywhere['aux_streams'] is None
    assert len(list((tmp_path / 'tensorrt_times').glob('*_8_sms.cache'))) == 1
    pixels = images(1)
    np.testing.assert_allclose(network.run(pixels)['score'], means(pixels), rtol=TOLERANCE)


def test_a_part_of_the_gpu_lies_behind_those_of_other_engines(make, in_variants):
    engine = make(sms=6, behind_sms=16)
    in_variants.load(engine)
    assert {(stream.sms, stream.behind) for stream in engine.cuda.streams} == {(8, 16)}


def means(pixels):
    return pixels.astype(np.float32).mean((1, 2, 3))


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('graphs', [True, False])
@pytest.mark.parametrize('count', [1, 2, 3, 8])
def test_results_are_those_of_the_network(make, in_variants, version, graphs, count):
    network = in_variants.load(make(version, graphs=graphs), max_batch=8, lanes=2)
    assert network.batches == (1, 2, 4, 8) and network.segments == 2
    assert network.output_shapes == {'score': ('N',)} and not network.note
    pixels = images(count)
    found = network.run(pixels)['score']
    assert found.shape == (count,) and found.dtype == np.float32
    np.testing.assert_allclose(found, means(pixels), rtol=TOLERANCE)


@pytest.mark.parametrize('version', ['8.2.5', '8.6.0'])
def test_every_variant_computes_what_it_is(make, in_variants, version):
    network = in_variants.load(make(version), max_batch=2)
    assert network.variants == [3, 2]
    pixels = images(2)
    for first, second in itertools.product(range(3), range(2)):
        wanted = means(pixels) * in_variants.factors[first] + in_variants.addends[second]
        found = network.run(pixels, (first, second))['score']
        np.testing.assert_allclose(found, wanted, rtol=TOLERANCE)


def test_a_second_start_builds_nothing(make, in_variants, monkeypatch):
    in_variants.load(make())

    monkeypatch.setattr(tensorrt_plans, 'build', None)
    assert not in_variants.load(make()).note


def test_nor_does_it_build_what_was_refused(make, in_variants, refuse, monkeypatch):
    refuse('ReduceMean')
    first = in_variants.load(make())
    calls = []
    monkeypatch.setattr(tensorrt_plans, 'build', calls.append)
    assert in_variants.load(make()).note == first.note != '' and not calls


def test_a_plan_that_is_whole_and_not_usable_is_told_by_name(make, in_variants, monkeypatch):
    engine = make()
    in_variants.load(engine)
    monkeypatch.setattr(type(engine.api.runtime), 'deserialize_cuda_engine',
                        lambda self, plan: None)
    with pytest.raises(EngineError, match=r'000_0_fp16_b1_.*\.plan: cannot be used.*delete it'):
        in_variants.load(engine)


def fly(engine, flight, segments, **options):
    runs = []
    for segment in range(segments):
        flight.submit(segment, runs.append, **options)
    engine.poll()
    return runs


def test_pixels_in_the_engines_memory_are_not_copied(make, in_variants):
    engine = make()
    network = in_variants.load(engine, max_batch=4)
    memory, pixels = engine.frame_memory(1000), images(3)
    placed = memory[:pixels.size].reshape(pixels.shape)
    placed[:] = pixels
    assert network.stage(placed) is placed and network.stage(pixels) is not pixels
    np.testing.assert_allclose(network.run(placed)['score'], means(pixels), rtol=TOLERANCE)


def test_flights_on_lanes_do_not_touch_each_other(make, in_variants):
    engine = make()
    network = in_variants.load(engine, lanes=2, max_batch=4)
    pixels = [images(3, seed=1), images(1, seed=2)]
    flights = [network.open([network.stage(part)]) for part in pixels]
    for flight in flights:
        flight.submit(0, lambda run: None)
    for flight in flights:
        flight.submit(1, lambda run: None)
    engine.poll()
    for flight, part in zip(flights, pixels):
        np.testing.assert_allclose(flight.outputs()['score'], means(part), rtol=TOLERANCE)
        flight.close()
    np.testing.assert_allclose(network.run(pixels[0])['score'], means(pixels[0]), rtol=TOLERANCE)


def test_lanes_share_weights_and_nothing_that_they_write(make, in_variants, monkeypatch):
    loaded = []
    load = TensorRt.load
    monkeypatch.setattr(TensorRt, 'load',
                        lambda *arguments: loaded.append(load(*arguments)) or loaded[-1])
    engine = make()
    in_variants.load(engine, lanes=3, max_batch=4)
    del loaded[:]       # those that were read where they were built
    in_variants.load(engine, lanes=3, max_batch=4)
    assert len(loaded) == 3 + 2     # variants of both segments, for all lanes
    scratch = {memory for each in loaded for memory, _, _ in each.engine.calls}
    assert len(scratch) == 3
    for each in loaded:
        places = {tuple(sorted(addresses.values())) for _, addresses, _ in each.engine.calls}
        assert len(places) == 3 and len({at for place in places for at in place}) == 6


def test_what_the_first_runs_read_is_zero(make, in_variants, monkeypatch):
    read = []
    compute = FakeEngine85.compute

    def look(self, shapes, addresses):
        read.append(ctypes.c_float.from_address(addresses[0]).value)
        compute(self, shapes, addresses)
    monkeypatch.setattr(FakeEngine85, 'compute', look)
    in_variants.load(make(precision='fp32'))
    assert read and set(read) == {0.0}


def test_staged_requests_run_together_in_their_order(make, in_variants):
    network = in_variants.load(make(), max_batch=8)
    parts = [images(count, seed) for seed, count in enumerate((1, 3, 2))]
    engine = network.engine
    flight = network.open([network.stage(part) for part in parts])
    assert [run.error for run in fly(engine, flight, 2)] == ['', '']
    np.testing.assert_allclose(flight.outputs()['score'], means(np.concatenate(parts)),
                               rtol=TOLERANCE)


def test_another_level_is_another_stream_behind_what_was_submitted(make, in_variants):
    engine = make()
    network = in_variants.load(engine)
    assert engine.levels == len(engine.cuda.streams) == 3
    flight = network.open([network.stage(images(1))])
    flight.submit(0, lambda run: None, level=2)
    flight.submit(1, lambda run: None, level=0)
    flight.submit(1, lambda run: None, level=0)
    urgent, _, background = engine.cuda.streams
    assert len(urgent.waits) == 1 and not background.waits


def test_done_comes_with_poll_once_the_event_has_passed(make, in_variants):
    engine = make()
    network = in_variants.load(engine)
    engine.cuda.hold = True
    flight = network.open([network.stage(images(1))])
    assert fly(engine, flight, 2) == []
    engine.cuda.hold = False
    engine.poll()
    engine.cuda.broken = 'cudaErrorIllegalAddress (700)'
    assert engine.lost() == 'cudaErrorIllegalAddress (700)'


def test_segments_become_graphs_where_that_works(make, in_variants, monkeypatch):
    with_graphs = in_variants.load(make(), max_batch=2)
    graphs = with_graphs.engine.cuda.graphs
    assert len(graphs) == 2 * (3 + 2)       # batches, variants
    with_graphs.run(images(1))
    assert sum(graph.launches for graph in graphs) == 2
    monkeypatch.setattr(FakeCuda, 'captures', False)
    pixels = images(1)
    np.testing.assert_allclose(in_variants.load(make()).run(pixels)['score'], means(pixels),
                               rtol=TOLERANCE)


def test_measured_times_are_the_devices(make, in_variants):
    network = in_variants.load(make(), lanes=2)
    assert network.measure(1, 3, variant=2) == [[0.001, 0.001]] * 3
    assert network.measure_shared(1, 3) == 0.0      # the clock stands
    assert network.tb_ratios(1) is None
    assert network.memory_mb(1) > 0


@pytest.mark.parametrize('kind, segment', [('Cast', 0), ('ReduceMean', 1)])
@pytest.mark.parametrize('precision', ['fp16', 'fp32'])
def test_what_tensorrt_refuses_runs_on_the_cpu_and_is_told_once(
        make, in_variants, refuse, kind, segment, precision):
    refuse(kind)
    network = in_variants.load(make(precision=precision), max_batch=4)
    pixels = images(3)
    for variants in ((0, 0), (1, 1), (2, 0)):
        wanted = means(pixels) * in_variants.factors[variants[0]] \
            + in_variants.addends[variants[1]]
        np.testing.assert_allclose(network.run(pixels, variants)['score'], wanted,
                                   rtol=TOLERANCE)
    assert network.note.count('on the CPU in ONNX Runtime') == 1
    assert f'no importer for {kind}' in network.note
    assert f'runs {3 - segment} of 5 segments' in network.note


@pytest.fixture
def in_channels():
    """Return what to load: two cuts with eight channels each, which differ."""
    weights = np.random.default_rng(0).normal(size=(8, 3, 1, 1)).astype(np.float32)
    chain = [('image', TensorProto.UINT8, [4, 4, 3]), ('map', TensorProto.FLOAT, [8, 4, 4]),
             ('positive', TensorProto.FLOAT, [8, 4, 4]), ('score', TensorProto.FLOAT, [8])]
    nodes = [[helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
              helper.make_node('Transpose', ['float'], ['turned'], perm=[0, 3, 1, 2]),
              helper.make_node('Conv', ['turned', 'weights'], ['map'])],
             [helper.make_node('Relu', ['map'], ['positive'])],
             [helper.make_node('ReduceMean', ['positive'], ['score'], axes=[2, 3], keepdims=0)]]
    models = [helper.make_model(helper.make_graph(
        part, 'segment', [helper.make_tensor_value_info(name, kind, ['N', *shape])],
        [helper.make_tensor_value_info(target, target_kind, ['N', *target_shape])],
        [onnx.numpy_helper.from_array(weights, 'weights')] if name == 'image' else []),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
        for part, (name, kind, shape), (target, target_kind, target_shape)
        in zip(nodes, chain, chain[1:])]

    def expected(pixels):
        found = np.einsum('nhwc,oc->nohw', pixels.astype(np.float32), weights[..., 0, 0])
        return np.maximum(found, 0).mean((2, 3))
    return models, expected


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('refused', [None, 'Cast', 'Relu', 'ReduceMean'])
def test_channels_last_at_cuts_are_the_same_numbers_on_device_and_host(
        make, make_spec, in_channels, refuse, version, refused):
    models, expected = in_channels
    if refused:
        refuse(refused)
    engine = make(version)
    network = engine.load('net', models, ['score'], make_spec(width=4, height=4), max_batch=4)
    pixels = images(3)
    np.testing.assert_allclose(network.run(pixels)['score'], expected(pixels),
                               rtol=TOLERANCE, atol=0.2)
    assert bool(network.note) is bool(refused)
    turned = {tensor.name for runner in network._lanes[0]._steps[4]
              for step in runner if not isinstance(step, HostStep)
              for tensor in step._context._engine.tensors if tensor.channels_last}
    assert turned == {'map', 'positive'}


def test_an_error_on_the_cpu_ends_its_run(make, in_variants, refuse, monkeypatch):
    refuse('ReduceMean')
    engine = make()
    network = in_variants.load(engine)
    monkeypatch.setattr('numpy.copyto', lambda *_, **__: 1 / 0)
    flight = network.open([images(1)])
    runs = fly(engine, flight, 2)
    assert [run.error for run in runs] == ['', 'division by zero']


def test_an_error_on_the_cpu_ends_the_run_of_a_whole_network_and_not_the_next(
        make, in_variants, refuse, monkeypatch):
    refuse('Cast')      # the first segment
    engine = make()
    network = in_variants.load(engine)
    for error in ('division by zero', ''):
        with monkeypatch.context() as patch:
            if error:
                patch.setattr('numpy.copyto', lambda *_, **__: 1 / 0)
            runs = []
            flight = network.open([images(1)])
            flight.submit(0, runs.append, last=1)
            engine.poll()
            flight.close()
        assert [run.error for run in runs] == [error]


def test_a_network_that_nobody_can_run_is_an_error_of_its_instance(make, make_spec):
    graph = helper.make_graph(
        [helper.make_node('Unsupported', ['image'], ['score'])], 'odd',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['N', 4, 4, 3])],
        [helper.make_tensor_value_info('score', TensorProto.FLOAT, ['N', 1])])
    model = helper.make_model(graph, ir_version=8,
                              opset_imports=[helper.make_opsetid('', 13)])
    with pytest.raises(EngineError, match=r"instance 'net': TensorRT cannot run .*segment 0: "
                       r'cannot read its ONNX: no importer for Unsupported; .*either'):
        make().load('net', [model], ['score'], make_spec())


def test_without_onnxruntime_it_is_told_what_tensorrt_refuses(make, in_variants, refuse,
                                                              monkeypatch):
    refuse('ReduceMean')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(EngineError, match=r'segment 1: cannot read its ONNX: no importer for '
                       r'ReduceMean; ONNX Runtime would .*`pip install onnxruntime`'):
        in_variants.load(make())


def test_a_size_that_only_a_run_tells_is_told(make, in_variants, monkeypatch):
    monkeypatch.setattr(FakeContext85, 'get_tensor_shape', lambda self, name: (1, -1))
    with pytest.raises(EngineError, match='only a run tells'):
        in_variants.load(make())


def reshaped(source, kind, nodes, target, shape, **constants):
    """Return a segment of nodes whose first sizes are free."""
    return helper.make_model(helper.make_graph(
        nodes, 'segment',
        [helper.make_tensor_value_info(source, kind, ['M', *(
            (3,) if source == 'pixels' else (4, 4, 3))])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(np.array(value, np.int64), name)
         for name, value in constants.items()]),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


def pixel_by_pixel():
    """Return a network with a cut at which each image has 16 rows."""
    return [
        reshaped('image', TensorProto.UINT8,
                 [helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
                  helper.make_node('Reshape', ['float', 'rows'], ['pixels'])],
                 'pixels', ['M', 3], rows=[-1, 3]),
        reshaped('pixels', TensorProto.FLOAT,
                 [helper.make_node('Relu', ['pixels'], ['positive']),
                  helper.make_node('Reshape', ['positive', 'images'], ['whole']),
                  helper.make_node('ReduceMean', ['whole'], ['score'], axes=[1], keepdims=0)],
                 'score', ['N'], images=[-1, 48])]


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('refused', ['', 'Relu'])
def test_a_cut_whose_first_size_is_not_the_batch_is_refused_before_anything_runs(
        make, make_spec, refuse, monkeypatch, version, refused):
    def none(*_):
        raise AssertionError('it ran')
    for kind in (FakeEngine82, FakeEngine85):
        monkeypatch.setattr(kind, 'compute', none)
    refuse(refused)
    with pytest.raises(EngineError, match=r"tensor 'pixels': is \[16, 3\] to one segment and "
                       r'\[1, 3\] to another at a batch of 1.*`s3dnn profile` again'):
        make(version).load('net', pixel_by_pixel(), ['score'], make_spec(width=4, height=4))


@pytest.mark.parametrize('refused', ['', 'ReduceMean'])
def test_one_number_for_a_whole_batch_is_told(make, make_spec, refuse, refused):
    refuse(refused)
    model = reshaped('image', TensorProto.UINT8,
                     [helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
                      helper.make_node('ReduceMean', ['float'], ['score'], keepdims=0)],
                     'score', [])
    with pytest.raises(EngineError, match="tensor 'score': is one number for the whole batch"):
        make().load('net', [model], ['score'], make_spec(width=4, height=4))


def batches_with(make, in_variants, monkeypatch, free, **options):
    """Return the engine and the network that it makes in so many bytes of the device."""
    engine = make(**options)
    monkeypatch.setattr(engine.cuda, 'free', free)
    return engine, in_variants.load(engine, max_batch=8, lanes=2)


def taken(make, in_variants, version, most):
    """Return the bytes that a network of batches up to `most` takes on two lanes."""
    engine = make(version)
    before = engine.cuda.free
    network = in_variants.load(engine, max_batch=most, lanes=2)
    assert network.batches[-1] == most
    return before - engine.cuda.free


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('most', [1, 2, 4, 8])
def test_where_memory_ends_the_largest_batches_are_given_up_and_that_is_told_once(
        make, in_variants, monkeypatch, version, most):
    free = taken(make, in_variants, version, most)
    engine, network = batches_with(make, in_variants, monkeypatch, free, version=version)
    assert network.batches[-1] == network.largest == most and engine.cuda.free == 0
    pixels = images(most)
    np.testing.assert_allclose(network.run(pixels)['score'], means(pixels), rtol=TOLERANCE)
    if most == 8:
        assert network.note == ''
    else:
        assert network.note == (f'tiny: out of memory on a fake GPU, fp16 for batches of '
                                f'{2 * most}; it runs {most} at most')


def test_a_network_that_does_not_even_fit_for_one_image_is_refused(
        make, in_variants, monkeypatch):
    free = taken(make, in_variants, '8.6.0', 1) - 1
    with pytest.raises(EngineError, match='does not fit into the memory of a fake GPU'):
        batches_with(make, in_variants, monkeypatch, free)


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('what', ['deserialize', 'context', 'profile', 'run'])
def test_tensorrts_own_complaints_of_memory_count_as_well(
        make, in_variants, monkeypatch, version, what):
    engine = make(version)

    def refuse_the_large(function):
        def refuse(self, *arguments):
            fake = {'deserialize': None, 'context': self}.get(what, getattr(self, '_engine', None))
            size = fake.device_memory_size if fake else largest_in(arguments[0])
            if size > 4 * 4096:
                engine.api.logger.log(Severity.ERROR, 'Error Code 2: OutOfMemory (Requested …)')
                if what == 'profile':
                    raise RuntimeError('Error in set optimization profile async.')
                return False if what == 'run' else None
            return function(self, *arguments)
        return refuse

    def largest_in(plan):
        found = json.loads(bytes(plan))['shapes'][0]
        return 4096 * max(shapes[2][0] for shapes in found.values())

    kind, name = {
        'deserialize': (type(engine.api.runtime), 'deserialize_cuda_engine'),
        'context': ((FakeEngine10, 'create_execution_context') if version == '10.3.0' else
                    (FakeEngine82 if version == '8.2.5' else FakeEngine85,
                     'create_execution_context_without_device_memory')),
        'profile': (FakeContext82 if version == '8.2.5' else FakeContext85,
                    'set_optimization_profile_async'),
        'run': ((FakeContext82, 'execute_async_v2') if version == '8.2.5' else
                (FakeContext85, 'execute_async_v3'))}[what]
    # the plan of 8 is read by its builder, too, and is not to fail there
    in_variants.load(engine, max_batch=8)
    monkeypatch.setattr(kind, name, refuse_the_large(getattr(kind, name)))
    network = in_variants.load(engine, max_batch=8, lanes=2)
    assert network.batches == (1, 2, 4)
    assert network.note.count('out of memory') == 1
    assert network.run(images(3))['score'].shape == (3,)


def test_int8_without_calibration_tells_the_command(make, in_variants):
    with pytest.raises(EngineError, match='`s3dnn build tiny --precision int8`'):
        in_variants.load(make(precision='int8'))


def test_a_dla_runs_one_batch_alone(make, in_variants):
    network = in_variants.load(make('8.5.2', dla=1), max_batch=4)
    assert network.engine.api.runtime.DLA_core == 1
    assert network.batches == (4,) and network.padded(1) == 4 and network.batch == 0
    pixels = images(3)
    np.testing.assert_allclose(network.run(pixels)['score'], means(pixels), rtol=TOLERANCE)


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('cores, dla', [(2, 2), (0, 0)])
def test_a_dla_that_there_is_not_is_refused_at_once(make, monkeypatch, version, cores, dla):
    api = make(version).api
    monkeypatch.setattr(type(api.runtime), 'num_DLA_cores', cores)
    monkeypatch.setattr(tensorrt_engine, 'TensorRt', lambda: api)
    with pytest.raises(ParameterError, match=f"'engine_dla' is {dla}; there are {cores} DLAs"):
        TensorRtEngine(VirtualClock(), BuildOptions(dla=dla))


def test_without_a_device_tensorrt_is_not_even_imported(monkeypatch):
    def nothing():
        raise ImportError('CUDA finds no device')
    monkeypatch.setattr(tensorrt_engine, 'find_cuda', nothing)
    monkeypatch.setattr(tensorrt_engine, 'TensorRt', None)
    with pytest.raises(ImportError, match='no device'):
        TensorRtEngine(VirtualClock())
