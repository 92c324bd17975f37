"""From segments to plans: what is built, how, what is kept, and what cannot be built."""

import functools
import json
import pickle
import re
import threading

import fake_tensorrt as fakes
import numpy as np
import onnx
import pytest
from children import crash_on_the_second, sleep
from fake_cuda import FakeCuda
from fake_tensorrt import VERSIONS
from onnx import TensorProto, helper

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.engines.tensorrt import builder as tensorrt_builder
from s3dnn_ros.engines.tensorrt import int8, plan_cache
from s3dnn_ros.engines.tensorrt import plans as tensorrt_plans
from s3dnn_ros.engines.tensorrt.plan_cache import plan_path, plans_dir, refusal_path
from s3dnn_ros.engines.tensorrt.plans import Calibration, Machine, provide, wanted_plans
from s3dnn_ros.errors import BuildError, ModelError

SECONDS = 3.0       # that a build takes


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    return tmp_path


class InProcess(fakes.InProcess):
    """Stands for ChildProcess: what goes in and out is pickled, and time passes."""

    builds = 0

    def __init__(self, clock, function, limit_s):
        super().__init__(function, limit_s)
        self._clock = clock

    def call(self, name, argument):
        InProcess.builds += 1
        self._clock.advance(SECONDS)
        try:
            found = super().call(name, pickle.loads(pickle.dumps(argument)))
        except BuildError as error:
            raise pickle.loads(pickle.dumps(error)) from None
        return pickle.loads(pickle.dumps(found))


@pytest.fixture
def clock(monkeypatch):
    clock = VirtualClock()
    InProcess.builds = 0
    monkeypatch.setattr(tensorrt_plans, 'ChildProcess', functools.partial(InProcess, clock))
    monkeypatch.setattr(tensorrt_builder, 'find_cuda', FakeCuda)
    return clock


def segment(kinds, source, target, source_type=TensorProto.FLOAT):
    """Return a segment that is a chain of nodes of these types."""
    names = [source, *(f'{target}_{index}' for index in range(len(kinds) - 1)), target]
    nodes = [helper.make_node(kind, [before], [after], name=f'{kind}_{after}',
                              **({'to': TensorProto.FLOAT} if kind == 'Cast' else {}))
             for kind, before, after in zip(kinds, names, names[1:])]
    return helper.make_model(helper.make_graph(
        nodes, 'segment', [helper.make_tensor_value_info(source, source_type, ['N', 4, 4, 3])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, ['N', 4, 4, 3])]),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


def network(second='Relu', variant=()):
    return [[segment(['Cast', 'Relu'], 'image', 'cut', TensorProto.UINT8)],
            [segment([second], 'cut', 'score'), *variant]]


def wanted(api, models=None, batches=(1, 2, 4), lanes=1, **options):
    machine = Machine(api.version, api.shares_profiles, '8.7')
    return wanted_plans('net', models or network(), ['score'], batches, lanes,
                        BuildOptions(**options), machine)


def asked(plan):
    """Return what a fake plan was built with."""
    return json.loads(plan.content)


@pytest.mark.parametrize('version', VERSIONS)
def test_every_version_builds_what_is_wanted_and_only_once(fake_tensorrt, clock, version, said):
    api = fake_tensorrt(version)
    first = provide(wanted(api), clock)
    assert not first.refused and first.built == 2
    assert [tensor.dtype for tensor in first.plans[0, 0].tensors] == ['float32', 'float16']
    assert [tensor.dtype for tensor in first.plans[1, 0].tensors] == ['float16', 'float32']
    values = asked(first.plans[0, 0])
    assert values['flags'] == ['TF32', 'FP16']
    assert values['formats'] == [1, 1]      # of TensorFormat.LINEAR alone
    assert values['shapes'][0] == {'image': [[1, 4, 4, 3], [4, 4, 4, 3], [4, 4, 4, 3]]}
    assert values['profiles'] == (1 if api.shares_profiles else 12)
    assert said.pop(0) == '2 to build'
    assert said[0].startswith('1 of 2: net, segment 0: built, ')
    # the second may have begun before the first was told
    assert re.search('; about [36] s left$', said[0]) and 'left' not in said[1]
    second = provide(wanted(api), clock)
    assert second.plans == first.plans and not second.built and InProcess.builds == 2


