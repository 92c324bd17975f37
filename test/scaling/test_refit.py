"""Weights that fit: nearer to the exact network without learning, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SIDE, Builder, arrays, plain, residual
from onnx import numpy_helper

torch = pytest.importorskip('torch')
pytest.importorskip('onnxruntime')

from s3dnn_ros.base.clock import SystemClock  # noqa: E402
from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine  # noqa: E402
from s3dnn_ros.models.macs import multiply_adds  # noqa: E402
from s3dnn_ros.scaling.depth import Depth  # noqa: E402
from s3dnn_ros.scaling.exact import ExactLayers  # noqa: E402
from s3dnn_ros.scaling.judge import Judge  # noqa: E402
from s3dnn_ros.scaling.refit import refit  # noqa: E402
from s3dnn_ros.scaling.width import Width  # noqa: E402
from s3dnn_ros.scaling.worth import worth  # noqa: E402

IMAGES = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
HELD_OUT = np.random.default_rng(1).integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def fidelity(spec):
    """Return a function that compares a network with the exact one."""
    engine = OnnxRuntimeEngine(SystemClock(), 1)
    yield lambda exact, model: Judge(engine, spec, exact, HELD_OUT).fidelity(model)
    engine.close()


def mixed():
    """Return a network with a depthwise and a grouped convolution and a normalisation."""
    builder = Builder()
    last = builder.same('Relu', builder.conv('x', 16))
    last = builder.same('Relu', builder.conv(last, 16, group=16))
    last = builder.same('Relu', builder.norm(builder.conv(last, 24, bias=False)))
    last = builder.same('Relu', builder.conv(last, 16, group=2))
    builder.classify(last)
    return builder.model()


MODELS = {'plain': plain((16, 24)), 'residual': residual(2), 'mixed': mixed()}


def narrow(exact, share, shared=0, **options):
    width = Width(exact, **options)
    model = width.at_most(int(width.layers.macs * share), shared)
    return model, width.kept_filters(multiply_adds(model), shared)


@pytest.mark.parametrize('name', MODELS)
def test_a_narrow_network_comes_nearer_to_the_exact_one(name, spec, fidelity):
    exact = MODELS[name]
    model, kept = narrow(exact, 0.7)
    found = refit(model, spec, ExactLayers(exact, spec, IMAGES), kept, ())
    assert fidelity(exact, found) > fidelity(exact, model) + 0.1


def test_a_shallow_network_comes_nearer_to_the_exact_one(spec, fidelity):
    exact = residual(4)
    depth = Depth(exact)
    model = depth.at_most(int(depth.layers.macs * 0.8))
    kept = depth.kept_filters(multiply_adds(model))
    found = refit(model, spec, ExactLayers(exact, spec, IMAGES), kept, ())
    assert fidelity(exact, found) > fidelity(exact, model) + 0.1


@pytest.mark.parametrize('name', MODELS)
def test_weights_that_were_disturbed_come_back(name, spec, fidelity):
    exact = MODELS[name]
    rng = np.random.default_rng(2)
    disturbed = type(exact)()
    disturbed.CopyFrom(exact)
    # a product of more inputs than images has no single solution
    layers = {weight for node in exact.graph.node if node.op_type == 'Conv'
              for weight in node.input[1:]}
    for tensor in disturbed.graph.initializer:
        if tensor.name in layers:
            array = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(
                (array + 0.3 * array.std() * rng.normal(size=array.shape)).astype(np.float32),
                tensor.name))
    found = refit(disturbed, spec, ExactLayers(exact, spec, IMAGES), {}, ())
    assert fidelity(exact, disturbed) < 0.8 < 0.95 < fidelity(exact, found)


@settings(max_examples=8, deadline=None)
@given(shared=st.integers(1, 3), share=st.floats(0.6, 0.9))
def test_frozen_weights_and_all_that_is_no_layer_stay(tmp_path_factory, shared, share):
    spec = spec_in(tmp_path_factory.mktemp('net'))
    exact = MODELS['mixed']
    width = Width(exact)
    model = width.at_most(int(width.layers.macs * share), shared)
    if model is None:
        return
    frozen = width.layers.constants(shared)
    before = arrays(model)
    after = arrays(refit(model, spec, ExactLayers(exact, spec, IMAGES[:8]),
                         width.kept_filters(multiply_adds(model), shared), frozen))
    layers = {weight for node in model.graph.node if node.op_type in ('Conv', 'Gemm')
              for weight in node.input[1:]}
    for name, array in before.items():
        assert (after[name] == array).all() == (name in frozen or name not in layers), name


def spec_in(folder):
    from s3dnn_ros.models.spec import ModelSpec

    return ModelSpec(
        name='net', onnx=folder / 'net.onnx', width=SIDE, height=SIDE, colour='bgr',
        mean=(0, 0, 0), std=(255, 255, 255), resize='stretch', decoder='classification',
        decoder_options={'softmax': True})


def test_channels_chosen_by_worth_fit_better(spec, fidelity):
    """The exact network has each filter twice, and norms say nothing of that."""
    exact = plain((16, 24))
    for tensor in exact.graph.initializer:
        if tensor.name in ('w0', 'w1'):
            array = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(
                np.concatenate([array[:8], array[:8]]), tensor.name))
    layers = ExactLayers(exact, spec, IMAGES)
    width = Width(exact, lambda channels, groups: worth(channels, groups, layers))
    model = width.at_most(int(width.layers.macs * 0.4))
    found = refit(model, spec, layers, width.kept_filters(multiply_adds(model)), ())
    kept = width.kept_filters(multiply_adds(model))['w0']
    assert len(kept) == 8 and {index % 8 for index in kept} == set(range(8))
    assert fidelity(exact, found) > fidelity(exact, model)
