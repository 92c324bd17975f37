"""What channels are worth: what their readers lose at best, and twins never go together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SIDE, Builder, arrays, plain
from onnx import numpy_helper

torch = pytest.importorskip('torch')

from s3dnn_ros.models.spec import ModelSpec  # noqa: E402
from s3dnn_ros.scaling.exact import ExactLayers  # noqa: E402
from s3dnn_ros.scaling.follow import channels_of  # noqa: E402
from s3dnn_ros.scaling.worth import RIDGE, worth  # noqa: E402

IMAGES = np.random.default_rng(0).integers(0, 256, (24, SIDE, SIDE, 3), np.uint8)
SPEC = ModelSpec(
    name='net', onnx=None, width=SIDE, height=SIDE, colour='bgr', mean=(0, 0, 0),
    std=(255, 255, 255), resize='stretch', decoder='classification')


def found(model):
    """Return the worth of the filters of the first layer, by number, and all that was seen."""
    channels, exact = channels_of(model), ExactLayers(model, SPEC, IMAGES)
    labels = channels.layers[0].filters.tolist()
    known = worth(channels, [labels], exact)
    return np.array([known[label] for label in labels]), exact


def at_best(weight, moments, gone):
    """Return what is lost of W x if the others take over, by the variance that they lack."""
    taps = weight[0, 0].size
    own = np.isin(np.arange(len(moments)) // taps, gone)
    matrix = weight.reshape(len(weight), -1).T
    whole = np.sum(matrix * (moments @ matrix))
    moments = moments + RIDGE * moments.diagonal().mean() * np.eye(len(moments))
    lacking = moments[np.ix_(own, own)] - moments[np.ix_(own, ~own)] @ np.linalg.lstsq(
        moments[np.ix_(~own, ~own)], moments[np.ix_(~own, own)], rcond=None)[0]
    return np.sum(matrix[own] * (lacking @ matrix[own])) / whole


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 50))
def test_the_first_to_go_is_the_one_without_which_its_reader_loses_least(seed):
    model = plain((6, 8), seed)
    known, exact = found(model)
    weight, moments = arrays(model)['w2'], exact.moments['w2'].double().numpy()
    lost = np.array([at_best(weight, moments, [index]) for index in range(6)])
    assert lost[known.argmin()] <= 1.02 * lost.min()
    assert known.min() == pytest.approx(lost[known.argmin()], rel=0.02)
    order = known.argsort()
    for count in (2, 3):
        assert known[order[count - 1]] == pytest.approx(
            at_best(weight, moments, order[:count]), rel=0.05)


def test_of_twins_one_is_worth_nothing_and_the_other_much():
    model = plain((8, 8))
    for tensor in model.graph.initializer:
        if tensor.name in ('w0', 'w1'):
            array = np.array(numpy_helper.to_array(tensor))
            array[1::2] = array[::2]
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    known, _ = found(model)
    pairs = np.sort(known.reshape(4, 2), 1)
    assert pairs[:, 0].max() < 0.01 < pairs[:, 1].min()


def test_a_channel_that_nobody_reads_with_weight_goes_first():
    model = plain((8, 8))
    for tensor in model.graph.initializer:
        if tensor.name == 'w2':
            array = np.array(numpy_helper.to_array(tensor))
            array[:, 5] = 0.0
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    assert found(model)[0].argmin() == 5


def test_channels_that_no_layer_reads_have_no_worth():
    builder = Builder()
    kept = builder.conv('x', 8)
    builder.classify(builder.add('Conv', [kept, builder.weight(8, 1, 3, 3)], (8, SIDE), group=8,
                                 pads=[1] * 4))
    model = builder.model()
    channels, exact = channels_of(model), ExactLayers(model, SPEC, IMAGES)
    exact.moments.pop(model.graph.node[-1].input[1])
    assert worth(channels, [channels.layers[0].filters.tolist()], exact) == {}
