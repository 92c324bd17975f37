"""What is said of a network: like the exact one, and right."""

import numpy as np
import pytest
from networks import CLASSES, SIDE, plain

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from s3dnn_ros.scaling.judge import Judge
from s3dnn_ros.scaling.width import Width

IMAGES = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)
MODEL = plain()


@pytest.fixture
def engine():
    engine = OnnxRuntimeEngine(SystemClock(), 1)
    yield engine
    engine.close()


def best(engine, spec):
    """Return the exact network's classes."""
    judges = [Judge(engine, spec, MODEL, IMAGES, np.full(len(IMAGES), label))
              for label in range(CLASSES)]
    shares = [judge.figures(MODEL).accuracy for judge in judges]
    assert sum(shares) == pytest.approx(1.0)
    return int(np.argmax(shares)), max(shares)


def test_the_exact_network_is_like_itself(engine, spec):
    found = Judge(engine, spec, MODEL, IMAGES).figures(MODEL)
    assert (found.fidelity, found.answers, found.accuracy) == (1.0, 1.0, None)


def test_a_narrow_network_is_less_like_it(engine, spec):
    judge, width = Judge(engine, spec, MODEL, IMAGES), Width(MODEL)
    near, far = (judge.fidelity(width.at_most(int(width.layers.macs * share)))
                 for share in (0.9, 0.3))
    assert 0.0 <= far < near < 1.0


def test_accuracy_is_the_share_of_images_whose_label_is_found(engine, spec):
    label, share = best(engine, spec)
    labels = np.full(len(IMAGES), label)
    assert Judge(engine, spec, MODEL, IMAGES, labels).figures(MODEL).accuracy == share
