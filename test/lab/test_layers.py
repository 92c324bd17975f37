"""What layers ask for: counted by hand on small networks."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.lab.layers import Layer, cut, layers_of
from s3dnn_ros.lab.skeletons import Skeleton


def test_a_convolution_with_what_is_fused_into_it():
    net = Skeleton('net', 8, 4)
    first = net.conv('images', 16, 3)
    last = net.add(net.conv(first, 16, 1, relu=False), first)
    pixels = 8 * 8
    assert layers_of(net.model(last)) == [
        Layer(2.0 * pixels * 16 * 4 * 9, pixels * (4 + 16), 16 * 4 * 9, pixels * 16),
        # it reads the skipped tensor, too
        Layer(2.0 * pixels * 16 * 16, pixels * (16 + 16 + 16), 16 * 16, pixels * 16)]


@given(st.integers(2, 32), st.integers(1, 3))
def test_a_depthwise_convolution_is_not_dense(channels, stride):
    net = Skeleton('net', 12, channels)
    (layer,) = layers_of(net.model(net.conv('images', channels, 3, stride, groups=channels)))
    side = -(-12 // stride)
    assert not layer.is_dense and layer.weights == channels * 9
    assert layer.flops == 2.0 * side * side * channels * 9
    net = Skeleton('net', 12, channels)
    (layer,) = layers_of(net.model(net.conv('images', channels, 3, stride)))
    assert layer.is_dense


def test_a_pool_moves_and_a_product_reads_its_weights():
    net = Skeleton('net', 8, 4)
    pooled = net.pool('images', 2, 2)
    layers = layers_of(net.model(net.dense(pooled, 64, 10)))
    assert layers == [Layer(0.0, 256 + 64, 0, 64), Layer(2.0 * 640, 64 + 10, 640, 10)]


def test_joining_and_reshaping_cost_nothing():
    net = Skeleton('net', 8, 4)
    plain = net.join(net.conv('images', 4, 1), net.conv('images', 8, 1))
    assert len(layers_of(net.model(plain))) == 2


def test_a_graph_of_real_weights_with_a_free_batch():
    weight = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), 'weight')
    graph = helper.make_graph(
        [helper.make_node('Sub', ['images', 'mean'], ['centred']),
         helper.make_node('Conv', ['centred', 'weight'], ['out'], pads=[1, 1, 1, 1])],
        'net', [helper.make_tensor_value_info('images', TensorProto.FLOAT, ['N', 3, 16, 16])],
        [helper.make_tensor_value_info('out', TensorProto.FLOAT, ['N', 8, 16, 16])],
        [weight, numpy_helper.from_array(np.ones(1, np.float32), 'mean')])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    onnx.checker.check_model(model)
    before, convolution = layers_of(model)
    assert before == Layer(0.0, 2 * 3 * 256, 1, 3 * 256)
    assert convolution == Layer(2.0 * 256 * 8 * 27, 256 * (3 + 8), 216, 256 * 8)


@pytest.mark.parametrize('name', ['Relu', 'Sigmoid'])
def test_what_is_first_has_nothing_to_be_fused_into(name):
    net = Skeleton('net', 8, 4)
    assert len(layers_of(net.model(net._node(name, ['images'], 4)))) == 1


@given(st.integers(1, 60), st.integers(1, 80))
def test_segments_have_about_as_many_layers_each(layers, count):
    segments = cut(list(range(layers)), count)
    assert [layer for segment in segments for layer in segment] == list(range(layers))
    sizes = [len(segment) for segment in segments]
    assert len(sizes) == min(count, layers) and max(sizes) - min(sizes) <= 1
