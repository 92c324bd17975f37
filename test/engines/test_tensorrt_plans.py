"""From segments to plans: what is built, how, what is kept, and what cannot be built."""

import functools
import json
import pickle
import re
import threading

import numpy as np
import onnx
import pytest
from children import crash_on_the_second, sleep
from fake_cuda import FakeCuda
from fake_tensorrt import VERSIONS
from onnx import TensorProto, helper

from s3dnn_ros.engines import int8, tensorrt_builder, tensorrt_plans
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.engines.plan_cache import plan_path, plans_dir
from s3dnn_ros.engines.tensorrt_plans import Calibration, Machine, provide, wanted_plans
from s3dnn_ros.errors import BuildError
from s3dnn_ros.runtime.clock import VirtualClock

SECONDS = 3.0       # that a build takes


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    return tmp_path


class InProcess:
    """Stands for ChildProcess: what goes in and out is pickled, and time passes."""

    builds = 0

    def __init__(self, clock, function, limit_s):
        self._clock, self._function = clock, function

    def call(self, name, argument):
        InProcess.builds += 1
        self._clock.advance(SECONDS)
        return pickle.loads(pickle.dumps(self._function(pickle.loads(pickle.dumps(argument)))))

    def close(self):
        pass


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
def test_every_version_builds_what_is_wanted_and_only_once(fake_tensorrt, clock, version):
    api = fake_tensorrt(version)
    lines = []
    first = provide(wanted(api), clock, report=lines.append)
    assert not first.refused and first.built == 2
    assert [tensor.dtype for tensor in first.plans[0, 0].tensors] == ['float32', 'float16']
    assert [tensor.dtype for tensor in first.plans[1, 0].tensors] == ['float16', 'float32']
    values = asked(first.plans[0, 0])
    assert values['flags'] == ['TF32', 'FP16']
    assert values['formats'] == [1, 1]      # of TensorFormat.LINEAR alone
    assert values['shapes'][0] == {'image': [[1, 4, 4, 3], [4, 4, 4, 3], [4, 4, 4, 3]]}
    assert values['profiles'] == (1 if api.shares_profiles else 12)
    assert lines.pop(0) == '2 to build'
    assert lines[0].startswith('1 of 2: net, segment 0: built, ')
    # the second may have begun before the first was told
    assert re.search('; about [36] s left$', lines[0]) and 'left' not in lines[1]
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
        fake_tensorrt, clock, kind, reason):
    lines = []
    found = provide(wanted(fake_tensorrt('8.6.0'), network(kind)), clock, report=lines.append)
    assert list(found.plans) == [(0, 0)]
    assert str(found.refused[1, 0]).startswith('net, segment 1: ')
    assert reason in str(found.refused[1, 0]) and 'not built' in lines[2]


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
    found = provide(wanted(fake_tensorrt('8.6.0'), [*network(), *network()[1:]]), VirtualClock())
    assert str(found.refused[1, 0]) == 'net, segment 1: its process ended (SIGSEGV)'
    assert sorted(found.plans) == [(0, 0), (2, 0)]


def test_what_is_only_measured_is_not_kept_and_what_is_there_is_taken(
        fake_tensorrt, clock, own_cache):
    api = fake_tensorrt('8.6.0')
    models = network()
    provide(wanted(api, models[:1]), clock)
    before = sorted(path for path in plans_dir('net').iterdir() if path.name != '.lock')
    found = provide(wanted(api, models), clock, keep=False)
    assert sorted(found.plans) == [(0, 0), (1, 0)] and found.built == 1
    assert provide(wanted(api, models), clock, keep=False) == found
    assert sorted(path for path in plans_dir('net').iterdir()
                  if path.name != '.lock') == before


def test_a_build_that_hangs_is_given_up(fake_tensorrt, monkeypatch):
    monkeypatch.setattr(tensorrt_plans, 'build', sleep)
    found = provide(wanted(fake_tensorrt('8.6.0'), network()[:1]), VirtualClock(), limit_s=0.5)
    assert not found.plans
    assert str(found.refused[0, 0]).startswith('net, segment 0: took more than 0.5 s')


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
def test_an_interruption_ends_it(fake_tensorrt, clock, jobs):
    def interrupt(line):
        if line.startswith('1 of'):
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        provide(wanted(fake_tensorrt('8.6.0')), clock, jobs=jobs, report=interrupt)


def test_a_dla_takes_one_batch_and_says_what_it_leaves(fake_tensorrt, clock):
    lines = []
    found = provide(wanted(fake_tensorrt('8.5.2'), batches=(4,), dla=1, optimum=2), clock,
                    report=lines.append)
    plan = found.plans[0, 0]
    assert asked(plan)['dla'] == 1 and 'GPU_FALLBACK' in asked(plan)['flags']
    assert asked(plan)['shapes'][0]['image'] == [[4, 4, 4, 3]] * 3
    assert plan.on_gpu == ('Cast_cut_0',) and plan.layers == 2
    assert 'DLA 1 leaves 1 of 2 layers to the GPU: Cast_cut_0' in lines[1]


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


def test_what_segments_read_is_what_the_network_computes():
    pytest.importorskip('onnxruntime')
    images = np.arange(3 * 48, dtype=np.uint8).reshape(3, 4, 4, 3)
    contents = [tensorrt_builder.with_float_image(exact).SerializeToString()
                for exact, *_ in network()]
    first, second = int8.feeds(contents, images, batch=2)
    assert [feed['image'].shape for feed in first] == [(2, 4, 4, 3)] * 2
    np.testing.assert_array_equal(second[0]['cut'], images[:2])
    np.testing.assert_array_equal(second[1]['cut'], images[[2, 0]])


def test_a_cache_that_cannot_be_written_is_told(fake_tensorrt, clock):
    plans_dir('net').parent.mkdir(parents=True)
    plans_dir('net').write_text('')
    with pytest.raises(BuildError, match=r'cannot be written .*\$S3DNN_CACHE'):
        provide(wanted(fake_tensorrt('8.6.0')), clock)