@pytest.mark.parametrize('options, found', [
    ({'precision': 'fp32'}, {'flags': []}),
    ({'workspace_mb': 32}, {'workspace': 32 << 20}),
    ({'tactics': ('cudnn',)}, {'tactics': 4}), ({}, {'level': 3}),
    ({'optimization_level': 0}, {'level': 0}),
    ({'optimum': 2}, {'shapes': [{'image': [[1, 4, 4, 3], [2, 4, 4, 3], [4, 4, 4, 3]]}]})])
def test_options_are_what_it_is_built_with(fake_tensorrt, clock, options, found):
    plan = provide(wanted(fake_tensorrt('8.6.0'), **options), clock).plans[0, 0]
    assert {name: asked(plan)[name] for name in found} == found


@pytest.mark.parametrize('size, capability, options, found', [
    ((8, 4, 4), '8.7', {}, ('cut',)), ((24, 4, 4), '7.2', {}, ('cut',)),
    ((12, 4, 4), '8.7', {}, ()),                    # channels that would have to be padded
    ((8, 4), '8.7', {}, ()),                        # no picture
    ((None, 4, 4), '8.7', {}, ()),
    ((8, 4, 4), '6.2', {}, ()),                     # a TX2's
    ((8, 4, 4), '8.7', {'precision': 'fp32'}, ()),
    ((8, 4, 4), '8.7', {'precision': 'int8'}, ()),
    ((8, 4, 4), '8.7', {'dla': 0}, ())])
def test_tensors_at_cuts_lie_as_tensor_cores_take_them(fake_tensorrt, clock, size, capability,
                                                       options, found):
    api = fake_tensorrt('8.6.0')
    first, second = segment(['Relu'], 'image', 'cut'), segment(['Relu'], 'cut', 'score')
    for value in (first.graph.output[0], second.graph.input[0]):
        value.CopyFrom(helper.make_tensor_value_info('cut', TensorProto.FLOAT, ['N', *size]))
    keys = [each.key for each in wanted_plans(
        'net', [[first], [second]], ['score'], [1], 1, BuildOptions(**options),
        Machine(api.version, api.shares_profiles, capability))]
    assert [key.channels_last for key in keys] == [found, found]


def test_the_image_is_float_and_the_network_is_not_changed():
    model = network()[0][0]
    before = model.SerializeToString()
    floats = tensorrt_builder.with_float_image(model)
    assert floats.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.checker.check_model(floats, full_check=True)
    assert model.SerializeToString() == before


def test_variants_have_plans_of_their_own(fake_tensorrt, clock):
    coarser = segment(['Relu', 'Relu'], 'cut', 'score')
    found = provide(wanted(fake_tensorrt('8.6.0'), network(variant=[coarser])), clock)
    assert sorted(found.plans) == [(0, 0), (1, 0), (1, 1)]


@pytest.mark.parametrize('kind, reason', [
    ('Unsupported', 'no importer for Unsupported'),
    ('Unbuildable', 'could not find any implementation')])
def test_a_segment_that_cannot_be_built_is_told_and_the_others_are_there(
        fake_tensorrt, clock, said, kind, reason):
    found = provide(wanted(fake_tensorrt('8.6.0'), network(kind)), clock)
    assert list(found.plans) == [(0, 0)]
    assert str(found.refused[1, 0]).startswith('net, segment 1: ')
    assert reason in str(found.refused[1, 0]) and 'not built' in said[2]


def test_what_was_refused_is_told_again_and_not_built(fake_tensorrt, clock):
    api = fake_tensorrt('8.6.0')
    first = provide(wanted(api, network('Unsupported')), clock)
    assert InProcess.builds == 2
    for keep in (True, False):
        second = provide(wanted(api, network('Unsupported')), clock, keep=keep)
        assert second.plans == first.plans and not second.built
        assert str(second.refused[1, 0]) == str(first.refused[1, 0]) and not second.faults
    assert InProcess.builds == 2


