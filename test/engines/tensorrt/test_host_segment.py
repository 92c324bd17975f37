"""A segment on the CPU amid others on a device: sizes, kinds of numbers, errors."""

import numpy as np
import pytest
from fake_cuda import FakeCuda
from onnx import TensorProto, helper

from s3dnn_ros.engines.tensorrt.host_segment import Buffer, HostEvent, HostSegment, HostStep
from s3dnn_ros.errors import ModelError

pytest.importorskip('onnxruntime')


def segment(kind, source, target, shape=('N', 3)):
    """Return a segment of one node that takes int64 where `source` says so."""
    graph = helper.make_graph(
        [helper.make_node(kind, ['a'], ['b'], **({'to': target} if kind == 'Cast' else {}))],
        'segment', [helper.make_tensor_value_info('a', source, shape)],
        [helper.make_tensor_value_info('b', target, shape)])
    return HostSegment(helper.make_model(graph, ir_version=8,
                                         opset_imports=[helper.make_opsetid('', 13)]), 'net')


@pytest.fixture
def cuda():
    return FakeCuda()


def run(cuda, host, value, kinds):
    """Return what a step makes of a value, between buffers of these kinds of numbers."""
    given = np.ascontiguousarray(value, kinds[0])
    found = np.zeros_like(given, kinds[1])
    step = HostStep(host, cuda, {'a': Buffer(given.ctypes.data, np.dtype(kinds[0])),
                                 'b': Buffer(found.ctypes.data, np.dtype(kinds[1]))},
                    len(given))
    step.submit(cuda.stream(0))
    return step, found


@pytest.mark.parametrize('kinds', [(np.float32, np.float32), (np.float16, np.float32),
                                   (np.float32, np.float16), (np.float16, np.float16)])
def test_numbers_are_on_the_device_as_tensorrt_has_them(cuda, kinds):
    host = segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT)
    step, found = run(cuda, host, [[-1, 2, 3], [4, -5, 6]], kinds)
    assert step.error == ''
    np.testing.assert_array_equal(found, [[0, 2, 3], [4, 0, 6]])


def test_whole_numbers_are_32_bits_there(cuda):
    host = segment('Cast', TensorProto.INT64, TensorProto.FLOAT)
    _, found = run(cuda, host, [[1, 2, 3]], (np.int32, np.float32))
    np.testing.assert_array_equal(found, [[1, 2, 3]])


@pytest.mark.parametrize('kind', [TensorProto.INT16, TensorProto.UINT16, TensorProto.UINT32])
def test_whole_numbers_that_tensorrt_has_not_are_themselves(cuda, kind):
    host = segment('Cast', kind, TensorProto.FLOAT)
    _, found = run(cuda, host, [[1, 2, 3]], (host.dtypes['a'], np.float32))
    np.testing.assert_array_equal(found, [[1, 2, 3]])


def test_what_is_no_number_of_numpys_is_told():
    with pytest.raises(ModelError, match=r"^net: would run on the CPU.* 'a' is a "
                                         r'tensor\(bfloat16\).*cut it elsewhere'):
        segment('Cast', TensorProto.BFLOAT16, TensorProto.FLOAT)


def test_one_number_has_no_size():
    assert segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT, ()).shapes(8) == {
        'a': (), 'b': ()}


def test_a_batch_may_be_fixed():
    assert segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT, (4, 3)).shapes(8)['b'] == (4, 3)
    assert segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT).shapes(8)['b'] == (8, 3)


def test_sizes_that_nobody_knows_are_told():
    host = segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT, ('N', 'boxes'))
    with pytest.raises(ModelError, match=r"net: runs on the CPU.* 'a' .*fixed sizes"):
        host.shapes(1)


def test_an_error_is_told_by_the_event_and_not_for_ever(cuda):
    host = segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT)
    step, _ = run(cuda, host, [[1, 2, 3]], (np.float32, np.float32))
    event = HostEvent(cuda.event(), [step])
    assert event.query()
    step.error = 'no memory'
    for look in (event.query, event.synchronize):
        with pytest.raises(RuntimeError, match='no memory'):
            look()
    step.submit(cuda.stream(0))
    assert event.query()


def test_an_event_that_has_not_passed_tells_nothing(cuda):
    step, _ = run(cuda, segment('Relu', TensorProto.FLOAT, TensorProto.FLOAT), [[1, 2, 3]],
                  (np.float32, np.float32))
    step.error, cuda.hold = 'of the run before', True
    assert HostEvent(cuda.event(), [step]).query() is False
