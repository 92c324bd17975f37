"""Low rank that knows its inputs: never worse for the outputs, and finite whatever they are."""

import dataclasses

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.models import calibration
from s3dnn_ros.models.calibration import ALIKE, Moments, Whitening
from s3dnn_ros.models.factors import Factors, Way
from s3dnn_ros.models.lowrank import decomposable, low_rank, low_ranks, readings

RATIOS = (0.9, 0.6, 0.3, 0.1)
SIZE = (8, 8)
# A Tucker basis is truncated on two sides: at most twice the squares of the best of its ranks
# (De Lathauwer et al., A multilinear singular value decomposition, 2000, property 10).
BOUNDS = {'svd': 1.0, 'separable': 1.0, 'tucker': 2.0}
ROUNDING = 1e-9

seeds = st.integers(0, 1000)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@st.composite
def weights(draw):
    """A weight [outputs, inputs, *kernel] of a product, or of a convolution of images."""
    shape = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    return normal(draw(seeds), *shape, *draw(st.sampled_from([(), (1, 1), (3, 3), (3, 2)])))


@st.composite
def moments(draw, channels):
    """Moments of mixed channels, some of them dead, at any scale; of few places or of many."""
    rows = normal(draw(seeds), channels, channels) @ normal(
        draw(seeds), channels, draw(st.sampled_from([1, 3, 200])))
    rows = rows + draw(st.sampled_from([0.0, 5.0]))
    rows[:draw(st.integers(0, channels - 1))] = 0.0
    return Moments.of(rows * 10.0 ** draw(st.integers(-6, 6)), 0)


calibrated = weights().flatmap(
    lambda weight: st.tuples(st.just(weight), moments(weight.shape[1])))


def change(factors, way):
    """Return how a way changes the weight."""
    first, *others = factors.chain(way)
    weight = first.weight
    for link in others:
        weight = joined(weight, link.weight)
    return weight - factors.weight


def joined(first, second):
    """Return the weight of two links in a row, along different axes of the image."""
    high = max(first.shape[2:3], second.shape[2:3])
    wide = max(first.shape[3:], second.shape[3:])
    spread = [weight * np.ones((*weight.shape[:2], *high, *wide)) for weight in (first, second)]
    return np.einsum('ri...,or...->oi...', *spread)


def squares(weight):
    return float(np.square(weight).sum())


@given(calibrated)
def test_outputs_lose_what_is_said_and_never_more_than_without_calibration(made):
    weight, read = made
    size = SIZE[:weight.ndim - 2]
    whitening = Whitening.of(read)
    knowing, plain = Factors(weight, size, size, whitening), Factors(weight, size, size)
    whole = squares(whitening.apply(weight))
    for way in knowing.ways()[1:]:
        lost = squares(whitening.apply(change(knowing, way))) / whole
        assert lost == pytest.approx(way.lost, rel=1e-5, abs=ROUNDING)
        unknowing = squares(whitening.apply(change(plain, way))) / whole
        assert lost <= BOUNDS[way.kind] * unknowing + ROUNDING


@given(calibrated)
def test_at_full_rank_it_is_the_weight(made):
    weight, read = made
    outputs, inputs, *kernel = weight.shape
    size = SIZE[:weight.ndim - 2]
    factors = Factors(weight, size, size, Whitening.of(read))
    ways = ([Way('tucker', (inputs, outputs), 0, 0, 0.0), Way('separable', (
        min(inputs * kernel[0], outputs * kernel[1]),), 0, 0, 0.0)] if np.prod(kernel) > 1
        else [Way('svd', (min(inputs, outputs),), 0, 0, 0.0)])
    for way in ways:
        np.testing.assert_allclose(change(factors, way), 0.0, atol=1e-8)


@given(weights(), st.floats(1e-6, 1e6), st.integers(1, 10 ** 6))
def test_channels_that_are_alike_and_independent_say_nothing(weight, square, samples):
    channels, size = weight.shape[1], SIZE[:weight.ndim - 2]
    alike = Moments(np.zeros(channels), np.eye(channels) * square * samples, samples)
    knowing = Factors(weight, size, size, Whitening.of(alike))
    plain = Factors(weight, size, size)
    assert knowing.stake == pytest.approx(1.0) and plain.stake == 1.0
    found, expected = knowing.ways(), plain.ways()
    assert [(way.kind, way.ranks) for way in found] == [(way.kind, way.ranks) for way in expected]
    for one, other in zip(found, expected):
        assert one.lost == pytest.approx(other.lost, abs=ROUNDING)


@given(calibrated)
def test_a_stake_is_finite_and_one_without_a_steady_part(made):
    weight, read = made
    size = SIZE[:weight.ndim - 2]
    assert 1.0 <= Factors(weight, size, size, Whitening.of(read)).stake < np.inf
    centred = dataclasses.replace(read, sums=np.zeros_like(read.sums))
    assert Factors(weight, size, size, Whitening.of(centred)).stake == 1.0