@pytest.mark.parametrize('version, options', [
    ('8.5.2', {}), ('8.5.3', {}), ('8.5.2', {'workspace_mb': 32})])
def test_what_was_refused_is_tried_again_where_that_makes_a_difference(
        fake_tensorrt, clock, monkeypatch, version, options):
    with monkeypatch.context() as patch:
        patch.setattr(tensorrt_plans, 'build', crash_in_process)
        ordered = wanted(fake_tensorrt('8.5.2'), network()[:1])
        assert provide(ordered, clock).refused and provide(ordered, clock).refused
        assert InProcess.builds == 1
    path = refusal_path(ordered[0].key)
    others = wanted(fake_tensorrt(version), network()[:1], **options)
    found = provide(others, clock, again=others == ordered)
    assert found.built == 1 and InProcess.builds == 2
    assert bool(found.faults) is (version == '8.5.3')
    assert path.exists() is bool(options)       # it is of what was asked for before


def test_a_damaged_refusal_is_told_by_name_and_tried_again(fake_tensorrt, clock):
    ordered = wanted(fake_tensorrt('8.6.0'), network('Unsupported'))
    provide(ordered, clock)
    path = refusal_path(ordered[1].key)
    path.write_bytes(path.read_bytes()[:-1])
    again = provide(ordered, clock)
    assert again.refused and InProcess.builds == 3
    assert len(again.faults) == 1 and str(path) in again.faults[0]


@pytest.mark.parametrize('kind', ['Large', 'Crash'])
def test_what_may_have_passed_the_next_time_is_not_remembered(
        fake_tensorrt, clock, monkeypatch, kind):
    ordered = wanted(fake_tensorrt('8.6.0'), network(kind))
    if kind == 'Crash':
        monkeypatch.setattr(tensorrt_plans, 'build', lambda order: 1 / 0)
    assert provide(ordered, clock).refused
    before = InProcess.builds
    assert provide(ordered, clock).refused and InProcess.builds > before


def test_sizes_that_are_free_are_told(fake_tensorrt, clock):
    models = network()
    models[1][0].graph.input[0].type.tensor_type.shape.dim[1].dim_param = 'H'
    found = provide(wanted(fake_tensorrt('8.6.0'), models), clock)
    assert 'needs fixed sizes' in str(found.refused[1, 0])


def test_a_damaged_plan_is_told_by_name_and_built_again(fake_tensorrt, clock):
    api = fake_tensorrt('8.6.0')
    whole = provide(wanted(api), clock)
    path = plan_path(whole.plans[1, 0].key)
    path.write_bytes(path.read_bytes()[:-5])
    again = provide(wanted(api), clock)
    assert again.plans == whole.plans and again.built == 1
    assert len(again.faults) == 1 and str(path) in again.faults[0]


def test_a_failed_rebuild_keeps_the_old_plan(fake_tensorrt, clock, monkeypatch):
    old = provide(wanted(fake_tensorrt('8.5.2')), clock)
    path = plan_path(old.plans[0, 0].key)
    content = path.read_bytes()
    newer = fake_tensorrt('8.5.3')
    monkeypatch.setattr(newer.module, 'Builder', None)
    monkeypatch.setattr(tensorrt_plans, 'build', crash_in_process)
    found = provide(wanted(newer), clock)
    assert not found.plans and 'built for tensorrt 8.5.2, this is 8.5.3' in found.faults[0]
    assert path.read_bytes() == content


def crash_in_process(order):
    raise BuildError(order.key.name, 'crashed')


def test_a_crash_of_tensorrt_is_an_error_of_its_segment_and_the_rest_is_built(
        fake_tensorrt, monkeypatch):
    monkeypatch.setattr(tensorrt_plans, 'build', crash_on_the_second)
    ordered = wanted(fake_tensorrt('8.6.0'), [*network(), *network()[1:]])
    found = provide(ordered, VirtualClock())
    assert str(found.refused[1, 0]) == 'net, segment 1: its process ended (SIGSEGV)'
    assert sorted(found.plans) == [(0, 0), (2, 0)]
    assert refusal_path(ordered[1].key).exists()


