"""Fine-tuning: nearer to the exact network, frozen weights as they were, and it goes on."""

import dataclasses

import numpy as np
import onnx
import pytest
from networks import CLASSES, SIDE, Builder, arrays, plain
from onnx import helper, numpy_helper

torch = pytest.importorskip('torch')
pytest.importorskip('onnxruntime')

from s3dnn_ros.base.clock import SystemClock  # noqa: E402
from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine  # noqa: E402
from s3dnn_ros.errors import ModelError  # noqa: E402
from s3dnn_ros.models.macs import multiply_adds  # noqa: E402
from s3dnn_ros.scaling import tune  # noqa: E402
from s3dnn_ros.scaling.frames import Frames  # noqa: E402
from s3dnn_ros.scaling.judge import Judge  # noqa: E402
from s3dnn_ros.scaling.tune import Tuning, fine_tune  # noqa: E402
from s3dnn_ros.scaling.width import Width  # noqa: E402

STEPS = 40

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def frames():
    images = np.random.default_rng(0).integers(0, 256, (32, SIDE, SIDE, 3), np.uint8)
    return Frames(images[:24], images[24:], 'noise')


@pytest.fixture
def judge(spec):
    engine = OnnxRuntimeEngine(SystemClock(), 1)
    yield lambda exact, images, labels=None: Judge(engine, spec, exact, images, labels)
    engine.close()


def narrow(exact, share=0.6, shared=0):
    width = Width(exact)
    return width.at_most(int(width.layers.macs * share), shared)


def kept(model, exact, shared=0):
    return Width(exact).kept_filters(multiply_adds(model), shared)


def tuned(model, exact, spec, frames, tmp_path, steps=STEPS, frozen=(), told=None, shared=0,
          rate=5e-3):
    return fine_tune(model, exact, spec, frames, Tuning(steps, 8, rate), frozen=frozen,
                     kept=kept(model, exact, shared),
                     file=tmp_path / 'kept' / '1.pt', told=told or (lambda step, loss: None))


def normal():
    """Return a network with normalisations."""
    builder, last = Builder(), 'x'
    for width in (16, 24):
        last = builder.same('Relu', builder.norm(builder.conv(last, width)))
    builder.classify(last)
    return builder.model()


@pytest.mark.parametrize('exact', [plain(), normal()], ids=['plain', 'normal'])
def test_a_narrow_network_comes_nearer_to_the_exact_one(exact, spec, frames, judge, tmp_path):
    model = narrow(exact)
    losses = []
    found = tuned(model, exact, spec, frames, tmp_path,
                  told=lambda step, loss: losses.append(loss))
    measure = judge(exact, frames.held_out)
    assert measure.fidelity(found) > measure.fidelity(model) + 0.1
    assert losses[-1] < losses[0]
    assert len(losses) == STEPS


def test_only_what_is_not_frozen_learns(spec, frames, tmp_path):
    exact = plain()
    frozen = Width(exact).layers.constants(1)
    model = narrow(exact, shared=1)
    before, after = arrays(model), arrays(tuned(model, exact, spec, frames, tmp_path,
                                                frozen=frozen, shared=1))
    for name, array in before.items():
        assert (after[name] == array).all() == (name in frozen), name


def test_statistics_of_a_normalisation_do_not_learn(spec, frames, tmp_path):
    exact = normal()
    model = narrow(exact)
    before, after = arrays(model), arrays(tuned(model, exact, spec, frames, tmp_path, steps=2))
    node = next(node for node in model.graph.node if node.op_type == 'BatchNormalization')
    same = [(before[name] == after[name]).all() for name in node.input[1:]]
    assert same == [False, False, True, True]


def test_what_was_interrupted_goes_on_to_the_same_end(spec, frames, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, 'KEPT_EVERY', 4)
    exact = plain()
    model = narrow(exact)
    whole = tuned(model, exact, spec, frames, tmp_path / 'whole', steps=10)
    seen = []

    def interrupt(step, loss):
        seen.append(step)
        if step == 6 and seen.count(6) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(model, exact, spec, frames, tmp_path, steps=10, told=interrupt)
    again = tuned(model, exact, spec, frames, tmp_path, steps=10, told=interrupt)
    assert seen == [*range(7), *range(4, 10)]
    for name, array in arrays(whole).items():
        np.testing.assert_allclose(arrays(again)[name], array, rtol=1e-4, atol=1e-6)
    tuned(model, exact, spec, frames, tmp_path, steps=10, told=interrupt)
    assert seen[-1] == 9 and len(seen) == 13


def test_a_step_changes_each_weight_by_a_share_of_its_size(spec, frames, tmp_path):
    exact = plain()
    model = narrow(exact)
    before, after = arrays(model), arrays(tuned(model, exact, spec, frames, tmp_path, steps=1))
    for name, array in before.items():
        size = np.sqrt(np.mean(np.square(array)))
        assert 0 < np.abs(after[name] - array).max() <= 1.01 * 5e-3 * size


@pytest.mark.parametrize('other', ['rate', 'code'])
def test_what_another_learning_left_is_not_taken_up_but_replaced(
        spec, frames, tmp_path, monkeypatch, other):
    exact = plain()
    model = narrow(exact)
    tuned(model, exact, spec, frames, tmp_path, steps=2)
    seen = []
    if other == 'code':
        monkeypatch.setattr(tune, 'sha256_of', lambda path: 'a change')
    fine_tune(model, exact, spec, frames, Tuning(2, 8, 5e-3 if other == 'code' else 1e-2),
              kept=kept(model, exact), frozen=(), file=tmp_path / 'kept' / '1.pt',
              told=lambda step, loss: seen.append(step))
    assert seen == [0, 1]
    assert [path.name for path in (tmp_path / 'kept').glob('*.*t')] == ['1.pt']


@pytest.mark.parametrize('is_softmax', [False, True])
def test_labels_are_learned(spec, frames, judge, tmp_path, is_softmax):
    exact = plain()
    if is_softmax:
        exact.graph.node[-1].output[0] = 'logits'
        exact.graph.node.append(helper.make_node('Softmax', ['logits'], ['y'], axis=1))
        onnx.checker.check_model(exact, full_check=True)
        spec = dataclasses.replace(spec, decoder_options={})
    labels = (frames.training.mean((1, 2, 3)) * 7).astype(np.int64) % CLASSES
    frames = dataclasses.replace(frames, training_labels=labels, held_out_labels=labels[:8])
    model = narrow(exact)
    measure = judge(exact, frames.training, labels)
    found = tuned(model, exact, spec, frames, tmp_path, steps=80, rate=2e-2)
    assert measure.figures(found).accuracy > measure.figures(model).accuracy + 0.2


def test_half_precision_does_not_learn_and_says_so(spec, frames, tmp_path):
    model = plain()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    with pytest.raises(ModelError, match='net: has weights of half precision'):
        tuned(model, model, spec, frames, tmp_path)


def test_where_nothing_may_learn_the_network_is_as_it_was(spec, frames, tmp_path):
    exact = plain()
    model = narrow(exact)
    assert tuned(model, exact, spec, frames, tmp_path, frozen=arrays(model)) == model
