"""Rows of layers: what a layer reads, times its weights, is what it gives."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip('torch')

from s3dnn_ros.engines.torch.onnx_to_torch import to_torch  # noqa: E402
from s3dnn_ros.scaling.rows import Rows  # noqa: E402

IMAGES, SIDE = 3, 7


@st.composite
def convolutions(draw):
    groups, kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    attributes = {'group': groups, 'strides': [draw(st.integers(1, 2))] * 2,
                  'dilations': [draw(st.integers(1, 2))] * 2}
    if draw(st.booleans()):
        attributes['pads'] = draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))
    else:
        attributes.update(auto_pad='SAME_UPPER', dilations=[1, 1])
    return ('Conv', attributes, (inputs, SIDE, SIDE),
            (outputs, inputs // groups, kernel, kernel), outputs)


@st.composite
def products(draw):
    inputs, outputs = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    if draw(st.booleans()):
        return 'MatMul', {}, (4, inputs), (inputs, outputs), 0
    turned = draw(st.integers(0, 1))
    return ('Gemm', {'transB': turned}, (inputs,),
            (outputs, inputs) if turned else (inputs, outputs), outputs)


def layer(kind, attributes, shape, weight, bias):
    rng = np.random.default_rng(0)
    arrays = {'w': rng.normal(size=weight).astype(np.float32)}
    if bias:
        arrays['b'] = rng.normal(size=bias).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node(kind, ['x', *arrays], ['y'], **attributes)], 'layer',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, (IMAGES, *shape))],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    return model, rng.normal(size=(IMAGES, *shape)).astype(np.float32)


def seen(model, x, most):
    """Return the rows of a layer, what it reads, its weights and its bias."""
    found = []

    def look(node, function, x, weight, bias=None):
        y = function(x, weight, bias) if bias is not None else function(x, weight)
        rows = Rows(node, 13, y, most)
        found.extend([rows, rows.read(x, weight), weight, 0.0 if bias is None else bias])
        return y
    network = to_torch(model, fused=False)
    network.around('y', functools.partial(look, model.graph.node[0]))
    network(torch.from_numpy(x))
    return found


@settings(max_examples=60, deadline=None)
@given(st.one_of(convolutions(), products()), st.integers(IMAGES, 200))
def test_what_a_layer_reads_times_its_weights_is_what_it_gives(kind, most):
    rows, read, weight, bias = seen(*layer(*kind), most)
    matrix = rows.matrix(weight)
    given_ = (read @ matrix).transpose(0, 1).flatten(1) + bias
    torch.testing.assert_close(given_, rows.wanted, rtol=1e-3, atol=1e-4)
    assert len(rows.wanted) <= max(most, IMAGES)
    assert torch.equal(rows.weights(matrix, weight.shape), weight)


def test_places_where_the_exact_layer_says_most_are_among_the_rows():
    node = helper.make_node('Conv', ['x', 'w'], ['y'])
    y = torch.zeros(2, 4, 20, 20)
    y[:, :, 7, 9] = 5.0
    rows = Rows(node, 13, y, 2 * 20)
    assert (rows.wanted == 5.0).all(1).sum() >= 2
    assert len(rows.wanted) == 40