def test_what_is_only_measured_is_not_kept_and_what_is_there_is_taken(
        fake_tensorrt, clock, own_cache):
    api = fake_tensorrt('8.6.0')
    models = network()
    assert provide(wanted(api, network('Unsupported')), clock, keep=False).refused
    provide(wanted(api, models[:1]), clock)
    before = sorted(path for path in plans_dir('net').iterdir() if path.name != '.lock')
    found = provide(wanted(api, models), clock, keep=False)
    assert sorted(found.plans) == [(0, 0), (1, 0)] and found.built == 1
    assert provide(wanted(api, models), clock, keep=False) == found
    assert sorted(path for path in plans_dir('net').iterdir()
                  if path.name != '.lock') == before


def test_a_build_that_hangs_is_given_up(fake_tensorrt, monkeypatch):
    monkeypatch.setattr(tensorrt_plans, 'build', sleep)
    ordered = wanted(fake_tensorrt('8.6.0'), network()[:1])
    found = provide(ordered, VirtualClock(), limit_s=0.5)
    assert not found.plans
    assert str(found.refused[0, 0]).startswith('net, segment 0: took more than 0.5 s')
    monkeypatch.setattr(tensorrt_plans, 'ChildProcess', fakes.InProcess)
    monkeypatch.setattr(tensorrt_plans, 'build', tensorrt_builder.build)
    for limit_s in (0.25, 0.5):
        again = provide(ordered, VirtualClock(), limit_s=limit_s).refused
        assert str(again[0, 0]) == str(found.refused[0, 0])
    assert provide(ordered, VirtualClock(), limit_s=0.75).built == 1


def test_who_comes_second_waits_and_builds_nothing(fake_tensorrt, clock):
    api = fake_tensorrt('8.6.0')
    results = []
    threads = [threading.Thread(target=lambda: results.append(provide(wanted(api), clock)))
               for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.built for result in results) == [0, 0, 2]
    assert all(sorted(result.plans) == [(0, 0), (1, 0)] for result in results)


def test_several_are_built_at_once(fake_tensorrt, clock):
    models = [*network(), *([segment(['Relu'], 'cut', f'score{n}')] for n in range(6))]
    assert provide(wanted(fake_tensorrt('8.6.0'), models), clock, jobs=3).built == 8


@pytest.mark.parametrize('jobs', [1, 2])
def test_an_interruption_ends_it(fake_tensorrt, clock, sentences, jobs):
    def interrupt(line):
        if line.startswith('1 of'):
            raise KeyboardInterrupt
    sentences.callbacks.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        provide(wanted(fake_tensorrt('8.6.0')), clock, jobs=jobs)


def test_a_dla_takes_one_batch_and_says_what_it_leaves(fake_tensorrt, clock, said):
    found = provide(wanted(fake_tensorrt('8.5.2'), batches=(4,), dla=1, optimum=2), clock)
    plan = found.plans[0, 0]
    assert asked(plan)['dla'] == 1 and 'GPU_FALLBACK' in asked(plan)['flags']
    assert asked(plan)['shapes'][0]['image'] == [[4, 4, 4, 3]] * 3
    assert plan.on_gpu == ('Cast_cut_0',) and plan.layers == 2
    assert 'DLA 1 leaves 1 of 2 layers to the GPU: Cast_cut_0' in said[1]


def test_times_are_kept_for_the_next_build(fake_tensorrt, clock, own_cache):
    provide(wanted(fake_tensorrt('8.6.0')), clock)
    path, = (own_cache / 'tensorrt_times').glob('*.cache')
    assert path.name == '8.6.0_8.7.cache' and b'timed' in path.read_bytes()
    path.write_bytes(b'damaged')
    assert not provide(wanted(fake_tensorrt('8.6.0'), precision='fp32'), clock).refused
    assert b'timed' in path.read_bytes() and b'damaged' not in path.read_bytes()