@pytest.mark.parametrize('rows', [
    np.zeros((4, 9)), np.full((4, 9), np.nan), np.full((4, 9), np.inf), np.zeros((4, 0))])
def test_what_says_nothing_counts_all_alike(rows):
    assert Whitening.of(Moments.of(rows, 0)) is ALIKE


@given(seeds, st.integers(-3, 2))
def test_moments_are_those_along_the_axis_and_add_up(seed, axis):
    array = normal(seed, 3, 4, 5).astype(np.float16)
    rows = np.moveaxis(array.astype(float), axis, 0).reshape(array.shape[axis], -1)
    found = Moments.of(array, axis)
    np.testing.assert_allclose(found.products, rows @ rows.T)
    np.testing.assert_allclose(found.sums, rows.sum(1))
    assert found.samples == rows.shape[1]
    twice = found + found
    np.testing.assert_allclose(twice.products, 2 * found.products)
    assert twice.samples == 2 * found.samples


def test_of_many_channels_the_diagonal_is_kept(monkeypatch):
    rows = normal(0, 6, 50) * np.arange(6)[:, np.newaxis]
    whole = Moments.of(rows, 0)
    monkeypatch.setattr(calibration, 'MOST_CHANNELS', 5)
    found = Moments.of(rows, 0)
    np.testing.assert_allclose(found.products, np.diag(whole.products))
    weight = normal(1, 8, 6)
    whitening = Whitening.of(found)
    np.testing.assert_allclose(whitening.undo(whitening.apply(weight)), weight)
    assert Factors(weight, (1,), (1,), whitening).stake == 1.0
    full = Whitening.of(dataclasses.replace(whole, products=np.diag(found.products)))
    np.testing.assert_allclose(whitening.apply(weight), full.apply(weight))


# networks

def network(nodes, weights, shape=(2, 8, 6, 6)):
    graph = helper.make_graph(
        nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array.astype(np.float32), name)
         for name, array in weights.items()])
    model = helper.make_model(graph, ir_version=7,
                              opset_imports=[helper.make_opsetid('', 13)])
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


@pytest.fixture(name='deep', scope='module')
def _deep():
    """Return two convolutions that share a weight, a product, and one that reads transposed."""
    nodes = [
        helper.make_node('Conv', ['x', 'w'], ['a'], 'one', pads=[1] * 4),
        helper.make_node('Conv', ['a', 'w'], ['b'], 'two', pads=[1] * 4),
        helper.make_node('GlobalMaxPool', ['b'], ['c']), helper.make_node('Flatten', ['c'], ['d']),
        helper.make_node('MatMul', ['d', 'm'], ['e'], 'product'),
        helper.make_node('Gemm', ['e', 'g'], ['y'], 'transposed', transA=1)]
    return network(nodes, {'w': normal(0, 8, 8, 3, 3), 'm': normal(1, 8, 9),
                           'g': normal(2, 2, 7)})


def test_what_layers_read_is_named(deep):
    assert readings(deep) == [('x', 1), ('a', 1), ('d', -1)]


def test_a_shared_weight_goes_by_all_that_reads_it(deep):
    one, other = (Moments.of(normal(seed, 8, 40) * scale, 0) for seed, scale in ((0, 1), (1, 9)))
    both = decomposable(deep, {('x', 1): one, ('a', 1): other})
    assert both[0].factors is both[1].factors
    expected = decomposable(deep, {('x', 1): one + other})[0].factors.ways()
    assert both[0].factors.ways() == expected


def test_moments_of_other_tensors_change_nothing(deep):
    strange = {('x', -1): Moments.of(normal(0, 6, 9), 0), ('z', 1): Moments.of(normal(0, 8, 9), 0)}
    for found, plain in zip(low_ranks(deep, RATIOS, strange), low_ranks(deep, RATIOS)):
        assert found == plain


def test_a_layer_of_which_little_varies_keeps_more():
    nodes = [helper.make_node('Conv', ['x', 'w'], ['a'], 'one', pads=[1] * 4),
             helper.make_node('Conv', ['a', 'v'], ['y'], 'two', pads=[1] * 4)]
    model = network(nodes, {'w': normal(0, 8, 8, 3, 3), 'v': normal(0, 8, 8, 3, 3)})
    rows = normal(1, 8, 500)
    read = {('x', 1): Moments.of(rows + 3.0, 0), ('a', 1): Moments.of(rows, 0)}
    steady, moving = (layer.factors.stake for layer in decomposable(model, read))
    assert steady > 2.0 > moving >= 1.0


@pytest.mark.parametrize('ratio', RATIOS)
def test_a_dead_input_keeps_a_network_finite(deep, ratio):
    dead = Moments(np.zeros(8), np.diag([1.0] + [0.0] * 7), 1)
    result = low_rank(deep, ratio, {('x', 1): dead, ('a', 1): dead})
    for tensor in result.model.graph.initializer:
        assert np.isfinite(numpy_helper.to_array(tensor)).all()
