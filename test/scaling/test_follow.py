"""Channels that go together: what has weights of zero alone changes no output."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SIDE, Builder, arrays, image, kinds, run
from onnx import helper, numpy_helper

from s3dnn_ros.scaling.follow import channels_of
from s3dnn_ros.scaling.labels import FIXED

CLOSE = {'rtol': 1e-3, 'atol': 1e-4}
EVEN_WIDTHS = st.integers(1, 6).map(lambda half: 2 * half)


def _conv(builder, draw, source):
    return builder.conv(source, draw(EVEN_WIDTHS), bias=draw(st.booleans()))


def _depthwise(builder, draw, source):
    channels = builder.sizes[source][0]
    return builder.conv(source, channels * draw(st.integers(1, 2)), group=channels)


def _grouped(builder, draw, source):
    channels = builder.sizes[source][0]
    return builder.conv(source, 2 * draw(EVEN_WIDTHS), group=1 if channels % 2 else 2)


def _unary(builder, draw, source):
    return builder.same(draw(st.sampled_from(['Relu', 'Sigmoid', 'Tanh'])), source)


def _norm(builder, draw, source):
    return builder.norm(source)


def _residual(builder, draw, source):
    inner = builder.conv(source, builder.sizes[source][0], kernel=1)
    return builder.join(draw(st.sampled_from(['Add', 'Mul', 'Max'])), source, inner)


def _branches(builder, draw, source):
    return builder.concat(_conv(builder, draw, source), source, _conv(builder, draw, source))


def _shuffle(builder, draw, source):
    return source if builder.sizes[source][0] % 2 else builder.shuffle(source)


def _halves(builder, draw, source):
    if builder.sizes[source][0] < 2:
        return source
    one, other = builder.split(source)
    return builder.concat(other, builder.conv(one, draw(EVEN_WIDTHS)))


def _sliced(builder, draw, source):
    channels = builder.sizes[source][0]
    start = draw(st.integers(0, channels - 1))
    return builder.slice(source, start, draw(st.integers(start + 1, channels)))


def _gate(builder, draw, source):
    channels = builder.sizes[source][0]
    pooled = builder.add('GlobalAveragePool', [source], (channels, 1))
    inner = builder.same('Relu', builder.conv(pooled, draw(EVEN_WIDTHS), kernel=1))
    gate = builder.same('Sigmoid', builder.conv(inner, channels, kernel=1))
    return builder.join('Mul', source, gate)


def _scaled(builder, draw, source):
    channels = builder.sizes[source][0]
    return builder.add('Mul', [source, builder.weight(channels, 1, 1, scale=1.0)],
                       builder.sizes[source])


STEPS = [_conv, _depthwise, _grouped, _unary, _norm, _residual, _branches, _shuffle, _halves,
         _sliced, _gate, _scaled]


@st.composite
def networks(draw):
    builder = Builder(draw(st.integers(0, 9)))
    last = builder.conv('x', 2 * draw(EVEN_WIDTHS))
    for step in draw(st.lists(st.sampled_from(STEPS), max_size=6)):
        last = step(builder, draw, last)
    builder.classify(last)
    return builder.model()


def labels_gone(channels, draw):
    """Return some labels, not all of any layer's."""
    known = sorted({int(label) for layer in channels.layers for label in layer.filters} - {FIXED})
    gone = np.zeros(channels.labels, bool)
    for label in draw(st.lists(st.sampled_from(known), unique=True)) if known else ():
        gone[label] = True
        if any(gone[layer.filters].all() for layer in channels.layers):
            gone[label] = False
    return gone


def silenced(channels, gone):
    """Return the network with zeros wherever a weight has a label that goes."""
    for tensor in channels.model.graph.initializer:
        array = np.array(numpy_helper.to_array(tensor))
        for axis, labels in channels.labels_of(tensor.name).items():
            np.moveaxis(array, axis, 0)[gone[labels]] = 0.0
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return channels.model


@settings(max_examples=80, deadline=None)
@given(networks(), st.data())
def test_channels_whose_weights_are_zero_change_no_output_when_they_go(model, data):
    channels = channels_of(model)
    gone = labels_gone(channels, data.draw)
    expected = run(silenced(channels, gone), image())
    for before, after in zip(expected, run(channels.without(gone), image())):
        np.testing.assert_allclose(after, before, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(networks(), st.data())
def test_sizes_are_those_of_the_network_that_is_written(model, data):
    channels = channels_of(model)
    gone = labels_gone(channels, data.draw)
    before, after = arrays(channels.model), arrays(channels.without(gone))
    for name, array in before.items():
        if array.dtype == np.float32:
            assert channels.sizes(name, array.shape, gone) == list(after[name].shape)


def filters_of(channels, index):
    return channels.layers[index].filters


def test_filters_are_free_of_each_other_but_where_their_outputs_are_added():
    builder = Builder()
    one, other, third = (builder.conv('x', 4) for _ in range(3))
    builder.classify(builder.concat(builder.join('Add', one, other), third))
    channels = channels_of(builder.model())
    assert (filters_of(channels, 0) == filters_of(channels, 1)).all()
    assert set(filters_of(channels, 0)).isdisjoint(filters_of(channels, 2))
    assert len(set(filters_of(channels, 2))) == 4


def test_what_the_network_gives_is_fixed():
    builder = Builder()
    builder.classify(builder.conv('x', 4))
    channels = channels_of(builder.model())
    assert (filters_of(channels, 1) == FIXED).all()
    assert not (filters_of(channels, 0) == FIXED).any()


def test_an_operator_through_which_channels_cannot_be_followed_is_told():
    builder = Builder()
    summed = builder.add('CumSum', [builder.conv('x', 4), builder.numbers(1)], (4, SIDE))
    builder.weights['n2'] = np.array(1, np.int64)
    builder.classify(builder.conv(summed, 6))
    channels = channels_of(builder.model())
    assert channels.left_alone == {'CumSum': 1}
    assert (filters_of(channels, 0) == FIXED).all()
    assert not (filters_of(channels, 1) == FIXED).any()


def test_a_weight_that_is_read_in_two_ways_stays_whole():
    builder = Builder()
    source = builder.conv('x', 4)
    bias = builder.nodes[0].input[2]
    summed = builder.add('ReduceSum', [bias], None, keepdims=0)
    builder.classify(builder.add('Mul', [source, summed], (4, SIDE)))
    channels = channels_of(builder.model())
    assert (filters_of(channels, 0) == FIXED).all()


def test_an_old_split_has_no_sizes_to_change_and_is_left_alone():
    builder = Builder(opset=12)
    source = builder.conv('x', 4)
    builder.nodes.append(helper.make_node('Split', [source], ['a', 'b'], axis=1))
    builder.sizes.update(a=(2, SIDE), b=(2, SIDE))
    builder.classify(builder.join('Add', 'a', 'b'))
    channels = channels_of(builder.model())
    assert channels.left_alone == {'Split': 1}


def test_constants_that_are_nodes_can_lose_channels():
    builder = Builder()
    builder.classify(builder.conv('x', 4, bias=False))
    model = builder.model()
    tensor = model.graph.initializer[0]
    model.graph.node.insert(0, helper.make_node('Constant', [], [tensor.name], value=tensor))
    del model.graph.initializer[0]
    channels = channels_of(model)
    gone = np.zeros(channels.labels, bool)
    gone[filters_of(channels, 0)[:1]] = True
    assert arrays(channels.without(gone))[tensor.name].shape[0] == 3
    assert 'Constant' not in kinds(channels.model)