def test_int8_is_calibrated_once_and_then_goes_by_what_was_found(fake_tensorrt, clock):
    pytest.importorskip('onnxruntime')
    ordered = wanted(fake_tensorrt('8.6.0'), precision='int8')
    with pytest.raises(BuildError, match='run `s3dnn build net --precision int8`'):
        provide(ordered, clock)
    images = np.arange(3 * 48, dtype=np.uint8).reshape(3, 4, 4, 3)
    calibration = Calibration(ordered, images, 1)
    first = provide(ordered, clock, calibration=calibration)
    assert asked(first.plans[0, 0])['flags'] == ['TF32', 'FP16', 'INT8']
    assert [tensor.dtype for tensor in first.plans[0, 0].tensors] == ['float32', 'float32']
    assert first.plans[0, 0].key.calibration_sha256 == int8.digest(b'scales of 3 batches')
    assert provide(ordered, clock).plans == first.plans         # the executor has no images
    again = provide(ordered, clock, calibration=calibration)
    assert not again.built
    others = Calibration(ordered, images[:2], 1, replaces=False)
    assert provide(ordered, clock, calibration=others).plans == first.plans
    assert 'read' not in vars(others)       # what costs a run of the network on the CPU
    changed = provide(ordered, clock, calibration=Calibration(ordered, images[:2], 1))
    assert changed.plans[0, 0].key.calibration_sha256 == int8.digest(b'scales of 2 batches')


def test_ranges_of_what_is_only_measured_are_not_kept(fake_tensorrt, clock, own_cache):
    pytest.importorskip('onnxruntime')
    ordered = wanted(fake_tensorrt('8.6.0'), precision='int8')
    calibration = Calibration(ordered, np.zeros((2, 4, 4, 3), np.uint8), 1)
    assert provide(ordered, clock, calibration=calibration, keep=False).built == 2
    assert [path.name for path in plans_dir('net').iterdir()] == ['.lock']


def test_a_network_that_quantises_by_itself_needs_no_ranges(fake_tensorrt, clock):
    pytest.importorskip('onnxruntime')
    model = segment(['Cast', 'Relu'], 'image', 'score', TensorProto.UINT8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), 'step'))
    model.graph.node[1].input[0] = 'coarse'
    for kind, source, target in (('QuantizeLinear', 'score_0', 'small'),
                                 ('DequantizeLinear', 'small', 'coarse')):
        model.graph.node.insert(len(model.graph.node) - 1, helper.make_node(
            kind, [source, 'step'], [target]))
    ordered = wanted(fake_tensorrt('8.6.0'), [[model]], precision='int8')
    calibration = Calibration(ordered, np.zeros((2, 4, 4, 3), np.uint8), 1)
    found = provide(ordered, clock, calibration=calibration)
    assert found.built == 1 and not found.refused
    assert provide(ordered, clock).plans == found.plans


def calibrated(fake_tensorrt, clock):
    """Return what is wanted in int8, what calibrates it, and where its ranges are."""
    ordered = wanted(fake_tensorrt('8.6.0'), precision='int8')
    calibration = Calibration(ordered, np.zeros((2, 4, 4, 3), np.uint8), 1)
    first = provide(ordered, clock, calibration=calibration)
    assert first.built == 2
    return ordered, calibration, [
        int8.scales_path('net', each.key.segment_sha256, '8.6.0') for each in ordered], first


@pytest.mark.parametrize('damage', [
    lambda content: b'', lambda content: content[:-5], lambda content: b'\xff' + content[1:]])
def test_damaged_ranges_are_told_by_name_and_found_again(fake_tensorrt, clock, damage):
    pytest.importorskip('onnxruntime')
    ordered, calibration, (_, path), first = calibrated(fake_tensorrt, clock)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BuildError, match=rf'--precision int8` \({path}: is not whole'):
        provide(ordered, clock)
    again = provide(ordered, clock, calibration=calibration)
    assert again.plans == first.plans and again.built == 1
    assert len(again.faults) == 1 and f'{path}: is not whole' in again.faults[0]


