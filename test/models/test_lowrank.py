"""Low-rank networks: the same names and shapes, the multiply-adds they say, exact at full rank."""

import itertools
import math

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models import factors
from s3dnn_ros.models.factors import READING, Way
from s3dnn_ros.models.lowrank import UNITS, decomposable, low_rank, low_ranks, rewritten
from s3dnn_ros.models.macs import multiply_adds

RATIOS = (0.9, 0.6, 0.3, 0.1)
# What rounding to float32, in another order, may change in numbers of about one.
CLOSE = {'rtol': 1e-4, 'atol': 1e-4}


def network(nodes, shape, weights, opset=13, constants=(), input_type=TensorProto.FLOAT):
    """Return a model from `x` to `y` whose inner shapes are known."""
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()
              if name not in constants]
    made = [helper.make_node('Constant', [], [name],
                             value=numpy_helper.from_array(weights[name], name))
            for name in constants]
    graph = helper.make_graph(
        [*made, *nodes], 'net', [helper.make_tensor_value_info('x', input_type, shape)],
        [helper.make_tensor_value_info('y', input_type, None)], stored)
    model = helper.make_model(graph, ir_version=7,
                              opset_imports=[helper.make_opsetid('', opset)])
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def run(model, x):
    onnxruntime = pytest.importorskip('onnxruntime')
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    return session.run(None, {'x': x})[0]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@st.composite
def convolutions(draw):
    """A network of one convolution, with or without bias, and an input for it."""
    axes = draw(st.integers(1, 3))
    kernel = draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    inputs, outputs = (groups * draw(st.integers(1, 6)) for _ in range(2))
    attributes = {'group': groups}
    if draw(st.booleans()):
        attributes['kernel_shape'] = kernel
    if draw(st.booleans()):
        attributes['strides'] = draw(st.lists(st.integers(1, 2), min_size=axes, max_size=axes))
    if draw(st.booleans()):
        attributes['dilations'] = draw(st.lists(st.integers(1, 2), min_size=axes, max_size=axes))
    padding = draw(st.sampled_from(['pads', 'SAME_UPPER', 'SAME_LOWER', 'VALID', None]))
    if padding == 'pads':
        attributes['pads'] = draw(st.lists(st.integers(0, 2), min_size=2 * axes,
                                           max_size=2 * axes))
    elif padding:
        attributes['auto_pad'] = padding
        if padding != 'VALID':
            attributes.pop('dilations', None)   # ONNX Runtime refuses both together
    weights = {'w': noise(outputs, inputs // groups, *kernel)}
    names = ['x', 'w']
    if draw(st.booleans()):
        weights['b'] = noise(outputs, seed=1)
        names.append('b')
    constants = ('w',) if draw(st.booleans()) else ()
    x = noise(2, inputs, *([7] * axes), seed=2)
    return network([helper.make_node('Conv', names, ['y'], 'conv', **attributes)], x.shape,
                   weights, constants=constants), x


@st.composite
def products(draw):
    """A network of one Gemm or MatMul, and an input for it."""
    inputs, outputs, rows = (draw(st.integers(1, 9)) for _ in range(3))
    if draw(st.booleans()):
        x = noise(*draw(st.sampled_from([(rows, inputs), (2, rows, inputs)])), seed=2)
        nodes = [helper.make_node('MatMul', ['x', 'w'], ['y'], 'product')]
        return network(nodes, x.shape, {'w': noise(inputs, outputs)}), x
    turned = {name: draw(st.integers(0, 1)) for name in ('transA', 'transB')}
    scales = {name: draw(st.sampled_from([1.0, -0.5, 2.0])) for name in ('alpha', 'beta')}
    bias = draw(st.sampled_from([None, (outputs,), (rows, outputs), (1,)]))
    weights = {'w': noise(*((outputs, inputs) if turned['transB'] else (inputs, outputs)))}
    opset = 13 if bias is None else draw(st.sampled_from([9, 13]))
    if bias:
        weights['b'] = noise(*bias, seed=1)
    x = noise(*((inputs, rows) if turned['transA'] else (rows, inputs)), seed=2)
    names = ['x', 'w', 'b'] if bias else ['x', 'w']
    nodes = [helper.make_node('Gemm', names, ['y'], 'product', **turned, **scales)]
    return network(nodes, x.shape, weights, opset), x


layers = st.one_of(convolutions(), products())


def full_ways(layer):
    """Return the ways of a layer that lose nothing."""
    factors = layer.factors
    kernel = factors.weight.shape[2:]
    if math.prod(kernel) == 1:
        return [Way('svd', (min(factors.outputs, factors.inputs),), 0, 0, 0.0)]
    found = [Way('tucker', (factors.inputs, factors.outputs), 0, 0, 0.0)]
    if len(kernel) == 2 and min(kernel) > 1:
        rank = min(factors.inputs * kernel[0], factors.outputs * kernel[1])
        found.append(Way('separable', (rank,), 0, 0, 0.0))
    return found


def signature(model):
    return [(value.name, str(value.type)) for value in [*model.graph.input, *model.graph.output]]


@settings(max_examples=150)
@given(layers)
def test_at_full_rank_a_network_computes_the_same(made):
    model, x = made
    found = decomposable(model)
    for layer in found:
        for way in full_ways(layer):
            result = rewritten(model, [layer], [way])
            np.testing.assert_allclose(run(result.model, x), run(model, x), **CLOSE)


@settings(max_examples=150)
@given(layers, st.sampled_from(RATIOS))
def test_names_shapes_and_counts_are_right_at_any_ratio(made, ratio):
    model, x = made
    before = model.SerializeToString(deterministic=True)
    result = low_rank(model, ratio)
    assert model.SerializeToString(deterministic=True) == before
    assert signature(result.model) == signature(model)
    assert run(result.model, x).shape == run(model, x).shape
    saved = sum(layer.macs_before - layer.macs_after for layer in result.layers)
    assert multiply_adds(result.model) == multiply_adds(model) - saved
    assert all(layer.macs_after < layer.macs_before for layer in result.layers)
    assert low_rank(model, ratio).model == result.model


@settings(max_examples=60)
@given(layers)
def test_the_error_is_the_weights_own(made):
    model, _ = made
    for layer in decomposable(model):
        for way in layer.factors.ways()[1:]:
            first, *others = layer.factors.chain(way)
            weight = first.weight
            for link in others:
                weight = joined(weight, link.weight)
            change = np.square(weight - layer.factors.weight).sum()
            assert change == pytest.approx(
                way.lost * np.square(layer.factors.weight).sum(), rel=1e-5, abs=1e-9)


def joined(first, second):
    """Return the weight of two convolutions in a row, along different axes of the image."""
    kernel = [a + b - 1 for a, b in zip(first.shape[2:], second.shape[2:])]
    result = np.zeros((second.shape[0], first.shape[1], *kernel))
    places = [itertools.product(*map(range, weight.shape[2:])) for weight in (first, second)]
    for one, other in itertools.product(*places):
        spot = tuple(a + b for a, b in zip(one, other))
        result[(slice(None), slice(None), *spot)] += (
            second[(slice(None), slice(None), *other)] @ first[(slice(None), slice(None), *one)])
    return result


@pytest.fixture(name='deep', scope='module')
def _deep():
    """Return a network of convolutions of all kinds and a product."""
    rng = np.random.default_rng(3)
    weights = {'w0': noise(12, 3, 3, 3), 'w1': noise(12, 1, 3, 3), 'w2': noise(16, 12, 1, 1),
               'w3': noise(16, 16, 3, 3), 'w4': noise(10, 16 * 16),
               'b4': rng.normal(size=10).astype(np.float32)}
    weights['w3'] = (weights['w3'].reshape(16, -1) * np.linspace(1, 0, 144) ** 3).reshape(
        16, 16, 3, 3).astype(np.float32)
    nodes = [
        helper.make_node('Conv', ['x', 'w0'], ['a'], 'first', pads=[1] * 4, strides=[2, 2]),
        helper.make_node('Conv', ['a', 'w1'], ['b'], 'depthwise', pads=[1] * 4, group=12),
        helper.make_node('Relu', ['b'], ['c']),
        helper.make_node('Conv', ['c', 'w2'], ['d'], 'pointwise'),
        helper.make_node('Conv', ['d', 'w3'], ['e'], 'dense', pads=[1] * 4),
        helper.make_node('Conv', ['e', 'w3'], ['f'], 'again', pads=[1] * 4),
        helper.make_node('Flatten', ['f'], ['g']),
        helper.make_node('Gemm', ['g', 'w4', 'b4'], ['y'], 'head', transB=1)]
    return network(nodes, (1, 3, 8, 8), weights)


def test_less_is_never_more(deep, monkeypatch):
    monkeypatch.setattr(factors, 'READING', 1)      # work is multiply-adds then
    ratios = [ratio / 20 for ratio in range(19, 0, -1)]
    results = low_ranks(deep, ratios)
    total = sum(layer.factors.macs for layer in decomposable(deep))
    rounding = total * len(decomposable(deep)) / UNITS
    kept = []
    counts = [multiply_adds(result.model) for result in results]
    for ratio, result, count in zip(ratios, results, counts):
        saved = multiply_adds(deep) - count
        assert total - saved <= ratio * total or ratio < 0.2
        kept.append(math.prod(1 - layer.error ** 2 for layer in result.layers))
    assert all(less <= more + rounding for more, less in zip(counts, counts[1:]))
    assert all(less <= more + 1e-9 for more, less in zip(kept, kept[1:]))


def test_what_is_read_for_one_row_goes_first():
    weights = {'w': noise(32, 16, 3, 3), 'v': noise(10, 32 * 64)}
    nodes = [helper.make_node('Conv', ['x', 'w'], ['a'], 'conv', pads=[1] * 4),
             helper.make_node('Flatten', ['a'], ['b']),
             helper.make_node('Gemm', ['b', 'v'], ['y'], 'head', transB=1)]
    model = network(nodes, (1, 16, 8, 8), weights)
    conv, head = (layer.factors for layer in decomposable(model))
    assert conv.work == conv.macs == 32 * 16 * 9 * 64
    assert head.work == READING * head.macs == READING * 10 * 32 * 64
    # a tenth of the multiply-adds, and four fifths of the work
    result = low_rank(model, 0.6)
    assert [layer.name for layer in result.layers] == ['head']


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
def test_ranks_are_multiples_that_a_gpu_likes(inputs, outputs, kernel):
    weight = noise(outputs, inputs, kernel, kernel)
    for way in factors.Factors(weight, (9, 9), (9, 9)).ways()[1:]:
        # a rank that keeps all the channels of one side is none
        full = (inputs, outputs) if way.kind == 'tucker' else (
            min(inputs * kernel, outputs * kernel),) * 2
        assert all(rank % factors.MULTIPLE == 0 or rank < factors.MULTIPLE or rank == most
                   for rank, most in zip(way.ranks, full))


def test_alone_a_layer_never_loses_less_with_less():
    model = network([helper.make_node('Conv', ['x', 'w'], ['y'], pads=[1] * 4)], (1, 8, 6, 6),
                    {'w': noise(8, 8, 3, 3)})
    results = low_ranks(model, [ratio / 20 for ratio in range(20, 0, -1)])
    errors = [result.layers[0].error if result.layers else 0.0 for result in results]
    assert errors == sorted(errors) and errors[0] == 0.0 < errors[1]


def test_depthwise_layers_stay_and_a_shared_weight_is_kept_while_it_is_read(deep):
    result = low_rank(deep, 0.3)
    names = {layer.name for layer in result.layers}
    assert 'depthwise' not in names and {'dense', 'again'} & names
    kinds = {layer.name: (layer.kind, layer.ranks) for layer in result.layers}
    stored = [tensor.name for tensor in result.model.graph.initializer]
    assert len(stored) == len(set(stored))
    assert ('w3' in stored) == (not {'dense', 'again'} <= names)
    if kinds.get('dense') == kinds.get('again'):
        assert sum(name.startswith('w3/low') for name in stored) <= 3


def test_a_weight_in_two_layers_is_written_once():
    nodes = [helper.make_node('MatMul', ['x', 'w'], ['a'], 'one'),
             helper.make_node('MatMul', ['a', 'w'], ['y'], 'two')]
    model = network(nodes, (4, 16), {'w': noise(16, 2) @ noise(2, 16, seed=1)})
    result = low_rank(model, 0.3)
    assert [layer.name for layer in result.layers] == ['one', 'two']
    assert [tensor.name for tensor in result.model.graph.initializer] == ['w/low0', 'w/low1']
    x = noise(4, 16, seed=5)
    np.testing.assert_allclose(run(result.model, x), run(model, x), rtol=1e-3, atol=1e-2)


def test_a_matrix_that_two_layers_read_in_both_directions_is_written_for_each():
    weights = {'w': noise(16, 2) @ noise(2, 16, seed=1)}
    nodes = [helper.make_node('Gemm', ['x', 'w'], ['a'], 'one'),
             helper.make_node('Gemm', ['a', 'w'], ['y'], 'two', transB=1)]
    model = network(nodes, (4, 16), weights)
    result = low_rank(model, 0.3)
    assert len(result.layers) == 2 and len(result.model.graph.initializer) == 4
    x = noise(4, 16, seed=5)
    np.testing.assert_allclose(run(result.model, x), run(model, x), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize('kind', ['tucker', 'separable'])
def test_a_weight_of_low_rank_is_found_out(kind):
    if kind == 'tucker':
        weight = np.einsum('ra,sb,abhw->rshw', noise(12, 3), noise(10, 2, seed=1),
                           noise(3, 2, 3, 3, seed=2))
    else:
        weight = np.einsum('owr,ihr->oihw', noise(12, 3, 2), noise(10, 3, 2, seed=1))
    model = network([helper.make_node('Conv', ['x', 'w'], ['y'], pads=[1] * 4)],
                    (1, 10, 7, 7), {'w': weight.astype(np.float32)})
    layer, = decomposable(model)
    way = min((way for way in layer.factors.ways() if way.lost < 1e-9), key=lambda way: way.macs)
    assert (way.kind, way.ranks) == (kind, (2, 3) if kind == 'tucker' else (2,))
    result = rewritten(model, [layer], [way])
    x = noise(1, 10, 7, 7, seed=4)
    np.testing.assert_allclose(run(result.model, x), run(model, x), rtol=1e-3, atol=1e-3)


def test_from_one_on_it_is_the_network_itself(deep):
    for ratio in (1, 1.5, math.inf):
        assert low_rank(deep, ratio).model is deep
        assert low_rank(deep, ratio).layers == ()


@pytest.mark.parametrize('ratio', [0, -0.5, math.nan])
def test_other_ratios_are_refused(deep, ratio):
    with pytest.raises(ParameterError, match=r"'ratio' is .*; expected a share .*above 0"):
        low_rank(deep, ratio)


@pytest.mark.parametrize('weight', [
    np.zeros((8, 8, 3, 3), np.float32), np.full((8, 8, 3, 3), np.nan, np.float32)])
def test_a_weight_without_a_spectrum_stays(weight):
    model = network([helper.make_node('Conv', ['x', 'w'], ['y'])], (1, 8, 6, 6), {'w': weight})
    assert low_rank(model, 0.5).model is model


def test_a_weight_that_is_computed_and_sizes_that_are_not_known_stay():
    nodes = [helper.make_node('Relu', ['v'], ['w']),
             helper.make_node('Conv', ['x', 'w'], ['y'])]
    model = network(nodes, (1, 8, 6, 6), {'v': noise(8, 8, 3, 3)})
    assert low_rank(model, 0.5).layers == ()
    free = network(nodes[1:], ('N', 8, 'H', 'W'), {'w': noise(8, 8, 3, 3)})
    assert low_rank(free, 0.5).layers == ()
    assert multiply_adds(free) == 0


def test_the_batch_may_be_free():
    model = network([helper.make_node('Conv', ['x', 'w'], ['y'])], ('N', 8, 6, 6),
                    {'w': noise(8, 8, 3, 3)})
    assert multiply_adds(model) == 4 * 4 * 8 * 8 * 9
    assert run(low_rank(model, 0.5).model, noise(3, 8, 6, 6)).shape == (3, 8, 4, 4)


def test_half_precision_stays_half_precision():
    model = network([helper.make_node('Conv', ['x', 'w'], ['y'])], (1, 8, 6, 6),
                    {'w': noise(8, 8, 3, 3).astype(np.float16)}, input_type=TensorProto.FLOAT16)
    result = low_rank(model, 0.5)
    assert {tensor.data_type for tensor in result.model.graph.initializer} == {
        TensorProto.FLOAT16}
    onnx.checker.check_model(result.model, full_check=True)


def test_weights_that_an_old_file_lists_as_inputs_go_from_there_as_well():
    model = network([helper.make_node('Conv', ['x', 'w'], ['y'])], (1, 8, 6, 6),
                    {'w': noise(8, 8, 3, 3)})
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info('w', TensorProto.FLOAT, [8, 8, 3, 3]))
    result = low_rank(model, 0.5)
    assert [value.name for value in result.model.graph.input] == ['x']


def test_names_that_are_taken_are_left_alone(deep):
    once = low_rank(deep, 0.6)
    twice = low_rank(once.model, 0.6)
    assert multiply_adds(twice.model) < multiply_adds(once.model)
    run(twice.model, noise(1, 3, 8, 8))
