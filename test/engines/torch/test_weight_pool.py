"""Equal weights of networks are in memory once, and others are never taken for them."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.engines.torch.onnx_to_torch import to_torch
from s3dnn_ros.engines.torch.weight_pool import WeightPool

WIDTHS = (16, 24, 8)


def network(seeds):
    """Return a chain of convolutions, a layer of random weights for each seed."""
    sizes = [3, *WIDTHS]
    arrays = {f'w{index}': np.random.default_rng(seed).normal(
        size=(sizes[index + 1], sizes[index], 3, 3)).astype(np.float32)
        for index, seed in enumerate(seeds)}
    names = ['x', *(f't{index}' for index in range(len(seeds) - 1)), 'y']
    nodes = [helper.make_node('Conv', [names[index], f'w{index}'], [names[index + 1]],
                              pads=[1] * 4) for index in range(len(seeds))]
    graph = helper.make_graph(
        nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, WIDTHS[-1], 4, 4])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 13)])


def held(*networks):
    """Return the bytes of all memory behind the weights of networks."""
    return sum({tensor.data_ptr(): tensor.numel() * tensor.element_size()
                for each in networks for tensor in each.weights().values()}.values())


def size(layer):
    inputs, outputs = (3, *WIDTHS)[layer], WIDTHS[layer]
    return 4 * inputs * outputs * 9


SEEDS = st.tuples(*[st.integers(0, 1)] * len(WIDTHS))


@given(st.lists(SEEDS, min_size=1, max_size=4), st.booleans())
def test_a_layer_that_networks_have_in_common_takes_memory_once(all_seeds, half):
    pool = WeightPool()
    alone = [to_torch(network(seeds), half=half) for seeds in all_seeds]
    shared = [to_torch(network(seeds), half=half).share(pool) for seeds in all_seeds]
    layers = {(layer, seed) for seeds in all_seeds for layer, seed in enumerate(seeds)}
    assert held(*shared) == sum(size(layer) for layer, _ in layers) // (2 if half else 1)
    for own, other in zip(alone, shared):
        for name, tensor in own.weights().items():
            found = other.weights()[name]
            assert torch.equal(found, tensor) and found.stride() == tensor.stride()


def test_networks_that_share_compute_what_they_did():
    x = torch.randn(1, 3, 4, 4)
    pool = WeightPool()
    for seeds in ((0, 1, 2), (0, 1, 3), (0, 4, 2)):
        expected, = to_torch(network(seeds))(x)
        found, = to_torch(network(seeds)).share(pool)(x)
        assert torch.equal(found, expected)


def test_numbers_of_other_shape_layout_or_type_are_others():
    pool = WeightPool()
    numbers = torch.zeros(2, 2, 3, 3)
    kinds = [numbers, numbers.clone().contiguous(memory_format=torch.channels_last),
             torch.zeros(36), torch.zeros(2, 2, 3, 3, dtype=torch.int32)]
    assert all(pool.shared(each) is each for each in kinds)
    assert pool.shared(torch.zeros(2, 2, 3, 3)) is numbers


def test_a_pool_holds_nothing_by_itself():
    pool = WeightPool()
    first = to_torch(network((0, 1, 2))).share(pool)
    second = to_torch(network((0, 3, 4))).share(pool)
    common = first.weights()['w0']
    assert second.weights()['w0'] is common
    del first, second, common
    gc.collect()
    later = to_torch(network((0, 5, 6)))
    own = later.weights()['w0']
    assert later.share(pool).weights()['w0'] is own
