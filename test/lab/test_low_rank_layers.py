"""Chains of low rank of which only the shapes are known, beside the product's own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.lab.layers import layers_of
from s3dnn_ros.lab.low_rank_layers import KEPT, for_work, listed, pairs_of
from s3dnn_ros.lab.skeletons import Skeleton, alexnet, googlenet, resnet, vgg16
from s3dnn_ros.models.factors import Factors


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 24), st.integers(8, 24), st.sampled_from([3, 5]), st.integers(1, 2),
       st.integers(1, 8))
def test_a_chain_takes_what_the_products_own_takes(inputs, outputs, kernel, stride, rank):
    net = Skeleton('net', 16, inputs)
    (pair,) = pairs_of(net.model(net.conv('images', outputs, kernel, stride)), listed([rank]))
    side = -(-16 // stride)
    weight = np.random.default_rng(0).normal(size=(outputs, inputs, kernel, kernel))
    factors = Factors(weight, (16, 16), (side, side))
    (way,) = (way for way in factors._table('separable') if way.ranks == (rank,))
    assert sum(layer.flops for layer in pair.low_rank) == 2 * way.macs
    assert sum(layer.weights for layer in pair.low_rank) == sum(
        link.weight.size for link in factors.chain(way))
    assert pair.low_rank[-1].results == pair.exact.results


def test_what_is_no_square_convolution_stays():
    net = Skeleton('net', 16, 8)
    last = net.conv(net.conv('images', 8, 1), 8, 3, groups=8)
    model = net.model(net.dense(net.mean(net.pool(last, 2, 2)), 8, 4))
    pairs = pairs_of(model, for_work())
    assert [pair.exact for pair in pairs] == layers_of(model)
    assert not any(pair.low_rank for pair in pairs)


@given(st.integers(4, 64), st.integers(4, 64), st.sampled_from([3, 5, 7]))
def test_the_rank_for_a_share_of_the_work_is_the_highest_that_does(inputs, outputs, kernel):
    dims = [outputs, inputs, kernel, kernel]
    rank, one = for_work()(0, dims), (inputs + outputs) * kernel
    assert rank == 1 or rank * one <= KEPT * math.prod(dims)
    assert (rank + 1) * one > KEPT * math.prod(dims)


# multiply-adds and weights in millions: AlexNet, GoogLeNet and ResNet-50 as torchvision and
# their papers have them, GoogLeNet with its 5 × 5 convolutions
@pytest.mark.parametrize('model, macs, weights', [
    (alexnet(), 714, 61.1), (googlenet(), 1583, 7.0),
    (resnet('resnet50', (3, 4, 6, 3), deep=True), 4089, 25.5), (vgg16(), 15470, 138.3)],
    ids=['alexnet', 'googlenet', 'resnet50', 'vgg16'])
def test_networks_are_as_large_as_published(model, macs, weights):
    layers = layers_of(model)
    assert sum(layer.flops for layer in layers) / 2e6 == pytest.approx(macs, rel=0.01)
    assert sum(layer.weights for layer in layers) / 1e6 == pytest.approx(weights, rel=0.01)