def test_what_is_refused_in_int8_needs_no_ranges(fake_tensorrt, clock, monkeypatch):
    pytest.importorskip('onnxruntime')
    ordered = wanted(fake_tensorrt('8.6.0'), precision='int8')
    calibration = Calibration(ordered, np.zeros((2, 4, 4, 3), np.uint8), 1)
    with monkeypatch.context() as patch:
        patch.setattr(tensorrt_plans, 'build', crash_in_process)
        assert len(provide(ordered, clock, calibration=calibration).refused) == 2
    assert len(provide(ordered, clock).refused) == 2            # the executor has no images
    assert provide(ordered, clock, calibration=calibration, again=True).built == 2
    assert not list(plans_dir('net').glob('*.refused'))


def test_what_segments_read_is_what_the_network_computes():
    pytest.importorskip('onnxruntime')
    images = np.arange(3 * 48, dtype=np.uint8).reshape(3, 4, 4, 3)
    contents = [tensorrt_builder.with_float_image(exact).SerializeToString()
                for exact, *_ in network()]
    first, second = int8.feeds('net', contents, images, batch=2)
    assert [feed['image'].shape for feed in first] == [(2, 4, 4, 3)] * 2
    np.testing.assert_array_equal(second[0]['cut'], images[:2])
    np.testing.assert_array_equal(second[1]['cut'], images[[2, 0]])


def test_what_onnxruntime_cannot_calibrate_is_told(fake_tensorrt, clock):
    pytest.importorskip('onnxruntime')
    ordered = wanted(fake_tensorrt('8.6.0'), network('APlugin'), precision='int8')
    calibration = Calibration(ordered, np.zeros((2, 4, 4, 3), np.uint8), 1)
    with pytest.raises(ModelError, match=r'^net, segment 1: calibration .*APlugin'):
        provide(ordered, clock, calibration=calibration)


def test_what_calibrates_is_of_the_networks_kind(fake_tensorrt, clock, monkeypatch):
    pytest.importorskip('onnxruntime')
    first, second = segment(['Cast'], 'image', 'cut', TensorProto.UINT8), segment(
        ['Cast'], 'cut', 'score', TensorProto.INT64)
    first.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    first.graph.node[0].attribute[0].i = TensorProto.INT64
    uploaded = set()
    monkeypatch.setattr(FakeCuda, 'upload', lambda self, memory, array: uploaded.add(
        (memory.size, array.dtype.name)))
    ordered = wanted(fake_tensorrt('8.6.0'), [[first], [second]], precision='int8')
    calibration = Calibration(ordered, np.zeros((2, 4, 4, 3), np.uint8), 1)
    assert not provide(ordered, clock, calibration=calibration).refused
    assert uploaded == {(4 * 48, 'float32'), (4 * 48, 'int32')}


def test_a_cache_that_cannot_be_written_is_told(fake_tensorrt, clock):
    plans_dir('net').parent.mkdir(parents=True)
    plans_dir('net').write_text('')
    with pytest.raises(BuildError, match=r'cannot be written .*\$S3DNN_CACHE'):
        provide(wanted(fake_tensorrt('8.6.0')), clock)


@pytest.mark.parametrize('second', ['Relu', 'Unsupported'])
def test_a_cache_that_is_full_is_told(fake_tensorrt, clock, monkeypatch, second):
    def full(*_):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(plan_cache, 'write_whole', full)
    with pytest.raises(BuildError, match=r'cannot be written .No space .*\$S3DNN_CACHE'):
        provide(wanted(fake_tensorrt('8.6.0'), network(second)[1:]), clock)


def test_what_fails_beside_the_cache_is_no_fault_of_it(fake_tensorrt, clock, sentences):
    def gone(line):
        raise BrokenPipeError(32, 'Broken pipe')
    sentences.callbacks.append(gone)
    with pytest.raises(BrokenPipeError):
        provide(wanted(fake_tensorrt('8.6.0')), clock)
